"""The questions of the chapters' quizzes, read from their folds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

from .notebooks import Chapter, source
from .standalone import Book, Prose

QUESTION = re.compile(r"^\*\*(\d+)\. (.*?)\*\*\s*$(.*?)(?=^\*\*\d+\. |\Z)", re.M | re.S)
CHOICE = re.compile(
    r'<details class="quiz (right|wrong)"[^>]*>\s*<summary>(.*?)</summary>(.*?)</details>', re.S
)


@dataclass(frozen=True)
class Choice:
    """A choice, with its explanation; both are XHTML."""

    text: str
    is_right: bool
    explanation: str


@dataclass(frozen=True)
class Question:
    """A question with its choices; the text is XHTML."""

    chapter: str
    number: str  # "3.1"
    text: str
    choices: tuple[Choice, ...]

    @property
    def name(self) -> str:
        """An identifier, "q3-1"."""
        return f"q{self.number.replace('.', '-')}"

    @property
    def has_one_answer(self) -> bool:
        """Whether exactly one choice is right."""
        return sum(choice.is_right for choice in self.choices) == 1


def questions(chapter: Chapter, book: Book) -> list[Question]:
    """Read the questions of a chapter's quiz.

    Raises:
        ValueError: a question has fewer than two choices, or none that is right.
    """
    prose = Prose(book, chapter.number)
    found: list[Question] = []
    for cell in chapter.cells:
        text = source(cell)
        if cell["cell_type"] != "markdown" or 'class="quiz ' not in text:
            continue
        for number, asked, folds in QUESTION.findall(text):
            choices = tuple(
                Choice(
                    _inline(prose.convert(summary)),
                    kind == "right",
                    xhtml(prose.convert(explanation)),
                )
                for kind, summary, explanation in CHOICE.findall(folds)
            )
            name = f"{chapter.number}.{number}"
            if len(choices) < 2 or not any(choice.is_right for choice in choices):
                raise ValueError(
                    f"{chapter.path.name}: question {number}: expected two choices or more, one of "
                    f"them right, got {len(choices)}"
                )
            found.append(Question(chapter.title, name, xhtml(prose.convert(asked)), choices))
    return found


def xhtml(markdown: str) -> str:
    r"""Turn Markdown into XHTML; formulas get the brackets ``\(…\)`` that platforms know."""
    import mistune

    formulas: list[str] = []

    def keep(formula: re.Match[str]) -> str:
        left, right = (r"\[", r"\]") if formula[1] else (r"\(", r"\)")
        formulas.append(escape(f"{left}{(formula[1] or formula[2]).strip()}{right}", quote=False))
        return f"\x02{len(formulas) - 1}\x03"

    text = re.sub(r"\$\$(.+?)\$\$|(?<![\\$])\$([^$]+?)\$", keep, markdown.strip(), flags=re.S)
    html = str(mistune.create_markdown(escape=True, plugins=["table"])(text)).strip()
    return re.sub("\x02(\\d+)\x03", lambda place: formulas[int(place[1])], html)


def _inline(markdown: str) -> str:
    """The XHTML of one paragraph, without its paragraph."""
    return xhtml(markdown).removeprefix("<p>").removesuffix("</p>")

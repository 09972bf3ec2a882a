r"""Copies of chapters that leave the repository: for students, for the download button.

A copy says what to do if the book's package is missing, and does it. Its prose needs no Sphinx:
roles become plain Markdown, equations bear their numbers, figures their captions, and the works
that it cites are listed at its end.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from . import bibliography
from .notebooks import Cell, Chapter, source

GUARD = """\
# This notebook also runs by itself: if the book's package is missing, it is installed here.
import importlib.util
import os

# On a busy machine threads wait for each other: its small networks then take three times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")
if importlib.util.find_spec("attn_utils") is None:
    %pip install -q "attn-utils[notebooks]"
"""
GUARD_ID = "install-attn-utils"

_ROLE = re.compile(r"\{([\w:]+)\}`([^`]+)`")
_CODE_OR_ROLE = re.compile(
    r"^(?P<fence>`{3,}).*?^(?P=fence)`*\s*$"
    rf"|(?P<role>{_ROLE.pattern})"
    r"|(?<!`)(?P<ticks>`+)(?!`)(?:.|\n(?!\n))+?(?<!`)(?P=ticks)(?!`)",
    re.M | re.S,
)
_EQUATION = re.compile(r"\$\$(.*?)\$\$ *\(([\w-]+)\)", re.S)
_TARGET = re.compile(r"^\([\w-]+\)=\n", re.M)
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((\d\d-[a-z-]+)\.ipynb(#[\w-]+)?\)")


@dataclass(frozen=True)
class Place:
    """Where an equation or a figure is: its chapter and its number there."""

    chapter: int
    number: int


@dataclass
class Book:
    """What the chapters need of each other: equations, figures, titles; and the works cited."""

    chapters: list[Chapter]
    works: bibliography.Works = field(default_factory=dict)

    @classmethod
    def of(cls, chapters: list[Chapter]) -> Book:
        """The book of which these are the chapters."""
        return cls(chapters, bibliography.works(chapters[0].path.with_name("references.bib")))

    @cached_property
    def equations(self) -> dict[str, Place]:
        """The numbered equations, by their labels."""
        return self._places(lambda cell: [label for _, label in _EQUATION.findall(source(cell))])

    @cached_property
    def figures(self) -> dict[str, Place]:
        """The figures with a caption, by their names."""
        return self._places(lambda cell: [name] if (name := _figure(cell).get("name")) else [])

    def title(self, stem: str) -> str:
        """The title of a chapter."""
        return next((c.title for c in self.chapters if c.stem == stem), stem)

    def _places(self, labels: Callable[[Cell], Iterable[str]]) -> dict[str, Place]:
        places: dict[str, Place] = {}
        for chapter in self.chapters:
            found = [label for cell in chapter.cells for label in labels(cell)]
            places |= {x: Place(chapter.number, i) for i, x in enumerate(found, start=1)}
        return places


def standalone(
    notebook: Any, book: Book, number: int, *, beside: Iterable[str] = (), site: str = ""
) -> Any:
    """Return a copy of a chapter's notebook for use outside of the book.

    Args:
        notebook: as nbformat reads it.
        book: the book it is from.
        number: the number of the chapter.
        beside: the names of the chapters whose copies lie beside this one; links lead there.
        site: the address of the published book; links to other chapters lead there. Without it
            they become plain text.
    """
    made = copy.deepcopy(notebook)
    prose = Prose(book, number, frozenset(beside), site)
    cells = [_code_cell(GUARD, GUARD_ID)]
    for cell in made.cells:
        if cell["cell_type"] == "markdown":
            cell["source"] = prose.convert(source(cell))
        cells.append(cell)
        figure = _figure(cell)
        if caption := figure.get("caption"):
            place = book.figures.get(figure.get("name", ""))
            numbered = f"Figure {place.number}: " if place else ""
            text = f"*{numbered}{prose.convert(caption)}*"
            cells.append(_markdown_cell(text, f"caption-{cell.get('id', len(cells))}"))
    works = [bibliography.line(book.works[key]) for key in prose.cited]
    if works:
        listed = "\n".join(f"- {line}" for line in sorted(works))
        cells.append(_markdown_cell(f"## Works cited\n\n{listed}", "works-cited"))
    made.cells = cells
    return made


@dataclass(frozen=True)
class Prose:
    """Turns the Markdown of a chapter, of this number, into plain Markdown."""

    book: Book
    number: int
    beside: frozenset[str] = frozenset()  # chapters to which links may lead as files
    site: str = ""
    cited: dict[str, None] = field(default_factory=dict)  # keys of the works, in order

    def convert(self, text: str) -> str:
        """Convert the text of a cell; what is quoted as code stays."""
        parts: list[str] = []
        start = 0
        for code in _CODE_OR_ROLE.finditer(text):
            if not code["role"]:
                parts += [self._plain(text[start : code.start()]), code[0]]
                start = code.end()
        return "".join([*parts, self._plain(text[start:])])

    def _plain(self, text: str) -> str:
        text = _TARGET.sub("", text)
        text = _EQUATION.sub(self._equation, text)
        text = _ROLE.sub(self._role, text)
        text = _LINK.sub(lambda link: self._link(link[1], link[2], link[3] or ""), text)
        # JupyterLab takes a fold that follows another without a blank line for a part of it
        return text.replace("</details>\n<details", "</details>\n\n<details")

    def _equation(self, found: re.Match[str]) -> str:
        body, place = found[1].rstrip(), self.book.equations[found[2]]
        return f"$${body} \\tag{{{place.number}}}\n$$"

    def _role(self, role: re.Match[str]) -> str:
        name, text = role[1], " ".join(role[2].split())
        titled = re.fullmatch(r"(.+?) <(.+)>", text)
        shown, target = (titled[1], titled[2]) if titled else (text, text)
        if name in ("cite:t", "cite:p"):
            return self._citation(target.split(","), in_brackets=name == "cite:p")
        if name == "eq":
            return self._numbered("({})", self.book.equations.get(target))
        if name == "numref":
            return self._numbered("Figure {}", self.book.figures.get(target))
        if name == "doc":
            return self._link(shown if titled else self.book.title(target), target, "")
        return shown  # a term, an abbreviation

    def _numbered(self, form: str, place: Place | None) -> str:
        if place is None:  # a figure without a caption
            return form.format("").strip(" ()").lower() or "the formula"
        elsewhere = f" of chapter {place.chapter}" if place.chapter != self.number else ""
        return form.format(place.number) + elsewhere

    def _citation(self, keys: list[str], *, in_brackets: bool) -> str:
        said = []
        for key in map(str.strip, keys):
            self.cited[key] = None
            who, year = (
                bibliography.mention(self.book.works[key]) if key in self.book.works else (key, "")
            )
            said.append(f"{who}, {year}".strip(", ") if in_brackets else f"{who} ({year})")
        return f"({'; '.join(said)})" if in_brackets else " and ".join(said)

    def _link(self, text: str, chapter: str, anchor: str) -> str:
        if chapter in self.beside:
            return f"[{text}]({chapter}.ipynb{anchor})"
        if self.site:
            return f"[{text}]({self.site.rstrip('/')}/book/{chapter}.html{anchor})"
        return text


def _figure(cell: Cell) -> Any:
    return cell.get("metadata", {}).get("mystnb", {}).get("figure", {})


def _code_cell(text: str, name: str) -> Any:
    from nbformat import v4

    return v4.new_code_cell(text.rstrip(), id=name)  # type: ignore[no-untyped-call]


def _markdown_cell(text: str, name: str) -> Any:
    from nbformat import v4

    return v4.new_markdown_cell(text, id=name[:64])  # type: ignore[no-untyped-call]

"""Copies for students: chapters without solutions, and the rules for their AI helpers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from .marks import write_whole
from .notebooks import EXERCISE, SOLUTION, Chapter, chapters, read, sections, source
from .standalone import Book, standalone

FOLD = re.compile(r'\n*<details class="solution">.*?</details>', re.S)
ANSWER = "*Your answer:*"


def write(book: Path, names: Sequence[str], to: Path) -> list[Path]:
    """Write copies of the chapters named, and AGENTS.md; return the files.

    Raises:
        ValueError: there is no such chapter.
    """
    whole = Book.of(chapters(book))
    chosen = choose(whole.chapters, names)
    to.mkdir(parents=True, exist_ok=True)
    beside = [chapter.stem for chapter in chosen]
    written = []
    for chapter in chosen:
        made = standalone(without_solutions(chapter), whole, chapter.number, beside=beside)
        written.append(to / chapter.path.name)
        write_whole(written[-1], _text(made))
    rules = files("attn_utils.teach").joinpath("tutor.md").read_text(encoding="utf-8")
    written.append(to / "AGENTS.md")
    write_whole(written[-1], rules)
    return written


def choose(known: list[Chapter], names: Sequence[str]) -> list[Chapter]:
    """Return the chapters that are named, "3", "03-scoring-functions" or "all", in order.

    Raises:
        ValueError: there is no such chapter.
    """
    by_name = {name: c for c in known for name in (str(c.number), c.stem, c.path.name)}
    wrong = [name for name in names if name != "all" and name not in by_name]
    if wrong:
        numbers = [c.number for c in known]
        raise ValueError(f"chapters: expected numbers among {numbers}, got {wrong[0]!r}")
    wanted = {c.stem for c in known} if "all" in names else {by_name[name].stem for name in names}
    return [chapter for chapter in known if chapter.stem in wanted]


def without_solutions(chapter: Chapter) -> Any:
    """Return a chapter's notebook without solutions, and with room for written answers."""
    notebook = read(chapter.path)
    by_hand = {e.number for e in chapter.exercises if not e.check}
    kept: list[Any] = []
    for cell in notebook.cells:
        if cell["cell_type"] == "code" and SOLUTION.match(source(cell)):
            continue
        if cell["cell_type"] == "markdown":
            cell["source"] = FOLD.sub("", source(cell)).strip("\n")
        kept.append(cell)
        asked = [EXERCISE.match(heading) for heading, _, _ in sections([cell])]
        kept += [_answer(m[1]) for m in asked if m and m[1] in by_hand]
    notebook.cells = kept
    return notebook


def _answer(number: str) -> Any:
    from nbformat import v4

    name = f"answer-{number.replace('.', '-')}"
    return v4.new_markdown_cell(ANSWER, id=name)  # type: ignore[no-untyped-call]


def _text(notebook: Any) -> str:
    from nbformat import writes

    return str(writes(notebook)) + "\n"  # type: ignore[no-untyped-call]

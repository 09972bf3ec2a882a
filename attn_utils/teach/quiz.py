"""The chapters' quizzes for a learning platform: as QTI 2.1 packages and as Moodle XML."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from . import moodle, qti
from .handout import choose
from .marks import write_whole
from .notebooks import chapters
from .questions import questions
from .standalone import Book


def write(book: Path, names: Sequence[str], to: Path) -> list[Path]:
    """Write the quizzes of the chapters named; return the files.

    Raises:
        ValueError: there is no such chapter, or a question has no right choice.
    """
    whole = Book.of(chapters(book))
    chosen = choose(whole.chapters, names)
    quizzes = [(chapter, questions(chapter, whole)) for chapter in chosen]
    to.mkdir(parents=True, exist_ok=True)
    written = []
    for chapter, asked in quizzes:
        written.append(to / f"{chapter.stem}-qti.zip")
        written[-1].write_bytes(qti.package(chapter.stem, chapter.title, asked))
    written.append(to / "moodle.xml")
    write_whole(written[-1], moodle.quiz({c.title: asked for c, asked in quizzes}))
    return written

"""Which files were handed in, and whose they are."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from .notebooks import Chapter


@dataclass(frozen=True)
class Submission:
    """A file that was handed in; without a path, a student who handed in nothing."""

    student: str
    path: Path | None
    remarks: tuple[str, ...] = ()


def find(folder: Path, book: Iterable[Chapter]) -> list[Submission]:
    """List the submissions in a folder: ``anna.ipynb``, or a folder ``anna`` with notebooks.

    A file that bears nothing but a chapter's name does not say whose it is; it goes by its file's
    name and a remark.

    Raises:
        ValueError: there is no such folder, or it is empty.
    """
    if not folder.is_dir():
        raise ValueError(f"submissions: expected a folder, got {str(folder)!r}")
    found = [_named(path, folder, book) for path in _files(folder)]
    if not found:
        raise ValueError(f"submissions: expected notebooks in {str(folder)!r}, got no file")
    times = Counter((s.student.casefold(), _chapter_in(s.path, book)) for s in found)
    marked: list[Submission] = []
    for one in found:
        count = times[one.student.casefold(), _chapter_in(one.path, book)]
        remark = (f"handed in {count} times: delete the lines that do not count",)
        marked.append(replace(one, remarks=one.remarks + remark * (count > 1)))
    return marked


def complete(found: list[Submission], names: Iterable[str]) -> list[Submission]:
    """Add those of a class list who handed in nothing; note who is on it twice, and who is not."""
    times = Counter(name.casefold() for name in names)
    first = {name.casefold(): name for name in reversed(list(names))}
    handed_in = {one.student.casefold() for one in found}
    missing = [Submission(name, None) for key, name in first.items() if key not in handed_in]
    noted: list[Submission] = []
    for one in [*found, *missing]:
        count = times[one.student.casefold()]
        remark = "not in the class list" if not count else f"{count} times in the class list"
        noted.append(replace(one, remarks=one.remarks + (remark,) * (count != 1)))
    return noted


def class_list(path: Path) -> list[str]:
    """Read a class list: a name in each line, or in the first column.

    Raises:
        ValueError: it cannot be read, or is empty.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"class list: expected a text file in UTF-8, got {error}") from error
    names = [row[0].strip() for row in csv.reader(text.splitlines()) if row and row[0].strip()]
    if names and names[0].casefold() in ("name", "student", "names", "students"):
        names = names[1:]
    if not names:
        raise ValueError(f"class list: expected a name in each line, got none in {str(path)!r}")
    return names


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith((".", "__")) for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden:
            yield path


def _named(path: Path, folder: Path, book: Iterable[Chapter]) -> Submission:
    inside = path.relative_to(folder).parts
    chapter = _chapter_in(path, book)
    if len(inside) > 1:
        return Submission(inside[0], path)
    stem = path.stem.replace(chapter, "") if chapter else path.stem
    student = re.sub(r"[\s_-]*\(\d+\)$", "", stem).strip(" _-")  # "anna (1)", a second download
    if student:
        return Submission(student, path)
    return Submission(path.name, path, ("the file's name does not say whose it is",))


def _chapter_in(path: Path | None, book: Iterable[Chapter]) -> str:
    """Return the chapter whose name is part of a file's name; "" if none is."""
    name = path.name if path else ""
    return next((chapter.stem for chapter in book if chapter.stem in name), "")

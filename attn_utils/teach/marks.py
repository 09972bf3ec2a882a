"""The table of marks, a CSV file for any spreadsheet."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .notebooks import Chapter, Exercise

Row = Mapping[str, Any]  # student, file, chapter, marks, remarks: as they are kept in results/


class Hand:
    """The points that a teacher has entered for the exercises that no check can judge."""

    def __init__(self, table: Path) -> None:
        self._points: dict[tuple[str, str, str], float] = {}
        try:
            lines = list(csv.DictReader(table.open(encoding="utf-8-sig", newline="")))
        except (OSError, UnicodeDecodeError, csv.Error):
            return
        for line in lines:
            for column, value in line.items():
                number = str(column).partition(" ")[0]
                try:
                    points = float(str(value).replace(",", "."))
                except ValueError:
                    continue
                self._points[str(line.get("student")), str(line.get("file")), number] = points

    def __call__(self, row: Row, exercise: Exercise) -> float | None:
        """Return the points that stand in the table, if there are any."""
        key = (_safe(str(row["student"])), _safe(str(row["file"])), exercise.number)
        return self._points.get(key)


def points(row: Row, exercise: Exercise, by_hand: Hand) -> float | None:
    """Return the points for an exercise; None if it was not handed in, or not marked yet."""
    mark = row["marks"].get(exercise.number)
    if mark is None:
        return None
    given = mark["points"]
    return by_hand(row, exercise) if given is None else float(given)


def table(rows: Iterable[Row], chapters: Iterable[Chapter], by_hand: Hand) -> str:
    """Write the table: a line for each submission, a column for each exercise.

    The heading of a column says how many points there are, ``3.4 (2)``, and ``(2, by hand)`` where
    a teacher enters them.
    """
    exercises = [exercise for chapter in chapters for exercise in chapter.exercises]
    names = {
        e.number: f"{e.number} ({e.points}{'' if e.check else ', by hand'})" for e in exercises
    }
    head = ["student", "file", "chapter", *names.values(), "total", "of", "remarks"]
    out = io.StringIO()
    writer = csv.DictWriter(out, head)
    writer.writeheader()
    for row in rows:
        own = [e for e in exercises if e.number in row["marks"]]
        got = {e.number: points(row, e, by_hand) for e in own}
        line: dict[str, Any] = {
            "student": _safe(str(row["student"])),
            "file": _safe(str(row["file"])),
            "chapter": row["chapter"],
            "total": _plain(sum(p for p in got.values() if p is not None)),
            "of": sum(e.points for e in own),
            "remarks": _safe("; ".join(row["remarks"])),
        }
        line |= {names[e]: "" if p is None else _plain(p) for e, p in got.items()}
        writer.writerow(line)
    return out.getvalue()


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is there as a whole or as it was before."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _plain(number: float) -> str:
    return f"{number:g}"


def _safe(text: str) -> str:
    """No spreadsheet takes what students write for a formula."""
    text = " ".join(text.split())
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text

"""Marks a folder of submissions: several at once, each kept as soon as it is known."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from . import feedback
from .judge import LARGEST, Limits, Report
from .judge import grade as grade_one
from .marks import Hand, Row, table, write_whole
from .notebooks import Chapter, chapters
from .submissions import Submission, class_list, complete, find

Job = tuple[Submission, str, Path]  # with the name of its result, and its file


def grade(
    folder: Path,
    book: Path,
    out: Path,
    *,
    names: Path | None = None,
    limits: Limits | None = None,
    workers: int = 2,
    say: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Mark the submissions in a folder; write marks.csv and feedback/ into ``out``.

    What has been marked is kept in ``out/results`` and not marked again, unless the submission, the
    book or the limits have changed.

    Returns:
        The rows of the table.

    Raises:
        ValueError: no submissions, no chapters, or no class list in the files named.
        OSError: the table of marks could not be written; it has been printed instead.
    """
    limits = limits or Limits()
    known = chapters(book)
    handed_in = find(folder, known)
    if names:
        handed_in = complete(handed_in, class_list(names))
    results = out / "results"
    results.mkdir(parents=True, exist_ok=True)
    (out / "feedback").mkdir(exist_ok=True)
    rows: list[dict[str, Any]] = []
    told = False
    began = time.monotonic()
    for row in _rows(handed_in, folder, book, known, results, limits, workers):
        rows.append(row)
        if row["limits"] and not told:
            told = True
            say("Each submission runs with these limits: " + "; ".join(row["limits"]))
        say(f"[{len(rows):3}/{len(handed_in)}] {_summary(row, known)}")
    rows.sort(key=lambda row: (row["student"].casefold(), row["file"]))
    _write(rows, known, out, say)
    say(f"{len(rows)} marked in {time.monotonic() - began:.0f} seconds: {out / 'marks.csv'}")
    return rows


def _rows(
    handed_in: list[Submission],
    folder: Path,
    book: Path,
    known: list[Chapter],
    results: Path,
    limits: Limits,
    workers: int,
) -> Iterator[dict[str, Any]]:
    """Yield a row for each submission as soon as there is one."""
    edition = _digest(*(chapter.path.read_bytes() for chapter in known), _code(), repr(limits))
    waiting: list[Job] = []
    for one in handed_in:
        if one.path is None:
            yield _row(one, folder, "", Report(remarks=["nothing was handed in"]))
            continue
        key = _key(one.path, folder, edition)
        kept = _kept(results / f"{key}.json")
        if kept is None:
            waiting.append((one, key, one.path))
        else:
            yield _row(one, folder, key, kept)
    for (one, key, _), report in _marked(waiting, book, limits, workers):
        row = _row(one, folder, key, report)
        if any(remark.startswith("could not be ") for remark in report.remarks):
            yield row  # another time it may go well
            continue
        try:
            write_whole(results / f"{key}.json", json.dumps(asdict(report)))
        except OSError as error:
            row["remarks"].append(f"the result could not be kept: {error.strerror}")
        yield row


def _marked(
    waiting: list[Job], book: Path, limits: Limits, workers: int
) -> Iterator[tuple[Job, Report]]:
    """Mark in processes of their own; should one of them die, say so of the submission."""
    while waiting:
        with ProcessPoolExecutor(workers, get_context("spawn"), _prepare, (book,)) as pool:
            jobs: dict[Future[Report], Job] = {
                pool.submit(_mark, one[2], limits): one for one in waiting
            }
            waiting = []
            try:
                for done in as_completed(jobs):
                    one = jobs.pop(done)
                    try:
                        yield one, done.result()
                    except BrokenProcessPool:
                        jobs[done] = one
                        raise
                    except Exception as error:
                        problem = f"could not be marked: {type(error).__name__}: {error}"
                        yield one, Report(remarks=[problem])
            except BrokenProcessPool:
                # nobody can tell which one it was: those that are left are marked one by one
                waiting = list(jobs.values())
                if workers == 1:
                    one = waiting.pop(0)
                    yield one, Report(remarks=["could not be marked: its process was ended"])
                workers = 1
            except GeneratorExit:
                pool.shutdown(cancel_futures=True)
                raise


_BOOK: list[Chapter] = []  # of this worker


def _prepare(book: Path) -> None:
    os.environ.pop("ATTN_CHECKS", None)
    _BOOK[:] = chapters(book)


def _mark(path: Path, limits: Limits) -> Report:
    return grade_one(path, _BOOK, limits)


def _row(one: Submission, folder: Path, key: str, report: Report) -> dict[str, Any]:
    row = asdict(report)
    row["remarks"] = [*one.remarks, *row["remarks"]]
    file = one.path.relative_to(folder).as_posix() if one.path else ""
    return {"student": one.student, "file": file, "key": key, **row}


def _summary(row: Row, known: list[Chapter]) -> str:
    exercises = [e for c in known if c.stem == row["chapter"] for e in c.exercises]
    given = sum(mark["points"] or 0 for mark in row["marks"].values())
    of = sum(e.points for e in exercises if e.check)
    by_hand = sum(not e.check for e in exercises)
    result = f"{row['chapter']}: {given:g} of {of}, and {by_hand} by hand" if exercises else ""
    return "  ".join(filter(None, [row["student"], result, "; ".join(row["remarks"])]))


def _write(
    rows: list[dict[str, Any]], known: list[Chapter], out: Path, say: Callable[[str], None]
) -> None:
    by_hand = Hand(out / "marks.csv")
    seen = [chapter for chapter in known if any(row["chapter"] == chapter.stem for row in rows)]
    for row in rows:
        for chapter in seen:
            if row["chapter"] == chapter.stem:
                try:
                    text = feedback.page(row, chapter, by_hand)
                    write_whole(out / "feedback" / feedback.file_name(row), text)
                except OSError as error:
                    row["remarks"].append(f"no feedback page: {error.strerror}")
                    say(f"{row['student']}: the page could not be written: {error.strerror}")
    text = table(rows, seen, by_hand)
    try:
        write_whole(out / "marks.csv", "\ufeff" + text)  # the mark by which Excel knows UTF-8
    except OSError:
        say(text)
        raise


def _kept(path: Path) -> Report | None:
    """Return a result of an earlier run; None if there is none that can be read."""
    from .judge import Mark

    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        raw = json.loads(path.read_text(encoding="utf-8"))
        raw["marks"] = {number: Mark(**mark) for number, mark in raw["marks"].items()}
        return Report(**raw)
    return None


def _key(path: Path, folder: Path, edition: str) -> str:
    try:
        data = path.read_bytes() if path.stat().st_size <= LARGEST else str(path).encode()
    except OSError:
        data = str(path).encode()
    return _digest(data, path.relative_to(folder).as_posix(), edition)


def _code() -> bytes:
    """The checks and the grader, whose change makes earlier results out of date."""
    package = Path(__file__).parents[1]
    patterns = ("*/checks.py", "checks/*.py", "teach/*.py")
    files = sorted(file for pattern in patterns for file in package.glob(pattern))
    return b"".join(file.read_bytes() for file in files) + sys.version.encode()


def _digest(*parts: bytes | str) -> str:
    joined = hashlib.sha256()
    for part in parts:
        joined.update(hashlib.sha256(part.encode() if isinstance(part, str) else part).digest())
    return joined.hexdigest()[:32]

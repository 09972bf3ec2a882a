"""Marks one submission: runs it in a room, and asks the book's checks about its answers."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attn_utils.checks import check

from . import credit, needs
from .answers import Line
from .notebooks import EXERCISE, SOLUTION, Cell, Chapter, Exercise, read, sections, source
from .sandbox import Gone, Late, Room

LARGEST = 20 * 2**20  # bytes of a submission
MOST_STOPS = 3  # after so many cells that had to be stopped, the rest is not run


@dataclass(frozen=True)
class Limits:
    """What a submission may use."""

    seconds: float = 20.0  # a cell of the student's, or a call of an answer
    total: float = 300.0  # all of it, with cells of the chapter's that an answer needs
    megabytes: int = 2048


@dataclass
class Mark:
    """What an answer is worth; None if a teacher has to read it."""

    points: float | None
    message: str = ""
    text: str = ""  # a thinking exercise's answer


@dataclass
class Report:
    """What came of a submission."""

    chapter: str = ""
    marks: dict[str, Mark] = field(default_factory=dict)  # by the exercise's number
    remarks: list[str] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)  # what the sandbox guarantees here


class _NameIsMissing(Exception):
    """The cells that were run do not make a name that is needed."""


def grade(path: Path, book: list[Chapter], limits: Limits) -> Report:
    """Mark a submission. Whatever is wrong with it is said in the report's remarks."""
    report = Report()
    try:
        if (size := path.stat().st_size) > LARGEST:
            raise ValueError(f"too large: {size / 2**20:.0f} MB, at most {LARGEST // 2**20}")
        cells: list[Cell] = read(path)["cells"]
        chapter = _chapter_of(cells, book)
    except (OSError, ValueError) as error:
        report.remarks.append(str(error))
        return report
    report.chapter = chapter.stem
    for sliced in (True, False):
        report.marks, report.remarks = {}, []
        try:
            with _Session(chapter, cells, limits, report, sliced) as session:
                session.run()
            break
        except _NameIsMissing:
            continue  # once more, with every cell
        except Gone as error:
            report.remarks.append(f"could not be run: {error}")
            break
    for exercise in chapter.exercises:
        none = Mark(0.0, "not reached") if exercise.check else Mark(None)
        report.marks.setdefault(exercise.number, none)
    return report


def _chapter_of(cells: list[Cell], book: list[Chapter]) -> Chapter:
    """Find the chapter by its exercises, whatever the file is called."""
    text = "\n".join(source(cell) for cell in cells)
    numbers = re.findall(r"^#{1,6} +Exercise (\d+)\.\d+\b", text, flags=re.M)
    folders = re.findall(r"""\bcheck\(\s*["'](\w+)\.""", text)
    votes = {
        chapter.stem: numbers.count(str(chapter.number))
        + sum(folders.count(e.check.partition(".")[0]) for e in chapter.exercises[:1])
        for chapter in book
    }
    best = max(book, key=lambda chapter: votes[chapter.stem])
    if not votes[best.stem]:
        raise ValueError("holds no exercise of the book's chapters")
    return best


class _Session:
    """A submission while it is run: its cells, the room they run in, what has been marked."""

    def __init__(
        self, chapter: Chapter, cells: list[Cell], limits: Limits, report: Report, sliced: bool
    ) -> None:
        self.chapter, self.limits, self.report, self.sliced = chapter, limits, report, sliced
        self.owners = _owners(cells, chapter)
        self.own_code = {source(cell) for cell in chapter.cells}
        self.code = {n: source(c) for n, c in enumerate(cells, 1) if c["cell_type"] == "code"}
        folds = {"".join(fold.split()) for e in chapter.exercises for fold in e.folds}
        copied = [
            number
            for number, text in self.code.items()
            if "".join(text.split()) in folds or SOLUTION.match(text)
        ]
        for number in copied:
            report.remarks.append(f"cell {number} is a solution of the book's: not run")
            del self.code[number]
        self.texts = _texts(cells, chapter)
        self.bad: set[int] = set()  # cells that had to be stopped
        self.over = time.monotonic() + limits.total
        self.scratch = Path(tempfile.mkdtemp(prefix="grading-"))
        self.line: Line | None = None

    def __enter__(self) -> _Session:
        return self

    def __exit__(self, *_: object) -> None:
        if self.line:
            self.line.room.close()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def run(self) -> None:
        """Run the cells that the answers need; mark an exercise after its last cell."""
        numbers = list(self.code)
        plan = numbers
        last = {owner: n for n, owner in self.owners.items() if n in self.code}
        if self.sliced:
            units = [needs.unit(self.code[number]) for number in numbers]
            wanted = [i for i, number in enumerate(numbers) if number in self.owners]
            plan = [numbers[i] for i in needs.needed(units, wanted)]
        for place, number in enumerate(plan):
            self._run_cell(plan[:place], number)
            for exercise in self.chapter.exercises:
                if last.get(exercise.number) == number:
                    self._mark(exercise, plan[: place + 1])
        for exercise in self.chapter.exercises:
            if exercise.number not in self.report.marks:
                self._mark(exercise, plan)

    def _run_cell(self, before: list[int], number: int) -> None:
        if number in self.bad or len(self.bad) >= MOST_STOPS:
            return
        line = self._open(before)
        code = self.code[number]
        seconds = self.limits.total if code in self.own_code else self.limits.seconds
        try:
            reply = line.request(seconds, do="run", source=code)
        except Late:
            self._stopped(number, f"stopped after {seconds:g} seconds")
            return
        except Gone:
            self._stopped(number, "it ended the Python process (or ran out of memory)")
            return
        if reply.get("late"):
            self._say(f"cell {number}: stopped after {seconds:g} seconds")
        elif error := reply.get("error"):
            self._look_for_name(error)
            line_number = f" in line {error['line']}" if error.get("line") else ""
            said = f"{error.get('name')}: {str(error.get('text'))[:200]}"
            self._say(f"cell {number}{line_number}: {said}")

    def _mark(self, exercise: Exercise, before: list[int]) -> None:
        if not exercise.check:
            text = self.texts.get(exercise.number, "")
            self.report.marks[exercise.number] = Mark(None, "", text)
            return
        line = self._open(before)
        mark = Mark(0.0)
        self.report.marks[exercise.number] = mark
        try:
            answer = line.answer(exercise.expression)
        except Exception as error:
            if type(error).__name__ == "NameError":
                self._look_for_name({"name": "NameError", "text": str(error)})
            mark.message = f"no answer: {type(error).__name__}: {error}"[:500]
            return
        with contextlib.redirect_stdout(io.StringIO()):
            result = check(exercise.check, answer)
            mark.message = result.message[:500]
            if result:
                mark.points = float(exercise.points)
            elif line.room.process.poll() is None:
                share = credit.share(exercise, self.chapter, answer)
                mark.points = credit.points(exercise, share)

    def _open(self, before: list[int]) -> Line:
        """Return the line to the room; to a new one, if the last has ended, with the cells run."""
        if time.monotonic() > self.over:
            raise Gone(f"its {self.limits.total:g} seconds are over; what follows is not marked")
        if self.line and self.line.room.process.poll() is None:
            return self.line
        self.line = Line(Room(self.scratch, self.limits.megabytes), self.limits.seconds)
        self.report.limits = self.line.room.limits
        for number in before:
            if number not in self.bad:
                with contextlib.suppress(Gone):
                    self.line.request(self.limits.total, do="run", source=self.code[number])
        return self.line

    def _stopped(self, number: int, what: str) -> None:
        self.bad.add(number)
        self._say(f"cell {number}: {what}")
        if len(self.bad) == MOST_STOPS:
            self._say(f"{MOST_STOPS} cells had to be stopped: the others are not run")

    def _say(self, remark: str) -> None:
        if remark not in self.report.remarks:
            self.report.remarks.append(remark)

    def _look_for_name(self, error: dict[str, Any]) -> None:
        """Give up the short way, if a cell that was left out would have made a missing name."""
        missing = re.match(r"name '(\w+)' is not defined", str(error.get("text")))
        runs = [code for number, code in self.code.items() if number not in self.bad]
        made = {name for code in runs for name in needs.unit(code).gives}
        if self.sliced and error.get("name") == "NameError" and missing and missing[1] in made:
            raise _NameIsMissing


def _owners(cells: list[Cell], chapter: Chapter) -> dict[int, str]:
    """Return the exercise that each code cell of a submission belongs to, by the cell's number.

    The book's own cells are known by their ids or by the check they call, others by the heading.
    """
    by_id = {name: e.number for e in chapter.exercises for name in e.cells if name}
    by_check = {e.check: e.number for e in chapter.exercises if e.check}
    numbers = {e.number for e in chapter.exercises}
    owners: dict[int, str] = {}
    heading = ""
    for number, cell in enumerate(cells, 1):
        text = source(cell)
        if cell["cell_type"] == "markdown":
            for line in re.findall(r"^#{1,6} +(.*)", text, flags=re.M):
                named = EXERCISE.match(line)
                heading = named[1] if named else ""
        elif cell["cell_type"] == "code":
            called = re.findall(r"""\bcheck\(\s*["'](\w+\.\w+)["']""", text)
            named_by_check = next((by_check[name] for name in called if name in by_check), "")
            owner = named_by_check or by_id.get(str(cell.get("id", ""))) or heading
            if owner in numbers:
                owners[number] = owner
    return owners


def _texts(cells: list[Cell], chapter: Chapter) -> dict[str, str]:
    """Return what a student wrote below an exercise that is marked by hand."""
    own = {source(cell).strip() for cell in chapter.cells}
    texts: dict[str, str] = {}
    for heading, _, _ in sections(chapter.cells):
        if named := EXERCISE.match(heading):
            texts[named[1]] = ""
    heading = ""
    for cell in cells:
        text = source(cell).strip()
        found = re.findall(r"^#{1,3} +(.*)", text, flags=re.M)
        if found and cell["cell_type"] == "markdown":
            named = EXERCISE.match(found[-1])
            heading = named[1] if named else ""
        elif heading in texts and text and text not in own:
            texts[heading] = f"{texts[heading]}\n\n{text}".strip()[:20_000]
    return texts

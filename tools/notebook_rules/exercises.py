"""Each exercise has a hint and a solution, and says how long it takes and how hard it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from .boxes import OPENING, classes
from .notebook import Finding, Notebook, mapping

EXERCISE = re.compile(r"Exercise (\d+\.\d+)\b")
SOLUTION = re.compile(r"#\s*Solution (\d+\.\d+)\b")
EFFORT = re.compile(r"\*About (\d+) minutes, (?:easy|medium|hard)\.\*$")
TOTAL = re.compile(r"\*Time to read:\*+ [^.]*?\babout (\d+) for the exercises")


@dataclass
class Exercise:
    """An exercise, as far as the next heading: its cell, its number, what belongs to it."""

    cell: int
    number: str
    parts: set[str] = field(default_factory=set)
    minutes: int | None = None  # as it says itself


def exercises_are_complete(notebook: Notebook) -> Iterator[Finding]:
    """Each ``### Exercise N.M`` has a hint and a solution before the next heading."""
    seen: set[str] = set()
    for exercise in _exercises(notebook):
        if exercise.number in seen:
            yield exercise.cell, f"there is more than one Exercise {exercise.number}"
        seen.add(exercise.number)
        for part in ("hint", "solution"):
            if part not in exercise.parts:
                yield exercise.cell, f"Exercise {exercise.number} has no {part}"
    for cell in notebook.code:
        solved = SOLUTION.match(cell.source)
        if not solved:
            continue
        if solved[1] not in seen:
            yield cell.number, f"solves Exercise {solved[1]}, which does not exist"
        if "hide-cell" not in cell.tags:
            yield cell.number, f"shows the solution {solved[1]} openly: tag it hide-cell"
        if not mapping(cell.metadata.get("jupyter")).get("source_hidden"):
            problem = f"the solution {solved[1]} needs jupyter.source_hidden for JupyterLab"
            yield cell.number, problem


def effort_is_stated(notebook: Notebook) -> Iterator[Finding]:
    """Each exercise says its minutes and its difficulty, and a chapter the minutes of all.

    Points for grading follow from the difficulty; the lines are read by ``attn_utils.teach``.
    """
    exercises = _exercises(notebook)
    for exercise in exercises:
        if exercise.minutes is None:
            wanted = "'*About 10 minutes, easy.*' (or medium, hard) below its heading"
            yield exercise.cell, f"Exercise {exercise.number} should say {wanted}"
    total = sum(exercise.minutes or 0 for exercise in exercises)
    if not total or not re.match(r"\d\d-", notebook.path.name):
        return
    stated = [(cell.number, m[1]) for cell in notebook.markdown if (m := TOTAL.search(cell.source))]
    number, minutes = stated[0] if stated else (1, "")
    if minutes != str(total):
        yield number, f"should say 'and about {total} for the exercises', the sum of their minutes"


def _exercises(notebook: Notebook) -> list[Exercise]:
    exercises: list[Exercise] = []
    current: Exercise | None = None
    for cell in notebook.cells:
        if cell.is_code:
            solved = SOLUTION.match(cell.source)
            if current and solved and solved[1] == current.number:
                current.parts.add("solution")
        elif cell.is_markdown:
            for line in cell.prose.split("\n"):
                if heading := re.match(r"#{1,3} +(.*)", line):
                    named = EXERCISE.match(heading[1])
                    current = Exercise(cell.number, named[1]) if named else None
                    exercises += [current] if current else []
                elif current and (effort := EFFORT.match(line)):
                    current.minutes = int(effort[1])
                elif current and (opening := OPENING.search(line)):
                    current.parts |= classes(opening[1])
    return exercises

"""Partial credit: how much of an answer is right.

The book's own solution helps out: of a table of numbers each entry is put into the right table, of
a function each of the calls that the check makes is answered by the student's and all others by the
book's. What still passes is right. What the stub, as it is handed out, has right already does not
count.
"""

from __future__ import annotations

import ast
import functools
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

from attn_utils.checks import check

from . import needs
from .notebooks import Chapter, Exercise, source

MOST_CALLS = 40


def points(exercise: Exercise, share: float) -> float:
    """Return the points for a share of the answer, in halves, and less than the full number."""
    return min(math.floor(2 * exercise.points * share) / 2, exercise.points - 0.5)


def share(exercise: Exercise, chapter: Chapter, answer: Any) -> float:
    """Return the share, from 0 to 1, of an answer that the check has refused."""
    solution = _from_book(chapter, exercise, solved=True)
    stub = _from_book(chapter, exercise, solved=False)
    if solution is None:
        return 0.0
    start = _share(exercise.check, solution, stub)
    return max(0.0, (_share(exercise.check, solution, answer) - start) / max(1 - start, 1e-9))


def _share(name: str, solution: Any, answer: Any) -> float:
    parts = _parts(name, solution, answer)
    return sum(map(functools.partial(_passes, name), parts)) / len(parts) if parts else 0.0


def _parts(name: str, solution: Any, answer: Any) -> list[Any]:
    """Return the right answer as often as it has parts, each time with one part of the given."""
    if isinstance(solution, Mapping):
        given = answer if isinstance(answer, Mapping) else {}
        return [{**solution, key: given.get(key)} for key in solution]
    if isinstance(solution, tuple | list):
        if not isinstance(answer, tuple | list) or len(answer) != len(solution):
            return []
        return [(*solution[:i], answer[i], *solution[i + 1 :]) for i in range(len(solution))]
    if not callable(solution) or not callable(answer):
        return []
    total = 0

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal total
        total += 1
        return solution(*args, **kwargs)

    _passes(name, _named_like(solution, counted))
    return [_mixed(solution, answer, turn) for turn in range(min(total, MOST_CALLS))]


def _mixed(solution: Callable[..., Any], answer: Callable[..., Any], turn: int) -> Any:
    calls = 0

    def mixed(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        return (answer if calls == turn + 1 else solution)(*args, **kwargs)

    return _named_like(answer, mixed)


def _named_like(function: Callable[..., Any], other: Any) -> Any:
    other.__name__ = getattr(function, "__name__", "answer")
    other.__signature__ = inspect.signature(function)
    return other


def _passes(name: str, answer: Any) -> bool:
    return bool(check(name, answer))


@functools.lru_cache(maxsize=1000)
def _cached(chapter: str, number: str, code: str, expression: str) -> Any:
    """Run code of the book's; None if it fails."""
    names: dict[str, Any] = {}
    try:
        exec(compile(code, f"<{chapter}, exercise {number}>", "exec"), names)
        return eval(expression, names)
    except Exception:
        return None


def code_of(chapter: Chapter, exercise: Exercise, *, solved: bool) -> str:
    """Return the code of the book's solution, or of the stub that is handed out.

    It is all that the answer needs: imports, definitions, and no check.
    """
    own = exercise.folds if solved else exercise.stubs
    others = {text for e in chapter.exercises for text in (*e.folds, *e.stubs)} - set(own)
    code: list[tuple[str, needs.Unit]] = []
    for cell in chapter.cells:
        text = source(cell)
        if cell["cell_type"] == "code" and text not in others:
            code += _statements(text)
        if text == (own or ("",))[-1]:
            break
    units = [*(unit for _, unit in code), needs.unit(exercise.expression)]
    return "\n".join(code[number][0] for number in needs.needed(units, [len(units) - 1])[:-1])


@functools.cache  # of each answer that is not right, the whole chapter is asked
def _statements(cell: str) -> tuple[tuple[str, needs.Unit], ...]:
    """Split a cell of the book into its statements, without checks, each with its names."""
    return tuple((line, needs.unit(line)) for line in needs.statements(cell) if not _is_check(line))


def _from_book(chapter: Chapter, exercise: Exercise, *, solved: bool) -> Any:
    """Return the book's answer to an exercise; None if there is none."""
    code = code_of(chapter, exercise, solved=solved)
    return _cached(chapter.stem, exercise.number, code, exercise.expression)


def _is_check(statement: str) -> bool:
    return any(
        isinstance(node, ast.Call) and getattr(node.func, "id", "") == "check"
        for node in ast.walk(ast.parse(statement))
    )

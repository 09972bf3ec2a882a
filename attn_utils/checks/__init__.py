"""Self-checks for the exercises: they say what is wrong, and never stop the notebook.

A chapter's exercise ends with ``check("pooling.lookup", my_function)``. The part before the dot
names the chapter's folder, whose ``checks.py`` holds the check; the part after it, the exercise.
The check runs the answer on inputs that tell right from wrong and prints one line: ``✓`` or ``✗``
with the mistake.

Set the environment variable ``ATTN_CHECKS=raise`` (for grading) and a wrong answer raises
:class:`Mistake` instead.
"""

from __future__ import annotations

import importlib
import os
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["Mistake", "Result", "check", "compare", "compare_entries", "exercise"]

_exercises: dict[str, Callable[[Any], None]] = {}


class Mistake(AssertionError):
    """What is wrong with an answer, in words that help to mend it."""


@dataclass(frozen=True)
class Result:
    """Outcome of a check; true if the answer passed."""

    passed: bool
    message: str

    def __bool__(self) -> bool:
        return self.passed

    def _ipython_display_(self) -> None:
        """Show nothing: ``check`` has printed the message already."""


def exercise(name: str) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Register the decorated function as the check of exercise ``name``.

    The function receives the reader's answer and raises :class:`Mistake` if it is wrong.
    """

    def register(function: Callable[[Any], None]) -> Callable[[Any], None]:
        _exercises[name] = function
        return function

    return register


def check(name: str, answer: Any) -> Result:
    """Check ``answer`` to the exercise ``name``, print the outcome and return it.

    Args:
        name: ``"<module>.<exercise>"``, as the chapter gives it.
        answer: the reader's function, class or value.

    Raises:
        ValueError: there is no exercise of this name.
        Mistake: the answer is wrong and ``ATTN_CHECKS=raise`` is set.
    """
    module = name.partition(".")[0]
    if module.isidentifier():
        try:
            importlib.import_module(f"attn_utils.{module}.checks")
        except ModuleNotFoundError as error:
            if error.name not in (f"attn_utils.{module}", f"attn_utils.{module}.checks"):
                raise
    if name not in _exercises:
        raise ValueError(f"name: no exercise {name!r}; there are {sorted(_exercises)}")
    try:
        _exercises[name](answer)
    except Mistake as mistake:
        return _report(Result(False, f"✗ {name}: {mistake}"))
    except Exception as error:  # whatever the reader's code raises is a message for the reader
        problem = f"your code stopped with {type(error).__name__}: {error}"
        return _report(Result(False, f"✗ {name}: {problem}"))
    return _report(Result(True, f"✓ {name}: right"))


def _report(result: Result) -> Result:
    if not result and os.environ.get("ATTN_CHECKS") == "raise":
        raise Mistake(result.message)
    print(textwrap.fill(result.message, width=80, subsequent_indent="  "))
    return result


def compare(
    got: Any,
    want: Tensor,
    what: str = "the result",
    mistakes: Mapping[str, Tensor] | None = None,
    tolerance: float = 1e-4,
) -> None:
    """Raise :class:`Mistake` unless ``got`` equals ``want``.

    Args:
        got: what the reader's code returned.
        want: the right value.
        what: how to call the value in the message.
        mistakes: for common mistakes, the message and the value that this mistake leads to.
        tolerance: largest absolute difference accepted.
    """
    if got is None or got is Ellipsis:
        raise Mistake(f"{what} is {got}: nothing has been computed yet")
    if not isinstance(got, Tensor):
        try:
            got = torch.as_tensor(got)
        except (TypeError, ValueError, RuntimeError) as error:
            kind = type(got).__name__
            raise Mistake(f"{what} should be a tensor or a number, not {kind}") from error
    got, want = got.detach().cpu().double(), want.detach().cpu().double()
    for message, wrong in (mistakes or {}).items():
        if _close(got, wrong.detach().cpu().double(), tolerance):
            raise Mistake(message)
    if got.shape != want.shape:
        raise Mistake(f"{what} has shape {tuple(got.shape)}, expected {tuple(want.shape)}")
    if got.isnan().any() and not want.isnan().any():
        raise Mistake(f"{what} contains NaN")
    if not _close(got, want, tolerance):
        off = (got - want).abs().max().item()
        raise Mistake(f"{what} differs from the right one by up to {off:.2g}")


def compare_entries(
    answers: Any, right: Mapping[str, Any], mistakes: Mapping[str, Mapping[Any, str]], advice: str
) -> None:
    """Raise :class:`Mistake` unless a dictionary of shapes and numbers holds the right ones.

    Args:
        answers: the reader's dictionary; entries not yet filled in are ``...``.
        right: the right entries.
        mistakes: for each entry, wrong values that people give and what to say of them.
        advice: how to find out, for a wrong value that is not among the mistakes.
    """
    if not isinstance(answers, Mapping):
        raise Mistake(f"the answer should be a dictionary, not {type(answers).__name__}")
    missing = [name for name in right if answers.get(name) in (None, ...)]
    if missing:
        raise Mistake(f"no answer yet for {missing[0]!r} ({len(missing)} to go)")
    for name, want in right.items():
        got = answers[name]
        if isinstance(got, list | torch.Size):
            got = tuple(got)
        if isinstance(got, float) and got.is_integer():
            got = int(got)
        if got == want:
            continue
        known = mistakes[name].get(got) if isinstance(got, tuple | int | float) else None
        if known:
            raise Mistake(known)
        if isinstance(want, tuple) and (not isinstance(got, tuple) or len(got) != len(want)):
            numbers = f"a tuple of {len(want)} numbers"
            raise Mistake(f"{name}: expected {numbers}, got {got!r}; {advice}")
        raise Mistake(f"{name}: {got} is not right; {advice}")


def _close(a: Tensor, b: Tensor, tolerance: float) -> bool:
    return a.shape == b.shape and torch.allclose(a, b, rtol=0.0, atol=tolerance)

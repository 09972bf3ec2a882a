"""Self-checks for the exercises: they say what is wrong, and never stop the notebook.

A chapter's exercise ends with ``check("pooling.lookup", my_function)``. The part before the dot
names the chapter's folder, whose ``checks.py`` holds the check; the part after it, the exercise.
The check runs the answer on inputs that tell right from wrong and prints one line: ``✓`` or ``✗``
with the mistake.

Set the environment variable ``ATTN_CHECKS=raise`` (for grading) and a wrong answer raises
:class:`Mistake` instead.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import re
import sysconfig
import textwrap
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["Mistake", "Result", "check", "compare", "compare_entries", "exercise"]

_exercises: dict[str, Callable[[Any], None]] = {}


class Mistake(AssertionError):
    """What is wrong with an answer, in words that help to mend it.

    Example:
        >>> from attn_utils import Mistake, check, exercise
        >>> @exercise("examples.six")
        ... def _(answer):
        ...     if answer != 6:
        ...         raise Mistake(f"3! is not {answer}: multiply 1, 2 and 3")
        ...
        >>> outcome = check("examples.six", 5)
        ✗ examples.six: 3! is not 5: multiply 1, 2 and 3
    """


@dataclass(frozen=True)
class Result:
    """Outcome of a check; true if the answer passed.

    Example:
        >>> from attn_utils import Result
        >>> outcome = Result(False, "✗ pooling.lookup: the weights are not normalised")
        >>> bool(outcome)
        False
    """

    passed: bool
    message: str

    def __bool__(self) -> bool:
        return self.passed

    def _ipython_display_(self) -> None:
        """Show nothing: ``check`` has printed the message already."""


def exercise(name: str) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Register the decorated function as the check of exercise ``name``.

    The function receives the reader's answer and raises :class:`Mistake` if it is wrong. That an
    answer changes what it was called with is found before the function sees the result.

    Example:
        >>> from attn_utils import Mistake, check, exercise
        >>> @exercise("examples.half")
        ... def _(half):
        ...     if half(3) != 1.5:
        ...         raise Mistake("half of 3 is 1.5: did you divide integers?")
        ...
        >>> outcome = check("examples.half", lambda n: n // 2)
        ✗ examples.half: half of 3 is 1.5: did you divide integers?
        >>> outcome = check("examples.half", lambda n: n / 2)
        ✓ examples.half: right
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

    Example:
        >>> from attn_utils import check
        >>> outcome = check("scoring.factor", lambda std_q, std_k, d: 1 / d)
        ✗ scoring.factor: 1/d: the standard deviation of the dot product grows like √d
        >>> outcome.passed
        False
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
    is_function = callable(answer) and not isinstance(answer, type)
    try:
        _exercises[name](_guarded(answer) if is_function else answer)
    except Mistake as mistake:
        return _report(Result(False, f"✗ {name}: {mistake}"))
    except Exception as error:  # whatever the reader's code raises is a message for the reader
        problem = f"your code stopped with {type(error).__name__}: {error}{_line(error, name)}"
        return _report(Result(False, f"✗ {name}: {problem}"))
    return _report(Result(True, f"✓ {name}: right"))


def _report(result: Result) -> Result:
    if not result and os.environ.get("ATTN_CHECKS") == "raise":
        raise Mistake(result.message)
    print(textwrap.fill(result.message, width=80, subsequent_indent="  "))
    return result


def _line(error: Exception, name: str) -> str:
    """Say in which line of the reader's code an error arose, if in any."""
    ours = str(Path(__file__).parents[1]), _exercises[name].__code__.co_filename
    libraries = sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.line and not frame.filename.startswith((*ours, *libraries)):
            return f" (line {frame.lineno} of your cell: {frame.line})"
    return ""


def _guarded(answer: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that does the same, unless it changes one of its arguments."""

    @functools.wraps(answer)
    def call(*args: Any, **kwargs: Any) -> Any:
        before = [tensor.clone() for tensor in _tensors((args, kwargs))]
        result = answer(*args, **kwargs)
        for kept, now in zip(before, _tensors((args, kwargs)), strict=True):
            if kept.shape != now.shape or not bool(((kept == now) | kept.isnan()).all()):
                raise Mistake(
                    f"your code changed the caller's {_name_of(now, answer, args, kwargs)}: leave "
                    "it as it is and make a new tensor"
                )
        return result

    return call


def _tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested sequences and dictionaries."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from _tensors(list(value.values()))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _tensors(inner)


def _name_of(
    tensor: Tensor, answer: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> str:
    """Return the name of the argument that is or holds ``tensor``."""
    for name, value in inspect.signature(answer).bind(*args, **kwargs).arguments.items():
        if any(held is tensor for held in _tensors(value)):
            return name
    raise AssertionError("the tensor is none of the arguments'")


def computed(got: Any, what: str) -> None:
    """Raise :class:`Mistake` if the answer is still the stub's None or ``...``."""
    if got is None or got is Ellipsis:
        raise Mistake(f"{what} {_verb(what, 'is', 'are')} {got}: nothing has been computed yet")


def number(got: Any, what: str) -> int | float:
    """Return a number, NumPy's and torch's too, as Python's; an integer as int.

    Raises:
        Mistake: it is none, or not computed yet.
    """
    computed(got, what)
    plain = _plain(got)
    if isinstance(plain, bool) or not isinstance(plain, int | float):
        raise Mistake(f"{what} should be a number, not {type(got).__name__}")
    return plain


def _plain(got: Any) -> Any:
    """Return Python's number for one of NumPy or torch, and an int where it is one exactly."""
    if isinstance(got, Tensor | np.ndarray | np.generic) and got.ndim == 0:
        got = got.item()
    return int(got) if isinstance(got, float) and got.is_integer() else got


def _verb(what: str, singular: str, plural: str) -> str:
    """Return the form of the verb that goes with ``what``, "the weights of the first head"."""
    subject = re.split(r"[,(]| (?:beside|for|from|of|to|when|with)\b", what)[0]
    many = re.search(r"[^aius]s$", subject) and not subject.startswith("what ")
    return plural if many else singular


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

    Example:
        >>> import torch
        >>> from attn_utils import compare
        >>> scores = torch.tensor([2.0, 4.0])
        >>> right = torch.softmax(scores / 2, dim=0)
        >>> wrong = {"divide the scores by √d first": torch.softmax(scores, dim=0)}
        >>> compare(right, right, "the weights", wrong)  # says nothing
        >>> compare(scores.softmax(0), right, "the weights", wrong)
        Traceback (most recent call last):
            ...
        attn_utils.checks.Mistake: divide the scores by √d first
    """
    computed(got, what)
    if not isinstance(got, Tensor):
        try:
            stacked = isinstance(got, list | tuple) and any(isinstance(x, Tensor) for x in got)
            # Python's numbers as exact as they are: the default would be single precision
            got = torch.stack([*got]) if stacked else torch.as_tensor(got, dtype=torch.float64)
        except (TypeError, ValueError, RuntimeError) as error:
            kind = type(got).__name__
            should = f"{what} should be {_verb(what, 'a tensor or a number', 'tensors or numbers')}"
            raise Mistake(f"{should}, not {kind}") from error
    got, want = got.detach().cpu().double(), want.detach().cpu().double()
    if _close(got, want, tolerance):
        return
    for message, wrong in (mistakes or {}).items():
        if _close(got, wrong.detach().cpu().double(), tolerance):
            raise Mistake(message)
    if got.shape != want.shape:
        has = f"{what} {_verb(what, 'has', 'have')}"
        raise Mistake(f"{has} shape {tuple(got.shape)}, expected {tuple(want.shape)}")
    if got.isnan().any() and not want.isnan().any():
        raise Mistake(f"{what} {_verb(what, 'contains', 'contain')} NaN")
    off = (got - want).abs().max().item()
    differs = _verb(what, "differs from the right one", "differ from the right ones")
    raise Mistake(f"{what} {differs} by up to {off:.2g}")


def compare_entries(
    answers: Any, right: Mapping[str, Any], mistakes: Mapping[str, Mapping[Any, str]], advice: str
) -> None:
    """Raise :class:`Mistake` unless a dictionary of shapes and numbers holds the right ones.

    Args:
        answers: the reader's dictionary; entries not yet filled in are ``...``.
        right: the right entries.
        mistakes: for each entry, wrong values that people give and what to say of them.
        advice: how to find out, for a wrong value that is not among the mistakes.

    Example:
        >>> from attn_utils import compare_entries
        >>> right = {"output": (2, 5, 8), "weights": (2, 5, 5)}
        >>> wrong = {(2, 5, 8): "weights: one number for each pair"}
        >>> answers = {"output": (2, 5, 8), "weights": (2, 5, 8)}
        >>> compare_entries(answers, right, {"weights": wrong}, "print the shapes")
        Traceback (most recent call last):
            ...
        attn_utils.checks.Mistake: weights: one number for each pair
    """
    if not isinstance(answers, Mapping):
        raise Mistake(f"the answer should be a dictionary, not {type(answers).__name__}")
    missing = [name for name in right if answers.get(name) is None or answers[name] is ...]
    if missing:
        raise Mistake(f"no answer yet for {missing[0]!r} ({len(missing)} to go)")
    for name, want in right.items():
        got = _plain(answers[name])
        if isinstance(got, list | tuple | np.ndarray | Tensor):
            got = tuple(_plain(entry) for entry in got)
        if got == want and isinstance(got, bool) == isinstance(want, bool):
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

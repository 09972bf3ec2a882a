"""Every call that a check makes, and every entry of an answer, counts.

For each exercise of the book a right answer is spoilt in one place: one call's result, one entry
of a dictionary. The check has to refuse it, or it asks for something that it does not look at.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from attn_utils import checks
from attn_utils.checks import check

from ..chapters import CHAPTERS


def right_answers() -> dict[str, Any]:
    """Return the first right answer to each exercise, as the chapter's own test lists them."""
    answers: dict[str, Any] = {}
    for chapter in CHAPTERS:
        tests = importlib.import_module(f"tests.{chapter.folder}.test_checks")
        (mark,) = tests.test_right_answers_pass.pytestmark
        names, cases = mark.args
        assert tuple(names) == ("name", "answer")
        for name, answer in cases:
            answers.setdefault(f"{chapter.folder}.{name.rpartition('.')[2]}", answer)
    return answers


RIGHT = right_answers()


def spoilt(result: Any) -> Iterator[Any]:
    """Yield ``result`` with one of its numbers changed, or one of the things that it holds."""
    if isinstance(result, Mapping):
        for key, entry in result.items():
            yield from ({**result, key: wrong} for wrong in spoilt(entry))
    elif isinstance(result, list | tuple) and not isinstance(result, torch.Size):
        for i, entry in enumerate(result):
            for wrong in spoilt(entry):
                yield type(result)([*result[:i], wrong, *result[i + 1 :]])
    elif isinstance(result, Tensor | np.ndarray):
        for place in {0, torch.as_tensor(result).numel() - 1}:
            wrong = torch.as_tensor(result).detach().clone().reshape(-1)
            wrong[place] = ~wrong[place] if wrong.dtype == torch.bool else wrong[place] + 1
            yield wrong.view(result.shape)
    elif isinstance(result, str):
        yield result + "?"
    else:
        yield result + 1


def with_call(answer: Callable[..., Any], number: int, variant: int) -> tuple[Any, list[int]]:
    """Return ``answer`` with its call ``number`` spoilt in way ``variant``, and a record.

    The record holds, for each call made, in how many ways it can be spoilt.
    """
    ways: list[int] = []

    def call(*args: Any, **kwargs: Any) -> Any:
        result = answer(*args, **kwargs)
        wrong = list(spoilt(result))
        ways.append(len(wrong))
        return wrong[variant] if len(ways) == number + 1 else result

    return call, ways


def test_every_exercise_has_a_right_answer_here() -> None:
    for chapter in CHAPTERS:
        importlib.import_module(f"attn_utils.{chapter.folder}.checks")
    assert set(RIGHT) == set(checks._exercises)


@pytest.mark.parametrize("name", RIGHT)
def test_an_answer_that_is_wrong_in_one_place_is_refused(name: str) -> None:
    answer = RIGHT[name]
    if not callable(answer):
        accepted = [wrong for wrong in spoilt(answer) if check(name, wrong)]
        assert not accepted
        return
    untouched, calls = with_call(answer, -1, 0)
    assert check(name, untouched)
    accepted = [
        (number, variant)
        for number, ways in enumerate(calls)
        for variant in range(ways)
        if check(name, with_call(answer, number, variant)[0])
    ]
    assert not accepted, f"spoilt (call, place) that went unnoticed, of {len(calls)} calls"

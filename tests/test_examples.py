"""Every public name has an example in its docstring, and every example does what it says."""

from __future__ import annotations

import doctest
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch
from derived_pages import modules, public_names

from attn_utils import checks

ROOT = Path(__file__).parents[1]
PUBLIC = {
    name: getattr(importlib.import_module(f"attn_utils.{module}"), name)
    for module in modules(ROOT)
    for name in public_names(module)
}
COLUMN = 82  # characters of code that fit beside the contents at 1300 px

# tables and strings of characters have no docstring
DOCUMENTED = {name: value for name, value in PUBLIC.items() if callable(value)}


def examples_of(name: str, value: Any) -> list[doctest.DocTest]:
    """The examples in the docstring of a function, or of a class and its methods."""
    module = importlib.import_module(value.__module__)
    found = doctest.DocTestFinder(exclude_empty=True).find(value, name, module, globs={})
    return [test for test in found if test.examples]


@pytest.fixture(autouse=True)
def no_exercise_is_left() -> Iterator[None]:
    """Forget the exercises that examples register, "examples.…"."""
    yield
    for name in [name for name in checks._exercises if name.startswith("examples.")]:
        del checks._exercises[name]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_the_example_holds(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    examples = examples_of(name, DOCUMENTED[name])
    assert name in [test.name for test in examples], f"{name}: no example in its docstring"
    with torch.random.fork_rng(devices=[]):
        for test in examples:
            failed = doctest.DocTestRunner().run(test).failed
            assert failed == 0, capsys.readouterr().out
    plt.close("all")


@pytest.mark.parametrize("name", DOCUMENTED)
def test_the_example_fits_the_column_of_the_page(name: str) -> None:
    (example,) = [test for test in examples_of(name, DOCUMENTED[name]) if test.name == name]
    code = [line for part in example.examples for line in part.source.splitlines()]
    shown = [line for part in example.examples for line in part.want.splitlines()]
    assert [line for line in code if len(">>> " + line) > COLUMN] == []
    assert [line for line in shown if len(line) > COLUMN] == []


def test_only_constants_are_passed_over() -> None:
    assert {type(PUBLIC[name]).__name__ for name in PUBLIC.keys() - DOCUMENTED.keys()} == {
        "mappingproxy",
        "str",
    }

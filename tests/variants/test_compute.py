"""The variant lab's arithmetic in JavaScript against its reference: random states."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest

from attn_utils import variants
from attn_utils.variants import widget
from attn_utils.widgets import VariantLab
from tests.conftest import JavaScript
from tests.widgets.computing import equal_references

COMPUTE = Path(variants.__file__).with_name("compute.js")
TRAITS = (
    *("text", "kv_heads", "trained", "window1", "window2", "first", "fetched", "cap"),
    *("_floats", "_shapes", "_sizes", "_texts", "_known"),
)


def random_lab(random: np.random.Generator) -> VariantLab:
    """A lab in any state; every third has no windows, every second fetches."""
    windows = [64, 64] if random.random() < 0.3 else random.integers(1, 65, 2).tolist()
    return VariantLab(
        text=str(random.integers(1, 5)),
        kv_heads=str(random.choice([4, 2, 1])),
        trained=bool(random.random() < 0.5),
        window1=windows[0],
        window2=windows[1],
        first=bool(random.random() < 0.6),
        fetched=int(random.integers(1, 9)) if random.random() < 0.5 else 0,
        cap=str(random.choice(["off", "20", "10", "5", "2"])),
    )


@pytest.fixture(autouse=True)
def read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The models' file is read once and not for each lab; nothing here changes a model."""
    monkeypatch.setattr(widget, "load_cafe", functools.cache(widget.load_cafe))


def test_compute_equals_the_reference(javascript: JavaScript) -> None:
    random = np.random.default_rng(15)
    for _ in range(8):  # 25 at a time: the results are large
        labs = [random_lab(random) for _ in range(25)]
        equal_references(javascript, COMPUTE, labs, TRAITS)


def test_compute_equals_the_reference_where_words_are_equal(javascript: JavaScript) -> None:
    """In a window of one or two words, equal words have equal scores: the nearer is fetched."""
    labs = [
        VariantLab(window1=window, window2=2, first=first, fetched=fetched)
        for window in (1, 2)
        for first in (True, False)
        for fetched in (1, 3, 8)
    ]
    equal_references(javascript, COMPUTE, labs, TRAITS)

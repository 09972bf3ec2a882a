"""The position explorer's arithmetic in JavaScript against its reference, for random states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from attn_utils import positional_encoding
from attn_utils.widgets import PositionExplorer
from tests.conftest import JavaScript

COMPUTE = Path(positional_encoding.__file__).with_name("compute.js")
ENCODINGS = ("sinusoidal", "learned", "rotary")
CONTROLS = ("encoding", "position", "width", "base", "look_back", "positions_on", "order")
DATA = ("_sizes", "_words", "_starts", "_table", "_layer")


def random_controls(random: np.random.Generator) -> dict[str, Any]:
    return {
        "encoding": ENCODINGS[random.integers(3)],
        "position": int(random.integers(0, 96)),
        "width": 2 * int(random.integers(2, 33)),
        "base": round(10 ** random.uniform(1, 5)),
        "look_back": int(random.integers(0, 21)),
        "positions_on": bool(random.random() < 0.7),
        "order": random.permutation(5).tolist(),
    }


def test_compute_equals_the_reference(javascript: JavaScript) -> None:
    random = np.random.default_rng(6)
    explorers = [
        PositionExplorer(),
        *(PositionExplorer(**random_controls(random)) for _ in range(210)),
    ]
    calls = [
        {name: getattr(explorer, name) for name in (*CONTROLS, *DATA)} for explorer in explorers
    ]
    for explorer, found in zip(explorers, javascript(COMPUTE, calls), strict=True):
        expected = explorer.reference()
        assert found.keys() == expected.keys()
        for name, x in expected.items():
            within = 1e-12 * max(1.0, x.abs().max().item())  # sums of terms up to 1
            np.testing.assert_allclose(found[name], x.flatten(), rtol=0, atol=within, err_msg=name)

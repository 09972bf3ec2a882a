"""The cost calculator's arithmetic in the browser, against the package's formulas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attn_utils.cost import widget
from attn_utils.cost.widget import ITEMSIZE, CostCalculator
from tests.conftest import JavaScript

COMPUTE = Path(widget.__file__).with_name("compute.js")


def random_controls(random: np.random.Generator) -> dict[str, Any]:
    """Every size equally likely on a logarithmic scale, powers of 2 and their neighbours too."""

    def size(low: int, high: int) -> int:
        power = random.uniform(np.log2(low), np.log2(high))
        return min(high, round(2 ** (power if random.integers(2) else round(power))))

    return {
        "n": size(16, 2**20),
        "width": size(16, 16384),
        "num_heads": size(1, 128),
        "num_kv_heads": int(random.integers(0, 129)) if random.integers(2) else 0,
        "batch": size(1, 1024),
        "precision": str(random.choice(list(ITEMSIZE))),
        "kernel": str(random.choice(["explicit", "fused"])),
        "phase": str(random.choice(["prefill", "decode"])),
        "is_causal": bool(random.integers(2)),
        "memory": size(1, 1024),
    }


def test_random_states_equal_the_formulas(javascript: JavaScript) -> None:
    random = np.random.default_rng(14)
    states = [random_controls(random) for _ in range(300)]
    states.append({**states[0], "n": 2**20, "width": 16384, "batch": 1024})
    # the fused peak of 2**24 tokens is exactly the memory
    full = {"width": 16, "num_heads": 16, "batch": 1, "precision": "float32", "memory": 5}
    full |= {"num_kv_heads": 0, "phase": "prefill"}
    states.append({**states[0], **full})
    for state, found in zip(states, javascript(COMPUTE, states), strict=True):
        expected = CostCalculator(**state).reference()
        assert found.keys() == expected.keys()
        for name, want in expected.items():
            # counts: exact, but for what float64 cannot hold
            assert found[name] == pytest.approx(want.tolist(), rel=1e-15, abs=0), name

"""The circuit bench's arithmetic in JavaScript against its reference: random states."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from attn_utils import circuits
from attn_utils.circuits.widget import KEYS, LETTERS
from attn_utils.widgets import CircuitBench
from tests.conftest import JavaScript
from tests.widgets.computing import equal_references

COMPUTE = Path(circuits.__file__).with_name("compute.js")
TRAITS = ("pattern", "heads", "key_source", "_floats", "_shapes")


def random_bench(random: np.random.Generator) -> CircuitBench:
    """Any pattern, any heads off, any keys; every third one with random parameters."""
    size = int(random.integers(2, 17))
    bench = CircuitBench(
        pattern="".join(random.choice([*LETTERS[: random.integers(1, 27)]], size)),
        heads=(random.random(8) < random.choice([0.5, 0.8, 1.0])).astype(float),
        key_source=str(random.choice(KEYS)),
    )
    if random.random() < 1 / 3:
        for parameter in bench._model.parameters():
            noise = random.normal(0, 0.4, parameter.shape).astype(np.float16)
            parameter.data = parameter.new_tensor(noise.astype(np.float64))
        state = bench._model.state_dict().values()
        bench._floats = np.concatenate([x.numpy().ravel() for x in state]).astype(np.float32)
    return bench


def test_compute_equals_the_reference(javascript: JavaScript) -> None:
    random = np.random.default_rng(16)
    for _ in range(4):
        benches = [random_bench(random) for _ in range(55)]
        equal_references(javascript, COMPUTE, benches, TRAITS)

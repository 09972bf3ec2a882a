"""The head explorer's arithmetic in JavaScript against its reference, for random data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from attn_utils import multi_head
from attn_utils.widgets import HeadExplorer
from tests.conftest import JavaScript

COMPUTE = Path(multi_head.__file__).with_name("compute.js")
TRAITS = ("_shape", "_contributions", "_bias", "_labels", "faders")


def random_explorer(random: np.random.Generator) -> HeadExplorer:
    """Heads, tokens, classes and faders as they come; now and then ties between classes."""
    N, H, T, S, C = (int(random.integers(low, 9)) for low in (1, 1, 1, 1, 2))
    parts = random.normal(0, random.choice([0.1, 1, 30]), (N, H, C))
    bias = random.normal(0, 1, C)
    if random.random() < 0.2:
        parts, bias = parts.round(), bias.round()
    return HeadExplorer(
        tokens=[[f"key {s}" for s in range(S)]] * N,
        query_tokens=[[f"query {t}" for t in range(T)]] * N,
        weights=random.dirichlet(np.ones(S), (N, H, T)),
        contributions=parts,
        bias=bias,
        labels=random.integers(0, C, N),
        classes=[f"class {c}" for c in range(C)],
        faders=random.choice([0, 0.3, 1, 1.7, 2], H),
    )


def test_compute_equals_the_reference(javascript: JavaScript) -> None:
    random = np.random.default_rng(7)
    explorers = [HeadExplorer(), *(random_explorer(random) for _ in range(220))]
    calls: list[dict[str, Any]] = [
        {name: getattr(explorer, name) for name in TRAITS} for explorer in explorers
    ]
    for explorer, found in zip(explorers, javascript(COMPUTE, calls), strict=True):
        expected = {name: x.flatten().numpy() for name, x in explorer.reference().items()}
        assert found.keys() == expected.keys()
        assert found["predicted"] == expected["predicted"].tolist()
        assert found["accuracy"] == [expected["accuracy"].item()]
        largest = np.abs(expected["logits"]).max()
        np.testing.assert_allclose(
            found["logits"], expected["logits"], rtol=0, atol=1e-12 * largest
        )

"""The kit's arithmetic against torch, and the fixture that calls it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch

from tests.conftest import JavaScript

CASES = Path(__file__).with_name("cases.js")


def test_softmax_equals_torch(javascript: JavaScript) -> None:
    random = np.random.default_rng(0)
    scores = [
        random.normal(0, scale, random.integers(2, 40)).astype(np.float32)
        for scale in (0.1, 1, 30, 300)
        for _ in range(50)
    ]
    found = javascript(CASES, [{"scores": s} for s in scores])
    for s, result in zip(scores, found, strict=True):
        exact = torch.softmax(torch.from_numpy(s).double(), 0).numpy()
        np.testing.assert_allclose(result["softmax"], exact, rtol=1e-12, atol=1e-300)
        rest = torch.softmax(torch.from_numpy(s[1:]).double(), 0).numpy()
        np.testing.assert_allclose(result["part"], [0, *rest], rtol=1e-12, atol=1e-300)


def test_numbers_travel_unchanged(javascript: JavaScript) -> None:
    back = np.array([0.1, -0.0, 3e38, 1e-45], np.float32)
    call = {"scores": [0.0, 0.0], "extremes": [1, -1, 0], "back": back}
    [result] = javascript(CASES, [call])
    assert result["extremes"][:2] == [math.inf, -math.inf]
    assert math.isnan(result["extremes"][2])
    assert np.array_equal(np.float32(result["back"]), back)
    assert math.copysign(1, result["back"][1]) == -1

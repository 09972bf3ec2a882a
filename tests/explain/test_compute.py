"""The digit reader's arithmetic in JavaScript against its reference: random models and drawings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from attn_utils import VisionTransformer, explain
from attn_utils.explain.widget import bitmap_of, unpack
from attn_utils.widgets import DigitReader
from tests.conftest import JavaScript

COMPUTE = Path(explain.__file__).with_name("compute.js")
PATCHES: tuple[tuple[int, int], ...] = ((1, 1), (2, 2), (4, 4), (2, 4), (8, 1))
TRAITS = ("drawing", "fit", "_floats", "_shapes", "_sizes")


def random_reader(random: np.random.Generator) -> DigitReader:
    """A small model of any size, with weights so large that its attention is not even."""
    heads, head_dim = int(random.integers(1, 4)), int(random.integers(1, 5))
    model = VisionTransformer(
        8,
        PATCHES[random.integers(len(PATCHES))],
        1,
        int(random.integers(2, 11)),
        embed_dim=heads * head_dim,
        depth=int(random.integers(1, 4)),
        num_heads=heads,
        mlp_ratio=float(random.integers(1, 4)),
        qkv_bias=bool(random.random() < 0.7),
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.from_numpy(random.normal(0, 0.5, parameter.shape)))
    return DigitReader(model)


def random_drawing(random: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Strokes, single dots, thin lines at the edge, noise, or nothing at all."""
    bitmap = np.zeros((32, 32), dtype=bool)
    kind = random.integers(5)
    if kind == 0:
        bitmap = random.random((32, 32)) < random.random()
    elif kind == 1:
        return bitmap_of(random.integers(0, 17, (8, 8)))
    for _ in range(random.integers(0 if kind == 4 else 1, 4)):
        top, left = random.integers(0, 32, 2)
        bitmap[top : top + random.integers(1, 33), left : left + random.integers(1, 33)] = True
    return bitmap


def test_compute_equals_the_reference(javascript: JavaScript) -> None:
    random = np.random.default_rng(13)
    torch.manual_seed(13)
    calls: list[dict[str, Any]] = []
    expected = []
    for reader in [DigitReader(), *(random_reader(random) for _ in range(29))]:
        for _ in range(8):
            reader.drawing = random_drawing(random)
            reader.fit = bool(random.random() < 0.7)
            calls.append({name: getattr(reader, name) for name in TRAITS})
            expected.append(reader.reference())
    blank = sum(not unpack(call["drawing"]).any() for call in calls)
    assert 0 < blank < 60
    for wanted, found in zip(expected, javascript(COMPUTE, calls), strict=True):
        assert found.keys() == wanted.keys()
        for name, x in wanted.items():
            exact = x.flatten().numpy()
            bound = 1e-11 * np.abs(exact).max()
            np.testing.assert_allclose(found[name], exact, rtol=0, atol=bound, err_msg=name)

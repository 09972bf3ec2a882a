"""The spatial mask's arithmetic in the browser, against CBAM in torch, in random states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from attn_utils import CBAM
from attn_utils.spatial import widget
from attn_utils.spatial.widget import SpatialMaskExplorer
from tests.conftest import JavaScript

COMPUTE = Path(widget.__file__).with_name("compute.js")
STATE = (
    *("kernel", "channel", "left", "top"),
    *("_form", "_hidden", "_stem", "_gates", "_objects", "_noise"),
)


def random_net(seed: int) -> dict[str, Any]:
    """One to three convolutions of any odd size and stride, a CBAM, and objects to look at."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    layers: list[nn.Module] = []
    channels = 1
    for _ in range(random.integers(1, 4)):
        size, out = int(random.choice([1, 3, 5])), int(random.integers(1, 9))
        stride = int(random.integers(1, 4))
        layers.append(nn.Conv2d(channels, out, size, stride, size // 2, bias=bool(seed % 2)))
        layers += [nn.BatchNorm2d(out), nn.ReLU()][: random.integers(0, 3)]
        channels = out
    objects = torch.rand(int(random.integers(1, 10)), 10, 10)
    return {
        "stem": nn.Sequential(*layers).eval(),
        "cbam": CBAM(channels, int(random.integers(1, 4))),
        "objects": objects,
    }


def random_explorers() -> list[SpatialMaskExplorer]:
    random = np.random.default_rng(11)
    explorers = []
    for seed in range(240):
        net = random_net(seed) if seed % 4 else {}
        n = len(net["objects"]) if net else 5
        explorers.append(
            SpatialMaskExplorer(
                **net,
                kernel=str(random.choice(["7", "3"])),
                channel=bool(random.integers(2)),
                left=random.integers(0, 21, n),
                top=random.integers(0, 21, n),
            )
        )
    return explorers


def test_random_states_equal_cbam(javascript: JavaScript) -> None:
    explorers = random_explorers()
    states = [{name: getattr(explorer, name) for name in STATE} for explorer in explorers]
    for explorer, found in zip(explorers, javascript(COMPUTE, states), strict=True):
        expected = explorer.reference()
        assert found.keys() == expected.keys()
        for name, want in expected.items():
            limit = 1e-12 * max(1e-3, float(want.abs().max()))  # float64 on both sides
            np.testing.assert_allclose(
                found[name], want.flatten(), rtol=0, atol=limit, err_msg=name
            )

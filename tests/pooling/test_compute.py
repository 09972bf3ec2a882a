"""The kernel regression explorer's arithmetic in the browser, against the package."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

from attn_utils.pooling import KERNELS, leave_one_out_error, widget
from attn_utils.pooling.widget import KernelRegressionExplorer
from tests.conftest import JavaScript
from tests.widgets.computing import equal_references

COMPUTE = Path(widget.__file__).with_name("compute.js")
STEP = Path(__file__).with_name("step_cases.js")
STATE = ("x", "y", "query", "kernel", "bandwidth", "_shape", "_controls")


def random_points(draw: random.Random) -> tuple[list[float], list[float], tuple[float, float]]:
    """x, y and an axis for x: two points and many, near and far from 0, some of them alike."""
    count, scale = draw.choice((2, 5, 20, 40)), draw.choice((0.1, 5, 1e4))
    low = draw.choice((0, 7))
    x = [round(low + scale * draw.random(), 3) for _ in range(count)]
    x[0] = draw.choice((x[0], x[-1], low, low + scale))
    y = [round(draw.gauss(0, scale), 3) for _ in x]
    return x, y, (low, low + scale)


def random_explorer(draw: random.Random, kernel: str) -> KernelRegressionExplorer:
    """Windows that hold no point, some, and all."""
    x, y, (low, high) = random_points(draw)
    return KernelRegressionExplorer(
        x=x,
        y=y,
        x_range=(low, high),
        kernel=kernel,
        bandwidth=(high - low) * draw.choice((1 / 400, 3.9, 10 ** draw.uniform(-2.5, 0.5))),
        query=draw.choice((low, high, draw.uniform(low, high))),
    )


@pytest.mark.parametrize("kernel", sorted(KERNELS))
def test_random_states_equal_the_package(javascript: JavaScript, kernel: str) -> None:
    draw = random.Random(len(kernel))
    explorers = [random_explorer(draw, kernel) for _ in range(60)]
    equal_references(javascript, COMPUTE, explorers, STATE)


def loss_and_slope(w: float, x: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
    """The summed leave-one-out squared error and its derivative by w."""
    weight = torch.tensor(w, dtype=torch.float64, requires_grad=True)
    loss = len(x) * leave_one_out_error(x, y, bandwidth=1 / weight)
    return loss.item(), torch.autograd.grad(loss, weight)[0].item()


def test_a_gradient_step_is_autograds(javascript: JavaScript) -> None:
    draw = random.Random(2)
    calls = []
    for _ in range(200):
        x, y, (low, high) = random_points(draw)
        width = high - low
        calls.append(
            {
                "x": x,
                "y": y,
                "min": width / 500,
                "max": 4 * width,
                "bandwidth": width * draw.choice((0.05, 0.1, 0.2)),
                "rate": 10 ** draw.uniform(-3, 0) * (25 / width**2) ** 2,
            }
        )
    for call, found in zip(calls, javascript(STEP, calls), strict=True):
        points = [torch.tensor(call[name], dtype=torch.float64) for name in ("x", "y")]
        before, slope = loss_and_slope(1 / call["bandwidth"], *points)
        wanted = 1 / abs(1 / call["bandwidth"] - call["rate"] * slope)
        bandwidth = min(max(wanted, call["min"]), call["max"])
        after, next_slope = loss_and_slope(1 / bandwidth, *points)
        assert found["next"] == pytest.approx([bandwidth], rel=1e-8)  # it has nine digits
        assert found["losses"] == pytest.approx([before, after], rel=1e-6)
        if abs(slope * next_slope) > 1e-12 * before**2:
            assert found["passed"] == [float(slope * next_slope < 0)]

"""The kernel regression explorer in Python: controls, results, bad input, the still picture."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser

from attn_utils import nadaraya_watson
from attn_utils.pooling import KERNELS, leave_one_out_error
from attn_utils.widgets import KernelRegressionExplorer
from tests.widgets.bench import Bench


def double(numbers: list[float]) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


@pytest.mark.parametrize("kernel", sorted(KERNELS))
@pytest.mark.parametrize("bandwidth", [0.02, 0.4, 7.0])
def test_results_are_those_of_the_package(kernel: str, bandwidth: float) -> None:
    w = KernelRegressionExplorer(kernel=kernel, bandwidth=bandwidth, query=1.25)
    x, y = double(w.x), double(w.y)
    how: dict[str, Any] = {"kernel": kernel, "bandwidth": bandwidth}
    _, weights = nadaraya_watson(double([1.25]), x, y, return_weights=True, **how)
    np.testing.assert_allclose(w.weights, weights[0], atol=1e-6)
    np.testing.assert_allclose(w.curve, nadaraya_watson(w.grid(), x, y, **how), atol=1e-5)
    np.testing.assert_allclose(w.loo, leave_one_out_error(x, y, **how), rtol=1e-5)
    in_order = x.sort().values
    _, matrix = nadaraya_watson(w.grid()[::4], in_order, in_order, return_weights=True, **how)
    np.testing.assert_allclose(w.matrix.reshape(50, 20), matrix, atol=1e-6)
    for step in (0, 30, 47):
        wanted = leave_one_out_error(x, y, kernel=kernel, bandwidth=float(w.bandwidths()[step]))
        np.testing.assert_allclose(w.loo_curve[step], wanted, rtol=1e-5)


def test_the_start_leaves_something_to_find() -> None:
    w = KernelRegressionExplorer()
    assert w.loo[0] > 1.5 * w.loo_curve.min()
    assert 5 < w.loo_curve.argmin() < 42, "the least error lies inside the range"


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
def test_points_come_as_list_array_or_tensor(kind: Any) -> None:
    w = KernelRegressionExplorer(x=kind([3.0, 1.0, 2.0]), y=kind([1.0, 0.0, 5.0]))
    assert w.x == [3.0, 1.0, 2.0]
    assert w.weights.shape == (3,)
    assert w.matrix.shape == (150,)


def test_a_large_offset_is_kept() -> None:
    w = KernelRegressionExplorer([1234567.1, 1234567.9], [1e6 + 0.25, 1e6 + 0.5])
    assert w._own_bounds["x"] == pytest.approx((1234567.1, 1234567.9), abs=0.1)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e5])
def test_ranges_follow_the_data(scale: float) -> None:
    x, y = np.linspace(-1, 1, 30) * scale, np.linspace(3, 5, 30) * scale
    w = KernelRegressionExplorer(x, y)
    specs = dict(w._controls)
    assert specs["x"]["min"] <= x.min() < x.max() <= specs["x"]["max"]
    assert specs["y"]["min"] < y.min() < y.max() < specs["y"]["max"]
    assert specs["bandwidth"]["max"] == pytest.approx(8 * scale)
    assert specs["bandwidth"]["min"] < w.bandwidth < specs["bandwidth"]["max"]
    w.bandwidth = specs["bandwidth"]["max"]
    assert np.ptp(w.curve) < 0.1 * np.ptp(y), "the widest bandwidth is average pooling"


def test_given_axes_hold_where_the_points_have_left_them() -> None:
    start = KernelRegressionExplorer()
    pulled = [min(x, 4.5) for x in start.x]
    axes = {"x_range": start._own_bounds["x"], "y_range": start._own_bounds["y"]}
    w = KernelRegressionExplorer(x=pulled, y=start.y, query=4.9, bandwidth=20.0, **axes)
    assert w._own_bounds == start._own_bounds
    assert torch.equal(w.grid(), start.grid())
    with pytest.raises(ValueError, match=r"query: expected a number from 0\.0 to 4\.5"):
        KernelRegressionExplorer(x=pulled, y=start.y, query=4.9)


@pytest.mark.parametrize(
    "moved",
    [
        {
            "x": 4.5,
            "query": 4.9,
            "bandwidth": 19.0,
        },  # beyond the axis of the points as they are now
        {"x": 5.0},  # x changed and y did not
    ],
)
def test_copied_python_keeps_the_axes(browser: Browser, moved: dict[str, Any]) -> None:
    bench = Bench(browser, KernelRegressionExplorer)
    x = [min(number, moved["x"] - 0.01 * i) for i, number in enumerate(bench.widget.x)]
    bench.open(**{**moved, "x": x})
    space: dict[str, Any] = {}
    exec(bench.copied("Copy as Python").replace("\nKernel", "\nrebuilt = Kernel"), space)
    rebuilt: KernelRegressionExplorer = space["rebuilt"]
    assert rebuilt.x == x
    assert rebuilt._own_bounds == bench.widget._own_bounds
    for name, value in rebuilt.reference().items():
        np.testing.assert_allclose(bench.numbers()[name], value.flatten(), rtol=1e-6, atol=1e-9)
    assert bench.bad == []
    bench.context.close()


def test_copied_python_keeps_ranges_that_were_given(browser: Browser) -> None:
    bench = Bench(browser, partial(KernelRegressionExplorer, x_range=(-10, 20)))
    bench.open(query=15.0)
    space: dict[str, Any] = {}
    exec(bench.copied("Copy as Python").replace("\nKernel", "\nrebuilt = Kernel"), space)
    assert space["rebuilt"].query == 15.0
    assert space["rebuilt"]._own_bounds == bench.widget._own_bounds
    assert bench.bad == []
    bench.context.close()


def test_points_that_are_all_alike() -> None:
    w = KernelRegressionExplorer([2.0, 2.0], [3.0, 3.0])
    np.testing.assert_allclose(w.curve, 3.0)
    w.figure()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"x": [1.0, 2.0]}, "y: expected as many numbers as in x, got None"),
        ({"y": [1.0, 2.0]}, "x: expected as many numbers as in y, got None"),
        ({"x": [1.0, 2.0, 3.0], "y": [1.0, 2.0]}, r"y: expected as many numbers as x \(3\), got 2"),
        ({"x": [1.0], "y": [1.0]}, "x: expected 2 to 500 numbers, got 1"),
        ({"x": [], "y": []}, r"x: expected a list of numbers, got shape \(0,\)"),
        ({"x": torch.ones(2, 3), "y": torch.ones(2)}, r"x: expected .* got shape \(2, 3\)"),
        ({"x": [0.0, float("nan")], "y": [1.0, 2.0]}, "x: expected finite numbers .* got nan"),
        ({"x": [0.0, 1.0], "y": [1.0, float("inf")]}, "y: expected finite numbers .* got inf"),
        ({"x": ["a", "b"], "y": [1.0, 2.0]}, "x: expected a list of numbers"),
        ({"x": range(501), "y": range(501)}, "x: expected 2 to 500 numbers, got 501"),
        ({"bandwidth": 0}, "bandwidth: expected a number from 0.01 to 20.0, got 0"),
        ({"bandwidth": -1.0}, "bandwidth: expected"),
        ({"bandwidth": float("nan")}, "bandwidth: expected"),
        ({"query": 9.0}, "query: expected a number from 0.0 to 5.0, got 9.0"),
        ({"kernel": "cosine"}, "kernel: expected one of gaussian, boxcar, .* got 'cosine'"),
        ({"x_range": (0, 4)}, "x_range: expected a range around all points, .* got 0 to 4"),
        ({"y_range": (9, 0)}, "y_range: expected two numbers .* the lower one first, got"),
        ({"y_range": (0, float("nan"))}, "y_range: expected two numbers"),
        ({"x_range": [0, 5, 6]}, "x_range: expected two numbers"),
        ({"x_range": 5}, r"x_range: expected a list of numbers, got shape \(\)"),
        ({"width": 1.0}, "width: no such control; expected one of"),
    ],
)
def test_bad_input(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KernelRegressionExplorer(**given)


def test_x_and_y_change_together() -> None:
    w = KernelRegressionExplorer()
    with pytest.raises(ValueError, match="x: expected 20 numbers, as many as y, got 2"):
        w.x = [1.0, 2.0]
    assert len(w.x) == 20
    with w.hold_trait_notifications():
        w.x, w.y = [1.0, 2.0], [3.0, 4.0]
    assert w.weights.shape == (2,)


def test_python_observes_what_the_browser_sends() -> None:
    w = KernelRegressionExplorer()
    seen: list[float] = []
    w.observe(lambda change: seen.append(float(change["new"][0])), "loo")
    w.set_state({"bandwidth": 0.5, "loo": memoryview(np.array([0.25], "<f4").tobytes())})
    assert seen == [0.25]
    assert w.bandwidth == 0.5


def test_still_picture_for_every_kernel() -> None:
    for kernel in KERNELS:
        figure = KernelRegressionExplorer(kernel=kernel, bandwidth=0.1).figure()
        assert len(figure.axes) >= 4
    bundle = KernelRegressionExplorer(title="$$ is no formula")._repr_mimebundle_()
    assert "0x" not in bundle[0]["text/plain"]

"""The kernel regression explorer of chapter 2: one query, its weights, and a bandwidth to learn."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
import traitlets
from torch import Tensor

from attn_utils.data import kernel_regression_data
from attn_utils.widgets.base import (
    Buffer,
    Choice,
    ControlError,
    LiveWidget,
    Number,
    Numbers,
    front_end,
    numbers_of,
)

from .kernels import KERNELS
from .pooling import leave_one_out_error, nadaraya_watson

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS = 50  # test inputs of the weight matrix
FINE = 4  # points of the curve per row of the matrix
MOST_POINTS = 500
BOUND = 1e9


def _sample() -> tuple[list[float], list[float]]:
    """Draw the first points; three digits keep links and copied Python short."""
    data = kernel_regression_data(20, seed=4)
    x, y = ([round(v, 3) for v in t.tolist()] for t in (data.x_train, data.y_train))
    return x, y


SAMPLE_X, SAMPLE_Y = _sample()


def _points(name: str, value: Any) -> npt.NDArray[np.float64]:
    numbers = numbers_of(name, value)
    if not (np.abs(numbers) <= BOUND).all():  # NaN is refused here too
        bad = numbers[~(np.abs(numbers) <= BOUND)][0]
        raise ControlError(f"{name}: expected finite numbers up to ±{BOUND:g}, got {bad}")
    if not 2 <= numbers.size <= MOST_POINTS:
        raise ControlError(f"{name}: expected 2 to {MOST_POINTS} numbers, got {numbers.size}")
    return numbers


def _axis(numbers: npt.NDArray[np.float64], margin: float) -> tuple[float, float]:
    """Bounds around the numbers, rounded outward: all points can be dragged about between them."""
    low, high = float(numbers.min()), float(numbers.max())
    if low == high:  # all alike: any room will do
        margin = 0.5
    span = (high - low) or max(1.0, abs(high))
    unit = 10 ** math.floor(math.log10(span)) / 2
    low = math.floor((low - margin * span) / unit) * unit
    high = math.ceil((high + margin * span) / unit) * unit
    digits = 2 - math.floor(math.log10(span))  # cuts 0.30000000000000004, not an offset
    return round(low, digits), round(high, digits)


def _range(name: str, value: Any, points: npt.NDArray[np.float64]) -> tuple[float, float]:
    ends = numbers_of(name, value)
    if ends.size != 2 or not -2 * BOUND <= ends[0] < ends[1] <= 2 * BOUND:  # refuses NaN, too
        raise ControlError(
            f"{name}: expected two numbers up to ±{2 * BOUND:g}, the lower one first, "
            f"got {ends.tolist()}"
        )
    if not ends[0] <= points.min() <= points.max() <= ends[1]:
        raise ControlError(
            f"{name}: expected a range around all points, {points.min():g} to {points.max():g}, "
            f"got {ends[0]:g} to {ends[1]:g}"
        )
    return float(ends[0]), float(ends[1])


class KernelRegressionExplorer(LiveWidget):
    r"""Points to drag, a query and a bandwidth: watch the weights, the curve and its error.

    The curve is the kernel regression of :func:`attn_utils.pooling.nadaraya_watson` through the
    points. Beside it stand the weights of one query, the weights of 50 queries as a matrix, and
    the leave-one-out error against the bandwidth, down which a reader can step by the gradient
    of :math:`w = 1/\text{bandwidth}`.

    The sliders' ranges follow the data given here; for other data make another explorer. To
    replace x and y together, use ``with explorer.hold_trait_notifications():``.

    Args:
        x: keys, 2 to 500 numbers: a tensor, an array or a list. By default twenty points of
            2 sin x + x^0.8 with noise.
        y: values, as many as x.
        x_range, y_range: the axes, two numbers each, by default around x and y. The ranges of the
            sliders follow them.
        **controls: any of the attributes below.

    Attributes:
        query: the input whose weights are shown.
        kernel: "gaussian", "boxcar", "triangular" or "epanechnikov".
        bandwidth: width of the kernel in the unit of x, from 1/500 to 4 times the x axis.
        learning_rate: of a gradient step on w, for the summed leave-one-out squared error.
        weights: the query's weights, (n,), in the order of x.
        curve: predictions at 197 evenly spaced inputs along the x axis.
        matrix: weights of every fourth of these inputs, flat (50 · n,), columns by ascending x.
        loo: mean squared leave-one-out error at the present bandwidth, one number.
        loo_curve: the same at bandwidths spaced evenly in the logarithm.
    """

    _esm = front_end(__file__, ".js")
    _css = front_end(__file__, ".css")

    title = traitlets.Unicode("Kernel regression explorer: who does the query listen to?").tag(
        sync=True
    )
    alt = traitlets.Unicode(
        "Scattered points with a smooth curve through them. A vertical line marks the query; the "
        "points near it are drawn larger because they weigh more. Beside it the weight matrix, "
        "bright along its diagonal, and the leave-one-out error, which dips at a middle bandwidth."
    )
    kernel = Choice("gaussian", options=tuple(KERNELS), label="kernel")
    bandwidth = Number(1.0, min=1e-12, max=1e12, step="any", label="bandwidth")
    query = Number(3.0, min=-2 * BOUND, max=2 * BOUND, step="any", label="query")
    x = Numbers(SAMPLE_X, min=-2 * BOUND, max=2 * BOUND, label="x")
    y = Numbers(SAMPLE_Y, min=-2 * BOUND, max=2 * BOUND, label="y")
    learning_rate = Number(0.05, min=0, max=1e40, step="any", label="learning rate")

    weights = Buffer()
    curve = Buffer()
    matrix = Buffer()
    loo = Buffer()
    loo_curve = Buffer()

    # rows, points of the curve per row, bandwidths of loo_curve
    _shape = traitlets.List(traitlets.Int()).tag(sync=True)
    _own_ranges = traitlets.Bool(False).tag(sync=True)  # given, not computed from the points

    def __init__(
        self,
        x: Any = None,
        y: Any = None,
        *,
        x_range: Any = None,
        y_range: Any = None,
        **controls: Any,
    ) -> None:
        if (x is None) != (y is None):
            missing, present = ("x", "y") if x is None else ("y", "x")
            raise ValueError(f"{missing}: expected as many numbers as in {present}, got None")
        keys = _points("x", SAMPLE_X if x is None else x)
        values = _points("y", SAMPLE_Y if y is None else y)
        if keys.size != values.size:
            raise ValueError(f"y: expected as many numbers as x ({keys.size}), got {values.size}")
        x_axis = _axis(keys, 0) if x_range is None else _range("x_range", x_range, keys)
        y_axis = _axis(values, 0.1) if y_range is None else _range("y_range", y_range, values)
        span = x_axis[1] - x_axis[0]
        # The step that suits the gradient dL/dw goes with 1/(x² y²).
        rate = float(f"{(25 / (span * (y_axis[1] - y_axis[0]))) ** 2:.1g}")
        self._own_bounds = {
            "x": x_axis,
            "y": y_axis,
            "query": x_axis,
            "bandwidth": (float(f"{span / 500:.3g}"), float(f"{4 * span:.3g}")),
            "learning_rate": (0.001 * rate, rate),
        }
        steps = max(16, min(48, 250_000 // keys.size**2))  # moving a point costs steps · n²
        start = {
            "x": keys.tolist(),
            "y": values.tolist(),
            "query": round(x_axis[0] + 0.6 * span, 3 - math.floor(math.log10(span))),
            "bandwidth": float(f"{span / 5:.3g}"),
            "learning_rate": 0.05 * rate,
        }
        super().__init__(
            _shape=[ROWS, FINE, steps],
            _own_ranges=x_range is not None or y_range is not None,
            **{**start, **controls},
        )

    @traitlets.validate("x", "y")
    def _one_each(self, proposal: traitlets.Bunch) -> list[float]:
        name = proposal.trait.name
        other = "y" if name == "x" else "x"
        needed, given = len(getattr(self, other)), len(proposal.value)
        if needed != given:
            raise ControlError(
                f"{name}: expected {needed} numbers, as many as {other}, got {given}"
            )
        numbers: list[float] = proposal.value
        return numbers

    def grid(self) -> Tensor:
        """The 197 inputs of ``curve``; every fourth is a row of ``matrix``."""
        low, high = self._own_bounds["x"]
        count = (ROWS - 1) * FINE
        return low + (high - low) * torch.arange(count + 1, dtype=torch.float64) / count

    def bandwidths(self) -> Tensor:
        """The bandwidths of ``loo_curve``, evenly spaced in the logarithm."""
        low, high = self._own_bounds["bandwidth"]
        steps = self._shape[2]
        along = torch.arange(steps, dtype=torch.float64) / (steps - 1)
        return low * torch.tensor(high / low, dtype=torch.float64) ** along

    def reference(self) -> dict[str, Tensor]:
        """Compute weights, curve, matrix and leave-one-out errors in torch, in float64."""
        x, y = (torch.tensor(numbers, dtype=torch.float64) for numbers in (self.x, self.y))
        queries = torch.cat([torch.tensor([self.query], dtype=torch.float64), self.grid()])
        output, weights = nadaraya_watson(
            queries, x, y, kernel=self.kernel, bandwidth=self.bandwidth, return_weights=True
        )  # (1 + 197,), (1 + 197, n)
        errors = [
            leave_one_out_error(x, y, kernel=self.kernel, bandwidth=h)
            for h in (self.bandwidth, *self.bandwidths().tolist())
        ]
        return {
            "weights": weights[0],
            "curve": output[1:],
            "matrix": weights[1::FINE, torch.argsort(x, stable=True)],  # (50, n)
            "loo": errors[0],
            "loo_curve": torch.stack(errors[1:]),
        }

    def figure(self) -> Figure:
        """Draw the four panels as they stand."""
        from matplotlib.figure import Figure

        results = {name: value.numpy() for name, value in self.reference().items()}
        figure = Figure(figsize=(8.0, 5.0), layout="constrained")
        axes = figure.subplot_mosaic(
            [["curve", "matrix"], ["weights", "loo"]], width_ratios=[3, 2], height_ratios=[2, 1.1]
        )
        ax = axes["curve"]
        has_weight = (results["curve"] != 0) | (self.kernel == "gaussian")
        ax.plot(self.grid(), np.where(has_weight, results["curve"], np.nan), color="#0072B2")
        ax.scatter(self.x, self.y, s=20 + 900 * results["weights"], color="#D55E00", alpha=0.6)
        ax.axvline(self.query, color="#444", linestyle="--")
        ax.set(xlim=self._own_bounds["x"], ylim=self._own_bounds["y"], ylabel="y")
        axes["weights"].vlines(self.x, 0, results["weights"], color="#D55E00", linewidth=4)
        axes["weights"].set(xlim=self._own_bounds["x"], ylim=(0, None))
        axes["weights"].set(xlabel="x (keys)", ylabel="weight")
        image = axes["matrix"].imshow(results["matrix"], cmap="Reds", vmin=0, aspect="auto")
        axes["matrix"].set(xlabel="Keys (training inputs)", ylabel="Queries (test inputs)")
        figure.colorbar(image, ax=axes["matrix"])
        axes["loo"].semilogx(self.bandwidths(), results["loo_curve"], color="#0072B2")
        axes["loo"].plot(self.bandwidth, results["loo"], "o", color="#D55E00")
        axes["loo"].set(xlabel="bandwidth", ylabel="leave-one-out error", ylim=(0, None))
        figure.suptitle(self.title, fontsize=11, parse_math=False)
        return figure

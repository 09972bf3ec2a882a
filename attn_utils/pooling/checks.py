"""Self-checks of chapter 2, attention pooling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attn_utils.checks import Mistake, compare, exercise

from .pooling import nadaraya_watson

_NO_SUM = "the weights of a query do not sum to 1: divide by the sum of the kernel values"
_WRONG_AXIS = "each column sums to 1, not each row: the softmax has to run over the keys, dim=-1"


@exercise("pooling.by_hand")
def _by_hand(answer: Any) -> None:
    """Exercise 2.1: (weights, prediction) for keys 0, 1, 3, values 3, 6, 12 and the query 1."""
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        raise Mistake("give two things: the three weights, and the prediction")
    weights, prediction = answer
    kernel = torch.tensor([0.5, 1.0, 0.0])
    compare(
        weights,
        kernel / kernel.sum(),
        "the row of weights",
        {
            _NO_SUM: kernel,
            "that is what comes out when the distance is not divided by the bandwidth: "
            "u = (x − x_i) / 2": torch.tensor([0.0, 1.0, 0.0]),
            "a triangular kernel is normalised by its sum; a softmax of K(u) is something "
            "else": torch.softmax(kernel, 0),
            "equal weights are average pooling: use K(u) = 1 − |u|": torch.full((3,), 1 / 3),
        },
        tolerance=0.006,  # two decimals will do
    )
    compare(
        prediction,
        torch.tensor(5.0),
        "the prediction",
        {
            "the values were weighted with K(u), not with the weights that sum to 1": (
                torch.tensor(7.5)
            ),
            "that is the plain mean of the values": torch.tensor(7.0),
            "that is the value of the nearest key alone; the key at 0 counts as well": (
                torch.tensor(6.0)
            ),
        },
        tolerance=0.06,
    )


@exercise("pooling.gaussian_weights")
def _gaussian_weights(answer: Callable[[Tensor, Tensor, float], Any]) -> None:
    """Exercise 2.2: the weight matrix (T, S) of Gaussian kernel regression."""
    keys = torch.tensor([0.0, 0.3, 1.1, 2.0])
    h = 0.7
    # three queries, then four: with T = S shapes no longer tell rows from columns
    for queries in (torch.tensor([0.1, 1.0, 2.4]), torch.tensor([0.1, 1.0, 2.4, 0.6])):
        d = queries[:, None] - keys
        want = torch.softmax(-((d / h) ** 2) / 2, dim=-1)
        compare(
            answer(queries, keys, h),
            want,
            "the weight matrix",
            {
                _WRONG_AXIS: torch.softmax(-((d / h) ** 2) / 2, dim=0),
                "the matrix is transposed: one row for each query, one column for each key": want.T,
                _NO_SUM: torch.exp(-((d / h) ** 2) / 2),
                "far keys get the largest weights: the minus sign is missing": (
                    torch.softmax((d / h) ** 2 / 2, dim=-1)
                ),
                "the factor 1/2 in −u²/2 is missing": torch.softmax(-((d / h) ** 2), dim=-1),
                "u is not squared": torch.softmax(-(d / h).abs() / 2, dim=-1),
                "the distance is multiplied by the bandwidth instead of divided by it": (
                    torch.softmax(-((d * h) ** 2) / 2, dim=-1)
                ),
                "the bandwidth has to be squared together with the distance": (
                    torch.softmax(-(d**2) / h / 2, dim=-1)
                ),
                "the bandwidth is not used": torch.softmax(-(d**2) / 2, dim=-1),
            },
            tolerance=1e-5,
        )
    far = answer(torch.tensor([40.0]), keys, 1.0)
    if isinstance(far, Tensor) and bool(far.isnan().any()):
        raise Mistake(
            "for a query far from all keys the weights are NaN: every exp(−u²/2) has underflowed "
            "to 0, and 0/0 is undefined; use torch.softmax on −u²/2"
        )
    compare(far, torch.softmax(-((40.0 - keys) ** 2) / 2, 0)[None], "the row of a query far away")


@exercise("pooling.leave_one_out")
def _leave_one_out(answer: Callable[[Tensor, Tensor], Any]) -> None:
    """Exercise 2.3: leave-one-out predictions from the full (n, n) weights."""
    x = torch.tensor([0.0, 0.4, 1.0, 1.5, 2.5], dtype=torch.float64)
    y = torch.tensor([1.0, 2.0, 0.5, 3.0, -1.0], dtype=torch.float64)
    for points, values in ((x, y), (x[:3].float(), y[:3].float())):
        fit, weights = nadaraya_watson(points, points, values, bandwidth=0.8, return_weights=True)
        own = weights.diagonal()
        want = (fit - own * values) / (1 - own)
        compare(
            answer(weights, values),
            want,
            "the leave-one-out predictions",
            {
                "each point still helps to predict itself: remove its own share": fit,
                "the remaining weights sum to 1 − α_ii, not to 1: divide by that": (
                    fit - own * values
                ),
                "divided by 1 − α_ii, but the point's own share α_ii y_i was not removed": (
                    fit / (1 - own)
                ),
                "only the weight was subtracted; remove α_ii · y_i": (fit - own) / (1 - own),
                "the whole value was subtracted; remove α_ii · y_i": (fit - values) / (1 - own),
                "divided by α_ii; what remains sums to 1 − α_ii": (fit - own * values) / own,
                "the weights of the others have to stay in proportion; this is their plain mean": (
                    (values.sum() - values) / (len(values) - 1)
                ),
            },
            tolerance=1e-5,
        )


@exercise("pooling.dot_product")
def _dot_product(answer: Callable[[Tensor, Tensor], Any]) -> None:
    """Exercise 2.5: Gaussian weights of bandwidth 1 from dot products, without the queries."""
    keys = torch.tensor([-1.0, 0.2, 1.0, 2.5])
    for queries in (torch.tensor([0.5, 2.0, -0.7]), torch.tensor([0.5, 2.0, -0.7, 1.1])):
        want = torch.softmax(-((queries[:, None] - keys) ** 2) / 2, dim=-1)
        dot = queries[:, None] * keys
        compare(
            answer(dot, keys),
            want,
            "the weight matrix",
            {
                "the square of the key, −x_i²/2, is missing: it differs from key to key and does "
                "not cancel": torch.softmax(dot, dim=-1),
                "the sign of x_i²/2 is wrong": torch.softmax(dot + keys**2 / 2, dim=-1),
                "the factor 1/2 of x_i² is missing": torch.softmax(dot - keys**2, dim=-1),
                "x · x_i comes with a factor 2/2 = 1, not 1/2 or 2": (
                    torch.softmax(2 * dot - keys**2 / 2, dim=-1)
                ),
                "these are the scores; apply the softmax": dot - keys**2 / 2,
                _WRONG_AXIS: torch.softmax(dot - keys**2 / 2, dim=0),
                "the matrix is transposed: one row for each query, one column for each key": want.T,
            },
            tolerance=1e-5,
        )

"""The self-checks of chapter 2 pass right answers and name the mistakes in wrong ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attn_utils.checks import check


def difference(q, k):
    return q[:, None] - k


def kernel(q, k, h):
    return torch.exp(-((difference(q, k) / h) ** 2) / 2)


RIGHT = {
    "pooling.by_hand": [
        ([1 / 3, 2 / 3, 0.0], 5.0),
        (torch.tensor([0.33, 0.67, 0]), 5),
        (np.array([0.33, 0.67, 0.0]), np.float32(5)),
        [(1 / 3, 2 / 3, 0), torch.tensor(5.0)],
    ],
    "pooling.gaussian_weights": [
        lambda q, k, h: torch.softmax(-((difference(q, k) / h) ** 2) / 2, dim=-1),
        lambda q, k, h: torch.log_softmax(-(difference(q, k) ** 2) / (2 * h * h), 1).exp(),
    ],
    "pooling.leave_one_out": [
        lambda a, y: (a @ y - a.diagonal() * y) / (1 - a.diagonal()),
        lambda a, y: ((b := a * (1 - torch.eye(len(y)))) / b.sum(1, keepdim=True)) @ y,
    ],
    "pooling.dot_product": [
        lambda p, k: torch.softmax(p - k**2 / 2, dim=-1),
        lambda p, k: torch.softmax(p - (k**2 / 2)[None, :], dim=-1),
    ],
}


def fills_diagonal(weights, values):
    fit, own = weights @ values, weights.diagonal().clone()
    weights.fill_diagonal_(0)
    return (fit - own * values) / (1 - own)


WRONG = {
    "pooling.by_hand": [
        ((..., ...), "nothing has been computed yet"),
        (([1 / 3, 2 / 3, 0.0], ...), "nothing has been computed yet"),
        (5.0, "give two things"),
        (([0.5, 1.0, 0.0], 7.5), "do not sum to 1"),
        (([0.0, 1.0, 0.0], 6.0), "not divided by the bandwidth"),
        (([0.3072, 0.5065, 0.1863], 6.2), "a softmax of K"),
        (([1 / 3, 1 / 3, 1 / 3], 7.0), "average pooling"),
        (([0.33, 0.67], 5.0), r"shape (2,), expected (3,)"),
        (([1 / 3, 2 / 3, 0.0], 7.5), "not with the weights that sum to 1"),
        (([1 / 3, 2 / 3, 0.0], 7.0), "plain mean"),
        (([1 / 3, 2 / 3, 0.0], 6.0), "nearest key alone"),
        (([1 / 3, 2 / 3, 0.0], 4.0), "the prediction differs"),
    ],
    "pooling.gaussian_weights": [
        (lambda q, k, h: None, "nothing has been computed yet"),
        (lambda q, k, h: torch.softmax(-((difference(q, k) / h) ** 2) / 2, dim=0), "dim=-1"),
        (lambda q, k, h: torch.softmax(-((difference(k, q) / h) ** 2) / 2, 0), "transposed"),
        (kernel, "do not sum to 1"),
        (lambda q, k, h: torch.softmax((difference(q, k) / h) ** 2 / 2, dim=1), "minus sign"),
        (lambda q, k, h: torch.softmax(-((difference(q, k) / h) ** 2), dim=1), "factor 1/2"),
        (lambda q, k, h: torch.softmax(-(difference(q, k) / h).abs() / 2, 1), "not squared"),
        (lambda q, k, h: torch.softmax(-((difference(q, k) * h) ** 2) / 2, 1), "multiplied by"),
        (lambda q, k, h: torch.softmax(-(difference(q, k) ** 2) / h / 2, 1), "to be squared"),
        (lambda q, k, h: torch.softmax(-(difference(q, k) ** 2) / 2, 1), "bandwidth is not used"),
        (lambda q, k, h: kernel(q, k, h) / kernel(q, k, h).sum(1, keepdim=True), "underflowed"),
        (lambda q, k, h: torch.softmax(-(((q - k) / h) ** 2) / 2, 0), "stopped with RuntimeError"),
    ],
    "pooling.leave_one_out": [
        (lambda a, y: None, "nothing has been computed yet"),
        (lambda a, y: a @ y, "still helps to predict itself"),
        (lambda a, y: a @ y - a.diagonal() * y, "divide by that"),
        (lambda a, y: a.clone().fill_diagonal_(0) @ y, "divide by that"),
        (lambda a, y: a @ y / (1 - a.diagonal()), "was not removed"),
        (lambda a, y: (a @ y - a.diagonal()) / (1 - a.diagonal()), "only the weight"),
        (lambda a, y: (y.sum() - y) / (len(y) - 1), "plain mean"),
        (lambda a, y: (a @ y - y) / (1 - a.diagonal()), "the whole value"),
        (lambda a, y: (a @ y - a.diagonal() * y) / a.diagonal(), "divided by α_ii"),
        (fills_diagonal, "changed the caller's weights"),
    ],
    "pooling.dot_product": [
        (lambda p, k: None, "nothing has been computed yet"),
        (lambda p, k: torch.softmax(p, dim=-1), "does not cancel"),
        (lambda p, k: torch.softmax(-((p - k) ** 2) / 2, dim=-1), "the weight matrix differs"),
        (lambda p, k: torch.softmax(p + k**2 / 2, dim=-1), "the sign of"),
        (lambda p, k: torch.softmax(p - k**2, dim=-1), "factor 1/2 of"),
        (lambda p, k: torch.softmax(2 * p - k**2 / 2, dim=-1), "factor 2/2"),
        (lambda p, k: p - k**2 / 2, "apply the softmax"),
        (lambda p, k: torch.softmax(p - k**2 / 2, dim=0), "dim=-1"),
        (lambda p, k: torch.softmax(p - k**2 / 2, dim=-1).T, "transposed"),
    ],
}


@pytest.mark.parametrize(("name", "answer"), [(n, a) for n, many in RIGHT.items() for a in many])
def test_right_answers_pass(name, answer):
    assert check(name, answer)


@pytest.mark.parametrize(
    ("name", "answer", "message"),
    [(name, answer, message) for name, wrong in WRONG.items() for answer, message in wrong],
)
def test_wrong_answers_are_named(name, answer, message, capsys):
    result = check(name, answer)
    assert not result
    assert message in result.message
    assert " ".join(capsys.readouterr().out.split()) == result.message


def test_every_exercise_has_eight_wrong_answers():
    assert set(WRONG) == set(RIGHT)
    assert all(len(wrong) >= 8 for wrong in WRONG.values())

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from attn_utils.checks import check

RIGHT_SHAPES = {
    "channel gate": (2, 32, 1, 1),
    "maps": (2, 2, 15, 15),
    "spatial gate": (2, 1, 15, 15),
    "output": (2, 32, 15, 15),
    "parameters": 354,
}


def gate(x, kernel, maps=None, pad=True):
    maps = torch.stack([x.mean(1), x.amax(1)], 1) if maps is None else maps
    return F.conv2d(maps, kernel, padding=kernel.shape[-1] // 2 if pad else 0).sigmoid()


def mlp(d, w1, w2):
    return F.linear(F.linear(d, w1).relu(), w2)


def channel_gate(x, w1, w2):
    scores = mlp(x.mean((2, 3)), w1, w2) + mlp(x.amax((2, 3)), w1, w2)
    return scores.sigmoid()[:, :, None, None]


def share(gate, top, left, size):
    boxes = [
        g[:, i : i + size, j : j + size].sum() for g, i, j in zip(gate, top, left, strict=True)
    ]
    return torch.stack(boxes) / gate.sum((1, 2, 3))


def share_by_mask(gate, top, left, size):
    at = torch.arange(gate.shape[-1])
    rows = (at >= top[:, None]) & (at < top[:, None] + size)
    columns = (at >= left[:, None]) & (at < left[:, None] + size)
    return (gate[:, 0] * rows[:, :, None] * columns[:, None]).sum((1, 2)) / gate.sum((1, 2, 3))


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("shapes", RIGHT_SHAPES),
        ("shapes", RIGHT_SHAPES | {"maps": [2, 2, 15, 15], "output": torch.Size((2, 32, 15, 15))}),
        ("gate", gate),
        ("gate", lambda x, k: gate(x, k, torch.stack([x.mean(1), x.max(1).values], 1))),
        ("channel_gate", channel_gate),
        ("share", share),
        ("share", share_by_mask),
    ],
)
def test_right_answers_pass(name, answer):
    result = check(f"spatial.{name}", answer)
    assert result, result.message


WRONG = [
    ("shapes", dict.fromkeys(RIGHT_SHAPES, ...), "no answer yet for 'channel gate' (5 to go)"),
    ("shapes", RIGHT_SHAPES | {"channel gate": (2, 32)}, "two more axes"),
    ("shapes", RIGHT_SHAPES | {"channel gate": (2, 4, 1, 1)}, "hidden width"),
    ("shapes", RIGHT_SHAPES | {"maps": (2, 32, 15, 15)}, "squeezed to two"),
    ("shapes", RIGHT_SHAPES | {"maps": (2, 1, 15, 15)}, "there are two"),
    ("shapes", RIGHT_SHAPES | {"spatial gate": (2, 1, 9, 9)}, "keeps the size"),
    ("shapes", RIGHT_SHAPES | {"spatial gate": (2, 15, 15)}, "channel axis stays"),
    ("shapes", RIGHT_SHAPES | {"output": (2, 1, 15, 15)}, "their shape stays"),
    ("shapes", RIGHT_SHAPES | {"parameters": 355}, "no bias"),
    ("shapes", RIGHT_SHAPES | {"parameters": 610}, "share their two layers"),
    ("shapes", RIGHT_SHAPES | {"parameters": 7}, "is not right"),
    ("shapes", 354, "should be a dictionary"),
    ("gate", lambda x, k: None, "nothing has been computed"),
    ("gate", lambda x, k: x.mean(1, keepdim=True).sigmoid(), "no kernel is used"),
    ("gate", lambda x, k: gate(x, k, torch.stack([x.amax(1), x.mean(1)], 1)), "[max, mean]"),
    ("gate", lambda x, k: gate(x, k, torch.stack([x.mean(0), x.amax(0)], 1)), "over the batch"),
    (
        "gate",
        lambda x, k: gate(x, k, torch.stack([x.sum(1), x.amax(1)], 1)),
        "sum over the channels",
    ),
    ("gate", lambda x, k: gate(x, k, torch.stack([x.mean(1)] * 2, 1)), "only the mean"),
    ("gate", lambda x, k: gate(x, k, torch.stack([x.amax(1)] * 2, 1)), "only the maximum"),
    ("gate", lambda x, k: gate(x, k.flip(2, 3)), "flipped"),
    ("gate", lambda x, k: gate(x, k, pad=False), "smaller than the image"),
    ("gate", lambda x, k: gate(x, k).logit(), "sigmoid is missing"),
    ("gate", lambda x, k: x * gate(x, k), "the gate alone"),
    ("gate", lambda x, k: gate(x, k)[:, 0], "keep it with size 1"),
    ("gate", lambda x, k: F.conv2d(x, k), "your code stopped"),
    ("channel_gate", lambda x, a, b: ..., "nothing has been computed"),
    (
        "channel_gate",
        lambda x, a, b: mlp(x.mean((2, 3)), a, b).sigmoid()[:, :, None, None],
        "squeeze-and-excitation",
    ),
    (
        "channel_gate",
        lambda x, a, b: mlp(x.mean((2, 3)) + x.amax((2, 3)), a, b).sigmoid()[:, :, None, None],
        "added before the layers",
    ),
    (
        "channel_gate",
        lambda x, a, b: sum(
            mlp(d, a, b).sigmoid()[:, :, None, None] for d in (x.mean((2, 3)), x.amax((2, 3)))
        ),
        "the gates are added",
    ),
    (
        "channel_gate",
        lambda x, a, b: (mlp(x.mean((2, 3)), a, b).sigmoid() * mlp(x.amax((2, 3)), a, b).sigmoid())[
            :, :, None, None
        ],
        "the gates are multiplied",
    ),
    ("channel_gate", lambda x, a, b: channel_gate(x, a, b).logit(), "sigmoid is missing"),
    ("channel_gate", lambda x, a, b: channel_gate(x, a, b).flatten(1), "two more axes"),
    (
        "channel_gate",
        lambda x, a, b: sum(d @ a.T @ b.T for d in (x.mean((2, 3)), x.amax((2, 3)))).sigmoid()[
            :, :, None, None
        ],
        "relu between",
    ),
    ("share", lambda *a: None, "nothing has been computed"),
    ("share", lambda g, i, j, n: share(g, j, i, n), "swapped"),
    ("share", lambda g, i, j, n: share(g, i, j, n) * g.sum((1, 2, 3)), "not divided"),
    ("share", lambda g, i, j, n: share(g, i, j, n) * g.sum((1, 2, 3)) / n**2, "mean of the gate"),
    ("share", lambda g, i, j, n: share(g, i, j, n) * g.mean((1, 2, 3)), "number of positions"),
    (
        "share",
        lambda g, i, j, n: share(g, i, j, n) * g.sum((1, 2, 3)) / g.sum(),
        "the whole batch",
    ),
    ("share", lambda g, i, j, n: share(g, i, j, n + 1), "one pixel too large"),
    ("share", lambda g, i, j, n: share(g, i, j, n).mean(), "share of its own"),
]


@pytest.mark.parametrize(("name", "answer", "message"), WRONG)
def test_wrong_answers_fail_and_are_named(name, answer, message):
    result = check(f"spatial.{name}", answer)
    assert not result
    assert message in result.message

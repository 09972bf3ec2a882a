from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from attn_utils import SEBlock, eca_kernel_size
from attn_utils.checks import check

RIGHT = {
    "parameters of SEBlock(96, 8)": 2304,
    "hidden units of SEBlock(8, 16)": 1,
    "kernel size of ECABlock(512)": 5,
    "shape of SEBlock(64).gate(x)": (4, 64, 1, 1),
    "shape of ECABlock(64)(x)": (4, 64, 14, 14),
}
COUNT, HIDDEN, KERNEL, GATE, OUT = RIGHT


def by_the_package(x, w1, w2):
    block = SEBlock(w1.shape[1], w1.shape[1] // w1.shape[0])
    block.load_state_dict({"fc1.weight": w1, "fc2.weight": w2})
    return block(x)


def excite(x, w1, w2, *, z=None, act=torch.relu, end=torch.sigmoid):
    z = x.mean((2, 3)) if z is None else z
    return x * end(act(z @ w1.T) @ w2.T)[:, :, None, None]


def roughness(x):
    return (x[..., 1:] - x[..., :-1]).abs().mean((2, 3))


def odd(size):
    return size if size % 2 else size + 1


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("channel.numbers", RIGHT),
        ("channel.numbers", RIGHT | {GATE: torch.Size([4, 64, 1, 1]), OUT: [4, 64, 14, 14]}),
        ("channel.numbers", RIGHT | {COUNT: np.int64(2304), KERNEL: 5.0}),
        ("channel.kernel_size", eca_kernel_size),
        ("channel.kernel_size", lambda c, g=2, b=1: int(abs((math.log2(c) + b) / g)) // 2 * 2 + 1),
        ("channel.excite", by_the_package),
        ("channel.excite", excite),
        ("channel.roughness", roughness),
        ("channel.roughness", lambda x: x.diff(dim=-1).abs().flatten(2).mean(-1)),
    ],
)
def test_right_answers_pass(name, answer):
    result = check(name, answer)
    assert result, result.message


def bare(c, gamma=2, b=1):
    return (math.log2(c) + b) / gamma


def no_axes(x, w1, w2):
    return x * torch.sigmoid(torch.relu(x.mean((2, 3)) @ w1.T) @ w2.T)


def gates(x, w1, w2):
    return torch.sigmoid(torch.relu(x.mean((2, 3)) @ w1.T) @ w2.T)


WRONG = [
    ("numbers", dict.fromkeys(RIGHT, ...), "no answer yet for 'parameters of SEBlock(96, 8)' (5"),
    ("numbers", (4, 64), "should be a dictionary"),
    ("numbers", RIGHT | {COUNT: 1152}, "one of the two matrices"),
    ("numbers", RIGHT | {COUNT: 2412}, "biases are counted"),
    ("numbers", RIGHT | {COUNT: 18432}, "no bottleneck"),
    ("numbers", RIGHT | {COUNT: [2304]}, "(2304,) is not right"),
    ("numbers", RIGHT | {HIDDEN: True}, "True is not right"),
    ("numbers", RIGHT | {HIDDEN: 0}, "there is always one"),
    ("numbers", RIGHT | {HIDDEN: 0.5}, "half a unit"),
    ("numbers", RIGHT | {KERNEL: 6}, "odd already"),
    ("numbers", RIGHT | {KERNEL: 9}, "add b = 1"),
    ("numbers", RIGHT | {KERNEL: 7}, "7 is not right"),
    ("numbers", RIGHT | {GATE: (4, 64)}, "two axes of length 1"),
    ("numbers", RIGHT | {GATE: (4, 64, 14, 14)}, "for a whole channel"),
    ("numbers", RIGHT | {GATE: 64}, "expected a tuple of 4 numbers"),
    ("numbers", RIGHT | {OUT: (4, 64, 1, 1)}, "that is the gate"),
    ("kernel_size", lambda c, g=2, b=1: None, "nothing has been computed"),
    ("kernel_size", lambda c, g=2, b=1: odd(round(abs(bare(c, g, b)))), "rounded"),
    ("kernel_size", lambda c, g=2, b=1: int(abs(bare(c, g, b))), "may still be even"),
    (
        "kernel_size",
        lambda c, g=2, b=1: (int(abs(bare(c, g, b))) + 1) // 2 * 2 - 1,
        "taking 1 away",
    ),
    ("kernel_size", lambda c, g=2, b=1: odd(int(abs((math.log(c) + b) / g))), "natural one"),
    ("kernel_size", lambda c, g=2, b=1: odd(int(abs(math.log2(c) / g + b))), "after the division"),
    ("kernel_size", lambda c, g=2, b=1: odd(int(bare(c))), "only their defaults"),
    ("kernel_size", lambda c, g=2, b=1: int(abs(bare(c, g, b))) + 1, "odd sizes as well"),
    ("kernel_size", lambda c, g=2, b=1: odd(int(bare(c, g, b))), "absolute value"),
    ("kernel_size", lambda c: 3, "your code stopped with TypeError"),
    ("kernel_size", lambda c, g=2, b=1: round(math.log(c)), "gives 0, it should be 1"),
    ("excite", lambda x, a, b: ..., "nothing has been computed"),
    ("excite", lambda x, a, b: x * x.mean(), "one number"),
    ("excite", lambda x, a, b: excite(x, a, b, act=lambda v: v), "ReLU between"),
    ("excite", lambda x, a, b: excite(x, a, b, end=lambda v: v), "sigmoid is missing"),
    ("excite", lambda x, a, b: excite(x, a, b, end=lambda v: v.softmax(1)), "softmax"),
    ("excite", lambda x, a, b: excite(x, a, b, end=lambda v: v.relu().sigmoid()), "at the end"),
    ("excite", no_axes, "lost its axes"),
    ("excite", gates, "you return the gates"),
    ("excite", lambda x, a, b: gates(x, a, b)[:, :, None, None], "you return the gates"),
    ("excite", lambda x, a, b: excite(x, a, b, z=x.sum((2, 3))), "adds up"),
    ("excite", lambda x, a, b: excite(x, a, b, z=x.amax((2, 3))), "maximum"),
    (
        "excite",
        lambda x, a, b: excite(x, a, b, z=x.mean((0, 2, 3)).expand(len(x), -1)),
        "over the batch",
    ),
    ("excite", lambda x, a, b: x + excite(x, a, b), "added to x"),
    ("excite", lambda x, a, b: x.mul_(2), "changed the caller's x"),
    ("excite", lambda x, a, b: x @ a, "your code stopped"),
    ("roughness", lambda x: None, "nothing has been computed"),
    ("roughness", lambda x: x.std((2, 3)), "standard deviation"),
    ("roughness", lambda x: x.diff(dim=-1).mean((2, 3)), "ups and downs cancel"),
    ("roughness", lambda x: x.diff(dim=-1).square().mean((2, 3)), "squared"),
    ("roughness", lambda x: x.diff(dim=-2).abs().mean((2, 3)), "neighbours below"),
    ("roughness", lambda x: x.diff(dim=-1).abs().sum((2, 3)), "added up"),
    ("roughness", lambda x: (x - x.roll(-1, -1)).abs().mean((2, 3)), "only real neighbours"),
    ("roughness", lambda x: x.diff(dim=-1).abs().mean((1, 2, 3)), "over the channels"),
    ("roughness", lambda x: x.diff(dim=-1).abs(), "you return the differences"),
]


@pytest.mark.parametrize(("name", "answer", "message"), WRONG)
def test_wrong_answers_fail_and_are_named(name, answer, message):
    result = check(f"channel.{name}", answer)
    assert not result
    assert message in result.message

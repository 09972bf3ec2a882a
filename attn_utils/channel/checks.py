"""Self-checks of chapter 10, Channel attention."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attn_utils.checks import Mistake, compare, compare_entries, exercise

_NUMBERS: dict[str, Any] = {
    "parameters of SEBlock(96, 8)": 2304,
    "hidden units of SEBlock(8, 16)": 1,
    "kernel size of ECABlock(512)": 5,
    "shape of SEBlock(64).gate(x)": (4, 64, 1, 1),
    "shape of ECABlock(64)(x)": (4, 64, 14, 14),
}
_NUMBER_MISTAKES: dict[str, dict[Any, str]] = {
    "parameters of SEBlock(96, 8)": {
        1152: "that is one of the two matrices",
        2412: "biases are counted: the block has none",
        18432: "there is no bottleneck in it: the hidden layer has 96 / 8 units",
        12: "that is the number of hidden units",
        1536: "the hidden layer has C / r = 12 units, not 8: the second argument is r",
    },
    "hidden units of SEBlock(8, 16)": {
        0: "8 // 16 is 0, and a block without hidden units is dead: there is always one",
        0.5: "half a unit cannot be: C // r is 0, and there is always one",
        2: "that is r / C: the bottleneck is C / r wide, and at least 1",
    },
    "kernel size of ECABlock(512)": {
        6: "(9 + 1) / 2 is 5, which is odd already: nothing is added",
        4: "kernel sizes are odd, or no weight would be in the middle",
        3: "log2(512) is 9, and (9 + 1) / 2 = 5",
        9: "that is log2(512): add b = 1, then divide by γ = 2",
        10: "that is log2(512) + 1: it is divided by γ = 2",
    },
    "shape of SEBlock(64).gate(x)": {
        (4, 64): "two axes of length 1 are missing, without which it could not multiply x",
        (64, 1, 1): "the batch axis is missing: each picture has its own gates",
        (4, 64, 14, 14): "there is one gate for a whole channel, not for each position",
        (4, 1, 14, 14): "that is a gate for each position: spatial attention, in chapter 11",
        (4, 4, 1, 1): "that is the hidden layer: one gate is needed for each channel",
    },
    "shape of ECABlock(64)(x)": {
        (4, 64, 1, 1): "that is the gate: the block returns the gated picture",
        (4, 64): "that is as many numbers as gates: the block returns the gated picture",
        (4, 62, 14, 14): "the means are padded with zeros, so that no channel is lost",
    },
}


@exercise("channel.numbers")
def _check_numbers(answers: Any) -> None:
    """Exercise 10.1: counts and shapes."""
    mistakes = {
        name: {wrong: f"{name}: {reason}" for wrong, reason in known.items()}
        for name, known in _NUMBER_MISTAKES.items()
    }
    compare_entries(answers, _NUMBERS, mistakes, "count again, axis by axis")


def _odd(size: int) -> int:
    return size if size % 2 else size + 1


@exercise("channel.kernel_size")
def _check_kernel_size(kernel_size: Callable[..., Any]) -> None:
    """Exercise 10.2: the kernel size of ECA."""
    cases = [(c, 2, 1) for c in (1, 7, 8, 64, 127, 128, 256, 512, 1024, 2047, 2048)]
    cases += [(64, 1, 0), (64, 3, 2), (256, 2, 5), (64, -2, 1)]
    wanted: list[float] = []
    got: list[Any] = []
    bare: list[float] = []
    for channels, gamma, b in cases:
        size = kernel_size(channels, gamma, b)
        if size is None or size is Ellipsis:
            raise Mistake(f"the kernel size is {size}: nothing has been computed yet")
        got.append(size)
        bare.append((math.log2(channels) + b) / gamma)
        wanted.append(_odd(int(abs(bare[-1]))))
    mistakes: dict[str, list[float]] = {
        "the result is rounded: truncate it, as int does": [_odd(round(abs(v))) for v in bare],
        "even sizes are made odd by taking 1 away: add 1": (
            [v if v % 2 else v - 1 for v in (int(abs(v)) for v in bare)]
        ),
        "sizes may still be even: add 1 to those": [int(abs(v)) for v in bare],
        "the logarithm is the natural one: it should have base 2": (
            [_odd(int(abs((math.log(c) + b) / g))) for c, g, b in cases]
        ),
        "b is added after the division: (log2 C + b) / γ": (
            [_odd(int(abs(math.log2(c) / g + b))) for c, g, b in cases]
        ),
        "γ and b are not used: 2 and 1 are only their defaults": (
            [_odd(int((math.log2(c) + 1) / 2)) for c, _, _ in cases]
        ),
        "1 is added to odd sizes as well: only even ones need it": [int(abs(v)) + 1 for v in bare],
        "the absolute value is missing: a negative γ would give a negative size": (
            [_odd(int(v)) for v in bare]
        ),
    }
    for message, wrong in mistakes.items():
        if got == wrong and wrong != wanted:
            raise Mistake(message)
    for (channels, gamma, b), size, want in zip(cases, got, wanted, strict=True):
        if size != want:
            call = f"kernel_size({channels}, {gamma}, {b})"
            raise Mistake(f"{call} gives {size}, it should be {want}")


def _gated(x: Tensor, z: Tensor, W_1: Tensor, W_2: Tensor) -> Tensor:
    return x * torch.sigmoid(torch.relu(z @ W_1.T) @ W_2.T)[:, :, None, None]


@exercise("channel.excite")
def _check_excite(excite: Callable[[Tensor, Tensor, Tensor], Any]) -> None:
    """Exercise 10.3: squeeze and excitation from memory."""
    generator = torch.Generator().manual_seed(10)
    # B = Height and C = Width, so that a gate without its two last axes runs as well
    x = torch.randn(3, 6, 3, 6, generator=generator) + 0.5
    W_1 = torch.tensor([[1.0], [-1.0], [0.5]]) * torch.rand(3, 6, generator=generator)
    W_2 = torch.randn(6, 3, generator=generator)
    got = excite(x, W_1, W_2)
    z = x.mean(dim=(2, 3))
    e = torch.relu(z @ W_1.T) @ W_2.T
    s = torch.sigmoid(e)
    compare(
        got,
        _gated(x, z, W_1, W_2),
        "the result",
        {
            "the ReLU between the two products is missing": (
                x * torch.sigmoid(z @ W_1.T @ W_2.T)[:, :, None, None]
            ),
            "the sigmoid is missing: gates should be between 0 and 1": x * e[:, :, None, None],
            "the gates come from a softmax: each channel should have a sigmoid of its own": (
                x * e.softmax(dim=1)[:, :, None, None]
            ),
            "there is a ReLU at the end too: the gates come from a sigmoid alone": (
                x * torch.sigmoid(torch.relu(e))[:, :, None, None]
            ),
            "the gate has lost its axes: (B, C) met (Height, Width); append two of length 1": (
                x * s if s.shape == x.shape[2:] else x
            ),
            "you return the gates: they still have to multiply x": s[:, :, None, None],
            "you return the gates, as (B, C): they still have to multiply x": s,
            "the squeeze adds up: it should be a mean": _gated(x, x.sum(dim=(2, 3)), W_1, W_2),
            "the squeeze takes the maximum: it should be the mean": (
                _gated(x, x.amax(dim=(2, 3)), W_1, W_2)
            ),
            "the mean runs over the batch too: each picture has its own gates": (
                _gated(x, x.mean(dim=(0, 2, 3)).expand(3, 6), W_1, W_2)
            ),
            "the gated picture is added to x: it should only be multiplied": (
                x + _gated(x, z, W_1, W_2)
            ),
            "everything is multiplied by one number, the mean of all of x": x * x.mean(),
        },
    )
    x = torch.randn(2, 6, 5, 4, generator=generator)
    want = _gated(x, x.mean(dim=(2, 3)), W_1, W_2)
    compare(excite(x, W_1, W_2), want, "the result for pictures of 5 by 4")


@exercise("channel.roughness")
def _check_roughness(roughness: Callable[[Tensor], Any]) -> None:
    """Exercise 10.4: the mean absolute difference of neighbours."""
    generator = torch.Generator().manual_seed(11)
    x = torch.rand(2, 3, 5, 4, generator=generator)
    right = x[..., 1:] - x[..., :-1]
    below = x[:, :, 1:] - x[:, :, :-1]
    compare(
        roughness(x),
        right.abs().mean(dim=(2, 3)),
        "the squeeze",
        {
            "that is the standard deviation, which shuffling the pixels does not change": (
                x.std(dim=(2, 3))
            ),
            "the absolute value is missing: ups and downs cancel": right.mean(dim=(2, 3)),
            "the differences are squared: take their absolute value": (
                right.square().mean(dim=(2, 3))
            ),
            "these are the neighbours below: the right one differs by 1 in the last axis": (
                below.abs().mean(dim=(2, 3))
            ),
            "the differences are added up: take their mean": right.abs().sum(dim=(2, 3)),
            "the last pixel of a row is compared with the first: only real neighbours count": (
                (x - x.roll(-1, dims=-1)).abs().mean(dim=(2, 3))
            ),
            "the mean runs over the channels too: each needs a number of its own": (
                right.abs().mean(dim=(1, 2, 3))
            ),
            "you return the differences: their mean over height and width is missing": right.abs(),
        },
    )

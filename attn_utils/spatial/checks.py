"""Self-checks of chapter 11, Spatial attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from attn_utils.checks import compare, compare_entries, exercise

_SHAPES: dict[str, Any] = {
    "channel gate": (2, 32, 1, 1),
    "maps": (2, 2, 15, 15),
    "spatial gate": (2, 1, 15, 15),
    "output": (2, 32, 15, 15),
    "parameters": 354,
}
_SHAPE_MISTAKES: dict[str, dict[Any, str]] = {
    "channel gate": {
        (2, 32): "channel gate: to multiply (B, C, H, W) it needs two more axes, of size 1",
        (2, 1, 15, 15): "channel gate: that is the spatial one; this has a number for each channel",
        (2, 4, 1, 1): "channel gate: 4 is the hidden width; the second layer leads back to 32",
        (32, 1, 1): "channel gate: each image has gates of its own, the batch axis is missing",
    },
    "maps": {
        (2, 32, 15, 15): "maps: the channels are squeezed to two numbers for each position",
        (2, 1, 15, 15): "maps: there are two, the mean and the maximum",
        (2, 64, 15, 15): "maps: mean and maximum run over the channels, 2 numbers are left",
    },
    "spatial gate": {
        (2, 32, 1, 1): "spatial gate: that is the channel one; this has a number for each position",
        (2, 15, 15): "spatial gate: the channel axis stays, with size 1, so that it broadcasts",
        (2, 2, 15, 15): "spatial gate: the convolution makes one map of the two",
        (2, 1, 9, 9): "spatial gate: with padding 3 the 7 × 7 convolution keeps the size",
    },
    "output": {(2, 1, 15, 15): "output: a gate multiplies the features, their shape stays"},
    "parameters": {
        256: "parameters: those are the channel attention's; the kernel is missing",
        98: "parameters: those are the kernel's; the two layers are missing",
        305: "parameters: the kernel has two input maps, 2 · 49 weights",
        355: "parameters: the convolution has no bias",
        391: "parameters: there are no biases",
        226: "parameters: there are two layers, 32 → 4 and 4 → 32",
        610: "parameters: mean and maximum share their two layers; count them once",
    },
}


@exercise("spatial.shapes")
def _check_shapes(answers: Any) -> None:
    """Exercise 11.1: the shapes inside CBAM."""
    compare_entries(answers, _SHAPES, _SHAPE_MISTAKES, "follow the axes (B, C, H, W) through")


def _gate(maps: Tensor, kernel: Tensor) -> Tensor:
    return F.conv2d(maps, kernel, padding=kernel.shape[-1] // 2).sigmoid()


@exercise("spatial.gate")
def _check_gate(gate: Callable[[Tensor, Tensor], Any]) -> None:
    """Exercise 11.2: mean and maximum over the channels, convolution, sigmoid."""
    generator = torch.Generator().manual_seed(11)
    # B == C, so that a reduction over the batch has the right shape
    x = torch.randn(4, 4, 9, 7, generator=generator)
    kernel = 0.3 * torch.randn(1, 2, 5, 5, generator=generator)
    mean, most = x.mean(1), x.amax(1)
    maps = torch.stack([mean, most], 1)
    narrow = F.conv2d(maps, kernel).sigmoid()
    batch = torch.stack([x.mean(0), x.amax(0)], 1)
    compare(
        gate(x, kernel),
        _gate(maps, kernel),
        "the gate",
        {
            "the kernel is flipped: PyTorch slides it over the maps as it is": (
                _gate(maps, kernel.flip(2, 3))
            ),
            "the maps are in the order [max, mean]; here it is [mean, max]": (
                _gate(maps.flip(1), kernel)
            ),
            "mean and maximum run over the batch (dim=0): images must not mix": (
                _gate(batch, kernel)
            ),
            "only the mean is used: both input maps are it": (
                _gate(torch.stack([mean, mean], 1), kernel)
            ),
            "only the maximum is used: both input maps are it": (
                _gate(torch.stack([most, most], 1), kernel)
            ),
            "no kernel is used: that is the sigmoid of the mean": mean[:, None].sigmoid(),
            "the sum over the channels is used in place of the mean": (
                _gate(torch.stack([x.sum(1), most], 1), kernel)
            ),
            "the map is smaller than the image: pad by half the kernel": narrow,
            "the sigmoid is missing: a gate lies between 0 and 1": (
                F.conv2d(maps, kernel, padding=2)
            ),
            "a softmax over the positions is no gate: each position is squashed by itself": (
                F.conv2d(maps, kernel, padding=2).flatten(1).softmax(-1).view(4, 1, 9, 7)
            ),
            "the channel axis is missing: keep it with size 1": _gate(maps, kernel)[:, 0],
            "you return the features times the gate; the gate alone is asked for": (
                x * _gate(maps, kernel)
            ),
        },
    )
    kernel = torch.randn(1, 2, 3, 3, generator=generator)
    x = torch.randn(2, 3, 5, 5, generator=generator)
    maps = torch.stack([x.mean(1), x.amax(1)], 1)
    compare(gate(x, kernel), _gate(maps, kernel), "the gate with a 3 × 3 kernel")


@exercise("spatial.channel_gate")
def _check_channel_gate(gate: Callable[[Tensor, Tensor, Tensor], Any]) -> None:
    """Exercise 11.3: two descriptors through the same two layers."""
    generator = torch.Generator().manual_seed(12)
    x = torch.randn(3, 6, 4, 5, generator=generator)
    w1, w2 = (torch.randn(*shape, generator=generator) for shape in ((2, 6), (6, 2)))

    def mlp(d: Tensor, relu: bool = True) -> Tensor:
        hidden = F.linear(d, w1)
        return F.linear(hidden.relu() if relu else hidden, w2)

    def full(scores: Tensor) -> Tensor:
        return scores.sigmoid()[:, :, None, None]

    mean, most = x.mean((2, 3)), x.amax((2, 3))
    want = full(mlp(mean) + mlp(most))
    compare(
        gate(x, w1, w2),
        want,
        "the gate",
        {
            "only the mean is used: that is squeeze-and-excitation": full(mlp(mean)),
            "only the maximum is used": full(mlp(most)),
            "the descriptors are added before the layers: the relu makes a difference": (
                full(mlp(mean + most))
            ),
            "the gates are added, not the scores: numbers up to 2 come out": (
                full(mlp(mean)) + full(mlp(most))
            ),
            "the gates are multiplied: add the scores, then squash once": (
                full(mlp(mean)) * full(mlp(most))
            ),
            "the gates are averaged: add the scores, then squash once": (
                (full(mlp(mean)) + full(mlp(most))) / 2
            ),
            "the scores are averaged: they are to be added": full((mlp(mean) + mlp(most)) / 2),
            "the relu between the layers is missing": full(mlp(mean, False) + mlp(most, False)),
            "the sigmoid is missing: a gate lies between 0 and 1": (
                (mlp(mean) + mlp(most))[:, :, None, None]
            ),
            "a softmax over the channels is no gate: each channel is squashed by itself": (
                (mlp(mean) + mlp(most)).softmax(1)[:, :, None, None]
            ),
            "the sum over the positions is used in place of the mean": (
                full(mlp(x.sum((2, 3))) + mlp(most))
            ),
            "the shape is (B, C): the gate needs two more axes to multiply x": want[:, :, 0, 0],
        },
    )


@exercise("spatial.share")
def _check_share(share: Callable[[Tensor, Tensor, Tensor, int], Any]) -> None:
    """Exercise 11.4: how much of the gate lies in the box."""
    generator = torch.Generator().manual_seed(13)
    gate = torch.rand(3, 1, 8, 8, generator=generator)
    top, left, size = torch.tensor([0, 4, 2]), torch.tensor([3, 1, 5]), 3

    def parts(rows: Tensor, columns: Tensor, extra: int = 0) -> Tensor:
        end = size + extra
        return torch.stack(
            [
                g[i : i + end, j : j + end].sum()
                for g, i, j in zip(gate[:, 0], rows.tolist(), columns.tolist(), strict=True)
            ]
        )

    inside, totals = parts(top, left), gate.sum((1, 2, 3))
    want = inside / totals
    compare(
        share(gate, top, left, size),
        want,
        "the share",
        {
            "rows and columns are swapped: top counts rows": parts(left, top) / totals,
            "the sum in the box is not divided by the sum of the whole gate": inside,
            "that is the mean of the gate in the box, not its share": inside / size**2,
            "the sum in the box is divided by the number of positions, not by the gate's sum": (
                inside / 64
            ),
            "divide by each image's own sum, not by that of the whole batch": inside / gate.sum(),
            "the mean in the box is divided by the mean of the whole: that is a ratio to chance": (
                want / (size**2 / 64)
            ),
            "the box is one pixel too large: it ends before top + size": (
                parts(top, left, 1) / totals
            ),
            "one number is returned for the batch; each image has a share of its own": want.mean(),
        },
    )
    even = torch.full((2, 1, 6, 6), 0.5)
    corner = torch.zeros(2, dtype=torch.long)
    got = share(even, corner, corner, 2)
    compare(got, torch.full((2,), 4 / 36), "the share of a gate of one half everywhere")

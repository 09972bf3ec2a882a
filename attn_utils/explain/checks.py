"""Self-checks of chapter 13, Reading attention."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attn_utils.checks import Mistake, compare, compare_entries, exercise

_RECORDING: dict[str, Any] = {
    "length of the list": 6,
    "shape of an entry": (5, 3, 65, 65),
    "sum of all its numbers": 975,
    "shape of the rollout": (5, 65, 65),
    "grid of the class token's map": (8, 8),
}
_RECORDING_MISTAKES: dict[str, dict[Any, str]] = {
    "length of the list": {
        18: "length of the list: one tensor for each layer; the heads lie inside it",
        30: "length of the list: one tensor for each layer; the batch lies inside it",
    },
    "shape of an entry": {
        (5, 3, 64, 64): "shape of an entry: the class token is missing, it is a token like others",
        (3, 5, 65, 65): "shape of an entry: the batch comes first, then the heads",
        (5, 65, 65): "shape of an entry: each head has a matrix of its own",
        (5, 3, 17, 17): "shape of an entry: that is the chapter's model; 32 / 4 = 8 patches a side",
        (5, 3, 1, 65): "shape of an entry: all tokens ask, not only the class token",
    },
    "sum of all its numbers": {
        65: "sum of all its numbers: that is one head of one image",
        195: "sum of all its numbers: that is one image; there are 5",
        15: "sum of all its numbers: each row sums to 1, not each matrix",
        960: "sum of all its numbers: 64 rows of each matrix; the class token has a row as well",
        1: "sum of all its numbers: that is a single row",
    },
    "shape of the rollout": {
        (5, 3, 65, 65): "shape of the rollout: the heads are fused before the product",
        (65, 65): "shape of the rollout: each image has its own",
        (5, 65): "shape of the rollout: that is its first row; all tokens have one",
        (5, 64): "shape of the rollout: that is the class token's map; the rollout has all rows",
        (5, 64, 64): "shape of the rollout: the class token is missing",
    },
    "grid of the class token's map": {
        (4, 4): "grid of the class token's map: a patch has 4 × 4 pixels; how many fit into 32?",
        (32, 32): "grid of the class token's map: one number for each patch, not for each pixel",
        (65, 65): "grid of the class token's map: its row without its weight on itself, as a grid",
    },
}


@exercise("explain.recording")
def _check_recording(answers: Any) -> None:
    """Exercise 13.1: what is recorded, and its shapes."""
    compare_entries(answers, _RECORDING, _RECORDING_MISTAKES, "count patches, then tokens")


def _weights(seed: int, *shape: int, zeros: bool = False) -> Tensor:
    """Attention weights whose rows sum to 1; with zeros, a third of them is exactly 0."""
    generator = torch.Generator().manual_seed(seed)
    scores = 2 * torch.randn(*shape, generator=generator)
    if zeros:
        hidden = torch.rand(*shape, generator=generator) < 1 / 3
        hidden[..., 0] = False  # no row is empty
        scores = scores.masked_fill(hidden, -math.inf)
    return scores.softmax(dim=-1)


def _entropy(p: Tensor) -> Tensor:
    entropy: Tensor = torch.special.entr(p).sum(-1)
    return entropy


def _compare(got: Any, want: Tensor, what: str, mistakes: dict[str, Tensor]) -> None:
    """Compare, leaving out the mistakes that make no difference for these inputs."""
    telling = {
        message: wrong
        for message, wrong in mistakes.items()
        if wrong.shape != want.shape or not torch.allclose(wrong, want, atol=1e-3)
    }
    compare(got, want, what, telling)


@exercise("explain.effective")
def _check_effective(effective: Callable[[Tensor], Any]) -> None:
    """Exercise 13.2: over how many tokens the class token's attention is spread."""
    for zeros in (False, True):
        weights = _weights(1, 3, 2, 5, 5, zeros=zeros)
        nats = _entropy(weights)  # (B, H, S)
        row = nats[:, :, 0]
        got = effective(weights.clone())
        if isinstance(got, Tensor) and got.isnan().any():
            raise Mistake("there is NaN in it: 0 · log 0 has to count as 0")
        _compare(
            got,
            row.exp(),
            "the effective number of tokens" + " with weights of 0" * zeros,
            {
                "that is the entropy in bits; the number of tokens is 2 to its power": (
                    row / math.log(2)
                ),
                "that is the entropy; the number of tokens is e to its power (or, of bits, 2)": row,
                "natural logarithms go with exp, not with 2 ** …": 2**row,
                "logarithms to base 2 go with 2 ** …, not with exp": (row / math.log(2)).exp(),
                "the sign of the entropy is wrong: the result is below 1": (-row).exp(),
                "you average over all rows: the class token's row is the first one": (
                    nats.mean(-1).exp()
                ),
                "you average over all rows: only the class token's row, the first one, counts": (
                    nats.exp().mean(-1)
                ),
                "that is every row's number; only the class token's row, the first, is asked for": (
                    nats.exp()
                ),
                "that is every row's entropy in bits; asked for is 2 to its power, for the class "
                "token's row": nats / math.log(2),
                "that is column 0: how the tokens look at the class token; its own look is row 0": (
                    _entropy(weights[:, :, :, 0]).exp()
                ),
                "the class token's weight on itself is left out: it is a token too": (
                    _entropy(weights[:, :, 0, 1:]).exp()
                ),
                "the heads are averaged first, which blurs them: one number for each head": (
                    _entropy(weights.mean(1)[:, 0]).exp()[:, None].expand_as(row)
                ),
            },
        )


def _product(layers: list[Tensor], latest_left: bool = True) -> Tensor:
    product = layers[0]
    for layer in layers[1:]:
        product = layer @ product if latest_left else product @ layer
    return product


@exercise("explain.rollout")
def _check_rollout(rollout: Callable[[list[Tensor], float], Any]) -> None:
    """Exercise 13.3: rollout with a residual share to choose."""
    for residual, shape in ((0.3, (2, 3, 4, 4)), (0.5, (1, 2, 6, 6))):
        weights = [_weights(seed, *shape) for seed in range(3)]
        identity = torch.eye(shape[-1])
        means = [w.mean(1) for w in weights]
        mixed = [(1 - residual) * A + residual * identity for A in means]
        swapped = [residual * A + (1 - residual) * identity for A in means]
        heads = [(1 - residual) * w + residual * identity for w in weights]
        got = rollout([w.clone() for w in weights], residual)
        _compare(
            got,
            _product(mixed),
            f"the rollout with residual = {residual}",
            {
                "the layers are in the wrong order: the later one stands on the left": (
                    _product(mixed, latest_left=False)
                ),
                "the shares are exchanged: r belongs to the identity, 1 - r to attention": (
                    _product(swapped)
                ),
                "the identity is missing: that is the plain product of the layers": _product(means),
                "residual is not used: half and half whatever it is": (
                    _product([(A + identity) / 2 for A in means])
                ),
                "the identity is added to the whole attention, which should count (1 - r) only": (
                    _product([A + residual * identity for A in means])
                ),
                "that is the last layer only": means[-1],
                "that is the last layer only, with its residual share": mixed[-1],
                "that is the first layer only": mixed[0],
                "the layers are averaged: they follow each other, so multiply": (
                    torch.stack(mixed).mean(0)
                ),
                "the heads are summed instead of averaged": (
                    _product([(1 - residual) * w.sum(1) + residual * identity for w in weights])
                ),
                "the heads are fused by their maximum instead of their mean": (
                    _product([(1 - residual) * w.amax(1) + residual * identity for w in weights])
                ),
                "the heads are multiplied separately and averaged at the end: fuse them in each "
                "layer": _product(heads).mean(1),
                "the columns are normalised: divide rows, or nothing, since they sum to 1": (
                    _product([M / M.sum(-2, keepdim=True) for M in mixed])
                ),
                "it is transposed: row i tells what output token i is made of": _product(mixed).mT,
                "that is the class token's row; all rows are asked for": _product(mixed)[:, 0],
            },
        )


def _spread(grid: Tensor) -> Tensor:
    """One number for each of 16 patches -> one for each of 8 × 8 pixels."""
    return grid.view(-1, 1, 4, 4).repeat_interleave(2, 2).repeat_interleave(2, 3)


@exercise("explain.keep")
def _check_keep(keep: Callable[[Tensor, Tensor, int, Tensor], Any]) -> None:
    """Exercise 13.4: keep the highest patches, fill the others."""
    generator = torch.Generator().manual_seed(13)
    x = 0.1 + torch.rand(3, 1, 8, 8, generator=generator)
    fill = 2 + torch.rand(1, 8, 8, generator=generator)
    ranking = torch.rand(3, 16, generator=generator)
    for count in (5, 0, 16, 1):
        order = ranking.argsort(1, descending=True)
        rank = order.argsort(1)

        def mixed(kept: Tensor, other: Tensor = fill) -> Tensor:
            return torch.where(_spread(kept.float()) > 0, x, other)

        tiled = (rank < count).view(-1, 1, 4, 4).repeat(1, 1, 2, 2)
        _compare(
            keep(x.clone(), ranking.clone(), count, fill.clone()),
            mixed(rank < count),
            f"the images with {count} patches kept",
            {
                "that is deletion: the highest patches should stay, the others go": (
                    mixed(rank >= count)
                ),
                "the lowest patches are kept: sort in descending order": mixed(rank >= 16 - count),
                "argsort once says which patch has a rank; you need which rank a patch has, "
                "the argsort of that": mixed(order < count),
                "one patch too many: ranks count from 0, so `rank < count`": mixed(rank <= count),
                "the others should come from fill, not be 0": mixed(rank < count, fill * 0),
                "the mask is tiled: each patch should cover 2 × 2 pixels side by side "
                "(repeat_interleave, not repeat)": torch.where(tiled, x, fill),
                "rows and columns of the grid are exchanged": (
                    mixed((rank < count).view(-1, 4, 4).mT.reshape(-1, 16))
                ),
                "every image gets the first one's patches: rank each image by itself": (
                    mixed((rank < count)[:1].expand(3, 16))
                ),
                "nothing is replaced": x,
            },
        )

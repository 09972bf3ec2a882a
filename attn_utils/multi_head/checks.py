"""Self-checks of chapter 7, Multi-head attention."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attn_utils.checks import Mistake, compare, compare_entries, exercise

_SHAPES: dict[str, Any] = {
    "queries": (2, 4, 5, 16),
    "keys": (2, 4, 7, 16),
    "weights": (2, 4, 5, 7),
    "output": (2, 5, 64),
    "parameters": 16_384,
}
_SHAPE_MISTAKES: dict[str, dict[Any, str]] = {
    "queries": {
        (2, 5, 64): "queries: that is before the cut; give each head its slice",
        (2, 5, 4, 16): "queries: the heads still stand behind the positions; transpose them",
        (2, 4, 5, 64): "queries: a head sees a slice of width D / H, not the whole width",
        (2, 16, 5, 4): "queries: there are 4 heads of width 16, not 16 of width 4",
        (8, 5, 16): "queries: heads folded into the batch; keep them as an axis of their own",
    },
    "keys": {
        (2, 7, 64): "keys: that is before the cut; give each head its slice",
        (2, 4, 5, 16): "keys: there are as many as in the other sequence, 7",
        (2, 7, 4, 16): "keys: the heads still stand behind the positions; transpose them",
        (
            2,
            4,
            16,
            7,
        ): "keys: that is the transposed matrix inside the score; before it, (B, H, S, d)",
        (2, 4, 7, 64): "keys: a head sees a slice of width D / H, not the whole width",
    },
    "weights": {
        (2, 5, 7): "weights: each head has a matrix of its own; the axis of the heads is missing",
        (2, 4, 7, 5): "weights: a row for each query and a column for each key",
        (2, 4, 5, 5): "weights: keys come from the other sequence, and there are 7",
        (2, 4, 7, 7): "weights: a row for each query, and there are 5",
        (2, 4, 5, 16): "weights: those are the queries; a weight belongs to a query and a key",
    },
    "output": {
        (2, 7, 64): "output: one for each query, not for each key",
        (2, 4, 5, 16): "output: the heads have to be joined again",
        (2, 5, 16): "output: all heads side by side are as wide as the layer",
    },
    "parameters": {
        12_288: "parameters: the output matrix W_o is missing",
        65_536: "parameters: the heads are slices of shared matrices, so H does not count",
        4096: "parameters: there are four such matrices",
        16_640: "parameters: the layer has no biases here",
        1024: "parameters: the matrices are D by D, all heads together",
    },
}


@exercise("multi_head.shapes")
def _check_shapes(answers: Any) -> None:
    """Exercise 7.1: the shapes inside the layer."""
    compare_entries(answers, _SHAPES, _SHAPE_MISTAKES, "follow batch, heads and tokens through")


def _split(x: Tensor, H: int) -> Tensor:
    return x.reshape(*x.shape[:-1], H, -1).transpose(1, 2)  # (B, n, D) -> (B, H, n, d)


def _join(heads: Tensor) -> Tensor:
    return heads.transpose(1, 2).flatten(2)  # (B, H, n, d) -> (B, n, D)


def _interleaved(x: Tensor, H: int) -> Tensor:
    return x.reshape(*x.shape[:-1], -1, H).permute(0, 3, 1, 2)  # head h takes every H-th number


@exercise("multi_head.attend")
def _check_attend(multi_head: Callable[..., Any]) -> None:
    """Exercise 7.2: multi-head self-attention from memory."""
    generator = torch.Generator().manual_seed(7)
    # B = H = 3, so that heads and examples can be mixed up without an error
    B, n, D, H = 3, 5, 12, 3
    x = torch.randn(B, n, D, generator=generator)
    W_q, W_k, W_v, W_o = torch.randn(4, D, D, generator=generator) / 2

    def attend(
        cut: Callable[[Tensor, int], Tensor] = _split,
        joined: Callable[[Tensor], Tensor] = _join,
        scale: float = 1 / math.sqrt(D / H),
        dim: int = -1,
        heads: int = H,
        onward: Tensor = W_o,
        inward: tuple[Tensor, Tensor, Tensor] = (W_q, W_k, W_v),
    ) -> Tensor:
        q, k, v = (cut(x @ W, heads) for W in inward)
        weights = (q @ k.transpose(-2, -1) * scale).softmax(dim=dim)
        return joined(weights @ v) @ onward

    def uncut(y: Tensor, H: int) -> Tensor:
        return y.reshape(B, H, n, -1)

    def unjoined(heads: Tensor) -> Tensor:
        return heads.reshape(B, n, D)

    root_D = 1 / math.sqrt(D)
    split_wrongly = (
        "the cut has the right shape but mixes positions: unflatten the width first, then transpose"
    )
    compare(
        multi_head(x, W_q, W_k, W_v, W_o, H),
        attend(),
        "the output",
        {
            split_wrongly: attend(uncut, unjoined),
            f"{split_wrongly} (and the scale is 1/√D, not 1/√d)": attend(uncut, unjoined, root_D),
            f"{split_wrongly}; only the joining is right": attend(uncut),
            "the heads are joined without the transpose back: positions and heads get mixed": (
                attend(joined=unjoined)
            ),
            "the scale is 1/√D, the width of all heads; it should be 1/√d, the width of one": (
                attend(scale=root_D)
            ),
            "the scores are not divided: the scale 1/√d is missing": attend(scale=1.0),
            "the scores are divided by √H: the scale is the root of a head's width": (
                attend(scale=1 / math.sqrt(H))
            ),
            "the output matrix W_o is missing": attend(onward=torch.eye(D)),
            "W_o is transposed: row vectors are multiplied from the left, heads @ W_o": (
                attend(onward=W_o.T)
            ),
            "the matrices are used as nn.Linear stores them; here x @ W, without a transpose": (
                attend(inward=(W_q.T, W_k.T, W_v.T), onward=W_o.T)
            ),
            "the projections are transposed: row vectors are multiplied from the left, x @ W": (
                attend(inward=(W_q.T, W_k.T, W_v.T))
            ),
            "queries and keys are exchanged: a row of the scores belongs to a query": (
                attend(inward=(W_k, W_q, W_v))
            ),
            "the values are the keys: they have a matrix of their own, W_v": (
                attend(inward=(W_q, W_k, W_k))
            ),
            "there is only one head of the full width: cut the projections into num_heads slices": (
                attend(heads=1, scale=root_D)
            ),
            "the softmax runs over the queries: each query's weights (a row) must sum to 1": (
                attend(dim=-2)
            ),
            "the softmax runs over the heads: its axis is the last one, the keys": attend(dim=1),
            "a head takes every H-th number: it should take d numbers that stand together": (
                attend(_interleaved)
            ),
        },
    )
    compare(
        multi_head(x[:2, :4], W_q, W_k, W_v, W_o, 6),
        _attend_again(x[:2, :4], W_q, W_k, W_v, W_o, 6),
        "the output for 2 sequences of 4 tokens and 6 heads",
    )


def _attend_again(x: Tensor, W_q: Tensor, W_k: Tensor, W_v: Tensor, W_o: Tensor, H: int) -> Tensor:
    q, k, v = (_split(x @ W, H) for W in (W_q, W_k, W_v))
    return _join((q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(-1) @ v) @ W_o


@exercise("multi_head.fold_mask")
def _check_fold_mask(fold_mask: Callable[[Tensor, int, int], Any]) -> None:
    """Exercise 7.3: (B, T, S) or (T, S) -> (B·H, T, S), heads of an example together."""
    generator = torch.Generator().manual_seed(7)
    cases = [(2, 2, 4, 5), (3, 3, 3, 3), (2, 4, 3, 6), (1, 3, 2, 2)]
    for batch, heads, T, S in cases:
        mask = torch.rand(batch, T, S, generator=generator) < 0.6
        want = torch.stack([mask[b] for b in range(batch) for _ in range(heads)])
        got = _boolean(fold_mask(mask, heads, batch), "the mask")
        if got.shape == mask.shape and batch * heads != batch:
            raise Mistake(f"the mask is still {tuple(got.shape)}: repeat it for each head")
        compare(
            got.int(),
            want.int(),
            f"the mask for B = {batch}, H = {heads}",
            {
                "the order is 1 2 1 2: `.repeat` puts the examples in turn; each example's heads "
                "stand together, 1 1 2 2 (repeat_interleave)": mask.repeat(heads, 1, 1).int(),
                "the heads are an axis of their own; fold them into the batch, (B·H, T, S)": (
                    mask[:, None].expand(-1, heads, -1, -1).int()
                ),
                "the polarity has changed: True should stay True": (~want).int(),
                "the queries are repeated, not the examples": (
                    mask.repeat_interleave(heads, 1).int()
                ),
            }
            if batch > 1
            else {},
        )
    shared = torch.ones(3, 4, dtype=torch.bool).tril()
    got = _boolean(fold_mask(shared, 2, 3), "the mask from (T, S)")
    if got.shape == (2, 3, 4):
        raise Mistake("a mask (T, S) holds for all examples: it is repeated B·H times, not H times")
    compare(got.int(), shared.expand(6, 3, 4).int(), "the mask from (T, S)")


def _boolean(got: Any, what: str) -> Tensor:
    if got is None or got is Ellipsis:
        raise Mistake(f"{what} is {got}: nothing has been computed yet")
    if not isinstance(got, Tensor):
        raise Mistake(f"{what} should be a tensor, not {type(got).__name__}")
    if got.dtype != torch.bool:
        raise Mistake(f"{what} should be boolean (True = may be attended), not {got.dtype}")
    return got


@exercise("multi_head.without_each")
def _check_without_each(without_each: Callable[[Tensor, Tensor, Tensor], Any]) -> None:
    """Exercise 7.4: the accuracy with each head muted."""
    generator = torch.Generator().manual_seed(11)
    N, H, C = 240, 4, 5
    labels = torch.randint(C, (N,), generator=generator)
    given = torch.randn(N, H, C, generator=generator)
    # heads of different worth, in no order, and a bias that matters
    right = torch.nn.functional.one_hot(labels, C)[:, None]  # (N, 1, C)
    given += torch.tensor([1.0, 2.2, 0.3, 1.6])[:, None] * right
    bias = torch.tensor([0.0, 1.5, -1.0, 0.5, -0.5])

    def share(logits: Tensor) -> Tensor:  # (N, H, C) -> (H,)
        return (logits.argmax(dim=-1) == labels[:, None]).double().mean(dim=0)

    total = given.sum(dim=1, keepdim=True)  # (N, 1, C)
    want = share(bias + total - given)
    everybody = share(bias + total)
    compare(
        without_each(given, bias, labels),
        want,
        "the accuracies",
        {
            "that is the accuracy of each head alone; mute one and keep the others": (
                share(bias + given)
            ),
            "that is the accuracy of each head alone, without the bias": share(given),
            "the bias is missing: it belongs to no head and stays": share(total - given),
            "the bias is muted along with the head: it belongs to no head and stays": (
                share(total - given - bias)
            ),
            "the head is taken away twice: the logits without it are the sum minus its part": (
                share(bias + total - 2 * given)
            ),
            "that is what is lost: return the accuracy that is left": everybody - want,
            "that is the share of wrong answers": 1 - want,
            "those are counts: divide by the number of examples": want * N,
            "those are percent: an accuracy lies between 0 and 1": want * 100,
            "the accuracies are sorted: entry h belongs to head h": want.sort().values,
            "the accuracies are sorted, the largest first: entry h belongs to head h": (
                want.sort(descending=True).values
            ),
            "that is one number, the accuracy with all heads; there should be one for each head": (
                everybody[0]
            ),
            "no head is muted: that is the accuracy with all heads": everybody.expand(H),
        },
    )

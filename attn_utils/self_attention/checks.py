"""Self-checks of chapter 5, Self-attention."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from attn_utils.checks import Mistake, compare, compare_entries, exercise

_SHAPES: dict[str, Any] = {
    "queries": (2, 5, 4),
    "values": (2, 5, 6),
    "scores": (2, 5, 5),
    "output": (2, 5, 6),
    "parameters": 126,
}
_SHAPE_MISTAKES: dict[str, dict[Any, str]] = {
    "queries": {
        (2, 5, 8): "queries: they are as wide as dk, not as the input",
        (2, 4, 5): "queries: (B, n, dk), the tokens come before the width",
    },
    "values": {(2, 5, 4): "values: they are as wide as dv; only queries and keys need dk"},
    "scores": {
        (2, 4, 4): "scores: one for each pair of tokens, and there are 5 tokens, not dk",
        (2, 5, 4): "scores: those are the queries; a score belongs to a query and a key",
        (5, 5): "scores: the batch axis is missing, each item has a matrix of its own",
    },
    "output": {
        (2, 5, 8): "output: a weighted mean of the values is as wide as a value, not as the input",
        (2, 5, 4): "output: a weighted mean of the values is as wide as a value, dv",
    },
    "parameters": {
        112: "parameters: the biases are missing, one for each output of the three layers",
        560: "parameters: the layers are shared, the number of tokens does not count",
        630: "parameters: the layers are shared, the number of tokens does not count",
        24: "parameters: dim is missing, each layer has dim · width weights and a bias",
    },
}


@exercise("self_attention.shapes")
def _check_shapes(answers: Any) -> None:
    """Exercise 5.1: the shapes inside the layer."""
    compare_entries(answers, _SHAPES, _SHAPE_MISTAKES, "follow the batch and the tokens through")


def _attend(q: Tensor, k: Tensor, v: Tensor, scale: float | None = None, dim: int = -1) -> Tensor:
    """The formula, with a scale to choose and an axis for the softmax."""
    scale = 1 / math.sqrt(k.shape[-1]) if scale is None else scale
    return (q @ k.transpose(-2, -1) * scale).softmax(dim=dim) @ v


@exercise("self_attention.attend")
def _check_attend(attend: Callable[[Tensor, Tensor, Tensor, Tensor], Any]) -> None:
    """Exercise 5.2: self-attention from memory."""
    generator = torch.Generator().manual_seed(5)
    # d, dv and D all differ, and B = n = 3 so that a softmax over the wrong axis keeps all shapes
    x = torch.randn(3, 3, 6, generator=generator)
    W_q, W_k = (torch.randn(6, 4, generator=generator) for _ in range(2))
    W_v = torch.randn(6, 5, generator=generator)
    got = attend(x, W_q, W_k, W_v)
    q, k, v = x @ W_q, x @ W_k, x @ W_v
    compare(
        got,
        _attend(q, k, v),
        "the output",
        {
            "the scores are not divided: the scale 1/√d is missing": _attend(q, k, v, 1.0),
            "the scale is 1/√D, the width of the input; it should be 1/√d, the width of the keys": (
                _attend(q, k, v, 1 / math.sqrt(6))
            ),
            "the scale is 1/√n, but the number of tokens has no part in it": (
                _attend(q, k, v, 1 / math.sqrt(3))
            ),
            "the scores are divided by d: divide by its square root": _attend(q, k, v, 1 / 4),
            "the scores are multiplied by √d: divide by it": _attend(q, k, v, 2.0),
            "the softmax runs over the queries: each query's weights (a row) must sum to 1": (
                _attend(q, k, v, dim=-2)
            ),
            "the softmax runs over the batch: its axis is the last one, the keys": (
                _attend(q, k, v, dim=0)
            ),
            "queries and keys are swapped: row i should answer query i": _attend(k, q, v),
            "the values are not projected: the output should be weights @ (x @ W_v)": (
                _attend(q, k, x)
            ),
            "queries and keys are the tokens themselves: W_q and W_k are not used": (
                _attend(x, x, v)
            ),
            "nothing is projected: W_q, W_k and W_v are not used": _attend(x, x, x),
            "nothing is projected, and nothing is scaled: W_q, W_k and W_v are not used": (
                _attend(x, x, x, 1.0)
            ),
            "there is no softmax: the scores themselves weigh the values": (
                q @ k.transpose(-2, -1) / 2 @ v
            ),
            "you return the weights: they still have to be applied to the values": (
                (q @ k.transpose(-2, -1) / 2).softmax(-1)
            ),
        },
    )
    x = torch.randn(2, 7, 6, generator=generator)
    want = _attend(x @ W_q, x @ W_k, x @ W_v)
    compare(attend(x, W_q, W_k, W_v), want, "the output for 2 sequences of 7 tokens")


def _mask_of(got: Any, shape: tuple[int, ...]) -> Tensor:
    if got is None or got is Ellipsis:
        raise Mistake(f"the mask is {got}: nothing has been computed yet")
    if not isinstance(got, Tensor):
        raise Mistake(f"the mask should be a tensor, not {type(got).__name__}")
    if got.dtype != torch.bool:
        raise Mistake(f"the mask should be boolean (True = may be attended), not {got.dtype}")
    if got.shape != shape:
        raise Mistake(f"the mask has shape {tuple(got.shape)}, expected {shape}")
    return got


def _name_mask(got: Tensor, want: Tensor, mistakes: Mapping[str, Tensor]) -> None:
    for message, wrong in mistakes.items():
        if torch.equal(got, wrong) and not torch.equal(wrong, want):
            raise Mistake(message)
    if not torch.equal(got, want):
        position = tuple((got != want).nonzero()[0].tolist())
        should = bool(want[position])
        raise Mistake(f"the mask at {position} is {not should}, it should be {should}")


@exercise("self_attention.window")
def _check_window(window: Callable[[int, int], Any]) -> None:
    """Exercise 5.3: each token sees itself and the `reach` tokens before it."""
    for n, reach in ((6, 2), (5, 0), (3, 7)):
        got = _mask_of(window(n, reach), (n, n))
        i, j = torch.arange(n)[:, None], torch.arange(n)
        want = (j <= i) & (i - j <= reach)
        _name_mask(
            got,
            want,
            {
                "the polarity is wrong: True should mean that the query may attend": ~want,
                "all of the past is allowed: keys farther back than `reach` should be False": (
                    j <= i
                ),
                "the window looks into the future as well: it should end at the token itself": (
                    (i - j).abs() <= reach
                ),
                "the window looks into the future only: rows are queries, columns are keys": want.T,
                "the future is open: only the past is limited, so the causal part is missing": (
                    i - j <= reach
                ),
                "one token too few: reach counts the tokens before the query, beside itself": (
                    (j <= i) & (i - j < reach)
                ),
                "one token too many: i - j may be `reach` at most": (j <= i) & (i - j <= reach + 1),
                "the token does not see itself": (j < i) & (i - j <= reach),
            },
        )


@exercise("self_attention.decoder_mask")
def _check_decoder_mask(decoder_mask: Callable[[Tensor, int], Any]) -> None:
    """Exercise 5.4: causal and padded, (B, n, n)."""
    for lens, n in (([4, 2, 3, 1], 4), ([2, 5], 5)):
        valid_lens = torch.tensor(lens)
        batch = len(lens)
        causal = torch.ones(n, n, dtype=torch.bool).tril()
        keys = torch.arange(n) < valid_lens[:, None, None]  # (B, 1, n)
        queries = keys.transpose(1, 2)  # (B, n, 1)
        returned = decoder_mask(valid_lens, n)
        if isinstance(returned, Tensor) and returned.shape == (n, n) and batch == n:
            by_item = torch.arange(n) < valid_lens[:, None]
            if torch.equal(returned, causal & by_item):
                raise Mistake(
                    "the padding mask has shape (B, n), and its batch axis met the queries: it "
                    "needs an axis between, (B, 1, n)"
                )
        got = _mask_of(returned, (batch, n, n))
        _name_mask(
            got,
            causal & keys,
            {
                "the polarity is wrong: True should mean that the query may attend": (
                    ~(causal & keys)
                ),
                "the mask is causal, but padding is allowed: valid_lens is not used": (
                    causal.expand(batch, n, n)
                ),
                "padding is hidden, but the future is allowed": keys.expand(batch, n, n),
                "the masks are joined by `or`: both conditions must hold, so join them by `&`": (
                    causal | keys
                ),
                # with the causal mask it is all the same whether the keys are hidden besides
                "the lengths are applied to the queries: only keys have to be hidden, a query "
                "without any key would be a dead row": causal & queries,
                "the causal part is upside down: a query sees the keys before it and itself": (
                    causal.T & keys
                ),
                "one key too many: positions count from 0, so valid means s < valid_lens": (
                    causal & (torch.arange(n) <= valid_lens[:, None, None])
                ),
            },
        )

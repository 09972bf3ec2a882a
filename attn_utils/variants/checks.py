"""Self-checks of chapter 15, Attention in today's models."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attn_utils.checks import Mistake, compare, compare_entries, computed, exercise
from attn_utils.core.masks import causal_mask

# 24 layers, every fourth full, a window of 512; 32 heads of width 128, 4 of keys; 100,000 tokens
_FILE: dict[str, Any] = {
    "queries per head of keys": 8,
    "full layers": 6,
    "numbers per token": 1_024,
    "cache of the full layers": 614_400_000,
    "cache of the other layers": 9_437_184,
    "reach": 1_534,
}
_FILE_MISTAKES: dict[str, dict[Any, str]] = {
    "queries per head of keys": {
        4: "queries per head of keys: that is how many heads of keys there are; divide 32 by it",
        32: "queries per head of keys: that is all heads of queries; 4 groups share them",
        0.125: "queries per head of keys: the other way round, 32 / 4",
        128: "queries per head of keys: that is the width of a head",
    },
    "full layers": {
        18: "full layers: those are the layers with a window; every *fourth* one is full",
        24: "full layers: that is all layers; every fourth one is full",
        4: "full layers: every fourth of 24 layers is full: 24 / 4",
    },
    "numbers per token": {
        512: "numbers per token: keys *and* values are kept",
        8_192: "numbers per token: only the 4 heads of keys and values are kept, not 32",
        4_096: "numbers per token: only the 4 heads are kept, not 32, and keys and values count",
        256: "numbers per token: that is one head; there are 4",
        2_048: "numbers per token: numbers, not bytes",
        6_144: "numbers per token: in one layer, not in all six",
    },
    "cache of the full layers": {
        2_457_600_000: "cache of the full layers: that is all 24 layers; 6 keep every token",
        1_843_200_000: "cache of the full layers: those are the 18 layers with a window",
        1_228_800_000: "cache of the full layers: numbers, not bytes",
        102_400_000: "cache of the full layers: that is one layer; there are 6",
        307_200_000: "cache of the full layers: keys *and* values are kept",
    },
    "cache of the other layers": {
        1_843_200_000: "cache of the other layers: they keep 512 tokens, not 100,000",
        524_288: "cache of the other layers: that is one layer; there are 18",
        12_582_912: "cache of the other layers: 18 layers have a window, not 24",
        3_145_728: "cache of the other layers: those are 6 layers; 18 have a window",
        18_874_368: "cache of the other layers: numbers, not bytes",
        4_718_592: "cache of the other layers: keys *and* values are kept",
    },
    "reach": {
        512: "reach: that is one layer; the second sees tokens that have looked back themselves",
        1_536: "reach: a window counts its own token, so each layer adds 512 − 1",
        1_533: "reach: the token itself counts, too",
        1_535: "reach: each of the three layers adds 512 − 1, and the token itself is one more",
        2_045: "reach: three layers, not four: the fourth is full",
    },
}


@exercise("variants.file")
def _check_file(answers: Any) -> None:
    """Exercise 15.1: what a configuration says."""
    compare_entries(answers, _FILE, _FILE_MISTAKES, "section “The three files, read” shows how")


def _attend(q: Tensor, k: Tensor, v: Tensor, *, scale: float, causal: bool = True) -> Tensor:
    scores = scale * (q @ k.mT)
    if causal:
        scores = scores.masked_fill(~causal_mask(*scores.shape[-2:]), -math.inf)
    return scores.softmax(-1) @ v


@exercise("variants.grouped")
def _check_grouped(grouped: Callable[[Tensor, Tensor, Tensor], Any]) -> None:
    """Exercise 15.2: grouped queries."""
    generator = torch.Generator().manual_seed(15)
    for B, H, G, T, d, dv in ((2, 8, 2, 5, 4, 4), (1, 6, 3, 7, 3, 5), (1, 3, 1, 4, 2, 2)):
        q, k, v = (
            torch.randn(B, heads, T, width, generator=generator)
            for heads, width in ((H, d), (G, d), (G, dv))
        )
        g, scale = H // G, 1 / math.sqrt(d)
        rows = [x.repeat_interleave(g, dim=1) for x in (k, v)]
        turns = [x.repeat(1, g, 1, 1) for x in (k, v)]
        want = _attend(q, *rows, scale=scale)
        ends = (_attend(q, *turns, scale=scale), _attend(q, rows[0], turns[1], scale=scale))
        alternating = (
            "heads of queries *in a row* share a head of keys: 0 0 0 0 1 1 1 1; yours takes turns, "
            "0 1 0 1 0 1 0 1 (repeat_interleave, not repeat)"
        )
        mistakes = {
            "the values take turns, 0 1 0 1, and the keys do not: repeat_interleave for both": (
                ends[1]
            ),
            "the division of the scores by √d is missing": _attend(q, *rows, scale=1.0),
            "the scores are divided by d: by its square root": _attend(q, *rows, scale=1 / d),
            "every query sees every key: the causal mask is missing": (
                _attend(q, *rows, scale=scale, causal=False)
            ),
            "the causal mask is missing, and heads of keys take turns (repeat_interleave, not "
            "repeat)": _attend(q, *turns, scale=scale, causal=False),
            "the queries of a group are averaged: each head asks for itself": (
                _attend(q.view(B, G, g, T, d).mean(2), k, v, scale=scale)
            ),
            "only the first head of each group has asked: all of them do": (
                _attend(q[:, ::g], k, v, scale=scale)
            ),
            "all heads read the first head of keys: each group has its own": (
                _attend(q, k[:, :1], v[:, :1], scale=scale)
            ),
            "all heads read the mean of the keys: each group has its own": (
                _attend(q, k.mean(1, keepdim=True), v.mean(1, keepdim=True), scale=scale)
            ),
            "the output should stay (B, H, T, d): heads before tokens": want.transpose(1, 2),
            "the heads are joined: leave them apart, (B, H, T, d)": want.transpose(1, 2).flatten(2),
        }
        if G > 1:  # with one head of keys there is no order to get wrong
            mistakes = {alternating: ends[0], **mistakes}
        compare(grouped(q, k, v), want, "the output", mistakes)


@exercise("variants.sink")
def _check_sink(sink_weights: Callable[[Tensor, Tensor, Tensor], Any]) -> None:
    """Exercise 15.3: the weights of a softmax with a sink."""
    generator = torch.Generator().manual_seed(16)
    for B, H, T, size in ((2, 3, 4, 1.0), (1, 4, 4, 3.0), (2, 2, 5, 200.0)):
        scores = size * torch.randn(B, H, T, T, generator=generator)
        b = 1 + torch.randn(H, generator=generator)
        mask = causal_mask(T)
        mask[T - 1] = False  # nobody to attend to: all of the weight goes to the sink
        sink = b.view(-1, 1, 1).expand(B, H, T, 1)
        hidden = scores.masked_fill(~mask, -math.inf)

        def drop(column: Tensor, scores: Tensor) -> Tensor:
            return torch.cat([column, scores], -1).softmax(-1)[..., 1:]

        want = drop(sink, hidden)
        plain = hidden.softmax(-1)
        shifted = (hidden - scores.amax(-1, keepdim=True)).exp()
        got = sink_weights(scores.clone(), mask.clone(), b.clone())
        computed(got, "the weights")
        ours = torch.as_tensor(got)
        if ours.shape == want.shape and ours.isnan().any():
            raise Mistake(
                "the weights contain NaN: subtract the largest number of a row, b included, before "
                "exp, or let softmax do it; and think of the row in which all keys are masked"
            )
        mistakes = {
            "the rows sum to 1: the sink is missing, or was divided away": plain,
            "rows without a key are right now, but the others sum to 1: the sink is missing": (
                plain.nan_to_num(0.0)
            ),
            "the column of the sink is still there: drop it after the softmax": (
                torch.cat([hidden, sink], -1).softmax(-1)
            ),
            "the column of the sink is still there, in front: drop it after the softmax": (
                torch.cat([sink, hidden], -1).softmax(-1)
            ),
            "the wrong column was dropped: the sink stands at the end, and a key is gone": (
                torch.cat([hidden, sink], -1).softmax(-1)[..., 1:]
            ),
            "the wrong column was dropped: the sink stands in front, and a key is gone": (
                torch.cat([sink, hidden], -1).softmax(-1)[..., :-1]
            ),
            "the mask is missing: forbidden keys have weight": drop(sink, scores),
            "forbidden keys count in the denominator: mask the scores, not the weights": (
                drop(sink, scores) * mask
            ),
            "b is 0 for every head: that is the softmax off by one": drop(0 * sink, hidden),
            "all heads have the b of the first: head h has b[h]": (
                drop(sink[:, :1].expand_as(sink), hidden)
            ),
            "the sign of b is wrong: e^b stands in the denominator": drop(-sink, hidden),
            "b stands in the denominator as it is: it is a logit, so e^b does": (
                hidden.exp() / (hidden.exp().sum(-1, keepdim=True) + b.view(-1, 1, 1))
            ),
            "the largest score was subtracted from the scores and not from b": (
                shifted / (shifted.sum(-1, keepdim=True) + sink.exp())
            ),
        }
        compare(got, want, "the weights", mistakes)


@exercise("variants.write")
def _check_write(write: Callable[[Tensor, Tensor, Tensor, Tensor], Any]) -> None:
    """Exercise 15.4: one write of the delta rule."""
    generator = torch.Generator().manual_seed(17)
    for B, d, dv in ((2, 3, 5), (3, 4, 4), (1, 2, 6)):
        S, k, v = (torch.randn(B, *sizes, generator=generator) for sizes in ((d, dv), (d,), (dv,)))
        beta = 0.2 + 0.6 * torch.rand(B, generator=generator)
        b, key, value = beta[:, None, None], k.unsqueeze(-1), v.unsqueeze(-2)
        known = key.mT @ S  # (B, 1, dv), what the memory says to k
        want = S + b * (key @ (value - known))
        unit = key / key.norm(dim=1, keepdim=True)
        mistakes = {
            "that is the sum of linear attention: what the memory knows of k is not taken away": (
                S + b * (key @ value)
            ),
            "that is the sum of linear attention, without β": S + key @ value,
            "β is missing": S + key @ (value - known),
            "β should multiply the difference, not the new value alone": (
                S + key @ (b * value - known)
            ),
            "β should multiply the difference, not what the memory knew alone": (
                S + key @ (value - b * known)
            ),
            "the sign of the difference is wrong: the new value minus what the memory knew": (
                S - b * (key @ (value - known))
            ),
            "all of the memory fades: only what belongs to k should be overwritten": (
                (1 - b) * S + b * (key @ value)
            ),
            "what belongs to k is taken away, and nothing is written in its place": (
                S - b * (key @ known)
            ),
            "that is what is added: return the new memory, S and all": b * (key @ (value - known)),
            "the key is given the length 1: take it as it is": (
                S + b * (unit @ (value - unit.mT @ S))
            ),
            "the memory is transposed: (B, d, dv)": want.mT,
            "that is what the memory answers to k now: return the memory": (key.mT @ want)[:, 0],
        }
        if d == dv:
            mistakes["what the memory says to k is kᵀ S, not S k"] = S + b * (
                key @ (value - (S @ key).mT)
            )
        compare(write(S, k, v, beta), want, "the memory", mistakes)

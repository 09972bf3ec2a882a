"""The self-checks of chapter 15 accept right answers and name the mistakes that people make."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from attn_utils.checks import check

FILE = {
    "queries per head of keys": 32 // 4,
    "full layers": 24 // 4,
    "numbers per token": 2 * 4 * 128,
    "cache of the full layers": 6 * 2 * 4 * 128 * 100_000,
    "cache of the other layers": 18 * 2 * 4 * 128 * 512,
    "reach": 3 * 511 + 1,
}


def repeat(x, group):
    return x.repeat(1, group, 1, 1)


def interleave(x, group):
    return x.repeat_interleave(group, dim=1)


def grouped(*, keys=interleave, values=interleave, scale=lambda d: d**-0.5, causal=True):
    def attend(q, k, v):
        group = q.shape[1] // k.shape[1]
        scores = scale(q.shape[-1]) * (q @ keys(k, group).mT)
        if causal:
            scores = scores + torch.full(scores.shape[-2:], -math.inf).triu(1)
        return scores.softmax(-1) @ values(v, group)

    return attend


def kernel(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)


def by_loop(q, k, v):
    group = q.shape[1] // k.shape[1]
    heads = [
        F.scaled_dot_product_attention(q[:, h], k[:, h // group], v[:, h // group], is_causal=True)
        for h in range(q.shape[1])
    ]
    return torch.stack(heads, 1)


def grouped_in_place(q, k, v):
    q *= q.shape[-1] ** -0.5
    return grouped(scale=lambda d: 1.0)(q, k, v)


def of_group(pick):
    def attend(q, k, v):
        q = q.unflatten(1, (k.shape[1], -1))
        return grouped()(pick(q), k, v)

    return attend


def sink(*, column=lambda b: b, hide="before", end=False, keep=None):
    def weigh(scores, mask, b):
        s = scores.masked_fill(~mask, -math.inf) if hide == "before" else scores
        sinks = column(b).view(-1, 1, 1).expand(*s.shape[:-1], 1)
        weights = torch.cat([s, sinks] if end else [sinks, s], -1).softmax(-1)
        weights = weights[..., (slice(-1) if end else slice(1, None)) if keep is None else keep]
        return weights * mask if hide == "after" else weights

    return weigh


def by_formula(scores, mask, b):
    b, scores = b.view(-1, 1, 1), scores.masked_fill(~mask, -math.inf)
    top = torch.maximum(scores.amax(-1, keepdim=True), b)
    powers = (scores - top).exp()
    return powers / (powers.sum(-1, keepdim=True) + (b - top).exp())


def without_top(scores, mask, b):
    powers = scores.exp() * mask
    return powers / (powers.sum(-1, keepdim=True) + b.view(-1, 1, 1).exp())


def top_of_scores_only(scores, mask, b):
    powers = (scores - scores.amax(-1, keepdim=True)).exp() * mask
    return powers / (powers.sum(-1, keepdim=True) + b.view(-1, 1, 1).exp())


def not_a_power(scores, mask, b):
    powers = scores.exp() * mask
    return powers / (powers.sum(-1, keepdim=True) + b.view(-1, 1, 1))


def no_sink(scores, mask, b):
    return scores.masked_fill(~mask, -math.inf).softmax(-1).nan_to_num(0.0)


def divided_away(scores, mask, b):
    weights = sink()(scores, mask, b)
    return (weights / weights.sum(-1, keepdim=True)).nan_to_num(0.0)


def write(what):
    def rule(S, k, v, beta):
        key, value, b = k[:, :, None], v[:, None], beta[:, None, None]
        return what(S, key, value, b, key.mT @ S)

    return rule


def by_einsum(S, k, v, beta):
    error = v - torch.einsum("bd,bde->be", k, S)
    return S + torch.einsum("b,bd,be->bde", beta, k, error)


def one_by_one(S, k, v, beta):
    pairs = zip(S, k, v, beta, strict=True)
    return [s + b * torch.outer(x, y - x @ s) for s, x, y, b in pairs]


def write_in_place(S, k, v, beta):
    S += by_einsum(S, k, v, beta) - S
    return S


def on_a_copy(S, k, v, beta):
    return write_in_place(S.clone(), k, v, beta)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("file", FILE),
        ("file", {name: np.int64(value) for name, value in FILE.items()}),
        ("file", {name: float(value) for name, value in FILE.items()}),
        ("grouped", grouped()),
        ("grouped", kernel),
        ("grouped", by_loop),
        ("sink", sink()),
        ("sink", sink(end=True)),
        ("sink", by_formula),
        ("write", by_einsum),
        ("write", one_by_one),
        ("write", on_a_copy),
        ("write", write(lambda S, k, v, b, known: (S - b * k @ known) + b * k @ v)),
    ],
)
def test_right_answers_pass(name, answer):
    assert check(f"variants.{name}", answer)


WRONG = [
    ("file", dict.fromkeys(FILE, ...), "6 to go"),
    ("file", 8, "should be a dictionary"),
    ("file", {**FILE, "queries per head of keys": 4}, "how many heads of keys"),
    ("file", {**FILE, "queries per head of keys": 4 / 32}, "the other way round"),
    ("file", {**FILE, "full layers": 18}, "every *fourth* one"),
    ("file", {**FILE, "numbers per token": 4 * 128}, "keys *and* values"),
    ("file", {**FILE, "numbers per token": 2 * 32 * 128}, "not 32"),
    ("file", {**FILE, "numbers per token": 2 * 2 * 4 * 128}, "not bytes"),
    ("file", {**FILE, "cache of the full layers": 24 * 1024 * 100_000}, "all 24 layers"),
    ("file", {**FILE, "cache of the full layers": 6 * 512 * 100_000}, "keys *and* values"),
    ("file", {**FILE, "cache of the other layers": 18 * 1024 * 100_000}, "512 tokens"),
    ("file", {**FILE, "cache of the other layers": 24 * 1024 * 512}, "not 24"),
    ("file", {**FILE, "reach": 512}, "the second sees tokens"),
    ("file", {**FILE, "reach": 3 * 512}, "counts its own token"),
    ("file", {**FILE, "reach": 3 * 511}, "the token itself counts"),
    ("file", {**FILE, "reach": 100_000}, "is not right"),
    ("grouped", lambda q, k, v: ..., "nothing has been computed"),
    ("grouped", grouped(keys=repeat, values=repeat), "repeat_interleave, not repeat"),
    ("grouped", grouped(values=repeat), "the values take turns"),
    ("grouped", grouped(scale=lambda d: 1.0), "√d is missing"),
    ("grouped", grouped(scale=lambda d: 1 / d), "its square root"),
    ("grouped", grouped(causal=False), "the causal mask is missing"),
    ("grouped", grouped(keys=repeat, values=repeat, causal=False), "and heads of keys take turns"),
    ("grouped", of_group(lambda q: q.mean(2)), "averaged"),
    ("grouped", of_group(lambda q: q[:, :, 0]), "only the first head"),
    ("grouped", grouped(keys=lambda k, g: k[:, :1], values=lambda v, g: v[:, :1]), "first head of"),
    (
        "grouped",
        grouped(keys=lambda k, g: k.mean(1, True), values=lambda v, g: v.mean(1, True)),
        "the mean of the keys",
    ),
    ("grouped", lambda q, k, v: kernel(q, k, v).transpose(1, 2), "heads before tokens"),
    ("grouped", lambda q, k, v: kernel(q, k, v).transpose(1, 2).flatten(2), "leave them apart"),
    ("grouped", grouped_in_place, "changed the caller's q"),
    ("grouped", lambda q, k, v: F.scaled_dot_product_attention(q, k, v), "your code stopped"),
    ("sink", lambda scores, mask, b: None, "nothing has been computed"),
    ("sink", no_sink, "the sink is missing"),
    ("sink", divided_away, "the sink is missing"),
    ("sink", lambda s, mask, b: s.masked_fill(~mask, -math.inf).softmax(-1), "NaN"),
    ("sink", without_top, "subtract the largest"),
    ("sink", top_of_scores_only, "and not from b"),
    ("sink", not_a_power, "it is a logit"),
    ("sink", sink(end=True, keep=slice(None)), "drop it after the softmax"),
    ("sink", sink(keep=slice(None)), "in front: drop it"),
    ("sink", sink(end=True, keep=slice(1, None)), "the sink stands at the end"),
    ("sink", sink(keep=slice(-1)), "the sink stands in front"),
    ("sink", sink(hide="never"), "the mask is missing"),
    ("sink", sink(hide="after"), "mask the scores, not the weights"),
    ("sink", sink(column=torch.zeros_like), "off by one"),
    ("sink", sink(column=lambda b: b[:1].expand_as(b)), "head h has b[h]"),
    ("sink", sink(column=lambda b: -b), "the sign of b"),
    ("write", lambda S, k, v, beta: None, "nothing has been computed"),
    ("write", write(lambda S, k, v, b, known: S + b * k @ v), "the sum of linear attention"),
    ("write", write(lambda S, k, v, b, known: S + k @ v), "attention, without β"),
    ("write", write(lambda S, k, v, b, known: S + k @ (v - known)), "β is missing"),
    ("write", write(lambda S, k, v, b, known: S + k @ (b * v - known)), "not the new value"),
    ("write", write(lambda S, k, v, b, known: S + k @ (v - b * known)), "what the memory knew"),
    ("write", write(lambda S, k, v, b, known: S + b * k @ (known - v)), "the sign"),
    ("write", write(lambda S, k, v, b, known: (1 - b) * S + b * k @ v), "all of the memory fades"),
    ("write", write(lambda S, k, v, b, known: S - b * k @ known), "nothing is written"),
    ("write", write(lambda S, k, v, b, known: b * k @ (v - known)), "return the new memory"),
    ("write", lambda S, k, v, b: by_einsum(S, F.normalize(k), v, b), "take it as it is"),
    ("write", lambda S, k, v, b: by_einsum(S, k, v, b).mT, "transposed"),
    (
        "write",
        lambda S, k, v, b: (k[:, None] @ by_einsum(S, k, v, b))[:, 0],
        "return the memory",
    ),
    ("write", write_in_place, "changed the caller's S"),
]


@pytest.mark.parametrize(("name", "answer", "message"), WRONG)
def test_wrong_answers_fail_and_are_named(name, answer, message):
    result = check(f"variants.{name}", answer)
    assert not result
    assert message in " ".join(result.message.split())

"""The self-checks of chapter 7 accept right answers and name the mistakes that people make."""

from __future__ import annotations

import math

import pytest
import torch

from attn_utils.checks import check

SHAPES = {
    "queries": (2, 4, 5, 16),
    "keys": (2, 4, 7, 16),
    "weights": (2, 4, 5, 7),
    "output": (2, 5, 64),
    "parameters": 4 * 64 * 64,
}


def split(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def uncut(x, heads):
    return x.reshape(len(x), heads, x.shape[1], -1)


def attention(
    *,
    cut=split,
    join="right",
    scale="d",
    dim=-1,
    onward="W_o",
    heads=None,
    given=lambda *weights: weights,
):
    def multi_head(x, *weights):
        *weights, num_heads = weights
        W_q, W_k, W_v, W_o = given(*weights)
        H = heads or num_heads
        q, k, v = (cut(x @ W, H) for W in (W_q, W_k, W_v))
        width = {"d": q.shape[-1], "D": x.shape[-1], "H": H, "none": 1}[scale]
        answers = (q @ k.mT / math.sqrt(width)).softmax(dim=dim) @ v
        joined = answers.transpose(1, 2).flatten(2) if join == "right" else answers.reshape(x.shape)
        return joined @ {"W_o": W_o, "none": torch.eye(len(W_o)), "T": W_o.T}[onward]

    return multi_head


def fold_mask(mask, num_heads, batch):
    return mask.expand(batch, *mask.shape[-2:]).repeat_interleave(num_heads, dim=0)


def fold_by_loop(mask, num_heads, batch):
    mask = mask.expand(batch, *mask.shape[-2:])
    return torch.stack([mask[b] for b in range(batch) for _ in range(num_heads)])


def accuracies(logits_of, *, after=lambda share: share):
    def without_each(contributions, bias, labels):
        logits = logits_of(contributions, contributions.sum(dim=1, keepdim=True), bias)
        return after((logits.argmax(dim=-1) == labels[:, None]).float().mean(dim=0))

    return without_each


def by_loop(contributions, bias, labels):
    shares = []
    for h in range(contributions.shape[1]):
        others = [k for k in range(contributions.shape[1]) if k != h]
        logits = bias + contributions[:, others].sum(dim=1)
        shares.append((logits.argmax(dim=-1) == labels).float().mean())
    return shares


def in_place_on_a_copy(contributions, bias, labels):
    return spoils_its_input(contributions.clone(), bias, labels)


def spoils_its_input(contributions, bias, labels):
    result = torch.stack(by_loop(contributions, bias, labels))
    contributions[:, 0] = 0
    return result


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("shapes", SHAPES),
        ("shapes", {**SHAPES, "queries": [2, 4, 5, 16], "output": torch.Size([2, 5, 64])}),
        ("attend", attention()),
        ("fold_mask", fold_mask),
        ("fold_mask", fold_by_loop),
        ("without_each", accuracies(lambda c, total, b: b + total - c)),
        ("without_each", by_loop),
        ("without_each", in_place_on_a_copy),
    ],
)
def test_right_answers_pass(name, answer):
    assert check(f"multi_head.{name}", answer)


WRONG = [
    ("shapes", dict.fromkeys(SHAPES, ...), "5 to go"),
    ("shapes", "16", "should be a dictionary"),
    ("shapes", {**SHAPES, "queries": (2, 5, 64)}, "before the cut"),
    ("shapes", {**SHAPES, "queries": (2, 5, 4, 16)}, "transpose them"),
    ("shapes", {**SHAPES, "keys": (2, 4, 5, 16)}, "the other sequence, 7"),
    ("shapes", {**SHAPES, "weights": (2, 5, 7)}, "axis of the heads is missing"),
    ("shapes", {**SHAPES, "weights": (2, 4, 7, 5)}, "a row for each query"),
    ("shapes", {**SHAPES, "output": (2, 4, 5, 16)}, "joined again"),
    ("shapes", {**SHAPES, "output": (3, 3)}, "follow batch, heads and tokens"),
    ("shapes", {**SHAPES, "parameters": 4 * 4 * 64 * 64}, "H does not count"),
    ("shapes", {**SHAPES, "parameters": 3 * 64 * 64}, "W_o is missing"),
    ("shapes", {**SHAPES, "parameters": 4 * (64 * 64 + 64)}, "no biases"),
    ("attend", lambda *_: None, "nothing has been computed"),
    ("attend", attention(cut=uncut, join="wrong"), "unflatten the width first"),
    ("attend", attention(cut=uncut, join="wrong", scale="D"), "the scale is 1/√D, not 1/√d"),
    ("attend", attention(cut=uncut), "only the joining is right"),
    ("attend", attention(join="wrong"), "joined without the transpose back"),
    ("attend", attention(scale="D"), "the width of all heads"),
    ("attend", attention(scale="none"), "not divided"),
    ("attend", attention(scale="H"), "divided by √H"),
    ("attend", attention(onward="none"), "W_o is missing"),
    ("attend", attention(onward="T"), "W_o is transposed"),
    ("attend", attention(heads=1), "only one head"),
    (
        "attend",
        attention(given=lambda q, k, v, o: (q.T, k.T, v.T, o.T)),
        "as nn.Linear stores them",
    ),
    (
        "attend",
        attention(given=lambda q, k, v, o: (q.T, k.T, v.T, o)),
        "projections are transposed",
    ),
    ("attend", attention(given=lambda q, k, v, o: (k, q, v, o)), "queries and keys are exchanged"),
    ("attend", attention(given=lambda q, k, v, o: (q, k, k, o)), "the values are the keys"),
    ("attend", attention(dim=-2), "over the queries"),
    ("attend", attention(dim=1), "over the heads"),
    (
        "attend",
        attention(cut=lambda x, H: x.unflatten(-1, (-1, H)).permute(0, 3, 1, 2)),
        "every H-th number",
    ),
    ("attend", lambda x, *W: attention()(x, *W[:4], 3), "6 heads"),
    ("fold_mask", lambda mask, heads, batch: ..., "nothing has been computed"),
    ("fold_mask", lambda mask, heads, batch: mask, "repeat it for each head"),
    ("fold_mask", lambda mask, heads, batch: mask.repeat(heads, 1, 1), "1 1 2 2"),
    ("fold_mask", lambda mask, heads, batch: mask.repeat_interleave(heads, 0).int(), "boolean"),
    ("fold_mask", lambda mask, heads, batch: ~fold_mask(mask, heads, batch), "polarity"),
    (
        "fold_mask",
        lambda mask, heads, batch: mask[:, None].expand(-1, heads, -1, -1),
        "an axis of their own",
    ),
    ("fold_mask", lambda mask, heads, batch: mask.repeat_interleave(heads, -2), "queries are"),
    (
        "fold_mask",
        lambda mask, heads, batch: mask.expand(
            1 if mask.ndim == 2 else batch, *mask.shape[-2:]
        ).repeat_interleave(heads, 0),
        "B·H times, not H times",
    ),
    ("without_each", lambda *_: None, "nothing has been computed"),
    ("without_each", accuracies(lambda c, total, b: b + c), "each head alone"),
    ("without_each", accuracies(lambda c, total, b: c), "alone, without the bias"),
    ("without_each", accuracies(lambda c, total, b: total - c), "the bias is missing"),
    ("without_each", accuracies(lambda c, total, b: total - c - b), "muted along"),
    ("without_each", accuracies(lambda c, total, b: b + total - 2 * c), "taken away twice"),
    (
        "without_each",
        accuracies(lambda c, total, b: b + total - c, after=lambda s: 1 - s),
        "wrong answers",
    ),
    (
        "without_each",
        accuracies(lambda c, total, b: b + total - c, after=lambda s: 240 * s),
        "divide by the number",
    ),
    (
        "without_each",
        lambda c, b, labels: ((b + c.sum(1)).argmax(-1) == labels).float().mean(),
        "one for each head",
    ),
    ("without_each", accuracies(lambda c, total, b: (b + total).expand_as(c)), "no head is muted"),
    (
        "without_each",
        accuracies(lambda c, total, b: b + total - c, after=lambda s: 100 * s),
        "percent",
    ),
    (
        "without_each",
        accuracies(lambda c, total, b: b + total - c, after=lambda s: s.sort().values),
        "sorted",
    ),
    (
        "without_each",
        accuracies(
            lambda c, total, b: b + total - c, after=lambda s: s.sort(descending=True).values
        ),
        "largest first",
    ),
    ("without_each", spoils_its_input, "changed the caller's "),
]


@pytest.mark.parametrize(("name", "answer", "message"), WRONG)
def test_wrong_answers_fail_and_are_named(name, answer, message):
    result = check(f"multi_head.{name}", answer)
    assert not result
    assert message in result.message

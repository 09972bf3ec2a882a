from __future__ import annotations

import math

import pytest
import torch

from attn_utils import causal_mask, length_mask
from attn_utils.checks import check

RIGHT_SHAPES = {
    "queries": (2, 5, 4),
    "values": (2, 5, 6),
    "scores": (2, 5, 5),
    "output": (2, 5, 6),
    "parameters": 126,
}


def attention(x, wq, wk, wv, *, scale=None, dim=-1):
    q, k, v = x @ wq, x @ wk, x @ wv
    scale = 1 / math.sqrt(k.shape[-1]) if scale is None else scale
    return (q @ k.transpose(-2, -1) * scale).softmax(dim) @ v


def window(n, reach):
    i, j = torch.arange(n)[:, None], torch.arange(n)
    return (j <= i) & (i - j <= reach)


def decoder_mask(lens, n):
    return causal_mask(n) & length_mask(lens, n)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("self_attention.shapes", RIGHT_SHAPES),
        ("self_attention.shapes", RIGHT_SHAPES | {"scores": torch.Size([2, 5, 5])}),
        ("self_attention.shapes", RIGHT_SHAPES | {"scores": [2, 5, 5]}),
        ("self_attention.attend", attention),
        (
            "self_attention.attend",
            lambda x, q, k, v: torch.nn.functional.scaled_dot_product_attention(
                x @ q, x @ k, x @ v
            ),
        ),
        ("self_attention.window", window),
        (
            "self_attention.window",
            lambda n, r: torch.ones(n, n, dtype=torch.bool).tril().triu(-r),
        ),
        ("self_attention.decoder_mask", decoder_mask),
    ],
)
def test_right_answers_pass(name, answer):
    result = check(name, answer)
    assert result, result.message


WRONG = [
    ("shapes", dict.fromkeys(RIGHT_SHAPES, ...), "no answer yet for 'queries' (5 to go)"),
    ("shapes", RIGHT_SHAPES | {"queries": (2, 5, 8)}, "as wide as dk"),
    ("shapes", RIGHT_SHAPES | {"values": (2, 5, 4)}, "as wide as dv"),
    ("shapes", RIGHT_SHAPES | {"scores": (2, 4, 4)}, "pair of tokens"),
    ("shapes", RIGHT_SHAPES | {"scores": (5, 5)}, "batch axis is missing"),
    ("shapes", RIGHT_SHAPES | {"scores": (2, 25)}, "a tuple of 3 numbers"),
    ("shapes", RIGHT_SHAPES | {"output": (2, 5, 8)}, "as wide as a value"),
    ("shapes", RIGHT_SHAPES | {"parameters": 112}, "biases are missing"),
    ("shapes", RIGHT_SHAPES | {"parameters": 630}, "layers are shared"),
    ("shapes", RIGHT_SHAPES | {"parameters": 1}, "is not right"),
    ("shapes", (2, 5, 4), "should be a dictionary"),
    ("attend", lambda x, q, k, v: None, "nothing has been computed"),
    ("attend", lambda x, q, k, v: (x @ x.transpose(-2, -1)).softmax(-1) @ x, "are not used"),
    ("attend", lambda *a: attention(*a, scale=1.0), "1/√d is missing"),
    ("attend", lambda *a: attention(*a, scale=6**-0.5), "1/√D"),
    ("attend", lambda *a: attention(*a, scale=0.25), "square root"),
    ("attend", lambda *a: attention(*a, scale=2.0), "multiplied by √d"),
    ("attend", lambda *a: attention(*a, dim=-2), "over the queries"),
    ("attend", lambda *a: attention(*a, dim=0), "over the batch"),
    ("attend", lambda x, q, k, v: attention(x, k, q, v), "swapped"),
    ("attend", lambda x, q, k, v: attention(x, q, k, torch.eye(6)), "not projected"),
    ("attend", lambda x, q, k, v: (x @ q) @ (x @ k).mT / 2 @ (x @ v), "no softmax"),
    ("attend", lambda x, q, k, v: ((x @ q) @ (x @ k).mT / 2).softmax(-1), "return the weights"),
    ("attend", lambda x, q, k, v: (x @ q) @ (x @ k), "your code stopped"),
    ("window", lambda n, r: ..., "nothing has been computed"),
    ("window", lambda n, r: causal_mask(n), "all of the past"),
    ("window", lambda n, r: ~window(n, r), "polarity"),
    ("window", lambda n, r: window(n, r).T, "future only"),
    ("window", lambda n, r: window(n, r) | window(n, r).T, "future as well"),
    ("window", lambda n, r: window(n, r - 1), "one token too few"),
    ("window", lambda n, r: torch.arange(n)[:, None] - torch.arange(n) <= r, "future is open"),
    ("window", lambda n, r: window(n, r) & causal_mask(n).tril(-1), "does not see itself"),
    ("window", lambda n, r: window(n, 2), "it should be"),
    ("window", lambda n, r: window(n, r + 1), "one token too many"),
    ("window", lambda n, r: window(n, r).float(), "should be boolean"),
    ("window", lambda n, r: window(n, r)[None], "has shape"),
    ("window", lambda n, r: window(n, r).tril(-1), "does not see itself"),
    ("decoder_mask", lambda lens, n: ..., "nothing has been computed"),
    ("decoder_mask", lambda lens, n: causal_mask(n).expand(len(lens), n, n), "padding is allowed"),
    ("decoder_mask", lambda lens, n: length_mask(lens, n).expand(-1, n, n), "future is allowed"),
    ("decoder_mask", lambda lens, n: causal_mask(n) | length_mask(lens, n), "`or`"),
    ("decoder_mask", lambda lens, n: causal_mask(n) & length_mask(lens, n).mT, "to the queries"),
    (
        "decoder_mask",
        lambda lens, n: decoder_mask(lens, n) & length_mask(lens, n).mT,
        "dead row",
    ),
    (
        "decoder_mask",
        lambda lens, n: causal_mask(n) & (torch.arange(n) < lens[:, None]),
        "needs an axis between",
    ),
    ("decoder_mask", lambda lens, n: ~decoder_mask(lens, n), "polarity"),
    ("decoder_mask", lambda lens, n: causal_mask(n).T & length_mask(lens, n), "upside down"),
    (
        "decoder_mask",
        lambda lens, n: causal_mask(n) & (torch.arange(n) <= lens[:, None, None]),
        "one key too many",
    ),
    ("decoder_mask", lambda lens, n: decoder_mask(lens, n).int(), "should be boolean"),
]


@pytest.mark.parametrize(("name", "answer", "message"), WRONG)
def test_wrong_answers_fail_and_are_named(name, answer, message):
    result = check(f"self_attention.{name}", answer)
    assert not result
    assert message in result.message

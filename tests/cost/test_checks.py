from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from attn_utils.checks import check
from attn_utils.cost import block_flops, kv_cache_bytes

PARTS = {
    name: count for name, count in block_flops(100, 64, num_heads=8).items() if name != "softmax"
}


def merge(one, two):
    (m1, l1, o1), (m2, l2, o2) = one, two
    m = torch.maximum(m1, m2)
    a, b = (m1 - m).exp(), (m2 - m).exp()
    return m, l1 * a + l2 * b, o1 * a + o2 * b


def longest(budget, heads, itemsize):
    return math.isqrt(budget // (2 * heads * itemsize))


def cache(n, layers, heads, d, size):
    return kv_cache_bytes(n, depth=layers, num_kv_heads=heads, head_dim=d, itemsize=size)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("parts", PARTS),
        ("parts", {name: float(count) for name, count in PARTS.items()}),
        ("merge", merge),
        ("merge", lambda a, b: list(merge(b, a))),
        ("longest", longest),
        ("longest", lambda b, h, i: int((b / (2 * h * i)) ** 0.5)),
        ("cache", cache),
        ("cache", lambda n, layers, h, d, i: torch.tensor(2 * n * layers * h * d * i)),
        ("cache", lambda *sizes: np.prod(np.array(sizes)) * 2),
        ("longest", lambda b, h, i: np.int64(math.isqrt(b // (2 * h * i)))),
    ],
)
def test_right_answers_pass(name, answer):
    result = check(f"cost.{name}", answer)
    assert result, result.message


def without_rescaling(one, two):
    return torch.maximum(one[0], two[0]), one[1] + two[1], one[2] + two[2]


def backwards(one, two):
    (m1, l1, o1), (m2, l2, o2) = one, two
    m = torch.maximum(m1, m2)
    a, b = (m - m1).exp(), (m - m2).exp()
    return m, l1 * a + l2 * b, o1 * a + o2 * b


def with_out(change):
    def wrong(one, two):
        top, total, _ = merge(one, two)
        return top, total, change(one, two)

    return wrong


def in_place(one, two):
    result = merge(one, two)
    one[1].add_(1)
    return result


WRONG = [
    ("parts", dict.fromkeys(PARTS, ...), "no answer yet for 'projections' (5 to go)"),
    ("parts", 5, "should be a dictionary"),
    ("parts", PARTS | {"projections": 1_228_800}, "with its addition"),
    ("parts", PARTS | {"projections": 4 * 2 * 100 * 64**2}, "entry of its own"),
    ("parts", PARTS | {"projections": 8 * 3 * 2 * 100 * 64**2}, "heads share the width"),
    ("parts", PARTS | {"scores": 8 * 2 * 100**2 * 64}, "D / H wide"),
    ("parts", PARTS | {"scores": 2 * 100**2 * 8}, "one head"),
    ("parts", PARTS | {"weighted sum": 100**2 * 64}, "with its addition"),
    ("parts", PARTS | {"output": 100 * 64**2}, "with its addition"),
    ("parts", PARTS | {"MLP": 2 * 4 * 100 * 64**2}, "two layers"),
    ("parts", PARTS | {"MLP": 7}, "is not right"),
    ("parts", PARTS | {"MLP": "many"}, "should be a number"),
    ("merge", lambda a, b: None, "nothing has been computed"),
    ("merge", lambda a, b: a[0], "should be (top, total, out)"),
    ("merge", without_rescaling, "added as they are"),
    ("merge", backwards, "wrong way"),
    ("merge", lambda a, b: (torch.minimum(a[0], b[0]), *merge(a, b)[1:]), "take the larger"),
    ("merge", lambda a, b: (a[0] + b[0], *merge(a, b)[1:]), "the larger one counts"),
    ("merge", with_out(lambda a, b: a[2] + b[2]), "same rescaling as total"),
    ("merge", with_out(lambda a, b: merge(a, b)[2] / merge(a, b)[1]), "divided already"),
    ("merge", with_out(lambda a, b: a[2] / a[1] + b[2] / b[1]), "its own total"),
    ("merge", with_out(lambda a, b: (a[2] / a[1] + b[2] / b[1]) / 2), "weighs them equally"),
    ("merge", in_place, "changed the caller's one"),
    ("merge", lambda a: a, "your code stopped"),
    ("longest", lambda b, h, i: ..., "nothing has been computed"),
    ("longest", lambda b, h, i: int(math.sqrt(b)), "second matrix are missing"),
    ("longest", lambda b, h, i: math.isqrt(b // (h * i)), "side by side"),
    ("longest", lambda b, h, i: math.isqrt(b // (2 * i)), "heads are missing"),
    ("longest", lambda b, h, i: math.isqrt(b // (2 * h)), "bytes and numbers"),
    ("longest", lambda b, h, i: b // (2 * h * i), "root of it"),
    ("longest", lambda b, h, i: math.ceil((b / (2 * h * i)) ** 0.5), "rounded up"),
    ("longest", lambda b, h, i: (b / (2 * h * i)) ** 0.5, "a length is an integer"),
    ("longest", lambda b, h, i: 3, "expected"),
    ("cache", lambda *a: None, "nothing has been computed"),
    ("cache", lambda *a: cache(*a) / 2, "two tensors"),
    ("cache", lambda *a: cache(*a) / a[1], "each layer"),
    ("cache", lambda *a: cache(*a) / a[4], "how many bytes"),
    ("cache", lambda *a: cache(*a) / a[2], "each head"),
    ("cache", lambda *a: cache(*a) * a[0], "not for each pair"),
    ("cache", lambda *a: cache(*a) * 1.5, "queries need not be kept"),
    ("cache", lambda *a: 1, "is not right"),
]


@pytest.mark.parametrize(("name", "answer", "message"), WRONG)
def test_wrong_answers_fail_and_are_named(name, answer, message):
    result = check(f"cost.{name}", answer)
    assert not result
    assert message in result.message

from __future__ import annotations

import math

import pytest
import torch

from attn_utils.checks import check

RIGHT_SHAPES = {
    "query kernel": (32, 4, 8),
    "value kernel": (24, 4, 16),
    "output kernel": (4, 16, 10),
    "scores": (2, 4, 50, 7),
    "output": (2, 50, 10),
    "parameters": 3722,
}


def project(x, kernel, bias):
    return (x @ kernel.flatten(1)).unflatten(-1, kernel.shape[1:]) + bias


def scores(q, k, *, width=None, dim=-1):
    width = q.shape[-1] if width is None else width
    s = torch.einsum("bthk,bshk->bhts", q, k) / math.sqrt(width)
    return s if dim is None else s.softmax(dim)


def layout(Wqkv, bqkv, Wo, bo, H):
    arrays = []
    for W, b in zip(Wqkv.chunk(3), bqkv.chunk(3), strict=True):
        arrays += [W.T.unflatten(1, (H, -1)), b.unflatten(0, (H, -1))]
    return [*arrays, Wo.T.unflatten(0, (H, -1)), bo]


def with_kernels(change):
    """A layout whose projections are ``change(W, H)``; all else is right."""

    def wrong(Wqkv, bqkv, Wo, bo, H):
        arrays = layout(Wqkv, bqkv, Wo, bo, H)
        arrays[0:6:2] = [change(W, H) for W in Wqkv.chunk(3)]
        return arrays

    return wrong


def with_entry(index, change):
    """A layout in which one of the eight tensors is ``change(tensor, Wo, H)``."""

    def wrong(Wqkv, bqkv, Wo, bo, H):
        arrays = layout(Wqkv, bqkv, Wo, bo, H)
        arrays[index] = change(arrays[index], Wo, H)
        return arrays

    return wrong


def reordered(*order):
    return lambda *given: [layout(*given)[i] for i in order]


def mask(padding, future):
    return ~(padding[:, None] | future)


def in_place(padding, future):
    padding.logical_not_()
    return padding[:, None] & ~future


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("shapes", RIGHT_SHAPES),
        ("shapes", RIGHT_SHAPES | {"scores": torch.Size([2, 4, 50, 7])}),
        ("shapes", RIGHT_SHAPES | {"output": [2, 50, 10]}),
        ("project", project),
        ("project", lambda x, W, b: torch.tensordot(x, W, 1) + b),
        ("scores", scores),
        ("scores", lambda q, k: scores(k, q, dim=-2).mT),
        ("layout", layout),
        ("layout", lambda *given: tuple(layout(*given))),
        ("mask", mask),
        ("mask", lambda p, f: ~p[:, None] & ~f),
    ],
)
def test_right_answers_pass(name, answer):
    result = check(f"keras_multi_head.{name}", answer)
    assert result, result.message


WRONG = [
    ("shapes", dict.fromkeys(RIGHT_SHAPES, ...), "no answer yet for 'query kernel' (6 to go)"),
    ("shapes", RIGHT_SHAPES | {"query kernel": (32, 4, 2)}, "width of one head already"),
    ("shapes", RIGHT_SHAPES | {"query kernel": (32, 32)}, "two axes"),
    ("shapes", RIGHT_SHAPES | {"value kernel": (24, 4, 8)}, "width of their own"),
    ("shapes", RIGHT_SHAPES | {"value kernel": (12, 4, 16)}, "mind the order"),
    ("shapes", RIGHT_SHAPES | {"output kernel": (4, 16, 32)}, "query's width does not count"),
    ("shapes", RIGHT_SHAPES | {"scores": (2, 4, 7, 50)}, "not the reverse"),
    ("shapes", RIGHT_SHAPES | {"scores": (2, 50, 7)}, "axis of the heads is missing"),
    ("shapes", RIGHT_SHAPES | {"output": (2, 50, 32)}, "output_shape is given"),
    ("shapes", RIGHT_SHAPES | {"output": (2, 7, 10)}, "a row for each query"),
    ("shapes", RIGHT_SHAPES | {"parameters": 4 * 8 * 44 + 64 * 24 + 640}, "biases are missing"),
    ("shapes", RIGHT_SHAPES | {"parameters": 3722 - 10}, "output's bias"),
    ("shapes", RIGHT_SHAPES | {"parameters": 3722 - 64}, "bias of the values"),
    ("shapes", RIGHT_SHAPES | {"parameters": 3722 - 32}, "a bias each"),
    ("shapes", RIGHT_SHAPES | {"parameters": 32 * 46 + 32 * 25 + 32 * 10 + 10}, "not key_dim"),
    ("shapes", RIGHT_SHAPES | {"parameters": 32 * 58 + 64 * 13 + 650}, "exchanged"),
    ("shapes", RIGHT_SHAPES | {"parameters": 32 * 46 + 64 * 25 + 64 * 32 + 32}, "output_shape"),
    ("shapes", RIGHT_SHAPES | {"parameters": 1}, "is not right"),
    ("shapes", [1, 2], "should be a dictionary"),
    ("project", lambda x, W, b: None, "nothing has been computed"),
    ("project", lambda x, W, b: project(x, W, 0), "the bias is missing"),
    ("project", lambda x, W, b: x @ W.flatten(1) + b.flatten(), "still one axis"),
    ("project", lambda x, W, b: x @ W.flatten(1), "still one axis, and the bias"),
    ("project", lambda x, W, b: project(x, W, b).mT, "width comes before the heads"),
    ("project", lambda x, W, b: project(x, W, b).transpose(1, 2), "heads come before the pos"),
    ("project", lambda x, W, b: project(x, W, b).sum(2), "heads are added up"),
    (
        "project",
        lambda x, W, b: (x @ W.reshape(-1, len(W)).T).unflatten(-1, b.shape) + b,
        "mixes its entries",
    ),
    (
        "project",
        lambda x, W, b: (x @ W.flatten(1)).unflatten(-1, b.shape[::-1]).mT + b,
        "names in the wrong order",
    ),
    ("project", lambda x, W, b: x @ W + b, "your code stopped"),
    ("scores", lambda q, k: ..., "nothing has been computed"),
    ("scores", lambda q, k: scores(q, k, dim=None), "the softmax is missing"),
    ("scores", lambda q, k: scores(q, k, width=1, dim=None), "softmax and scale"),
    ("scores", lambda q, k: scores(q, k, width=1), "1/√K is missing"),
    ("scores", lambda q, k: scores(q, k, width=q[0, 0].numel()), "1/√(H·K)"),
    ("scores", lambda q, k: scores(q, k, width=q.shape[-1] ** 2), "divide by its root"),
    ("scores", lambda q, k: scores(q, k, dim=-2), "over the queries"),
    ("scores", lambda q, k: scores(q, k, dim=1), "over the heads"),
    ("scores", lambda q, k: scores(q, k).mT, "rows are keys"),
    ("scores", lambda q, k: scores(k, q), "letters on the right"),
    ("scores", lambda q, k: scores(q, k, dim=None).sum(1).softmax(-1), "heads are summed over"),
    ("scores", lambda q, k: scores(q, k).transpose(1, 2), "behind the queries"),
    ("scores", lambda q, k: scores(q, k).permute(0, 2, 3, 1), "heads come last"),
    ("layout", lambda *given: None, "nothing has been computed"),
    ("layout", lambda *given: layout(*given)[:4], "expected eight"),
    ("layout", lambda *given: {}, "list of eight tensors"),
    ("layout", with_kernels(lambda W, H: W.reshape(len(W), H, -1)), "it is not transposed"),
    ("layout", with_kernels(lambda W, H: W.unflatten(0, (H, -1))), "input is the last axis"),
    ("layout", with_kernels(lambda W, H: W.T.reshape(H, -1, len(W))), "heads come first"),
    ("layout", with_kernels(lambda W, H: W.T), "still one axis"),
    ("layout", with_kernels(lambda W, H: W.T.unflatten(1, (-1, H))), "block of columns"),
    ("layout", with_kernels(lambda W, H: W.T.unflatten(1, (-1, H)).mT), "dealt out"),
    ("layout", with_entry(1, lambda b, Wo, H: b.flatten()), "query bias: heads and width"),
    ("layout", with_entry(5, lambda b, Wo, H: b.T), "value bias: the axes are exchanged"),
    ("layout", with_entry(6, lambda W, Wo, H: Wo.unflatten(0, (H, -1))), "is not transposed"),
    ("layout", with_entry(6, lambda W, Wo, H: Wo.unflatten(1, (H, -1))), "last axis should be"),
    ("layout", with_entry(6, lambda W, Wo, H: Wo.T.unflatten(1, (H, -1))), "first two axes"),
    ("layout", with_entry(6, lambda W, Wo, H: Wo.T.unflatten(0, (-1, H))), "block of rows"),
    ("layout", with_entry(7, lambda b, Wo, H: b + 1), "output bias differs"),
    ("layout", reordered(0, 2, 4, 6, 1, 3, 5, 7), "all kernels come first"),
    ("layout", reordered(0, 1, 4, 5, 2, 3, 6, 7), "values come before keys"),
    ("layout", reordered(1, 0, 3, 2, 5, 4, 7, 6), "bias comes before its kernel"),
    ("mask", lambda p, f: None, "nothing has been computed"),
    ("mask", lambda p, f: ~mask(p, f), "polarity is PyTorch's: in Keras"),
    ("mask", lambda p, f: p[:, None] & f, "joined by `and`"),
    ("mask", lambda p, f: ~(p[:, None] & f), "only one of the masks forbids"),
    ("mask", lambda p, f: ~p[:, None] & f, "future mask is not negated"),
    ("mask", lambda p, f: p[:, None] & ~f, "padding mask is not negated"),
    ("mask", lambda p, f: (~f).expand(len(p), -1, -1), "padding is allowed"),
    ("mask", lambda p, f: (~p[:, None]).expand(-1, len(f), -1), "future is allowed"),
    ("mask", lambda p, f: ~(p | f), "needs an axis for them"),
    ("mask", lambda p, f: ~(p[:, :, None] | f), "should hide keys"),
    ("mask", lambda p, f: mask(p, f).float(), "should be boolean"),
    ("mask", lambda p, f: mask(p, f)[:, None], "has shape"),
    ("mask", lambda p, f: mask(p, f).mT, "should be the opposite"),
    ("mask", in_place, "changed the caller's padding"),
]


@pytest.mark.parametrize(("name", "answer", "message"), WRONG)
def test_wrong_answers_fail_and_are_named(name, answer, message):
    result = check(f"keras_multi_head.{name}", answer)
    assert not result
    assert message in result.message

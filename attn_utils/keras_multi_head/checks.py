"""Self-checks of chapter 8, Multi-head attention as Keras defines it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from attn_utils.checks import Mistake, compare, compare_entries, exercise

_SHAPES: dict[str, Any] = {
    "query kernel": (32, 4, 8),
    "value kernel": (24, 4, 16),
    "output kernel": (4, 16, 10),
    "scores": (2, 4, 50, 7),
    "output": (2, 50, 10),
    "parameters": 3722,
}
_SHAPE_MISTAKES: dict[str, dict[Any, str]] = {
    "query kernel": {
        (32, 4, 2): "query kernel: key_dim is the width of one head already, not of all together",
        (32, 8): "query kernel: the axis of the heads is missing",
        (32, 32): "query kernel: heads and width are two axes, (input, heads, width)",
        (4, 32, 8): "query kernel: the input comes first, then the heads, then the width",
        (32, 8, 4): "query kernel: the heads come before the width",
    },
    "value kernel": {
        (24, 4, 8): "value kernel: the values have a width of their own, value_dim",
        (12, 4, 16): "value kernel: 12 is the width of the key; mind the order query, value, key",
        (32, 4, 16): "value kernel: 32 is the width of the query",
    },
    "output kernel": {
        (4, 8, 10): "output kernel: it meets the values of the heads, whose width is value_dim",
        (4, 16, 32): "output kernel: output_shape is given, so the query's width does not count",
        (64, 10): "output kernel: heads and width are two axes here as well",
        (10, 4, 16): "output kernel: it begins with what it meets, heads and width",
    },
    "scores": {
        (2, 4, 7, 50): "scores: a row for each query and a column for each key, not the reverse",
        (2, 50, 7): "scores: the axis of the heads is missing",
        (2, 50, 7, 4): "scores: the heads come before queries and keys",
        (2, 50, 4, 7): "scores: the heads come before queries and keys",
        (2, 4, 50, 50): "scores: there are 7 keys, not 50; T and S differ",
    },
    "output": {
        (2, 50, 32): "output: output_shape is given, so the query's width does not count",
        (2, 7, 10): "output: a row for each query, not for each value",
        (2, 50, 64): "output: the heads are joined and then mapped to output_shape",
        (2, 50, 16): "output: the heads are joined and then mapped to output_shape",
    },
    "parameters": {
        3584: "parameters: the biases are missing",
        3712: "parameters: the output's bias is missing",
        3658: "parameters: the bias of the values is missing",
        3690: "parameters: queries and keys have a bias each, 2 · H · K together",
        2602: "parameters: values have the width value_dim = 16, not key_dim",
        3338: "parameters: key and value are exchanged; the call is query, value, key",
        5152: "parameters: output_shape is given, so the query's width does not count",
    },
}


@exercise("keras_multi_head.shapes")
def _check_shapes(answers: Any) -> None:
    """Exercise 8.1: shapes and parameters of a layer before it is built."""
    compare_entries(answers, _SHAPES, _SHAPE_MISTAKES, "go through its axes one by one")


@exercise("keras_multi_head.project")
def _check_project(project: Callable[[Tensor, Tensor, Tensor], Any]) -> None:
    """Exercise 8.2: 'abc,cde->abde' as a matrix product."""
    generator = torch.Generator().manual_seed(8)
    # H = K in the first round, so that exchanged axes keep all shapes
    for B, n, D, H, K in ((2, 5, 9, 3, 3), (3, 4, 6, 2, 5)):
        x = torch.randn(B, n, D, generator=generator)
        kernel = torch.randn(D, H, K, generator=generator)
        bias = torch.randn(H, K, generator=generator)
        without = torch.einsum("abc,cde->abde", x, kernel)
        turned = (x @ kernel.reshape(H * K, D).T).reshape(B, n, H, K)
        compare(
            project(x, kernel, bias),
            without + bias,
            "the projection",
            {
                "the bias is missing": without,
                "the width comes before the heads: the result should be (B, n, H, K)": (
                    (without + bias).transpose(2, 3)
                ),
                "the heads come before the positions: the result should be (B, n, H, K)": (
                    (without + bias).transpose(1, 2)
                ),
                "heads and width are still one axis: give the columns their two names back": (
                    (without + bias).flatten(2)
                ),
                "heads and width are still one axis, and the bias is missing": without.flatten(2),
                "the kernel was reshaped to (H·K, D) and transposed, which mixes its entries: "
                "its first axis is the input already": turned + bias,
                "the columns got their names in the wrong order: head first, then width": (
                    without.reshape(B, n, K, H).transpose(2, 3) + bias
                ),
                "the heads are added up: their axis has to stay": (without + bias).sum(dim=2),
            },
        )


def _scores(q: Tensor, k: Tensor, width: float | None = None) -> Tensor:
    """Scores (B, H, T, S) before the softmax."""
    width = q.shape[-1] if width is None else width
    return torch.einsum("bthk,bshk->bhts", q, k) / math.sqrt(width)


@exercise("keras_multi_head.scores")
def _check_scores(scores: Callable[[Tensor, Tensor], Any]) -> None:
    """Exercise 8.3: attention weights of all heads by einsum."""
    generator = torch.Generator().manual_seed(8)
    # T = S in the first round, so that exchanged axes keep all shapes
    for B, T, S, H, K in ((2, 4, 4, 3, 5), (2, 3, 6, 2, 4)):
        q = torch.randn(B, T, H, K, generator=generator)
        k = torch.randn(B, S, H, K, generator=generator)
        s = _scores(q, k)
        compare(
            scores(q, k),
            s.softmax(dim=-1),
            "the weights",
            {
                "the softmax is missing": s,
                "softmax and scale are missing": _scores(q, k, 1),
                "the scale 1/√K is missing": _scores(q, k, 1).softmax(dim=-1),
                "the scale is 1/√(H·K), but each head is only K wide": (
                    _scores(q, k, H * K).softmax(dim=-1)
                ),
                "the scores are divided by K: divide by its root": (
                    _scores(q, k, K * K).softmax(dim=-1)
                ),
                "the softmax runs over the queries: each query's weights must sum to 1": (
                    s.softmax(dim=-2)
                ),
                "the softmax runs over the heads: its axis is the last one, the keys": (
                    s.softmax(dim=1)
                ),
                "rows are keys and columns queries: the result should be (B, H, T, S)": (
                    s.softmax(dim=-1).transpose(-2, -1)
                ),
                "rows are keys and columns queries: the letters on the right are exchanged": (
                    s.transpose(-2, -1).softmax(dim=-1)
                ),
                "the heads are summed over: their letter is missing on the right": (
                    _scores(q, k).sum(dim=1).softmax(dim=-1)
                ),
                "the heads come last: the result should be (B, H, T, S)": (
                    s.softmax(dim=-1).permute(0, 2, 3, 1)
                ),
                "the heads stand behind the queries: the result should be (B, H, T, S)": (
                    s.softmax(dim=-1).transpose(1, 2)
                ),
            },
        )


_NAMES = [
    f"{part} {kind}" for part in ("query", "key", "value", "output") for kind in ("kernel", "bias")
]


@exercise("keras_multi_head.layout")
def _check_layout(convert: Callable[[Tensor, Tensor, Tensor, Tensor, int], Any]) -> None:
    """Exercise 8.4: the weights of nn.MultiheadAttention in Keras's layout."""
    generator = torch.Generator().manual_seed(8)
    for D, H in ((6, 3), (8, 2)):
        K = D // H
        Wqkv = torch.randn(3 * D, D, generator=generator)
        bqkv = torch.randn(3 * D, generator=generator)
        Wo, bo = torch.randn(D, D, generator=generator), torch.randn(D, generator=generator)
        got = convert(Wqkv, bqkv, Wo, bo, H)
        if got is None or got is Ellipsis:
            raise Mistake(f"the list is {got}: nothing has been computed yet")
        if not isinstance(got, Sequence):
            raise Mistake(f"the answer should be a list of eight tensors, not {type(got).__name__}")
        if len(got) != 8:
            raise Mistake(
                f"the list has {len(got)} entries, expected eight: kernel and bias of query, key, "
                "value and output"
            )
        right = [
            t
            for W, b in zip(Wqkv.chunk(3), bqkv.chunk(3), strict=True)
            for t in (W.T.reshape(D, H, K), b.reshape(H, K))
        ] + [Wo.T.reshape(H, K, D), bo]
        _name_order(got, right)
        for i, (name, want) in enumerate(zip(_NAMES, right, strict=True)):
            mistakes: dict[str, Tensor] = {}
            if name == "output kernel":
                mistakes = {
                    f"{name}: it is not transposed, nn.Linear stores (outputs, inputs)": (
                        Wo.reshape(H, K, D)
                    ),
                    f"{name}: its last axis should be the output, (H, V, O)": Wo.reshape(D, H, K),
                    f"{name}: its first two axes should be the heads and the width, (H, V, O)": (
                        Wo.T.reshape(D, H, K)
                    ),
                    f"{name}: the width comes before the heads; a head is a block of rows": (
                        Wo.T.reshape(K, H, D)
                    ),
                    f"{name}: the rows are dealt out to the heads in turn; a head is a block of "
                    "rows that follow each other": Wo.T.reshape(K, H, D).transpose(0, 1),
                }
            elif name.endswith("kernel"):
                W = Wqkv.chunk(3)[i // 2]
                mistakes = {
                    f"{name}: it is not transposed, nn.Linear stores (outputs, inputs)": (
                        W.reshape(D, H, K)
                    ),
                    f"{name}: the input is the last axis; it should be the first, (D, H, K)": (
                        W.reshape(H, K, D)
                    ),
                    f"{name}: the heads come first; the input should, (D, H, K)": (
                        W.T.reshape(H, K, D)
                    ),
                    f"{name}: the width comes before the heads; a head is a block of columns": (
                        W.T.reshape(D, K, H)
                    ),
                    f"{name}: the columns are dealt out to the heads in turn; a head is a block "
                    "of columns that follow each other": W.T.reshape(D, K, H).transpose(1, 2),
                    f"{name}: heads and width are still one axis": W.T,
                }
            elif name != "output bias":
                mistakes = {
                    f"{name}: heads and width are still one axis": want.flatten(),
                    f"{name}: the axes are exchanged, it should be (H, K)": want.T,
                    f"{name}: split it into (H, K), not (K, H)": want.reshape(K, H),
                }
            compare(got[i], want, name, mistakes)


def _name_order(got: Sequence[Any], right: Sequence[Tensor]) -> None:
    """Say so if the eight tensors are right but stand in another order."""
    orders = {
        "all kernels come first: Keras has kernel, bias, kernel, bias …": (0, 2, 4, 6, 1, 3, 5, 7),
        "values come before keys: the arguments have this order, but the weights are held as "
        "query, key, value": (0, 1, 4, 5, 2, 3, 6, 7),
        "each bias comes before its kernel": (1, 0, 3, 2, 5, 4, 7, 6),
    }
    for message, order in orders.items():
        if all(_same(one, right[i]) for one, i in zip(got, order, strict=True)):
            raise Mistake(message)


def _same(got: Any, want: Tensor) -> bool:
    return (
        isinstance(got, Tensor)
        and got.shape == want.shape
        and torch.allclose(got.detach().float(), want)
    )


@exercise("keras_multi_head.mask")
def _check_mask(keras_mask: Callable[[Tensor, Tensor], Any]) -> None:
    """Exercise 8.5: two masks of nn.MultiheadAttention become one of Keras."""
    # B = T = S in the first round, so that a mask on the wrong axis keeps all shapes
    for lens, T, S in (([3, 1, 2], 3, 3), ([2, 5], 4, 5)):
        padding = torch.arange(S) >= torch.tensor(lens)[:, None]  # (B, S), True = ignore
        future = torch.ones(T, S, dtype=torch.bool).triu(1)  # (T, S), True = ignore
        got = keras_mask(padding, future)
        shape = (len(lens), T, S)
        if got is None or got is Ellipsis:
            raise Mistake(f"the mask is {got}: nothing has been computed yet")
        if not isinstance(got, Tensor):
            raise Mistake(f"the mask should be a tensor, not {type(got).__name__}")
        if got.dtype != torch.bool:
            raise Mistake(f"the mask should be boolean (True = keep), not {got.dtype}")
        rows = padding[:, None]  # (B, 1, S)
        mistakes = {
            "the polarity is PyTorch's: in Keras True means keep": rows | future,
            "the polarity is PyTorch's, and the masks are joined by `and`": rows & future,
            "a key that only one of the masks forbids is kept: it must be allowed by both": (
                ~(rows & future)
            ),
            "the future mask is not negated": ~rows & future,
            "the padding mask is not negated": rows & ~future,
            "padding is allowed: the first mask is not used": (~future).expand(shape),
            "the future is allowed: the second mask is not used": (~rows).expand(shape),
        }
        if len(lens) == T == S:
            mistakes["the padding mask met the queries: it needs an axis for them, (B, 1, S)"] = ~(
                padding | future
            )
            mistakes["the padding is applied to the queries: it should hide keys"] = ~(
                padding[:, :, None] | future
            )
        for message, wrong in mistakes.items():
            if got.shape == wrong.shape and torch.equal(got, wrong):
                raise Mistake(message)
        if got.shape != shape:
            raise Mistake(f"the mask has shape {tuple(got.shape)}, expected (B, T, S) = {shape}")
        want = ~(rows | future)
        if not torch.equal(got, want):
            where = tuple((got != want).nonzero()[0].tolist())
            raise Mistake(f"the mask at {where} is {bool(got[where])}, it should be the opposite")

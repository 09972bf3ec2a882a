"""What attention costs: operations, bytes and memory by formula."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from attn_utils.core.arguments import check_size, check_sizes

__all__ = [
    "attention_bytes",
    "attention_flops",
    "attention_peak_bytes",
    "block_flops",
    "kv_cache_bytes",
    "mlp_flops",
]

#: operations of a softmax for each score: maximum, subtraction, exponential, sum, division
SOFTMAX_FLOPS = 5

P = ParamSpec("P")
R = TypeVar("R")


def _formerly_kv_heads(function: Callable[P, R]) -> Callable[P, R]:
    """Take ``num_kv_heads`` under its name of release 0.1.0, too."""

    @wraps(function)
    def renamed(*args: Any, **kwargs: Any) -> R:
        if "kv_heads" in kwargs and "num_kv_heads" not in kwargs:
            kwargs["num_kv_heads"] = kwargs.pop("kv_heads")
        return function(*args, **kwargs)

    return renamed


@_formerly_kv_heads
def attention_flops(
    num_queries: int,
    embed_dim: int,
    *,
    num_heads: int = 1,
    num_kv_heads: int | None = None,
    num_keys: int | None = None,
    num_cached: int = 0,
    batch: int = 1,
    is_causal: bool = False,
) -> dict[str, int]:
    """Count the operations of one multi-head attention layer, part by part.

    - projections (of queries, keys, values): ``2 B (T D² + 2 S D Dₖ)`` with
      Dₖ = D · num_kv_heads / H
    - scores: ``2 B P D``, where P is the number of pairs, T (S + C) or what the causal mask leaves
    - softmax: ``5 B H P``
    - weighted sum: ``2 B P D``
    - output projection: ``2 B T D²``

    Args:
        num_queries: T.
        embed_dim: D, of the input, of all queries of a token together, and of the output.
        num_heads: H.
        num_kv_heads: heads of the keys and values, a divisor of H; fewer than H is grouped-query
            attention, 1 is multi-query attention. By default H.
        num_keys: S; by default T.
        num_cached: C, keys and values of earlier tokens that are kept and only read.
        batch: B.
        is_causal: count only pairs s ≤ t, T (T + 1) / 2 for T = S. PyTorch's counter does not.

    Returns:
        Operations by part, in the order of the list; their sum is the layer.

    Example:
        >>> from attn_utils import attention_flops
        >>> flops = attention_flops(1024, 768, num_heads=12)
        >>> flops["projections"] / flops["scores"]  # 3 D / n
        2.25
        >>> step = attention_flops(1, 768, num_heads=12, num_cached=1023)  # decoding
        >>> flops["scores"] // step["scores"]
        1024
        >>> half = attention_flops(1024, 768, num_heads=12, is_causal=True)["scores"]
        >>> f"{half / flops['scores']:.4f}"
        '0.5005'
    """
    H, kv, T, S, embed_dim, batch = _sizes(
        num_queries, embed_dim, num_heads, num_kv_heads, num_keys, batch
    )
    num_cached = check_size("num_cached", num_cached, least=0)
    pairs = batch * (T * num_cached + _pairs(T, S, is_causal))
    return {
        "projections": 2 * batch * (T * embed_dim**2 + 2 * S * embed_dim * (embed_dim // H * kv)),
        "scores": 2 * pairs * embed_dim,
        "softmax": SOFTMAX_FLOPS * H * pairs,
        "weighted sum": 2 * pairs * embed_dim,
        "output": 2 * batch * T * embed_dim**2,
    }


def mlp_flops(num_tokens: int, embed_dim: int, *, mlp_ratio: int = 4, batch: int = 1) -> int:
    """Count the operations of a two-layer perceptron on each token: ``4 r B n D²``.

    Args:
        num_tokens: n.
        embed_dim: D; the hidden layer has r D units.
        mlp_ratio: r.
        batch: B.

    Example:
        >>> from attn_utils import mlp_flops
        >>> mlp_flops(1, 768)  # 4 · 4 · 768²
        9437184
    """
    num_tokens, embed_dim, mlp_ratio, batch = check_sizes(
        num_tokens=num_tokens, embed_dim=embed_dim, mlp_ratio=mlp_ratio, batch=batch
    )
    return 2 * 2 * mlp_ratio * batch * num_tokens * embed_dim**2


@_formerly_kv_heads
def block_flops(
    num_tokens: int,
    embed_dim: int,
    *,
    num_heads: int = 1,
    num_kv_heads: int | None = None,
    mlp_ratio: int = 4,
    num_cached: int = 0,
    batch: int = 1,
    is_causal: bool = False,
) -> dict[str, int]:
    """Count the operations of a transformer block: self-attention and an MLP.

    In the matrix products ``8 n D² + 4 n² D`` for the attention (as many heads for keys as for
    queries, not causal) and ``4 r n D²`` for the MLP; norms, activations and additions are left
    out.

    Args:
        num_tokens: n.
        embed_dim: D.
        num_heads: H.
        num_kv_heads: heads of the keys and values; by default H.
        mlp_ratio: r, hidden units of the MLP as a multiple of D.
        num_cached: C, keys and values of earlier tokens that are kept and only read.
        batch: B.
        is_causal: count only pairs s ≤ t.

    Returns:
        The parts of :func:`attention_flops`, then "MLP".

    Example:
        >>> from attn_utils import block_flops
        >>> short = block_flops(256, 768)
        >>> pairs = short["scores"] + short["weighted sum"]
        >>> f"{pairs / sum(short.values()):.3f}"  # what grows with n² is little yet
        '0.053'
        >>> long = block_flops(16384, 768)
        >>> f"{(long['scores'] + long['weighted sum']) / sum(long.values()):.3f}"
        '0.779'
    """
    parts = attention_flops(
        num_tokens,
        embed_dim,
        num_heads=num_heads,
        num_kv_heads=num_kv_heads,
        num_cached=num_cached,
        batch=batch,
        is_causal=is_causal,
    )
    return parts | {"MLP": mlp_flops(num_tokens, embed_dim, mlp_ratio=mlp_ratio, batch=batch)}


@_formerly_kv_heads
def attention_bytes(
    num_queries: int,
    embed_dim: int,
    *,
    num_heads: int = 1,
    num_kv_heads: int | None = None,
    num_keys: int | None = None,
    num_cached: int = 0,
    batch: int = 1,
    itemsize: int = 4,
    fused: bool = False,
) -> dict[str, int]:
    """Count the bytes that each part of an attention layer moves: inputs read, results written.

    Each part reads every input once and writes its result once, the least it can do. In numbers,
    to be multiplied by ``itemsize``, for T = S = n and as many heads for keys as for queries:

    - projections: ``3 (2 B n D + D²)``
    - scores: ``2 B n D + B H n²``
    - softmax: ``2 B H n²``
    - weighted sum: ``B H n² + 2 B n D``
    - output: ``2 B n D + D²``

    A fused kernel keeps scores and weights next to the arithmetic: the terms with n² go. (It may
    read keys and values more than once; how often depends on its blocks.)

    Args:
        num_queries: T.
        embed_dim: D.
        num_heads: H.
        num_kv_heads: heads of the keys and values; by default H.
        num_keys: S; by default T.
        num_cached: C, keys and values of earlier tokens that are kept and only read.
        batch: B.
        itemsize: bytes of a number, 4 for float32, 2 for bfloat16.
        fused: scores and weights are never written.

    Returns:
        Bytes by part, with the keys of :func:`attention_flops`.

    Example:
        >>> from attn_utils import attention_bytes
        >>> explicit = sum(attention_bytes(4096, 64).values())
        >>> fused = sum(attention_bytes(4096, 64, fused=True).values())
        >>> round(explicit / fused)  # most of the traffic is scores and weights
        22
        >>> read = attention_bytes(1, 64, num_cached=4095, fused=True)["scores"]
        >>> read // (4 * 64)  # a decoder's step reads its one query and 4,096 keys
        4097
    """
    H, kv, T, S, embed_dim, batch = _sizes(
        num_queries, embed_dim, num_heads, num_kv_heads, num_keys, batch
    )
    itemsize = check_size("itemsize", itemsize)
    num_cached = check_size("num_cached", num_cached, least=0)
    kv_dim = embed_dim // H * kv
    queries, keys = batch * T * embed_dim, batch * S * kv_dim  # the values are as many as the keys
    seen = keys + batch * num_cached * kv_dim
    matrix = 0 if fused else batch * H * T * (S + num_cached)
    source = batch * S * embed_dim  # what keys and values are projected from
    numbers = {
        "projections": 2 * queries + embed_dim**2 + 2 * (source + keys + embed_dim * kv_dim),
        "scores": queries + seen + matrix,
        "softmax": 2 * matrix,
        "weighted sum": matrix + seen + queries,
        "output": 2 * queries + embed_dim**2,
    }
    return {part: itemsize * count for part, count in numbers.items()}


@_formerly_kv_heads
def attention_peak_bytes(
    num_queries: int,
    embed_dim: int,
    *,
    num_heads: int = 1,
    num_kv_heads: int | None = None,
    num_keys: int | None = None,
    batch: int = 1,
    itemsize: int = 4,
    fused: bool = False,
) -> int:
    """Memory that q, k, v and the attention between them need at once, without gradients.

    Explicit: ``B (T D + 2 S Dₖ) + max(2 B H T S, B H T S + B T D)`` numbers, because a softmax
    that does not overwrite its input holds scores and weights side by side. Fused:
    ``B (2 T D + 2 S Dₖ) + B H T``, with the output and one number for each query and head (the
    logarithm of its softmax's denominator). A kernel's own small buffers are left out.

    Args:
        num_queries: T.
        embed_dim: D.
        num_heads: H.
        num_kv_heads: heads of the keys and values; by default H.
        num_keys: S; by default T.
        batch: B.
        itemsize: bytes of a number.
        fused: the scores are never all there.

    Example:
        >>> from attn_utils import attention_peak_bytes
        >>> for n in (1024, 2048):  # twice the tokens
        ...     fused = attention_peak_bytes(n, 64, fused=True)
        ...     print(attention_peak_bytes(n, 64), fused)
        9175040 1052672
        35127296 2105344
    """
    H, kv, T, S, embed_dim, batch = _sizes(
        num_queries, embed_dim, num_heads, num_kv_heads, num_keys, batch
    )
    itemsize = check_size("itemsize", itemsize)
    queries, keys = batch * T * embed_dim, batch * S * (embed_dim // H * kv)
    matrix = batch * H * T * S
    between = queries + batch * H * T if fused else max(2 * matrix, matrix + queries)
    return itemsize * (queries + 2 * keys + between)


@_formerly_kv_heads
def kv_cache_bytes(
    num_tokens: int,
    *,
    depth: int,
    num_kv_heads: int,
    head_dim: int,
    batch: int = 1,
    itemsize: int = 2,
) -> int:
    """Size of the keys and values that a decoder keeps while it writes: ``2 B L n H_kv d``.

    Args:
        num_tokens: n, read and written so far.
        depth: L.
        num_kv_heads: heads of the keys and values.
        head_dim: d.
        batch: B.
        itemsize: bytes of a number.

    Example:
        >>> from attn_utils import kv_cache_bytes
        >>> size = kv_cache_bytes(8192, depth=32, num_kv_heads=32, head_dim=128)
        >>> size // 2**20  # MiB of one text of 8,192 tokens, in half precision
        4096
        >>> grouped = kv_cache_bytes(8192, depth=32, num_kv_heads=8, head_dim=128)
        >>> size // grouped
        4
    """
    num_tokens, depth, num_kv_heads, head_dim, batch, itemsize = check_sizes(
        num_tokens=num_tokens,
        depth=depth,
        num_kv_heads=num_kv_heads,
        head_dim=head_dim,
        batch=batch,
        itemsize=itemsize,
    )
    return 2 * batch * depth * num_tokens * num_kv_heads * head_dim * itemsize


def _sizes(
    num_queries: int,
    embed_dim: int,
    heads: int,
    num_kv_heads: int | None,
    keys: int | None,
    batch: int,
) -> list[int]:
    """Heads of queries and keys, T, S, D and B as plain integers."""
    heads, kv, T, S, embed_dim, batch = check_sizes(
        num_heads=heads,
        num_kv_heads=heads if num_kv_heads is None else num_kv_heads,
        num_queries=num_queries,
        num_keys=num_queries if keys is None else keys,
        embed_dim=embed_dim,
        batch=batch,
    )
    if embed_dim % heads:
        raise ValueError(f"embed_dim: expected a multiple of num_heads = {heads}, got {embed_dim}")
    if heads % kv:
        raise ValueError(f"num_kv_heads: expected a divisor of num_heads = {heads}, got {kv}")
    return [heads, kv, T, S, embed_dim, batch]


def _pairs(T: int, S: int, is_causal: bool) -> int:
    if not is_causal:
        return T * S
    square = min(T, S)  # query t sees min(t + 1, S) keys
    return square * (square + 1) // 2 + (T - square) * S

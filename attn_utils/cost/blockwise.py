"""Two ways to attend without the T × S scores; :mod:`attn_utils.cost` shows what they save.

Shapes: T queries, S keys, d width of queries and keys, dv width of values.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from attn_utils.core.arguments import check_same_length, check_size, check_tensors, check_width
from attn_utils.core.masks import broadcast_mask
from attn_utils.core.precision import common_dtype, without_autocast, working_dtype

__all__ = ["blockwise_attention", "linear_attention"]


def blockwise_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    *,
    is_causal: bool = False,
    block_size: int = 256,
) -> Tensor:
    """Attend block by block: ``softmax(q kᵀ / √d) v`` without ever holding all scores.

    For each block of queries, the blocks of keys pass by one after the other, and three things are
    kept: the largest score so far m, the sum l of exp(s − m), and the sum of exp(s − m) v. When a
    block raises m, the two sums are multiplied by exp(m_old − m_new). The weights never exist
    together, so there is no ``return_weights``.

    Without gradients the memory grows with T and S, not with their product. In training, autograd
    keeps every block for the backward pass, T × S numbers again; kernels such as FlashAttention
    compute the blocks a second time instead (so does ``torch.utils.checkpoint`` around a call for
    each block of queries).

    A query that may attend to nothing has an output of exactly 0 and finite gradients.

    Args:
        q: (…, T, d), the queries.
        k: (…, S, d), the keys, S ≥ 1.
        v: (…, S, dv), the values.
        mask: boolean, True = may be attended, in a shape that :mod:`attn_utils.core.masks` lists.
        is_causal: let query t attend to the keys s ≤ t only (top-left aligned for T ≠ S), in
            addition to the mask. Blocks that are all future are not computed.
        block_size: queries and keys in a block.

    Returns:
        The output (…, T, dv), in the dtype of the inputs. float16 and bfloat16 are summed in
        float32, also under autocast.

    Example:
        >>> import torch
        >>> from attn_utils import blockwise_attention, peak_bytes
        >>> from attn_utils import scaled_dot_product_attention
        >>> q = torch.rand(1, 512, 16)
        >>> output, weights = scaled_dot_product_attention(q, q, q, return_weights=True)
        >>> torch.allclose(blockwise_attention(q, q, q, block_size=64), output, atol=1e-5)
        True
        >>> peak = peak_bytes(lambda: blockwise_attention(q, q, q, block_size=64))
        >>> peak < weights.nbytes
        True

    References:
        Milakov & Gimelshein (2018). Online normalizer calculation for softmax. Rabe & Staats
        (2021). Self-attention does not need O(n²) memory. Dao et al. (2022). FlashAttention.
    """
    _check_inputs(q, k, v)
    block_size = check_size("block_size", block_size)
    T, S = q.shape[-2], k.shape[-2]
    if mask is not None:
        mask = broadcast_mask(mask, (*q.shape[:-1], S)).expand(*(-1,) * (q.ndim - 2), T, S)
    if T == 0:
        return q.new_zeros(*q.shape[:-1], v.shape[-1])
    dtype = common_dtype(q, k, v)
    q, k, v = q.to(dtype) * (1 / math.sqrt(q.shape[-1])), k.to(dtype), v.to(dtype)
    with without_autocast(q):
        blocks = [
            _attend_block(q, k, v, mask, is_causal, t, block_size) for t in range(0, T, block_size)
        ]
    return torch.cat(blocks, dim=-2).to(dtype)  # (…, block, dv) -> (…, T, dv)


def _attend_block(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, is_causal: bool, t: int, size: int
) -> Tensor:
    """Attend with the queries t … t + size over all keys, one block of keys after the other."""
    q = q[..., t : t + size, :]
    end = t + q.shape[-2]  # behind the last query
    S = k.shape[-2]
    dtype = working_dtype(q.dtype)
    top = q.new_full((*q.shape[:-1], 1), -math.inf, dtype=dtype)  # (…, block, 1)
    total = torch.zeros_like(top)
    output = q.new_zeros(*q.shape[:-1], v.shape[-1], dtype=dtype)
    for s in range(0, min(S, end) if is_causal else S, size):
        near = slice(s, s + size)
        scores = (q @ k[..., near, :].transpose(-2, -1)).to(dtype)  # (…, block, block)
        allowed = None if mask is None else mask[..., t:end, near]
        if is_causal and s + size > t:  # the block reaches over the diagonal
            rows = torch.arange(t, end, device=q.device)[:, None]
            columns = torch.arange(s, s + scores.shape[-1], device=q.device)
            allowed = rows >= columns if allowed is None else allowed & (rows >= columns)
        if allowed is not None:
            scores = scores.masked_fill(~allowed, -math.inf)
        # The result does not depend on the maximum, so no gradient has to pass through it. Where
        # nothing has been allowed yet it is −∞, and −∞ − (−∞) would be NaN: subtract 0 there.
        new_top = torch.maximum(top, scores.detach().amax(-1, keepdim=True))
        shift = new_top.masked_fill(new_top == -math.inf, 0.0)
        powers = (scores - shift).exp()
        rescale = (top - shift).exp()
        total = total * rescale + powers.sum(-1, keepdim=True)
        output = output * rescale + powers @ v[..., near, :].to(dtype)  # (…, block, dv)
        top = new_top
    return output / total.masked_fill(total == 0, 1.0)  # nothing allowed at all: 0 / 1


def linear_attention(q: Tensor, k: Tensor, v: Tensor, *, is_causal: bool = False) -> Tensor:
    """Attend with a kernel in place of the exponential: ``φ(q) (φ(k)ᵀ v) / (φ(q) Σ φ(k))``.

    φ(x) = elu(x) + 1, applied to each number, is positive, so these are weights
    ``φ(q)·φ(k) / Σ φ(q)·φ(k)`` that sum to 1; but the sum over the keys is taken *before* a query
    comes, and time and memory grow with T + S. It is not an approximation of softmax attention:
    the T × S weights have a rank of at most d, which bounds how sharply many queries can select.

    Args:
        q: (…, T, d), the queries.
        k: (…, S, d), the keys, S ≥ 1.
        v: (…, S, dv), the values.
        is_causal: let query t attend to the keys s ≤ t only (top-left aligned for T ≠ S).

    Returns:
        The output (…, T, dv), in the dtype of the inputs. float16 and bfloat16 are computed in
        float32, also under autocast. Where all features of a query or of its keys are too small for
        the dtype, 0.

    Example:
        >>> import torch
        >>> from attn_utils import linear_attention
        >>> q, k = torch.rand(1, 5, 4), torch.rand(1, 9, 4)
        >>> linear_attention(q, k, torch.rand(1, 9, 3)).shape
        torch.Size([1, 5, 3])
        >>> output = linear_attention(q, k, torch.ones(1, 9, 3))
        >>> torch.allclose(output, torch.ones(1, 5, 3))  # its weights sum to 1, too
        True

    References:
        Katharopoulos et al. (2020). Transformers are RNNs: fast autoregressive transformers with
        linear attention.
    """
    _check_inputs(q, k, v)
    dtype = common_dtype(q, k, v)
    q, k, v = (x.to(working_dtype(dtype)) for x in (q, k, v))
    q, k = _feature_map(q), _feature_map(k)
    v = torch.cat([v, torch.ones_like(v[..., :1])], dim=-1)  # its last column sums the weights
    with without_autocast(q):
        # without a mask (…, T, d) @ ((…, d, S) @ (…, S, dv + 1)) -> (…, T, dv + 1)
        sums = _causal_sums(q, k, v) if is_causal else q @ (k.transpose(-2, -1) @ v)
    total = sums[..., -1:].clamp_min(torch.finfo(sums.dtype).tiny)
    return (sums[..., :-1] / total).to(dtype)


def _feature_map(x: Tensor) -> Tensor:
    """elu(x) + 1, without the rounding of the two steps where x is far below 0."""
    return torch.where(x > 0, x + 1, x.clamp(max=0).exp())


def _causal_sums(q: Tensor, k: Tensor, v: Tensor, size: int = 64) -> Tensor:
    """Σ_{s ≤ t} (q_t · k_s) v_s: what lies before a block by its sum, the block itself by pairs."""
    past = q.new_zeros(*q.shape[:-2], q.shape[-1], v.shape[-1])  # (…, d, dv)
    results = [q.new_zeros(*q.shape[:-2], 0, v.shape[-1])]
    for t in range(0, q.shape[-2], size):
        queries, keys, values = (x[..., t : t + size, :] for x in (q, k, v))
        here = (queries @ keys.transpose(-2, -1)).tril()  # (…, block, block)
        results.append(queries @ past + here @ values)
        past = past + keys.transpose(-2, -1) @ values
    return torch.cat(results, dim=-2)


def _check_inputs(q: Tensor, k: Tensor, v: Tensor) -> None:
    check_tensors(q=q, k=k, v=v)
    if q.shape[-1] == 0:
        raise ValueError(f"q: expected a width of at least 1, got shape {tuple(q.shape)}")
    check_width("k", k, q.shape[-1])
    check_same_length(k, v, ("k", "v"))

"""Attention itself: ``softmax(q kᵀ / √d) v``, explicitly and by PyTorch's fused kernel.

:func:`scaled_dot_product_attention` checks its arguments; :func:`attend` is what it and the book's
modules call once they have checked theirs.

Shapes: B batch, H heads, T queries, S keys, d width of a query and a key, dv width of a value;
``…`` stands for any leading axes, as a rule B or B and H. Masks are boolean, True = may be
attended; :mod:`attn_utils.core.masks` says how they fit.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .arguments import check_probability, check_same_length, check_tensors, check_width
from .masks import causal_mask, fit_mask, softmax
from .recording import is_recorded, record

__all__ = ["scaled_dot_product_attention"]


def scaled_dot_product_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    *,
    is_causal: bool = False,
    dropout_p: float = 0.0,
    scale: float | None = None,
    return_weights: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Attend: ``softmax(q kᵀ / √d) v``, the one function that the book's modules attend with.

    With ``return_weights`` the explicit formula is computed, and the T × S weights exist; so it is
    while :func:`attn_utils.explain.record_attention` listens. Otherwise PyTorch's fused kernel
    gives the same output and never holds them all: its memory grows with T and S, not with their
    product (where it supports the inputs; on CPUs it needs dv = d).

    A query that may attend to nothing has weights and output of exactly 0 and finite gradients. A
    masked key and its value have to be finite all the same, since 0 · NaN is NaN.

    Args:
        q: (…, T, d), the queries.
        k: (…, S, d), the keys, S ≥ 1.
        v: (…, S, dv), the values.
        mask: boolean, True = may be attended; (T, S), (B, T, S), or what else
            :mod:`attn_utils.core.masks` lists.
        is_causal: let query t attend to the keys s ≤ t only (top-left aligned for T ≠ S), in
            addition to the mask. Cheaper than a causal mask: half of the work is left out.
        dropout_p: probability of dropping a weight; the caller passes 0 outside training.
        scale: factor of the scores; by default 1/√d, which keeps their variance at 1.
        return_weights: also return the weights.

    Returns:
        The output (…, T, dv), or output and weights (…, T, S) before dropout, in the dtype of the
        inputs. In float16 and bfloat16 the softmax is computed in float32.

    Raises:
        ValueError: inputs that are not floating-point tensors of one dtype and device, or whose
            shapes do not fit, no keys, a mask that is not boolean or does not fit, dropout_p
            outside [0, 1].

    References:
        Vaswani et al. (2017). Attention is all you need. Dao et al. (2022). FlashAttention.
    """
    check_qkv(q, k, v, ("q", "k", "v"))
    check_probability("dropout_p", dropout_p)
    output, weights = attend(
        q, k, v, mask, is_causal=is_causal, dropout_p=dropout_p, scale=scale, weights=return_weights
    )
    return output if weights is None else (output, weights)


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    *,
    is_causal: bool = False,
    dropout_p: float = 0.0,
    scale: float | None = None,
    weights: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """:func:`scaled_dot_product_attention` without its checks, for a caller who has checked."""
    T, S = q.shape[-2], k.shape[-2]
    if scale is None:
        scale = 1 / math.sqrt(q.shape[-1])
    if mask is not None:
        mask = fit_mask(mask, (*q.shape[:-1], S))  # as many axes as the scores
    explicit = weights or is_recorded()
    if is_causal and (explicit or mask is not None):
        causal = causal_mask(T, S, device=q.device)
        mask = fit_mask(causal, (*q.shape[:-1], S)) if mask is None else mask & causal
        is_causal = False

    if explicit:
        scores = (q * scale) @ k.transpose(-2, -1)  # (…, T, d) @ (…, d, S) -> (…, T, S)
        shares = softmax(scores, mask, own=True)
        record(shares)
        return _average(shares, v, dropout_p), shares if weights else None

    # The kernel wants (B, H, T, d); leading axes are independent, so B may as well count as heads.
    query, key, value = q, k, v
    if q.ndim < 4:
        query, key, value = (x[(None,) * (4 - x.ndim)] for x in (q, k, v))  # -> (1, B, T, d)
    if mask is None:
        output = F.scaled_dot_product_attention(
            query, key, value, is_causal=is_causal, dropout_p=dropout_p, scale=scale
        )
        if q.device.type == "cpu" and (torch.compiler.is_compiling() or S < 64):
            # With fewer keys than its vectors are wide (16 or so) and without a mask the CPU's
            # kernel takes a query of NaN for one that may attend to nothing, and answers 0: an
            # error upstream must not look like an answer.
            lost = 0 * query.detach().amax(-1, keepdim=True)  # (…, T, 1), 0 or NaN
            output = output + lost if output.requires_grad else output.add_(lost)
    else:
        # What a kernel does with a row of False differs between devices and releases: let such a
        # row attend to everything, then put 0.
        mask = mask[(None,) * (4 - mask.ndim)]
        dead = ~mask.any(-1, keepdim=True)  # (…, T, 1)
        output = F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask | dead, dropout_p=dropout_p, scale=scale
        )
        fill = Tensor.masked_fill if output.requires_grad else Tensor.masked_fill_
        output = fill(output, dead, 0.0)
    if output.ndim != q.ndim:
        output = output.reshape(*q.shape[:-1], v.shape[-1])  # (1, B, T, dv) -> (B, T, dv)
    return output, None


def weigh(
    scores: Tensor, values: Tensor, mask: Tensor | None, dropout_p: float, return_weights: bool
) -> Tensor | tuple[Tensor, Tensor]:
    """Weights from the caller's own scores, and the values averaged under them."""
    weights = softmax(scores, None if mask is None else fit_mask(mask, scores.shape), own=True)
    record(weights)
    output = _average(weights, values, dropout_p)
    return (output, weights) if return_weights else output


def _average(weights: Tensor, values: Tensor, dropout_p: float) -> Tensor:
    if dropout_p > 0:
        weights = F.dropout(weights, dropout_p)
    return weights @ values  # (…, T, S) @ (…, S, dv) -> (…, T, dv)


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """Cut the width into heads: (B, n, D) -> (B, H, n, d), no copy."""
    return x.reshape(*x.shape[:-1], num_heads, x.shape[-1] // num_heads).transpose(-3, -2)


def join_heads(heads: Tensor) -> Tensor:
    """Put the heads side by side: (B, H, n, d) -> (B, n, D).

    The transpose has to come first: a reshape alone would mix positions with heads.
    """
    return heads.transpose(-3, -2).flatten(-2)


def check_qkv(q: Tensor, k: Tensor, v: Tensor, names: tuple[str, str, str]) -> None:
    check_tensors(**dict(zip(names, (q, k, v), strict=True)))
    if q.shape[-1] == 0:
        raise ValueError(f"{names[0]}: expected a width of at least 1, got shape {tuple(q.shape)}")
    check_width(names[1], k, q.shape[-1])
    check_same_length(k, v, names[1:])

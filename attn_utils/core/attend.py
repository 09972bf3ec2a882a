"""Attention itself: ``softmax(q kᵀ / √d) v``, explicitly and by PyTorch's fused kernel.

:func:`scaled_dot_product_attention` checks its arguments; :func:`attend` is what it and the book's
modules call once they have checked theirs.

Shapes: B batch, H heads, T queries, S keys, d width of a query and a key, dv width of a value;
``…`` stands for any leading axes, as a rule B or B and H. Masks are boolean, True = may be
attended; :mod:`attn_utils.core.masks` says how they fit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, overload

import torch
import torch.nn.functional as F
from torch import Tensor

from .arguments import check_probability, check_qkv, is_exported
from .masks import broadcast_mask, causal_mask, softmax
from .recording import is_recorded, record

__all__ = ["scaled_dot_product_attention"]


@overload
def scaled_dot_product_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = ...,
    *,
    is_causal: bool = ...,
    dropout_p: float = ...,
    scale: float | None = ...,
    return_weights: Literal[False] = ...,
) -> Tensor: ...
@overload
def scaled_dot_product_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = ...,
    *,
    is_causal: bool = ...,
    dropout_p: float = ...,
    scale: float | None = ...,
    return_weights: Literal[True],
) -> tuple[Tensor, Tensor]: ...
@overload
def scaled_dot_product_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = ...,
    *,
    is_causal: bool = ...,
    dropout_p: float = ...,
    scale: float | None = ...,
    return_weights: bool,
) -> Tensor | tuple[Tensor, Tensor]: ...
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

    With ``return_weights`` the explicit formula is computed, and the T × S weights exist; so they
    do while :func:`attn_utils.explain.record_attention` listens. Otherwise PyTorch's fused kernel
    gives the same output and never holds them all: its memory grows with T and S, not with their
    product (where it supports the inputs; on CPUs it needs dv = d).

    A query that may attend to nothing has weights and output of exactly 0 and finite gradients. A
    masked key and its value have to be finite all the same, since 0 · NaN is NaN.

    Second derivatives exist on the explicit path only: ask for the weights where you need them. A
    NaN in the inputs is a NaN in the output, with one exception: exported or traced, with fewer
    than 16 keys and no mask, PyTorch's kernel for CPUs answers 0 to a query whose scores are NaN.

    Args:
        q: (…, T, d), the queries.
        k: (…, S, d), the keys, S ≥ 1.
        v: (…, S, dv), the values.
        mask: boolean, True = may be attended; (T, S), (B, T, S), or what else
            :mod:`attn_utils.core.masks` lists.
        is_causal: let query t attend to the keys s ≤ t only (top-left aligned for T ≠ S), in
            addition to the mask. Cheaper than a causal mask: half of the work is left out.
        dropout_p: probability of dropping a weight; the caller passes 0 outside training.
        scale: factor of the scores; by default 1/√d, which keeps their variance at 1. The scores
            have to be finite with it: beyond the range of the dtype they, and the output, are NaN.
        return_weights: also return the weights.

    Returns:
        The output (…, T, dv), or output and weights (…, T, S) before dropout, in the dtype of the
        inputs. In float16 and bfloat16 the softmax is computed in float32.

    Example:
        >>> import torch
        >>> from attn_utils import scaled_dot_product_attention
        >>> q = torch.tensor([[[0.0, 0.0], [999.0, 0.0]]])  # no preference; the first key
        >>> k = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
        >>> v = torch.tensor([[[10.0], [20.0]]])
        >>> output, weights = scaled_dot_product_attention(q, k, v, return_weights=True)
        >>> weights
        tensor([[[0.5000, 0.5000],
                 [1.0000, 0.0000]]])
        >>> output.flatten()
        tensor([15., 10.])
        >>> only_second = torch.tensor([False, True])
        >>> scaled_dot_product_attention(q, k, v, only_second).flatten()
        tensor([20., 20.])

    References:
        Vaswani et al. (2017). Attention is all you need. Dao et al. (2022). FlashAttention.
    """
    check_qkv(q=q, k=k, v=v)
    check_probability("dropout_p", dropout_p)
    if mask is not None:
        mask = broadcast_mask(mask, (*q.shape[:-1], k.shape[-2]))
    output, weights = attend(
        q,
        k,
        v,
        mask,
        is_causal=is_causal,
        dropout_p=dropout_p,
        scale=scale,
        return_weights=return_weights,
    )
    return output if weights is None else (output, weights)


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    *,
    group: int = 1,
    is_causal: bool = False,
    dropout_p: float = 0.0,
    scale: float | None = None,
    return_weights: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """:func:`scaled_dot_product_attention` without its checks, for a caller who has checked.

    Args:
        q: (…, T, d), as for :func:`scaled_dot_product_attention`, and so are the others.
        k: (…, S, d).
        v: (…, S, dv).
        mask: with as many axes as q (:func:`attn_utils.core.masks.broadcast_mask`).
        group: how many heads of q (B, H, T, d) in a row share one of k and v, (B, H / group, S, …).
        is_causal: as above.
        dropout_p: as above.
        scale: as above.
        return_weights: whether the second result is the weights or None.

    Returns:
        The output (…, T, dv), and the weights (…, T, S) or None.
    """
    explicit = return_weights or is_recorded()
    if group > 1 and (explicit or not _CPU_KERNEL_GROUPS or not q.is_cpu or is_exported()):
        k, v, group = repeat_heads(k, group), repeat_heads(v, group), 1
    short = q.is_cpu and not is_exported() and k.shape[-2] < _VECTOR
    if is_causal and (explicit or short or mask is not None):
        causal = causal_mask(q.shape[-2], k.shape[-2], device=q.device)
        mask = causal if mask is None else mask & causal
        is_causal = False

    if explicit:
        scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
        scores = (q * scale) @ k.transpose(-2, -1)  # (…, T, d) @ (…, d, S) -> (…, T, S)
        weights = softmax(scores, mask, inplace=True)
        weights = record(weights)
        return average(weights, v, dropout_p), weights if return_weights else None

    shape = q.shape
    if len(shape) != 4:
        q, k, v = (_with_four_axes(x) for x in (q, k, v))
        mask = None if mask is None else _with_four_axes(mask, shape[:-2])
    if mask is None:
        # A mask that allows all: with one, the kernel keeps a NaN also among few keys.
        everything = q.new_zeros(1, 1) if short else None
        output = F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=everything,
            is_causal=is_causal,
            dropout_p=dropout_p,
            scale=scale,
            enable_gqa=group > 1,
        )
    else:
        # What a kernel does with a row of False differs between devices and releases: let such a
        # row attend to everything, then put 0.
        fully_masked = ~mask.any(-1, keepdim=True)  # (…, T, 1)
        output = F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=mask | fully_masked,
            dropout_p=dropout_p,
            scale=scale,
            enable_gqa=group > 1,
        )
        fill = Tensor.masked_fill if output.requires_grad else Tensor.masked_fill_
        output = fill(output, fully_masked, 0.0)
    if len(shape) != 4:
        output = output.reshape(*shape[:-1], v.shape[-1])
    return output, None


#: Numbers in the CPU kernel's longest vector. With fewer keys, and without a mask, that kernel
#: takes a row of NaN scores for one that may attend to nothing, and answers 0: an error upstream
#: must not look like an answer.
_VECTOR = 16

#: Since PyTorch 2.9 the CPU's fused kernel reads the keys and values of a group where they are.
#: Before, and on GPUs in float32 or with a mask, ``enable_gqa`` means no fused kernel at all: there
#: keys and values are repeated, which takes less memory than T × S weights.
_CPU_KERNEL_GROUPS = torch.__version__ >= "2.9"


def _with_four_axes(x: Tensor, leading: Sequence[int] | None = None) -> Tensor:
    """Give x the axes of the fused kernel, (B, H, T, d), whatever its leading axes are.

    Further axes count as B. A mask is expanded to the ``leading`` axes of the scores first, since
    axes of size 1 could not be merged with others.
    """
    if x.ndim > 4:
        x = x if leading is None else x.expand(*leading, *x.shape[-2:])
        return x.flatten(0, -4)
    return x.unsqueeze(-3)[(None,) * (3 - x.ndim)]  # (B, T, d) -> (B, 1, T, d)


def average(weights: Tensor, values: Tensor, dropout_p: float = 0.0) -> Tensor:
    """Average the values (…, S, dv) under the weights (…, T, S), some of them dropped."""
    if dropout_p > 0:
        weights = F.dropout(weights, dropout_p)
    return weights @ values  # (…, T, S) @ (…, S, dv) -> (…, T, dv)


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """Cut the width into heads: (B, n, D) -> (B, H, n, d), no copy."""
    B, n, D = x.shape
    return x.reshape(B, n, num_heads, D // num_heads).transpose(1, 2)


def repeat_heads(x: Tensor, group: int) -> Tensor:
    """Give each head of a group its own keys or values: (B, H / group, S, d) -> (B, H, S, d).

    Copies of a head stand side by side, as ``repeat_interleave`` puts them; ``repeat`` would give
    the same shape and mix the groups.
    """
    return x.unsqueeze(2).expand(-1, -1, group, -1, -1).flatten(1, 2)


def join_heads(heads: Tensor) -> Tensor:
    """Put the heads side by side: (B, H, n, d) -> (B, n, D).

    The transpose has to come first: a reshape alone would mix positions with heads.
    """
    return heads.transpose(1, 2).flatten(2)

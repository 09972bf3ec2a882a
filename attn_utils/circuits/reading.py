"""What heads look at, and what their matrices say without any text.

Shapes: B batch, T tokens, L layers, H heads, D = embed_dim, d = D / H.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from attn_utils.core.arguments import check_size
from attn_utils.multi_head import MultiHeadAttention

__all__ = ["ov_matrix", "qk_matrix", "stripe_score"]


def stripe_score(weights: Tensor, shift: Tensor | int, first: Tensor | int = 0) -> Tensor:
    """Average a stripe: the weight of query t on key t − shift.

    Shift 1 is the token before. With a pattern of period P, shift P is the same token one round
    earlier, and shift P − 1 the token *behind* it, which an induction head looks at.

    Args:
        weights: (…, B, T, T).
        shift: how far back the key is, from 0; one number, or one for each of B sequences, (B,).
        first: the first query that counts; a number or (B,). Queries with fewer than ``shift`` keys
            before them never count.

    Returns:
        The mean over the queries that count, of all B sequences together, (…).

    Example:
        >>> import torch
        >>> from attn_utils import stripe_score
        >>> before = torch.eye(4).roll(-1, dims=1)  # row t: all weight on t − 1
        >>> stripe_score(before[None], shift=1)
        tensor(1.)
        >>> stripe_score(before[None], shift=0)
        tensor(0.)
    """
    if weights.ndim < 3 or weights.shape[-1] != weights.shape[-2]:
        raise ValueError(f"weights: expected shape (…, B, T, T), got {tuple(weights.shape)}")
    B, T = weights.shape[-3], weights.shape[-1]
    shifts, firsts = (_one_each(name, x, B) for name, x in (("shift", shift), ("first", first)))
    t = torch.arange(T)
    keys = t - shifts[:, None]  # (B, T)
    counts = (keys >= 0) & (t >= firsts[:, None])
    if not counts.any():
        raise ValueError(f"shift: expected one that leaves a query with {T} positions, got {shift}")
    index = keys.clamp(min=0)[..., None].expand(*weights.shape[:-1], 1)
    on_stripe = weights.gather(-1, index)[..., 0]  # (…, B, T)
    return (on_stripe * counts).sum(dim=(-2, -1)) / counts.sum()


def qk_matrix(layer: MultiHeadAttention, head: int) -> Tensor:
    """Multiply out what a head compares: ``QK = W_qᵀ W_k / √d``, with score ``x_t QK x_sᵀ``.

    Rows of the stream are row vectors. The rank is at most d.

    Args:
        layer: multi-head attention without biases.
        head: which head, from 0.

    Returns:
        A matrix (D, D); the first axis belongs to the query, the second to the key.

    Example:
        >>> import torch
        >>> from attn_utils import MultiHeadAttention, qk_matrix
        >>> layer, x = MultiHeadAttention(8, 2), torch.randn(1, 5, 8)
        >>> _, weights = layer(x, return_weights=True)
        >>> scores = x @ qk_matrix(layer, 1) @ x.transpose(1, 2)
        >>> torch.allclose(scores.softmax(-1), weights[:, 1], atol=1e-5)
        True

    References:
        Elhage et al. (2021). A mathematical framework for transformer circuits.
    """
    q, k = (_slice(layer, projection.weight, head) for projection in (layer.W_q, layer.W_k))
    return q.T @ k / math.sqrt(len(q))


def ov_matrix(layer: MultiHeadAttention, head: int) -> Tensor:
    """Multiply out what a head passes on: ``OV = W_vᵀ W_oᵀ``, so that it adds ``weights x OV``.

    Args:
        layer: multi-head attention without biases.
        head: which head, from 0.

    Returns:
        A matrix (D, D), from what stands at the key to what is added at the query.

    Example:
        >>> import torch
        >>> from attn_utils import MultiHeadAttention, ov_matrix
        >>> layer, x = MultiHeadAttention(8, 2), torch.randn(1, 5, 8)
        >>> output, weights = layer(x, return_weights=True)
        >>> apart = [weights[:, h] @ x @ ov_matrix(layer, h) for h in range(2)]
        >>> torch.allclose(apart[0] + apart[1], output, atol=1e-5)
        True

    References:
        Elhage et al. (2021). A mathematical framework for transformer circuits.
    """
    v = _slice(layer, layer.W_v.weight, head)
    o = _slice(layer, layer.W_o.weight.T, head)
    return v.T @ o


def _slice(layer: MultiHeadAttention, weight: Tensor, head: int) -> Tensor:
    """Return the d rows of one head, (d, D), without a graph."""
    head = check_size("head", head, 0)
    if head >= layer.num_heads:
        raise ValueError(f"head: expected an integer below {layer.num_heads}, got {head}")
    return weight.detach().chunk(layer.num_heads)[head]


def _one_each(name: str, number: Tensor | int, B: int) -> Tensor:
    numbers = torch.as_tensor(number)
    if numbers.is_floating_point() or numbers.ndim > 1 or numbers.numel() not in (1, B):
        raise ValueError(f"{name}: expected an integer or {B} of them, got {number}")
    if (numbers < 0).any():
        raise ValueError(f"{name}: expected integers from 0, got {number}")
    return numbers.expand(B)

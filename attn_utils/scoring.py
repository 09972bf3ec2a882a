"""Scoring functions: three rules that turn queries and keys into attention weights.

A rule scores each pair of a query and a key; a softmax makes weights of the scores; the output is
the average of the values under these weights. The rules differ in the score alone:

1. **location-based** (:class:`ConcatAttention`): one linear layer reads query and key, joined,
   and emits a score for every value slot;
2. **additive** (:class:`AdditiveAttention`): a linear layer, tanh, and a learned weighted sum;
3. **scaled dot product** (:func:`scaled_dot_product_attention`): ``q · k / √d``.

Shapes throughout: B batch, H heads, T queries, S keys, d width of a query and a key, dv width of
a value; ``…`` stands for any leading axes, as a rule B or B and H. Masks are boolean, True = may
be attended; :mod:`attn_utils.masks` says how they fit. Weights are the ones before dropout, so
that their rows sum to 1.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._arguments import (
    check_probability,
    check_same_length,
    check_sizes,
    check_tensors,
    check_width,
)
from ._recording import is_recorded, record
from .masks import causal_mask, fit_mask, softmax

__all__ = [
    "AdditiveAttention",
    "Attn",
    "ConcatAttention",
    "DotProductAttention",
    "scaled_dot_product_attention",
]


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
            :mod:`attn_utils.masks` lists.
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
    _check_qkv(q, k, v, ("q", "k", "v"))
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


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """Cut the width into heads: (B, n, D) -> (B, H, n, d), no copy."""
    return x.unflatten(-1, (num_heads, x.shape[-1] // num_heads)).transpose(-3, -2)


def join_heads(heads: Tensor) -> Tensor:
    """Put the heads side by side: (B, H, n, d) -> (B, n, D).

    The transpose has to come first: a reshape alone would mix positions with heads.
    """
    return heads.transpose(-3, -2).flatten(-2)


def _average(weights: Tensor, values: Tensor, dropout_p: float) -> Tensor:
    if dropout_p > 0:
        weights = F.dropout(weights, dropout_p)
    return weights @ values  # (…, T, S) @ (…, S, dv) -> (…, T, dv)


class ConcatAttention(nn.Module):
    """Rule 1, location-based: ``softmax(W [q; k] + b) v`` with one score for every value slot.

    The scores know the place of a value, not the value: there must be exactly ``num_values``
    values, and what they hold does not influence the weights.

    Args:
        query_size: width of a query.
        key_size: width of a key.
        num_values: S, the number of value slots.

    Raises:
        ValueError: a size below 1.

    References:
        Location-based scores: Luong et al. (2015), section 3.1.
    """

    def __init__(self, query_size: int, key_size: int, num_values: int) -> None:
        super().__init__()
        check_sizes(query_size=query_size, key_size=key_size, num_values=num_values)
        self.query_size = query_size
        self.key_size = key_size
        self.score = nn.Linear(query_size + key_size, num_values)

    def forward(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        mask: Tensor | None = None,
        *,
        return_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Answer each query.

        Args:
            queries: (B, T, query_size).
            keys: (B, T, key_size), one to join with each query, or (B, 1, key_size) for all.
            values: (B, S, dv) with S = num_values.
            mask: boolean, True = may be attended; (T, S), (B, 1, S) or (B, T, S).
            return_weights: also return the weights.

        Returns:
            The output (B, T, dv), or output and weights (B, T, S).

        Raises:
            ValueError: shapes, dtypes or devices that do not fit, or a bad mask.
        """
        slots = self.score.out_features
        check_tensors(queries=queries, keys=keys, values=values)
        check_width("queries", queries, self.query_size)
        check_width("keys", keys, self.key_size)
        T = queries.shape[-2]
        if keys.shape[-2] not in (1, T):
            raise ValueError(
                f"keys: expected 1 or T = {T} of them, one to join with each query, got shape "
                f"{tuple(keys.shape)}"
            )
        if values.shape[-2] != slots:
            raise ValueError(
                f"values: expected num_values = {slots} of them, got shape {tuple(values.shape)}"
            )
        joined = torch.cat([queries, keys.expand(*queries.shape[:-1], -1)], dim=-1)
        scores = self.score(joined)  # (B, T, dq + dk) -> (B, T, S)
        return _weigh(scores, values, mask, 0.0, return_weights)


class AdditiveAttention(nn.Module):
    """Rule 2, additive: the score of a pair is ``w_v · tanh(W_q q + W_k k)``.

    ``W_q q + W_k k`` is one linear layer on the concatenation of q and k, whose matrix is
    [W_q W_k]; two layers need far fewer operations, T + S products instead of T · S.

    Args:
        query_size: width of a query.
        key_size: width of a key; it may differ, which the dot product does not allow.
        num_hiddens: width of the tanh layer.
        dropout: probability of dropping a weight in training.

    Raises:
        ValueError: a size below 1, dropout outside [0, 1].

    References:
        Bahdanau et al. (2014). Neural machine translation by jointly learning to align and
        translate.
    """

    def __init__(
        self, query_size: int, key_size: int, num_hiddens: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        check_sizes(query_size=query_size, key_size=key_size, num_hiddens=num_hiddens)
        check_probability("dropout", dropout)
        self.W_q = nn.Linear(query_size, num_hiddens, bias=False)
        self.W_k = nn.Linear(key_size, num_hiddens, bias=False)
        self.w_v = nn.Linear(num_hiddens, 1, bias=False)
        self.dropout = dropout

    def forward(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        mask: Tensor | None = None,
        *,
        return_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Answer each query. Memory grows with T · S · num_hiddens.

        Args:
            queries: (B, T, query_size).
            keys: (B, S, key_size), S ≥ 1.
            values: (B, S, dv).
            mask: boolean, True = may be attended; (T, S), (B, 1, S) or (B, T, S).
            return_weights: also return the weights.

        Returns:
            The output (B, T, dv), or output and weights (B, T, S) before dropout.

        Raises:
            ValueError: shapes, dtypes or devices that do not fit, no keys, or a bad mask.
        """
        check_tensors(queries=queries, keys=keys, values=values)
        check_width("queries", queries, self.W_q.in_features)
        check_width("keys", keys, self.W_k.in_features)
        check_same_length(keys, values, ("keys", "values"))
        q = self.W_q(queries).unsqueeze(-2)  # (B, T, dq) -> (B, T, 1, h)
        k = self.W_k(keys).unsqueeze(-3)  # (B, S, dk) -> (B, 1, S, h)
        scores = self.w_v(torch.tanh(q + k)).squeeze(-1)  # (B, T, S, h) -> (B, T, S)
        dropout_p = self.dropout if self.training else 0.0
        return _weigh(scores, values, mask, dropout_p, return_weights)


class DotProductAttention(nn.Module):
    """Rule 3, dot product: the score of a pair is ``q · k / √d``. It has no parameters.

    Args:
        dropout: probability of dropping a weight in training.
        scaled: divide by √d. Without, the scores' variance grows with d, the softmax saturates and
            its gradient vanishes.

    Raises:
        ValueError: dropout outside [0, 1].

    References:
        Vaswani et al. (2017), section 3.2.1; unscaled: Luong et al. (2015).
    """

    def __init__(self, dropout: float = 0.0, *, scaled: bool = True) -> None:
        super().__init__()
        check_probability("dropout", dropout)
        self.dropout = dropout
        self.scaled = scaled

    def forward(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        mask: Tensor | None = None,
        *,
        return_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Answer each query.

        Args:
            queries: (…, T, d).
            keys: (…, S, d), S ≥ 1.
            values: (…, S, dv).
            mask: see :func:`scaled_dot_product_attention`.
            return_weights: also return the weights.

        Returns:
            The output (…, T, dv), or output and weights (…, T, S) before dropout.

        Raises:
            ValueError: as for :func:`scaled_dot_product_attention`.
        """
        _check_qkv(queries, keys, values, ("queries", "keys", "values"))
        dropout_p = self.dropout if self.training else 0.0
        scale = None if self.scaled else 1.0
        output, weights = attend(
            queries, keys, values, mask, dropout_p=dropout_p, scale=scale, weights=return_weights
        )
        return output if weights is None else (output, weights)


class Attn(nn.Module):
    """The three steps of attention by rule 1, for one query: weigh, join with the query, map.

    Weights come from :class:`ConcatAttention`; the attended value is joined with the query, and a
    linear layer maps both to the output: ``W_o [q; Σ_i α_i v_i] + b_o``. Commonly copied versions
    look at batch item 0 only; this one answers each item.

    It has (dq + dk) n + n + (dq + dv) o + o parameters, with n = value_size1 and dv = value_size2.

    Args:
        query_size: width of the query.
        key_size: width of the key.
        value_size1: number of value slots.
        value_size2: width of a value.
        output_size: width of the output.

    Raises:
        ValueError: a size below 1.
    """

    def __init__(
        self, query_size: int, key_size: int, value_size1: int, value_size2: int, output_size: int
    ) -> None:
        super().__init__()
        check_sizes(
            query_size=query_size, key_size=key_size, value_size1=value_size1,
            value_size2=value_size2, output_size=output_size,
        )  # fmt: skip
        self.query_size = query_size
        self.value_size2 = value_size2
        self.attention = ConcatAttention(query_size, key_size, value_size1)
        self.output = nn.Linear(query_size + value_size2, output_size)

    def forward(self, Q: Tensor, K: Tensor, V: Tensor) -> tuple[Tensor, Tensor]:
        """Answer the query of each batch item.

        Args:
            Q: (B, 1, query_size).
            K: (B, 1, key_size).
            V: (B, value_size1, value_size2).

        Returns:
            The output (B, 1, output_size) and the weights (B, value_size1).

        Raises:
            ValueError: shapes, dtypes or devices that do not fit.
        """
        check_tensors(Q=Q, K=K, V=V)
        for name, x in (("Q", Q), ("K", K)):
            if x.ndim != 3 or x.shape[1] != 1:
                raise ValueError(f"{name}: expected shape (B, 1, width), got {tuple(x.shape)}")
        check_width("Q", Q, self.query_size)
        check_width("V", V, self.value_size2)
        attended, weights = self.attention(Q, K, V, return_weights=True)  # (B, 1, dv), (B, 1, n)
        joined = torch.cat([Q, attended], dim=-1)  # (B, 1, dq + dv)
        return self.output(joined), weights.squeeze(1)  # (B, 1, o), (B, n)


def _weigh(
    scores: Tensor, values: Tensor, mask: Tensor | None, dropout_p: float, return_weights: bool
) -> Tensor | tuple[Tensor, Tensor]:
    """Weights from the caller's own scores, and the values averaged under them."""
    weights = softmax(scores, None if mask is None else fit_mask(mask, scores.shape), own=True)
    record(weights)
    output = _average(weights, values, dropout_p)
    return (output, weights) if return_weights else output


def _check_qkv(q: Tensor, k: Tensor, v: Tensor, names: tuple[str, str, str]) -> None:
    check_tensors(**dict(zip(names, (q, k, v), strict=True)))
    if q.shape[-1] == 0:
        raise ValueError(f"{names[0]}: expected a width of at least 1, got shape {tuple(q.shape)}")
    check_width(names[1], k, q.shape[-1])
    check_same_length(k, v, names[1:])

"""Scoring functions: three rules that turn queries and keys into attention weights.

Shapes throughout: B batch, H heads, T queries, S keys, d width of a query and a key, dv width of
a value; ``…`` stands for any leading axes, as a rule B or B and H. Masks are boolean, True = may
be attended; :mod:`attn_utils.core.masks` says how they fit. Weights are the ones before dropout, so
that their rows sum to 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attn_utils.core.arguments import (
    check_probability,
    check_qkv,
    check_same_length,
    check_sizes,
    check_tensors,
    check_width,
)
from attn_utils.core.attend import attend, average
from attn_utils.core.masks import broadcast_mask, softmax
from attn_utils.core.recording import record

__all__ = [
    "AdditiveAttention",
    "Attn",
    "ConcatAttention",
    "DotProductAttention",
    "LocationAttention",
]


class LocationAttention(nn.Module):
    """Rule 1, location-based: ``softmax(W [q; k] + b) v`` with one score for every value slot.

    The scores know the position of a value, not the value: there must be exactly ``num_values``
    values, and what they hold does not influence the weights.

    Args:
        query_size: width of a query.
        key_size: width of a key.
        num_values: S, the number of value slots.

    Example:
        >>> import torch
        >>> from attn_utils import LocationAttention
        >>> rule = LocationAttention(query_size=4, key_size=3, num_values=5)
        >>> q, k = torch.rand(1, 2, 4), torch.rand(1, 1, 3)
        >>> v = torch.rand(1, 5, 6)
        >>> output, weights = rule(q, k, v, return_weights=True)
        >>> output.shape, weights.shape
        (torch.Size([1, 2, 6]), torch.Size([1, 2, 5]))
        >>> _, same = rule(q, k, -v, return_weights=True)
        >>> torch.equal(weights, same)  # what the values hold plays no part
        True

    References:
        Luong et al. (2015), section 3.1, *location*; their *concat* is :class:`AdditiveAttention`.
    """

    def __init__(self, query_size: int, key_size: int, num_values: int) -> None:
        super().__init__()
        query_size, key_size, num_values = check_sizes(
            query_size=query_size, key_size=key_size, num_values=num_values
        )
        self.query_size = query_size
        self.key_size = key_size
        self.num_values = num_values
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
        """
        check_tensors(queries=queries, keys=keys, values=values)
        check_width("queries", queries, self.query_size)
        check_width("keys", keys, self.key_size)
        T = queries.shape[-2]
        if keys.shape[-2] not in (1, T):
            raise ValueError(
                f"keys: expected 1 or T = {T} of them, one to join with each query, got shape "
                f"{tuple(keys.shape)}"
            )
        if values.shape[-2] != self.num_values:
            raise ValueError(
                f"values: expected num_values = {self.num_values} of them, got shape "
                f"{tuple(values.shape)}"
            )
        joined = torch.cat([queries, keys.expand(*queries.shape[:-1], -1)], dim=-1)
        scores = self.score(joined)  # (B, T, dq + dk) -> (B, T, S)
        return _weigh(scores, values, mask, 0.0, return_weights)


ConcatAttention = LocationAttention  # its older name


class AdditiveAttention(nn.Module):
    """Rule 2, additive: the score of a pair is ``w_v · tanh(W_q q + W_k k)``.

    ``W_q q + W_k k`` is one linear layer on the concatenation of q and k, whose matrix is
    [W_q W_k]; two layers need far fewer operations, T + S products instead of T · S.

    Args:
        query_size: width of a query.
        key_size: width of a key; it may differ, which the dot product does not allow.
        num_hiddens: width of the tanh layer.
        dropout: probability of dropping a weight in training.

    Example:
        >>> import torch
        >>> from attn_utils import AdditiveAttention, length_mask
        >>> rule = AdditiveAttention(query_size=4, key_size=3, num_hiddens=8)
        >>> q, k, v = torch.rand(2, 1, 4), torch.rand(2, 5, 3), torch.rand(2, 5, 6)
        >>> mask = length_mask(torch.tensor([2, 5]), num_keys=5)
        >>> output, weights = rule(q, k, v, mask, return_weights=True)
        >>> output.shape, weights.shape
        (torch.Size([2, 1, 6]), torch.Size([2, 1, 5]))
        >>> weights[0, 0, 2:]  # behind the first sequence's two keys
        tensor([0., 0., 0.], grad_fn=<SliceBackward0>)

    References:
        Bahdanau et al. (2014). Neural machine translation by jointly learning to align and
        translate.
    """

    def __init__(
        self, query_size: int, key_size: int, num_hiddens: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        query_size, key_size, num_hiddens = check_sizes(
            query_size=query_size, key_size=key_size, num_hiddens=num_hiddens
        )
        check_probability("dropout", dropout)
        self.query_size = query_size
        self.key_size = key_size
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
        """
        check_tensors(queries=queries, keys=keys, values=values)
        check_width("queries", queries, self.query_size)
        check_width("keys", keys, self.key_size)
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

    Example:
        >>> import torch
        >>> from attn_utils import DotProductAttention
        >>> q, k, v = torch.rand(2, 3, 4), torch.rand(2, 5, 4), torch.rand(2, 5, 6)
        >>> rule = DotProductAttention()
        >>> output, weights = rule(q, k, v, return_weights=True)
        >>> output.shape, weights.shape
        (torch.Size([2, 3, 6]), torch.Size([2, 3, 5]))
        >>> unscaled = DotProductAttention(scaled=False)
        >>> torch.allclose(unscaled(q / 4**0.5, k, v), output)
        True

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
            mask: see :func:`~attn_utils.core.scaled_dot_product_attention`.
            return_weights: also return the weights.

        Returns:
            The output (…, T, dv), or output and weights (…, T, S) before dropout.
        """
        check_qkv(queries=queries, keys=keys, values=values)
        dropout_p = self.dropout if self.training else 0.0
        scale = None if self.scaled else 1.0
        if mask is not None:
            mask = broadcast_mask(mask, (*queries.shape[:-1], keys.shape[-2]))
        output, weights = attend(
            queries,
            keys,
            values,
            mask,
            dropout_p=dropout_p,
            scale=scale,
            return_weights=return_weights,
        )
        return output if weights is None else (output, weights)


class Attn(nn.Module):
    """The three steps of attention by rule 1, for one query: weigh, join with the query, map.

    Weights come from :class:`LocationAttention`; the attended value is joined with the query, and a
    linear layer maps both to the output: ``W_o [q; Σ_i α_i v_i] + b_o``. Commonly copied versions
    look at batch item 0 only; this one answers each item.

    It has (dq + dk) n + n + (dq + dv) o + o parameters, with n = value_size1 and dv = value_size2.

    Args:
        query_size: width of the query.
        key_size: width of the key.
        value_size1: number of value slots.
        value_size2: width of a value.
        output_size: width of the output.

    Example:
        >>> import torch
        >>> from attn_utils import Attn
        >>> attn = Attn(4, 4, value_size1=5, value_size2=6, output_size=3)
        >>> Q, K, V = torch.rand(2, 1, 4), torch.rand(2, 1, 4), torch.rand(2, 5, 6)
        >>> output, weights = attn(Q, K, V)
        >>> output.shape, weights.shape
        (torch.Size([2, 1, 3]), torch.Size([2, 5]))
        >>> sum(p.numel() for p in attn.parameters())  # (4 + 4)·5 + 5 + (4 + 6)·3 + 3
        78
    """

    def __init__(
        self, query_size: int, key_size: int, value_size1: int, value_size2: int, output_size: int
    ) -> None:
        super().__init__()
        query_size, key_size, value_size1, value_size2, output_size = check_sizes(
            query_size=query_size,
            key_size=key_size,
            value_size1=value_size1,
            value_size2=value_size2,
            output_size=output_size,
        )
        self.query_size = query_size
        self.value_size2 = value_size2
        self.attention = LocationAttention(query_size, key_size, value_size1)
        self.output = nn.Linear(query_size + value_size2, output_size)

    def forward(self, Q: Tensor, K: Tensor, V: Tensor) -> tuple[Tensor, Tensor]:
        """Answer the query of each batch item.

        Args:
            Q: (B, 1, query_size).
            K: (B, 1, key_size).
            V: (B, value_size1, value_size2).

        Returns:
            The output (B, 1, output_size) and the weights (B, value_size1).
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
    """Weights from the rule's own scores, and the values averaged under them."""
    if mask is not None:
        mask = broadcast_mask(mask, scores.shape)
    weights = softmax(scores, mask, inplace=True)
    weights = record(weights)
    output = average(weights, values, dropout_p)
    return (output, weights) if return_weights else output

"""Positional encoding: order for a mechanism that does not know any."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attn_utils.core.arguments import (
    check_probability,
    check_size,
    check_sizes,
    check_tensors,
    check_width,
    has_values,
)
from attn_utils.core.precision import draw_trunc_normal, working_dtype

__all__ = ["LearnedPositionalEmbedding", "RotaryEmbedding", "SinusoidalPositionalEncoding"]


class SinusoidalPositionalEncoding(nn.Module):
    """Add a fixed pattern: ``P[i, 2j] = sin(i / base^(2j/d))``, ``P[i, 2j+1] = cos(…)``.

    Two neighbouring columns form a clock hand that turns once in 2π · base^(2j/d) positions. An
    odd width d has one sine without its cosine at the end.

    The table is the non-persistent buffer ``P`` of shape (1, max_len, num_hiddens): it moves with
    the module and is not stored in its state_dict. A module that was built on the meta device gets
    it from :meth:`reset_parameters` after ``to_empty``.

    Args:
        num_hiddens: d, width of the input.
        dropout: probability of dropping an entry of the sum, in training.
        max_len: number of positions in the table.
        base: 10000 in the paper; the slowest hand turns by about 1/base a position.

    Example:
        >>> import torch
        >>> from attn_utils import SinusoidalPositionalEncoding
        >>> encoding = SinusoidalPositionalEncoding(num_hiddens=4)
        >>> encoding(torch.zeros(1, 2, 4))  # sin 0, cos 0, … and sin 1, cos 1, …
        tensor([[[0.0000, 1.0000, 0.0000, 1.0000],
                 [0.8415, 0.5403, 0.0100, 0.9999]]])
        >>> list(encoding.state_dict())  # a formula: nothing to store
        []

    References:
        Vaswani et al. (2017), section 3.5.
    """

    P: Tensor

    def __init__(
        self,
        num_hiddens: int,
        dropout: float = 0.0,
        max_len: int = 1000,
        *,
        base: float = 10000.0,
    ) -> None:
        super().__init__()
        num_hiddens, max_len = check_sizes(num_hiddens=num_hiddens, max_len=max_len)
        check_probability("dropout", dropout)
        _check_base(base)
        self.dropout = dropout
        self.base = base
        self.register_buffer("P", torch.empty(1, max_len, num_hiddens), persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Fill the table."""
        _, max_len, d = self.P.shape
        # In float64, since float32 is off by 1e-4 at position 1000; then rounded once.
        position = torch.arange(max_len, dtype=torch.float64, device="cpu")
        angles = torch.outer(position, _frequencies(d, self.base, position))  # (max_len, ⌈d/2⌉)
        table = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)  # sin, cos, sin, …
        with torch.no_grad():
            self.P.copy_(table[:, :d])

    def forward(self, X: Tensor) -> Tensor:
        """Add the first T rows of the table, then apply dropout.

        Args:
            X: (B, T, d) with T ≤ max_len.

        Returns:
            The sum, (B, T, d), in the dtype of X.
        """
        X = _add_rows(X, self.P[0], "max_len")
        return F.dropout(X, self.dropout, self.training)


class LearnedPositionalEmbedding(nn.Module):
    """Add a learned vector for each position: ``output[t] = x[t] + weight[t]``.

    The parameter ``weight`` (num_positions, num_hiddens) starts as a truncated normal with
    standard deviation 0.02. Unlike a formula it knows nothing beyond the positions it has seen.

    Args:
        num_positions: number of positions.
        num_hiddens: d, width of the input.

    Example:
        >>> import torch
        >>> from attn_utils import LearnedPositionalEmbedding
        >>> embedding = LearnedPositionalEmbedding(num_positions=3, num_hiddens=8)
        >>> added = embedding(torch.zeros(1, 2, 8))
        >>> torch.equal(added[0], embedding.weight[:2])  # the vectors themselves
        True
        >>> sum(p.numel() for p in embedding.parameters())  # 3 positions · 8
        24

    References:
        Dosovitskiy et al. (2021). An image is worth 16x16 words.
    """

    def __init__(self, num_positions: int, num_hiddens: int) -> None:
        super().__init__()
        num_positions, num_hiddens = check_sizes(
            num_positions=num_positions, num_hiddens=num_hiddens
        )
        self.weight = nn.Parameter(torch.empty(num_positions, num_hiddens))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the vectors anew."""
        draw_trunc_normal(self.weight, std=0.02)

    def forward(self, X: Tensor) -> Tensor:
        """Add the vectors of the first T positions.

        Args:
            X: (B, T, d) with T ≤ num_positions.

        Returns:
            The sum, (B, T, d), in the dtype of X.
        """
        return _add_rows(X, self.weight, "num_positions")


class RotaryEmbedding(nn.Module):
    """Rotate pairs of features by an angle that grows with the position (RoPE).

    The pair (x[2j], x[2j+1]) is turned by ``i · base^(−2j/d)`` at position i. Apply it to queries
    *and* keys, not to values: the product of a rotated query and a rotated key then depends on
    their contents and on the *difference* of their positions only.

    **Pairs are neighbours** (interleaved), as in the paper and as in the columns of
    :class:`SinusoidalPositionalEncoding`. Many checkpoints pair x[j] with x[j + d/2] (halves);
    reorder their features before using them here.

    There is nothing to learn or to store, and no longest sequence.

    Args:
        head_dim: d, an even number.
        base: the slowest pair turns by about 1/base a position.

    Example:
        >>> import torch
        >>> from attn_utils import RotaryEmbedding
        >>> rotary = RotaryEmbedding(head_dim=8)
        >>> q, k = torch.rand(1, 8), torch.rand(1, 8)
        >>> def score(i, j):
        ...     return rotary(q, torch.tensor([i])) @ rotary(k, torch.tensor([j])).T
        >>> torch.allclose(score(3, 1), score(42, 40), atol=1e-5)  # the same difference
        True
        >>> torch.allclose(score(3, 1), score(3, 2), atol=1e-5)
        False

    References:
        Su et al. (2021). RoFormer: enhanced transformer with rotary position embedding.
    """

    def __init__(self, head_dim: int, base: float = 10000.0) -> None:
        super().__init__()
        head_dim = check_size("head_dim", head_dim)
        if head_dim % 2:
            raise ValueError(f"head_dim: expected an even number, got {head_dim}")
        _check_base(base)
        self.head_dim = head_dim
        self.base = base

    def forward(self, x: Tensor, positions: Tensor | None = None) -> Tensor:
        """Rotate queries or keys.

        Args:
            x: (…, T, d), as a rule (B, H, T, d).
            positions: (T,), by default 0 … T − 1; with cached keys the queries start later.

        Returns:
            The rotated x, (…, T, d), in its dtype. Angles are computed in float32 at least, since
            bfloat16 does not even hold the number 257.
        """
        check_tensors(x=x)
        check_width("x", x, self.head_dim)
        T = x.shape[-2]
        if positions is None:
            positions = torch.arange(T, device=x.device)
        elif not isinstance(positions, Tensor) or positions.shape != (T,):
            got = tuple(positions.shape) if isinstance(positions, Tensor) else positions
            raise ValueError(f"positions: expected shape (T,) = ({T},), got {got}")
        working = working_dtype(x.dtype)
        positions = positions.to(x.device, working)
        angles = torch.outer(positions, _frequencies(self.head_dim, self.base, positions))
        turns = torch.polar(torch.ones_like(angles), angles)  # (T, d/2), e^{i angle}
        # a rotation is a product of complex numbers: one pass over x, not six
        pairs = x.to(working).reshape(*x.shape[:-1], self.head_dim // 2, 2).contiguous()
        # a view may begin within a pair of its storage; a compiler cannot ask where
        if not has_values(pairs) or pairs.storage_offset() % 2:
            pairs = pairs.clone()
        rotated = torch.view_as_real(torch.view_as_complex(pairs) * turns)  # (…, T, d/2, 2)
        return rotated.flatten(-2).to(x.dtype)  # (…, T, d)

    def extra_repr(self) -> str:
        """What print(module) shows."""
        return f"head_dim={self.head_dim}, base={self.base}"


def _check_base(base: float) -> None:
    if not 0 < base < float("inf"):
        raise ValueError(f"base: expected a positive finite number, got {base!r}")


def _frequencies(d: int, base: float, like: Tensor) -> Tensor:
    """base^(−2j/d) for j = 0 … ⌈d/2⌉ − 1, in radians a position: (⌈d/2⌉,)."""
    exponents = torch.arange(0, d, 2, dtype=like.dtype, device=like.device) / d
    return base**-exponents


def _add_rows(X: Tensor, rows: Tensor, limit: str) -> Tensor:
    """X (B, T, d) plus the first T rows (T, d)."""
    check_tensors(X=X)
    check_width("X", X, rows.shape[1])
    T = X.shape[-2]
    if rows.shape[0] < T:
        raise ValueError(
            f"X: expected at most {limit} = {rows.shape[0]} positions, got {T} in shape "
            f"{tuple(X.shape)}"
        )
    return X + rows[:T].to(X.dtype)

"""The task: a random pattern, written again and again."""

from __future__ import annotations

import torch
from torch import Tensor

from attn_utils.core.arguments import check_size, check_sizes

__all__ = ["repeated_patterns"]


def repeated_patterns(
    count: int,
    length: int = 48,
    vocab_size: int = 32,
    *,
    periods: tuple[int, int] = (10, 23),
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Draw sequences that repeat a pattern of different tokens: ``x[t] = x[t - period]``.

    From position ``period`` on each token has been seen before, and what followed it then follows
    it now. Pattern and period are random, so neither the token nor its position tells what comes.

    Args:
        count: B, how many sequences.
        length: T, their length.
        vocab_size: V, how many different tokens there are.
        periods: the smallest and the largest period, at most V.
        generator: source of randomness; by default PyTorch's own.

    Returns:
        The tokens (B, T), integers below V, and the period of each sequence, (B,).

    Example:
        >>> import torch
        >>> from attn_utils import repeated_patterns
        >>> tokens, periods = repeated_patterns(5, length=12, periods=(3, 6))
        >>> tokens.shape, periods.shape
        (torch.Size([5, 12]), torch.Size([5]))
        >>> period = int(periods[0])
        >>> torch.equal(tokens[0, period:], tokens[0, :-period])
        True
    """
    count = check_size("count", count, 0)
    length, vocab_size = check_sizes(length=length, vocab_size=vocab_size)
    low, high = check_sizes(shortest_period=periods[0], longest_period=periods[1])
    if not low <= high <= vocab_size:
        raise ValueError(
            f"periods: expected smallest ≤ largest ≤ vocab_size = {vocab_size}, got {periods}"
        )
    drawn = torch.randint(low, high + 1, (count,), generator=generator)
    order = torch.rand(count, vocab_size, generator=generator).argsort(dim=-1)  # no token twice
    return order.gather(1, torch.arange(length) % drawn[:, None]), drawn

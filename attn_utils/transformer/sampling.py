"""Drawing the next token: temperature, top-k and top-p. Shapes: V tokens to choose from."""

from __future__ import annotations

import torch
from torch import Tensor

from attn_utils.core.arguments import check_size
from attn_utils.core.masks import sharp_softmax

__all__ = ["sample"]


def sample(
    logits: Tensor,
    temperature: float = 1.0,
    top_k: int | None = None,
    generator: torch.Generator | None = None,
    *,
    top_p: float | None = None,
) -> Tensor:
    """Draw from ``softmax(logits / temperature)``, restricted to the likeliest.

    Args:
        logits: (…, V).
        temperature: below 1 sharper, above 1 flatter; 0 takes the likeliest. However small it is,
            nothing overflows: the softmax is computed from differences, in float32 at least.
        top_k: how many of the likeliest remain, 1 … V; by default all. Ties at the border all stay.
        generator: source of randomness; by default PyTorch's own.
        top_p: of those that remain, keep the fewest likeliest whose probabilities sum to at least
            this, above 0 and at most 1; by default all (nucleus sampling).

    Returns:
        Indices, (…).

    Example:
        >>> import torch
        >>> from attn_utils import sample
        >>> logits = torch.tensor([0.0, 2.0, 1.0, -1.0])
        >>> sample(logits, temperature=0).item()  # always the likeliest
        1
        >>> drawn = sample(logits.expand(1000, 4), top_k=2)
        >>> sorted(set(drawn.tolist()))  # only the two likeliest
        [1, 2]
        >>> drawn = sample(logits.expand(1000, 4), top_p=0.5)
        >>> sorted(set(drawn.tolist()))  # the likeliest has 0.64
        [1]

    References:
        Holtzman et al. (2020). The curious case of neural text degeneration, for top-p.
    """
    probabilities = distribution(logits, temperature, top_k, top_p)
    if temperature == 0:
        return probabilities.argmax(-1)
    drawn = torch.multinomial(probabilities.reshape(-1, logits.shape[-1]), 1, generator=generator)
    return drawn.reshape(logits.shape[:-1])


def distribution(
    logits: Tensor,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Tensor:
    """Give the probabilities from which :func:`sample` draws, (…, V) -> (…, V)."""
    V = logits.shape[-1]
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature: expected a number of at least 0, got {temperature!r}")
    if top_k is not None and check_size("top_k", top_k) > V:
        raise ValueError(f"top_k: expected an integer from 1 to {V}, got {top_k!r}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p: expected a number above 0, at most 1, got {top_p!r}")
    if temperature == 0:
        return torch.nn.functional.one_hot(logits.argmax(-1), V).to(logits.dtype)
    if top_k is not None:
        border = logits.topk(top_k).values[..., -1:]  # the smallest that stays
        logits = logits.masked_fill(logits < border, -torch.inf)
    # a number beyond these bounds would become 0 or infinite, and a difference of −∞ times 0 is NaN
    temperature = min(max(temperature, 1e-38), 1e38)
    probabilities = sharp_softmax(logits, 1 / temperature)
    return probabilities if top_p is None else _nucleus(probabilities, top_p)


def _nucleus(probabilities: Tensor, top_p: float) -> Tensor:
    """Keep the fewest likeliest tokens that sum to at least ``top_p``, and make their sum 1."""
    falling, order = probabilities.sort(-1, descending=True)
    before = falling.cumsum(-1) - falling  # what is likelier; the one that crosses the line stays
    kept = torch.zeros_like(falling).scatter(-1, order, falling * (before < top_p))
    return kept / kept.sum(-1, keepdim=True)

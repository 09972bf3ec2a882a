"""Learned sparse selection: a cheap score says which few keys a query may attend to.

Shapes: B batch, H heads, T queries, S keys, D = embed_dim.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from attn_utils.core.arguments import check_size, check_sizes, check_tensors, check_width
from attn_utils.core.masks import broadcast_mask

__all__ = ["Indexer", "top_k_mask"]


class Indexer(nn.Module):
    """Score all pairs of tokens cheaply: ``(W_q x) (W_k x)ᵀ / √d_i``, with a small width d_i.

    One such score serves all heads of the attention that follows; :func:`top_k_mask` makes a mask
    of it. Choosing has no gradient: the indexer is trained by itself, to resemble the weights of
    full attention. DeepSeek's has several heads, each cut at 0 and weighted by the query's token.

    Args:
        embed_dim: D.
        index_dim: d_i.

    Example:
        >>> import torch
        >>> from attn_utils import Indexer, causal_mask
        >>> from attn_utils import scaled_dot_product_attention, top_k_mask
        >>> x = torch.rand(1, 6, 8)
        >>> scores = Indexer(embed_dim=8, index_dim=2)(x)  # (B, T, T)
        >>> mask = top_k_mask(scores, 3, causal_mask(6))
        >>> mask.sum(-1)  # at most three keys for each query
        tensor([[1, 2, 3, 3, 3, 3]])
        >>> output = scaled_dot_product_attention(x, x, x, mask)

    References:
        DeepSeek-AI (2025). DeepSeek-V3.2: pushing the frontier of open large language models. Yuan
        et al. (2025). Native sparse attention, arXiv:2502.11089.
    """

    def __init__(self, embed_dim: int, index_dim: int) -> None:
        super().__init__()
        self.embed_dim, self.index_dim = check_sizes(embed_dim=embed_dim, index_dim=index_dim)
        self.W_q = nn.Linear(self.embed_dim, self.index_dim, bias=False)
        self.W_k = nn.Linear(self.embed_dim, self.index_dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Score each token as a key for each token as a query.

        Args:
            x: (B, T, D).

        Returns:
            The scores (B, T, T), before any mask.
        """
        check_tensors(x=x)
        check_width("x", x, self.embed_dim)
        scores: Tensor = self.W_q(x) @ self.W_k(x).transpose(-2, -1)  # (B, T, d_i) @ (B, d_i, T)
        return scores / math.sqrt(self.index_dim)


def top_k_mask(scores: Tensor, k: int, mask: Tensor | None = None) -> Tensor:
    """Let each query attend to the k allowed keys with the largest scores.

    A query with no more than k allowed keys keeps them all. Where scores are equal, PyTorch decides
    which of the keys are taken.

    Args:
        scores: (B, T, S), or (B, H, T, S) where each head chooses for itself.
        k: how many keys a query keeps.
        mask: boolean, True = may be attended, such as ``causal_mask(T)``; what it hides is never
            chosen.

    Returns:
        A boolean mask in the shape of the scores, True = may be attended.

    Example:
        >>> import torch
        >>> from attn_utils import causal_mask, top_k_mask
        >>> scores = torch.tensor([[[5.0, 1.0, 9.0]] * 3])
        >>> top_k_mask(scores, 2, causal_mask(3)).int()
        tensor([[[1, 0, 0],
                 [1, 1, 0],
                 [1, 0, 1]]], dtype=torch.int32)

    References:
        Yuan et al. (2025). Native sparse attention, arXiv:2502.11089.
    """
    check_tensors(scores=scores)
    k = check_size("k", k)
    if mask is None:
        allowed = torch.ones_like(scores, dtype=torch.bool)
    else:
        allowed = broadcast_mask(mask, scores.shape).expand(scores.shape)
    best = scores.masked_fill(~allowed, -math.inf).topk(min(k, scores.shape[-1]), -1).indices
    return torch.zeros_like(allowed).scatter(-1, best, True) & allowed

"""Latent attention: the keys and values of all heads from one small vector per token.

Shapes: B batch, T new tokens, S all tokens so far, H heads, D = embed_dim, d = head_dim,
c = latent_dim, r = rotary_dim.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from attn_utils.core.arguments import check_sizes, check_tensors, check_width
from attn_utils.core.attend import attend, join_heads, split_heads
from attn_utils.core.masks import causal_mask
from attn_utils.positional_encoding import RotaryEmbedding
from attn_utils.scoring.norms import rms_norm

__all__ = ["LatentAttention", "LatentCache"]


class LatentCache(NamedTuple):
    """What latent attention keeps of the tokens so far: c + r numbers each, not 2 · H · d.

    Example:
        >>> import torch
        >>> from attn_utils import LatentAttention
        >>> attention = LatentAttention(64, 8, head_dim=8, latent_dim=12, rotary_dim=4)
        >>> _, cache = attention(torch.rand(1, 5, 64))
        >>> cache.latents.shape, cache.rotary_keys.shape
        (torch.Size([1, 5, 12]), torch.Size([1, 5, 4]))
        >>> sum(part.numel() for part in cache) / 5  # with 8 heads of 8 it were 128
        16.0
    """

    latents: Tensor  # (B, S, c), normalised
    rotary_keys: Tensor  # (B, S, r), rotated


class LatentAttention(nn.Module):
    """Causal attention whose keys and values come from a latent ``c = norm(W_c x)`` (MLA).

    Head h has the key ``[W_uk_h c; k_r]`` and the value ``W_uv_h c``, so that the cache needs c and
    k_r only. Since ``q · (W_uk c) = (W_ukᵀ q) · c``, the matrix can be absorbed into the query:
    then all heads attend to the latents themselves, as if these were one head's keys and values,
    and keys and values are never formed. Both forms give the same output.

    A rotation between q and W_uk would depend on the distance of the two tokens, and no fixed
    matrix could absorb it. Positions therefore have features of their own (decoupled): each head's
    query has r more, and one rotated key k_r of width r serves all heads.

    Args:
        embed_dim: D.
        num_heads: H.
        head_dim: d, width of a head's values and of its keys without the rotary part.
        latent_dim: c.
        rotary_dim: r, an even number.

    Example:
        >>> import torch
        >>> from attn_utils import LatentAttention
        >>> attention = LatentAttention(64, 8, head_dim=8, latent_dim=12, rotary_dim=4)
        >>> x = torch.rand(1, 5, 64)
        >>> output, cache = attention(x)
        >>> absorbed, _ = attention(x, absorbed=True)
        >>> torch.allclose(output, absorbed, atol=1e-5)
        True

    References:
        DeepSeek-AI (2024). DeepSeek-V2: a strong, economical, and efficient mixture-of-experts
        language model, arXiv:2405.04434.
    """

    def __init__(
        self, embed_dim: int, num_heads: int, head_dim: int, latent_dim: int, rotary_dim: int
    ) -> None:
        super().__init__()
        D, H, d = check_sizes(embed_dim=embed_dim, num_heads=num_heads, head_dim=head_dim)
        c, r = check_sizes(latent_dim=latent_dim, rotary_dim=rotary_dim)
        if r % 2:
            raise ValueError(f"rotary_dim: expected an even number, got {r}")
        self.embed_dim, self.num_heads, self.head_dim = D, H, d
        self.latent_dim, self.rotary_dim = c, r
        self.W_q = nn.Linear(D, H * (d + r), bias=False)  # of each head: d, then r for positions
        self.W_c = nn.Linear(D, c + r, bias=False)  # the latent, then the key for positions
        self.norm_scale = nn.Parameter(torch.empty(c))
        self.W_uk = nn.Parameter(torch.empty(H, d, c))  # parameters, since one form transposes them
        self.W_uv = nn.Parameter(torch.empty(H, d, c))
        self.W_o = nn.Linear(H * d, D, bias=False)
        self.rotary = RotaryEmbedding(r)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the matrices of keys and values anew, as nn.Linear draws its own."""
        bound = 1 / math.sqrt(self.latent_dim)
        nn.init.uniform_(self.W_uk, -bound, bound)
        nn.init.uniform_(self.W_uv, -bound, bound)
        nn.init.ones_(self.norm_scale)

    def forward(
        self,
        x: Tensor,
        cache: LatentCache | None = None,
        *,
        absorbed: bool = False,
        return_weights: bool = False,
    ) -> tuple[Tensor, LatentCache] | tuple[Tensor, LatentCache, Tensor]:
        """Attend from the new tokens to the cached ones and to each other.

        Args:
            x: (B, T, D), the new tokens.
            cache: what the last call returned; None at the beginning of a text.
            absorbed: attend to the latents instead of forming keys and values: better where few
                queries meet many cached tokens.
            return_weights: also return the weights.

        Returns:
            The output (B, T, D) and the cache with the new tokens, and with ``return_weights`` the
            weights (B, H, T, S).
        """
        check_tensors(x=x)
        check_width("x", x, self.embed_dim)
        if x.ndim != 3 or x.shape[1] == 0:
            raise ValueError(f"x: expected shape (B, T, D) with T ≥ 1, got {tuple(x.shape)}")
        past = 0 if cache is None else cache.latents.shape[1]
        positions = torch.arange(past, past + x.shape[1], device=x.device)
        q, q_r = split_heads(self.W_q(x), self.num_heads).tensor_split([self.head_dim], -1)
        latents, k_r = self.W_c(x).tensor_split([self.latent_dim], -1)
        new = LatentCache(rms_norm(latents, self.norm_scale, 1e-6), self.rotary(k_r, positions))
        if cache is not None:
            new = _append(cache, new)
        heads, weights = _attend_to_latents(
            q, self.rotary(q_r, positions), new, self.W_uk, self.W_uv, absorbed, return_weights
        )
        output = self.W_o(join_heads(heads))
        return (output, new) if weights is None else (output, new, weights)


def _attend_to_latents(
    q: Tensor,
    q_r: Tensor,
    cache: LatentCache,
    W_uk: Tensor,
    W_uv: Tensor,
    absorbed: bool,
    return_weights: bool,
) -> tuple[Tensor, Tensor | None]:
    """Attend from (B, H, T, d) and (B, H, T, r) to the cache: the two forms."""
    (H, d, _), (T, r) = W_uk.shape, q_r.shape[-2:]
    W_uk, W_uv = W_uk.to(q.dtype), W_uv.to(q.dtype)
    latents, k_r = (part.unsqueeze(1) for part in cache)  # (B, 1, S, c), (B, 1, S, r)
    S = latents.shape[2]
    mask = None if S == T else causal_mask(T, S, align="bottom-right", device=q.device)
    if absorbed:
        q = q @ W_uk  # (B, H, T, d) @ (H, d, c) -> (B, H, T, c)
        k = v = latents.expand(-1, H, -1, -1)
    else:  # (B, 1, S, c) @ (H, c, d) -> (B, H, S, d)
        k, v = (latents @ W.transpose(1, 2) for W in (W_uk, W_uv))
    heads, weights = attend(
        torch.cat([q, q_r], -1),
        torch.cat([k, k_r.expand(-1, H, -1, -1)], -1),  # one rotated key for all heads
        v,
        mask,
        is_causal=mask is None,
        scale=1 / math.sqrt(d + r),  # also where q has a width of c
        return_weights=return_weights,
    )
    if absorbed:
        heads = heads @ W_uv.transpose(1, 2)  # (B, H, T, c) @ (H, c, d) -> (B, H, T, d)
    return heads, weights


def _append(cache: LatentCache, new: LatentCache) -> LatentCache:
    """Put the new tokens behind the cached ones, after checks."""
    for name, old, like in zip(cache._fields, cache, new, strict=True):
        check_tensors(**{"x": like, f"cache.{name}": old})  # the dtype and batch of x
        check_width(f"cache.{name}", old, like.shape[-1])
    if cache.latents.shape[1] != cache.rotary_keys.shape[1]:
        raise ValueError(
            f"cache.rotary_keys: expected one for each of cache.latents "
            f"{tuple(cache.latents.shape)}, got shape {tuple(cache.rotary_keys.shape)}"
        )
    old_and_new = zip(cache, new, strict=True)
    return LatentCache(*(torch.cat(pair, 1) for pair in old_and_new))

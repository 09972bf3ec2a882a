"""Sliding windows: a query sees the last w positions, so that the cache needs no more than those.

Shapes: B batch, H heads, T queries (with a cache: the new ones), S keys, d width of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attn_utils.core.arguments import check_qkv, check_same_length, check_size, check_tensors
from attn_utils.core.attend import attend
from attn_utils.core.masks import causal_mask
from attn_utils.transformer import KVCache

__all__ = ["window_attention", "window_mask"]


def window_mask(
    num_queries: int,
    num_keys: int | None = None,
    *,
    window: int,
    align: str = "top-left",
    device: torch.device | str | None = None,
) -> Tensor:
    """Let a query attend to itself and the w − 1 positions before it: ``t − w < s <= t``.

    One layer carries information w − 1 positions forward, L layers carry it L (w − 1).

    Args:
        num_queries: T.
        num_keys: S; by default T.
        window: w, how many positions a query sees, itself included. With w ≥ S this is the causal
            mask.
        align: "top-left" or "bottom-right", as for :func:`~attn_utils.core.causal_mask`: at the
            bottom right the *last* query sees the last w keys.
        device: where to put the mask.

    Returns:
        A boolean mask (T, S), True = may be attended.

    Example:
        >>> from attn_utils import window_mask
        >>> window_mask(4, window=2).int()
        tensor([[1, 0, 0, 0],
                [1, 1, 0, 0],
                [0, 1, 1, 0],
                [0, 0, 1, 1]], dtype=torch.int32)

    References:
        Beltagy et al. (2020). Longformer: the long-document transformer, arXiv:2004.05150.
    """
    window = check_size("window", window)
    mask = causal_mask(num_queries, num_keys, align=align, device=device)
    diagonal = mask.shape[1] - mask.shape[0] if align == "bottom-right" else 0
    return mask.triu(diagonal - window + 1)


def window_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cache: KVCache | None = None,
    *,
    window: int,
    return_weights: bool = False,
) -> tuple[Tensor, KVCache] | tuple[Tensor, KVCache, Tensor]:
    """Attend under :func:`window_mask`, with a rolling cache of the last w keys and values.

    The output is that of the full cache under the window mask, and the memory does not grow with
    the text: what falls out of the window is dropped. Positions belong into q and k before the
    call, as by :class:`~attn_utils.positional_encoding.RotaryEmbedding`.

    Args:
        q: (B, H, T, d), the queries of the new tokens.
        k: (B, H, T, d), their keys.
        v: (B, H, T, dv), their values.
        cache: what the last call returned; None at the beginning of a text.
        window: w, the same in all calls.
        return_weights: also return the weights.

    Returns:
        The output (B, H, T, dv) and the cache of at most w tokens, and with ``return_weights`` the
        weights (B, H, T, S) over the cached keys and the new ones.

    Example:
        >>> import torch
        >>> from attn_utils import scaled_dot_product_attention
        >>> from attn_utils import window_attention, window_mask
        >>> x, cache = torch.rand(1, 1, 9, 4), None
        >>> for token in x.split(1, dim=2):
        ...     output, cache = window_attention(token, token, token, cache, window=3)
        >>> cache.keys.shape  # 3 of 9 tokens
        torch.Size([1, 1, 3, 4])
        >>> full = scaled_dot_product_attention(x, x, x, window_mask(9, window=3))
        >>> torch.allclose(output, full[:, :, -1:], atol=1e-6)
        True

    References:
        Beltagy et al. (2020), arXiv:2004.05150. Jiang et al. (2023). Mistral 7B, arXiv:2310.06825.
    """
    check_qkv(q=q, k=k, v=v)
    check_same_length(q, k, ("q", "k"))
    window = check_size("window", window)
    if cache is not None:
        for name, old, new in (("keys", cache.keys, k), ("values", cache.values, v)):
            check_tensors(**{"k": k, f"cache.{name}": old})
            if old.shape[-1] != new.shape[-1] or old.shape[-2] > window:
                raise ValueError(
                    f"cache.{name}: expected at most window = {window} of width {new.shape[-1]}, "
                    f"got shape {tuple(old.shape)}"
                )
        check_same_length(cache.keys, cache.values, ("cache.keys", "cache.values"))
        k, v = torch.cat([cache.keys, k], -2), torch.cat([cache.values, v], -2)  # (B, H, S, d)
    mask = window_mask(
        q.shape[-2], k.shape[-2], window=window, align="bottom-right", device=q.device
    )
    output, weights = attend(q, k, v, mask, return_weights=return_weights)
    # a copy: a view of the last w would hold on to all S
    new_cache = KVCache(k[..., -window:, :].clone(), v[..., -window:, :].clone())
    return (output, new_cache) if weights is None else (output, new_cache, weights)

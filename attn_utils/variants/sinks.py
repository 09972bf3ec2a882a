"""A sink in the softmax: a head may attend to nothing, instead of to the first token.

Shapes: B batch, H heads, T queries, S keys, d width of a head; ``…`` stands for B and H.
"""

from __future__ import annotations

import math
from typing import Literal, overload

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attn_utils.core.arguments import check_qkv, check_size
from attn_utils.core.attend import attend, average
from attn_utils.core.masks import broadcast_mask, causal_mask, softmax
from attn_utils.core.recording import is_recorded, record

__all__ = ["SinkAttention"]


class SinkAttention(nn.Module):
    """Attend with a learned logit b per head in the denominator: ``exp(s) / (exp(b) + Σ exp(s))``.

    The weights of a row sum to less than 1; what is missing went to the sink, which has no value. A
    head that finds nothing can keep silent, where a plain softmax has to put its weight somewhere,
    as a rule on the first token. The logits b start at 0: there ``exp(b)`` is 1, the "softmax off
    by one". At b → −∞ it is the plain softmax.

    In one more feature, where queries hold b · √d and keys 0, a further key holds 1: its score is
    b, and its value is zero. In this form PyTorch's fused kernel takes the sink, and gives its
    gradient; with ``return_weights`` the formula is computed as it stands.

    Args:
        num_heads: H.

    Example:
        >>> import torch
        >>> from attn_utils import SinkAttention
        >>> attention = SinkAttention(num_heads=1)
        >>> q, k = torch.zeros(1, 1, 1, 4), torch.rand(1, 1, 3, 4)
        >>> _, weights = attention(q, k, k, return_weights=True)  # 3 keys and the sink
        >>> weights.flatten().tolist()
        [0.25, 0.25, 0.25]

    References:
        Xiao et al. (2023). Efficient streaming language models with attention sinks,
        arXiv:2309.17453. OpenAI (2025). gpt-oss-120b & gpt-oss-20b model card, arXiv:2508.10925.
        Miller (2023). Attention is off by one.
    """

    def __init__(self, num_heads: int) -> None:
        super().__init__()
        self.num_heads = check_size("num_heads", num_heads)
        self.sinks = nn.Parameter(torch.empty(self.num_heads))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the logits to 0."""
        nn.init.zeros_(self.sinks)

    @overload
    def forward(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor | None = ...,
        *,
        is_causal: bool = ...,
        return_weights: Literal[False] = ...,
    ) -> Tensor: ...
    @overload
    def forward(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor | None = ...,
        *,
        is_causal: bool = ...,
        return_weights: bool,
    ) -> Tensor | tuple[Tensor, Tensor]: ...
    def forward(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor | None = None,
        *,
        is_causal: bool = False,
        return_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Attend with each head's sink.

        Args:
            q: (B, H, T, d), the queries.
            k: (B, H, S, d), the keys, S ≥ 1.
            v: (B, H, S, dv), the values.
            mask: boolean, True = may be attended; nobody can mask the sink.
            is_causal: let query t attend to the keys s ≤ t only, in addition to the mask.
            return_weights: also return the weights.

        Returns:
            The output (B, H, T, dv), or output and weights (B, H, T, S), whose rows sum to less
            than 1.
        """
        check_qkv(q=q, k=k, v=v)
        if q.ndim != 4 or q.shape[1] != self.num_heads:
            raise ValueError(
                f"q: expected shape (B, H, T, d) with H = {self.num_heads}, got {tuple(q.shape)}"
            )
        shape = (*q.shape[:-1], k.shape[-2])
        mask = None if mask is None else broadcast_mask(mask, shape)
        if is_causal:
            causal = causal_mask(*shape[-2:], device=q.device)
            mask = causal if mask is None else mask & causal
        scale = 1 / math.sqrt(q.shape[-1])
        sinks = self.sinks.to(q.dtype).view(-1, 1, 1).expand(*q.shape[:-1], 1)  # (B, H, T, 1)
        if return_weights or is_recorded():
            scores = (q * scale) @ k.transpose(-2, -1)  # (B, H, T, S)
            if mask is not None:
                scores = scores.masked_fill(~mask, -math.inf)
            weights = softmax(torch.cat([scores, sinks.to(scores.dtype)], -1), None)
            weights = record(weights[..., :-1])
            output = average(weights, v)
            return (output, weights) if return_weights else output
        sink = F.pad(k.new_ones(*k.shape[:-2], 1, 1), (k.shape[-1], 0))  # (B, H, 1, d + 1)
        q = torch.cat([q, sinks / scale], -1)  # (B, H, T, d + 1)
        k = torch.cat([F.pad(k, (0, 1)), sink], -2)  # (B, H, S + 1, d + 1)
        mask = None if mask is None else F.pad(mask, (0, 1), value=True)
        output, _ = attend(q, k, F.pad(v, (0, 1, 0, 1)), mask, scale=scale)
        return output[..., :-1]

"""Two ways to keep scores small, whatever the weights have become: normalise, or cap.

Shapes: T queries, S keys, d width of a head; ``…`` stands for any leading axes, such as B and H.
"""

from __future__ import annotations

import math
from typing import Literal, overload

import torch
from torch import Tensor, nn

from attn_utils.core.arguments import check_qkv, check_size, check_tensors, check_width
from attn_utils.core.attend import average
from attn_utils.core.masks import broadcast_mask, softmax
from attn_utils.core.precision import working_dtype
from attn_utils.core.recording import record

__all__ = ["QKNorm", "soft_cap_attention"]


class QKNorm(nn.Module):
    """Give queries and keys the length √d before they meet: ``g · x / √(mean(x²) + ε)``.

    Divided by √d as ever, a score lies between −√d and √d as long as the factors g are 1, however
    large the projections have grown: the softmax cannot be driven into saturation. Henry et al.
    divide by the length itself and learn one factor for the score; the root mean square with a
    factor for each feature, of queries and of keys, is what Qwen3 and Gemma 3 compute. It comes
    before rotary positions, which keep lengths.

    Args:
        head_dim: d.
        eps: ε.

    Example:
        >>> import torch
        >>> from attn_utils import QKNorm, scaled_dot_product_attention
        >>> norm = QKNorm(head_dim=4)
        >>> q, k = torch.rand(3, 4), torch.rand(5, 4)
        >>> small, large = norm(q, k), norm(1000 * q, 1000 * k)
        >>> torch.allclose(small[0], large[0], atol=1e-4)
        True
        >>> output = scaled_dot_product_attention(*norm(q, k), torch.rand(5, 4))

    References:
        Henry et al. (2020). Query-key normalization for transformers, arXiv:2010.04245. Dehghani
        et al. (2023). Scaling vision transformers to 22 billion parameters, arXiv:2302.05442.
    """

    def __init__(self, head_dim: int, *, eps: float = 1e-6) -> None:
        super().__init__()
        self.head_dim = check_size("head_dim", head_dim)
        self.eps = eps
        self.q_scale = nn.Parameter(torch.empty(self.head_dim))
        self.k_scale = nn.Parameter(torch.empty(self.head_dim))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the factors to 1."""
        nn.init.ones_(self.q_scale)
        nn.init.ones_(self.k_scale)

    def forward(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """Normalise queries and keys.

        Args:
            q: (…, T, d), the queries.
            k: (…, S, d), the keys.

        Returns:
            Both, in their shapes and dtypes.
        """
        check_tensors(q=q, k=k)
        check_width("q", q, self.head_dim)
        check_width("k", k, self.head_dim)
        return rms_norm(q, self.q_scale, self.eps), rms_norm(k, self.k_scale, self.eps)

    def extra_repr(self) -> str:
        """What print(module) shows."""
        return f"head_dim={self.head_dim}, eps={self.eps}"


def rms_norm(x: Tensor, scale: Tensor, eps: float) -> Tensor:
    """``scale · x / √(mean(x²) + eps)`` over the last axis, in the dtype of x."""
    exact = x.to(working_dtype(x.dtype))
    exact = exact * torch.rsqrt(exact.square().mean(-1, keepdim=True) + eps)
    return (exact * scale).to(x.dtype)


@overload
def soft_cap_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = ...,
    *,
    cap: float,
    scale: float | None = ...,
    return_weights: Literal[False] = ...,
) -> Tensor: ...
@overload
def soft_cap_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = ...,
    *,
    cap: float,
    scale: float | None = ...,
    return_weights: bool,
) -> Tensor | tuple[Tensor, Tensor]: ...
def soft_cap_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    *,
    cap: float,
    scale: float | None = None,
    return_weights: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Attend with scores between −cap and cap: ``softmax(cap · tanh(q kᵀ / √d / cap)) v``.

    Small scores hardly change, since tanh(s) ≈ s; two keys can differ by a factor of exp(2 cap) at
    most. Masked keys are hidden after the cap. PyTorch's fused kernel has no place for the tanh;
    :func:`torch.nn.attention.flex_attention.flex_attention` has, with a ``score_mod``.

    Args:
        q: (…, T, d), the queries.
        k: (…, S, d), the keys, S ≥ 1.
        v: (…, S, dv), the values.
        mask: boolean, True = may be attended, in a shape that :mod:`attn_utils.core.masks` lists.
        cap: the largest score; Gemma 2 has 50.
        scale: factor of the scores before the cap; by default 1/√d.
        return_weights: also return the weights.

    Returns:
        The output (…, T, dv), or output and weights (…, T, S).

    Example:
        >>> import torch
        >>> from attn_utils import soft_cap_attention
        >>> q, k, v = torch.tensor([[9.0]]), torch.tensor([[9.0], [0.0]]), torch.eye(2)
        >>> soft_cap_attention(q, k, v, cap=1.0)  # scores 81 and 0 became 1 and 0
        tensor([[0.7311, 0.2689]])

    References:
        Gemma Team (2024). Gemma 2: improving open language models at a practical size,
        arXiv:2408.00118.
    """
    check_qkv(q=q, k=k, v=v)
    if not 0 < cap < math.inf:
        raise ValueError(f"cap: expected a positive finite number, got {cap!r}")
    if mask is not None:
        mask = broadcast_mask(mask, (*q.shape[:-1], k.shape[-2]))
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    scores = (q * scale) @ k.transpose(-2, -1)  # (…, T, d) @ (…, d, S) -> (…, T, S)
    weights = record(softmax(cap * torch.tanh(scores / cap), mask, inplace=True))
    output = average(weights, v)
    return (output, weights) if return_weights else output

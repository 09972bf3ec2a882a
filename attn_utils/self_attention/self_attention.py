"""Self-attention: a sequence asks itself."""

from __future__ import annotations

from torch import Tensor, nn

from attn_utils.core.arguments import check_sizes, check_tensors, check_width
from attn_utils.core.attend import scaled_dot_product_attention

__all__ = ["SelfAttention"]


class SelfAttention(nn.Module):
    """One head of self-attention: ``softmax(q kᵀ / √dk) v`` with q, k, v linear in x.

    ``q = W_q x + b_q``, and k and v likewise. Permuting the positions of x permutes the output in
    the same way: order has to be put into x (chapter 6). The weights are a T × T matrix for each
    sequence, so that time grows with T².

    Args:
        dim: D, width of the input.
        dk: width of queries and keys.
        dv: width of values and output; it need not equal dk.
        bias: whether the three layers have a bias.

    Example:
        >>> import torch
        >>> from attn_utils import SelfAttention, causal_mask
        >>> attention = SelfAttention(dim=8, dk=4, dv=6)
        >>> x = torch.rand(1, 3, 8)
        >>> output, weights = attention(x, return_weights=True)
        >>> output.shape, weights.shape
        (torch.Size([1, 3, 6]), torch.Size([1, 3, 3]))
        >>> backwards = attention(x.flip(1))  # it is blind to the order
        >>> torch.allclose(backwards, output.flip(1), atol=1e-6)
        True
        >>> _, weights = attention(x, causal_mask(3), return_weights=True)
        >>> weights[0, 0]  # the first position sees itself only
        tensor([1., 0., 0.], grad_fn=<SelectBackward0>)

    References:
        Vaswani et al. (2017). Attention is all you need.
    """

    def __init__(self, dim: int, dk: int, dv: int, *, bias: bool = True) -> None:
        super().__init__()
        dim, dk, dv = check_sizes(dim=dim, dk=dk, dv=dv)
        self.dim = dim
        self.W_q = nn.Linear(dim, dk, bias=bias)
        self.W_k = nn.Linear(dim, dk, bias=bias)
        self.W_v = nn.Linear(dim, dv, bias=bias)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, *, return_weights: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Let each position attend to all.

        Args:
            x: (B, T, D), T ≥ 1.
            mask: boolean, True = may be attended; (T, T) as from ``causal_mask(T)``, (B, 1, T) as
                from ``length_mask``, or (B, T, T).
            return_weights: also return the weights.

        Returns:
            The output (B, T, dv), or output and weights (B, T, T).
        """
        check_tensors(x=x)
        check_width("x", x, self.dim)
        if x.shape[-2] == 0:
            raise ValueError(f"x: expected at least one position, got shape {tuple(x.shape)}")
        q, k, v = self.W_q(x), self.W_k(x), self.W_v(x)  # (B, T, D) -> (B, T, dk or dv)
        return scaled_dot_product_attention(q, k, v, mask, return_weights=return_weights)

"""Blocks of the transformer: attention, a small network for each token, and what joins them.

Shapes: B batch, T tokens, S tokens of the other sequence, H heads, D = embed_dim.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attn_utils.core.arguments import check_probability, check_size, check_sizes
from attn_utils.multi_head import MultiHeadAttention

__all__ = ["DecoderBlock", "EncoderBlock", "FeedForward"]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu}


class FeedForward(nn.Module):
    """Process each token by itself: ``W₂ φ(W₁ x + b₁) + b₂``, (…, D) -> (…, D).

    Args:
        embed_dim: D, width of the input and of the output.
        hidden: width in between; by default 4 D.
        activation: φ, "gelu" (in its erf form) or "relu".
        bias: whether both layers have a bias.
        dropout: probability of dropping a hidden number, in training.

    Example:
        >>> import torch
        >>> from attn_utils import FeedForward
        >>> mlp = FeedForward(embed_dim=8)
        >>> x = torch.rand(2, 5, 8)
        >>> mlp(x).shape
        torch.Size([2, 5, 8])
        >>> torch.allclose(mlp(x)[:, 3], mlp(x[:, 3]), atol=1e-6)  # each token by itself
        True
    """

    def __init__(
        self,
        embed_dim: int,
        hidden: int | None = None,
        *,
        activation: str = "gelu",
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        hidden = 4 * embed_dim if hidden is None else hidden
        self.embed_dim, hidden = check_sizes(embed_dim=embed_dim, hidden=hidden)
        check_probability("dropout", dropout)
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation: expected one of {[*ACTIVATIONS]}, got {activation!r}")
        self.activation = activation
        self.dropout = dropout
        self.fc1 = nn.Linear(self.embed_dim, hidden, bias=bias)
        self.fc2 = nn.Linear(hidden, self.embed_dim, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Compute (…, D) -> (…, D)."""
        if not isinstance(x, Tensor) or x.ndim == 0 or x.shape[-1] != self.embed_dim:
            got = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise ValueError(f"x: expected shape (…, D = {self.embed_dim}), got {got}")
        inner = ACTIVATIONS[self.activation](self.fc1(x))  # (…, D) -> (…, hidden)
        output: Tensor = self.fc2(F.dropout(inner, self.dropout, self.training))
        return output


class Residual(nn.Module):
    """What all blocks share: where the norm stands, relative to the sum.

    Pre-norm: ``x + f(norm(x))``; post-norm: ``norm(x + f(x))``. The result of f passes dropout.
    """

    def __init__(self, norm_first: bool, dropout: float) -> None:
        super().__init__()
        check_probability("dropout", dropout)
        self.norm_first = norm_first
        self.dropout = dropout

    def add(self, x: Tensor, norm: nn.LayerNorm, f: Callable[[Tensor], Tensor]) -> Tensor:
        """One step along the residual stream, (B, T, D) -> (B, T, D)."""
        step = f(norm(x) if self.norm_first else x)
        summed = x + F.dropout(step, self.dropout, self.training)
        return summed if self.norm_first else cast(Tensor, norm(summed))

    def extra_repr(self) -> str:
        """What print(module) shows."""
        return f"norm_first={self.norm_first}, dropout={self.dropout}"


class EncoderBlock(Residual):
    """Self-attention, then a feed-forward network, each added to the residual stream.

    Pre-norm (``norm_first=True``): ``h = x + attn(norm1(x))``, ``y = h + mlp(norm2(h))``.
    Post-norm: ``h = norm1(x + attn(x))``, ``y = norm2(h + mlp(h))``, as in the paper.

    It computes what ``torch.nn.TransformerEncoderLayer`` does with the same weights (see
    :meth:`from_torch`). With biases it has 4 D² + 2 D·hidden + 9 D + hidden parameters.

    Args:
        embed_dim: D.
        num_heads: H, a divisor of D.
        hidden: inner width of the feed-forward network; by default 4 D.
        norm_first: pre-norm or post-norm.
        activation: "gelu" or "relu".
        bias: whether the linear layers and the norms have a bias.
        dropout: probability of dropping, in training, an attention weight, a hidden number, or an
            entry of what is added.
        eps: added to the variance in the norms.

    Example:
        >>> import torch
        >>> from attn_utils import EncoderBlock
        >>> block = EncoderBlock(embed_dim=8, num_heads=2)
        >>> output, weights = block(torch.rand(3, 5, 8), return_weights=True)
        >>> output.shape, weights.shape
        (torch.Size([3, 5, 8]), torch.Size([3, 2, 5, 5]))
        >>> sum(p.numel() for p in block.parameters())  # 12 D² + 13 D
        872

    References:
        Vaswani et al. (2017), section 3.1. Xiong et al. (2020). On layer normalization in the
        transformer architecture.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        hidden: int | None = None,
        *,
        norm_first: bool = True,
        activation: str = "gelu",
        bias: bool = True,
        dropout: float = 0.0,
        eps: float = 1e-5,
    ) -> None:
        super().__init__(norm_first, dropout)
        embed_dim = self.embed_dim = check_size("embed_dim", embed_dim)
        self.norm1 = nn.LayerNorm(embed_dim, eps, bias=bias)
        self.attn = MultiHeadAttention(embed_dim, num_heads, bias=bias, dropout=dropout)
        self.norm2 = nn.LayerNorm(embed_dim, eps, bias=bias)
        self.mlp = FeedForward(embed_dim, hidden, activation=activation, bias=bias, dropout=dropout)

    def forward(
        self,
        x: Tensor,
        *,
        valid_lens: Tensor | None = None,
        mask: Tensor | None = None,
        is_causal: bool = False,
        return_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Let the tokens look at each other, then process each.

        Args:
            x: (B, T, D).
            valid_lens: (B,) or (B, T), how many of the first tokens may be attended.
            mask: boolean, True = may be attended: (T, T), (B, T, T) or (B, H, T, T).
            is_causal: each token sees itself and those before it.
            return_weights: also return the attention weights.

        Returns:
            (B, T, D), or that and the weights (B, H, T, T).
        """
        kept: list[Tensor] = []

        def look(h: Tensor) -> Tensor:
            return _attended(
                self.attn(
                    h,
                    valid_lens=valid_lens,
                    mask=mask,
                    is_causal=is_causal,
                    return_weights=return_weights,
                ),
                kept,
            )

        check_stream("x", x, self.embed_dim)
        x = self.add(x, self.norm1, look)
        x = self.add(x, self.norm2, self.mlp)
        return (x, kept[0]) if return_weights else x

    @classmethod
    def from_torch(cls, layer: nn.TransformerEncoderLayer) -> EncoderBlock:
        """Build a block with a copy of the weights of ``torch.nn.TransformerEncoderLayer``.

        Args:
            layer: PyTorch's layer, pre-norm or post-norm, batch first or not.

        Returns:
            A block in the same dtype, on the same device and in the same mode. It takes batches
            first, and the negation of the other's boolean masks.

        Raises:
            ValueError: another kind of module, or an activation other than ReLU and erf GELU.
        """
        _check_kind(layer, nn.TransformerEncoderLayer)
        return cast(EncoderBlock, _copied(cls, layer, {"attn": "self_attn"}))


class DecoderBlock(Residual):
    """Causal self-attention, cross-attention to a memory, and a feed-forward network.

    Pre-norm: ``h = x + attn(norm1(x))``, ``g = h + cross_attn(norm2(h), memory)``,
    ``y = g + mlp(norm3(g))``. Post-norm has each norm behind its sum. The memory, as a rule an
    encoder's output, gives the keys and values of the cross-attention and is not normalised here.

    Equal to ``torch.nn.TransformerDecoderLayer`` with the same weights and a causal target mask;
    see :meth:`from_torch`. With biases it has 8 D² + 2 D·hidden + 15 D + hidden parameters.

    Args:
        embed_dim: D, width of the tokens and of the memory.
        num_heads: H, a divisor of D.
        hidden: inner width of the feed-forward network; by default 4 D.
        norm_first: pre-norm or post-norm.
        activation: "gelu" or "relu".
        bias: whether the linear layers and the norms have a bias.
        dropout: as in :class:`EncoderBlock`.
        eps: added to the variance in the norms.

    Example:
        >>> import torch
        >>> from attn_utils import DecoderBlock
        >>> block = DecoderBlock(embed_dim=8, num_heads=2)
        >>> x, memory = torch.rand(3, 4, 8), torch.rand(3, 6, 8)
        >>> output, (back, across) = block(x, memory, return_weights=True)
        >>> output.shape, back.shape, across.shape
        (torch.Size([3, 4, 8]), torch.Size([3, 2, 4, 4]), torch.Size([3, 2, 4, 6]))
        >>> back[0, 0, 0].tolist()  # the first token sees itself only
        [1.0, 0.0, 0.0, 0.0]

    References:
        Vaswani et al. (2017), section 3.1.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        hidden: int | None = None,
        *,
        norm_first: bool = True,
        activation: str = "gelu",
        bias: bool = True,
        dropout: float = 0.0,
        eps: float = 1e-5,
    ) -> None:
        super().__init__(norm_first, dropout)
        embed_dim = self.embed_dim = check_size("embed_dim", embed_dim)
        self.norm1 = nn.LayerNorm(embed_dim, eps, bias=bias)
        self.attn = MultiHeadAttention(embed_dim, num_heads, bias=bias, dropout=dropout)
        self.norm2 = nn.LayerNorm(embed_dim, eps, bias=bias)
        self.cross_attn = MultiHeadAttention(embed_dim, num_heads, bias=bias, dropout=dropout)
        self.norm3 = nn.LayerNorm(embed_dim, eps, bias=bias)
        self.mlp = FeedForward(embed_dim, hidden, activation=activation, bias=bias, dropout=dropout)

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        *,
        valid_lens: Tensor | None = None,
        mask: Tensor | None = None,
        is_causal: bool = True,
        memory_valid_lens: Tensor | None = None,
        memory_mask: Tensor | None = None,
        return_weights: bool = False,
    ) -> Tensor | tuple[Tensor, tuple[Tensor, Tensor]]:
        """Look back, look across, then process each token.

        Args:
            x: (B, T, D), what has been written so far.
            memory: (B, S, D), what is read.
            valid_lens: how many of the first T tokens may be attended, (B,) or (B, T).
            mask: for the self-attention, (T, T), (B, T, T) or (B, H, T, T).
            is_causal: whether the self-attention is causal, in addition to ``mask``.
            memory_valid_lens: how many of the S tokens may be attended, (B,) or (B, T).
            memory_mask: for the cross-attention, (T, S), (B, T, S) or (B, H, T, S).
            return_weights: also return both attentions' weights.

        Returns:
            (B, T, D), or that and the weights (B, H, T, T) and (B, H, T, S).
        """
        kept: list[Tensor] = []

        def look_back(h: Tensor) -> Tensor:
            return _attended(
                self.attn(
                    h,
                    valid_lens=valid_lens,
                    mask=mask,
                    is_causal=is_causal,
                    return_weights=return_weights,
                ),
                kept,
            )

        def look_across(h: Tensor) -> Tensor:
            return _attended(
                self.cross_attn(
                    h,
                    memory,
                    valid_lens=memory_valid_lens,
                    mask=memory_mask,
                    return_weights=return_weights,
                ),
                kept,
            )

        check_stream("x", x, self.embed_dim)
        check_stream("memory", memory, self.embed_dim)
        x = self.add(x, self.norm1, look_back)
        x = self.add(x, self.norm2, look_across)
        x = self.add(x, self.norm3, self.mlp)
        return (x, (kept[0], kept[1])) if return_weights else x

    @classmethod
    def from_torch(cls, layer: nn.TransformerDecoderLayer) -> DecoderBlock:
        """Build a block with a copy of the weights of ``torch.nn.TransformerDecoderLayer``.

        Args:
            layer: PyTorch's layer, pre-norm or post-norm, batch first or not.

        Returns:
            A block in the same dtype, on the same device and in the same mode. It is causal by
            itself, where the other needs a target mask.

        Raises:
            ValueError: another kind of module, or an activation other than ReLU and erf GELU.
        """
        _check_kind(layer, nn.TransformerDecoderLayer)
        names = {"attn": "self_attn", "cross_attn": "multihead_attn"}
        return cast(DecoderBlock, _copied(cls, layer, names))


def _attended(result: Tensor | tuple[Tensor, Tensor], kept: list[Tensor]) -> Tensor:
    """Take the output, and put the weights aside where there are any."""
    if isinstance(result, tuple):
        kept.append(result[1])
        return result[0]
    return result


def check_stream(name: str, x: Tensor, embed_dim: int) -> None:
    """Raise ValueError unless x is (B, T, D); a norm's own message would name no argument."""
    if not isinstance(x, Tensor) or x.ndim != 3 or x.shape[-1] != embed_dim:
        got = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(f"{name}: expected shape (B, number, D = {embed_dim}), got {got}")


def _check_kind(layer: nn.Module, kind: type[nn.Module]) -> None:
    if not isinstance(layer, kind):
        raise ValueError(f"layer: expected torch.nn.{kind.__name__}, got {type(layer).__name__}")


def _copied(
    cls: type[EncoderBlock] | type[DecoderBlock],
    layer: nn.TransformerEncoderLayer | nn.TransformerDecoderLayer,
    attentions: dict[str, str],
) -> EncoderBlock | DecoderBlock:
    """Build one of our blocks like one of PyTorch's; ``attentions`` maps our names to theirs."""
    first = layer.linear1
    block = cls(
        first.in_features,
        layer.self_attn.num_heads,
        first.out_features,
        norm_first=layer.norm_first,
        activation=_name_of(layer.activation),
        bias=first.bias is not None,
        dropout=layer.dropout.p,
        eps=layer.norm1.eps,
    ).to(first.weight.device, first.weight.dtype)
    for ours, theirs in attentions.items():
        setattr(block, ours, MultiHeadAttention.from_torch(getattr(layer, theirs)))
    for name, child in (*layer.named_children(),):
        if isinstance(child, nn.LayerNorm):
            getattr(block, name).load_state_dict(child.state_dict())
    block.mlp.fc1.load_state_dict(layer.linear1.state_dict())
    block.mlp.fc2.load_state_dict(layer.linear2.state_dict())
    return block.train(layer.training)


def _name_of(activation: object) -> str:
    if activation is F.relu or activation is torch.relu or isinstance(activation, nn.ReLU):
        return "relu"
    if activation is F.gelu or (
        isinstance(activation, nn.GELU) and activation.approximate == "none"
    ):
        return "gelu"
    raise ValueError(
        f"layer: expected ReLU or the erf form of GELU as activation, got {activation}"
    )

"""Stacks of transformer blocks: the encoder and the decoder of the paper, pre-norm or post-norm.

Shapes: B batch, T tokens, H heads, D = embed_dim.
"""

from __future__ import annotations

from torch import Tensor, nn

from attn_utils.core.arguments import check_sizes

from .blocks import DecoderBlock, EncoderBlock

__all__ = ["TransformerDecoder", "TransformerEncoder"]


class TransformerEncoder(nn.Module):
    """A stack of encoder blocks; after pre-norm blocks one last norm.

    Positions are not its business: add them to the input. ``depth`` is the number of blocks; all
    other arguments are those of :class:`EncoderBlock`.

    Example:
        >>> import torch
        >>> from attn_utils import TransformerEncoder
        >>> encoder = TransformerEncoder(embed_dim=8, num_heads=2, depth=3)
        >>> output, weights = encoder(torch.rand(2, 5, 8), return_weights=True)
        >>> output.shape, len(weights)
        (torch.Size([2, 5, 8]), 3)
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        depth: int,
        hidden: int | None = None,
        *,
        norm_first: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        embed_dim, depth = check_sizes(embed_dim=embed_dim, depth=depth)
        self.blocks = nn.ModuleList(
            EncoderBlock(embed_dim, num_heads, hidden, norm_first=norm_first, dropout=dropout)
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(embed_dim) if norm_first else nn.Identity()

    def forward(
        self,
        x: Tensor,
        *,
        valid_lens: Tensor | None = None,
        mask: Tensor | None = None,
        is_causal: bool = False,
        return_weights: bool = False,
    ) -> Tensor | tuple[Tensor, list[Tensor]]:
        """Pass x (B, T, D) through all blocks; arguments as in :meth:`EncoderBlock.forward`.

        Returns:
            (B, T, D), or that and each block's weights (B, H, T, T).
        """
        kept = []
        for block in self.blocks:
            result = block(
                x,
                valid_lens=valid_lens,
                mask=mask,
                is_causal=is_causal,
                return_weights=return_weights,
            )
            if return_weights:
                x, weights = result
                kept.append(weights)
            else:
                x = result
        x = self.norm(x)
        return (x, kept) if return_weights else x


class TransformerDecoder(nn.Module):
    """A stack of decoder blocks that read a memory; after pre-norm blocks one last norm.

    ``depth`` is the number of blocks; all other arguments are those of :class:`DecoderBlock`.

    Example:
        >>> import torch
        >>> from attn_utils import TransformerDecoder, TransformerEncoder
        >>> encoder = TransformerEncoder(embed_dim=8, num_heads=2, depth=3)
        >>> decoder = TransformerDecoder(embed_dim=8, num_heads=2, depth=3)
        >>> memory = encoder(torch.rand(2, 6, 8))
        >>> x = torch.rand(2, 4, 8)
        >>> output = decoder(x, memory)
        >>> output.shape
        torch.Size([2, 4, 8])
        >>> x[:, 3] = 0.0  # the last token changes: those before it do not see that
        >>> torch.equal(decoder(x, memory)[:, :3], output[:, :3])
        True
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        depth: int,
        hidden: int | None = None,
        *,
        norm_first: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        embed_dim, depth = check_sizes(embed_dim=embed_dim, depth=depth)
        self.blocks = nn.ModuleList(
            DecoderBlock(embed_dim, num_heads, hidden, norm_first=norm_first, dropout=dropout)
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(embed_dim) if norm_first else nn.Identity()

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        *,
        memory_valid_lens: Tensor | None = None,
        return_weights: bool = False,
    ) -> Tensor | tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Pass x (B, T, D) through all blocks, each causal, each reading ``memory`` (B, S, D).

        Returns:
            (B, T, D), or that and each block's pair of weights, (B, H, T, T) and (B, H, T, S).
        """
        kept = []
        for block in self.blocks:
            result = block(
                x, memory, memory_valid_lens=memory_valid_lens, return_weights=return_weights
            )
            if return_weights:
                x, weights = result
                kept.append(weights)
            else:
                x = result
        x = self.norm(x)
        return (x, kept) if return_weights else x

"""The Vision Transformer: an image is cut into patches, and the patches are read like words."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from attn_utils.core.arguments import check_probability, check_size, check_sizes
from attn_utils.core.parts import is_as_built
from attn_utils.core.precision import draw_trunc_normal
from attn_utils.core.recording import is_recorded

from .layers import BLOCK_PARTS, EPSILON, Block, PatchEmbedding

__all__ = ["VisionTransformer"]


class VisionTransformer(nn.Module):
    """Classify an image by a transformer encoder over its patches.

    Patches become tokens; a learned class token is put before them and a learned position is added
    to each; ``depth`` blocks of attention and MLP follow, and a norm. The head sees the class token
    alone, so in the last block nothing is computed for the patches beyond queries, keys and values:
    in inference and training alike, with the same result. :meth:`forward_features` computes all of
    it, and so does a model whose last block has a hook or a part that was replaced.

    Inference in half precision, ``model.bfloat16()(images.bfloat16())``, took 0.28 of float32's
    time on a CPU that multiplies in bfloat16 (``benchmarks/vit.py``), at 2 to 3 digits.

    Args:
        img_size: height and width of an image in pixels, or one number for both.
        patch_size: height and width of a patch, or one number for both.
        in_channels: C.
        num_classes: width of the logits; 0 leaves the head out.
        embed_dim: D, width of a token.
        depth: number of blocks.
        num_heads: H, a divisor of D.
        mlp_ratio: width of the MLPs' hidden layer, as a multiple of D.
        qkv_bias: whether queries, keys and values have biases.
        representation_size: width of a layer with tanh before the head, as in the pre-training on
            ImageNet-21k; by default there is none.
        distilled: add a distillation token with a head of its own. In training the model then
            returns both heads' logits, in evaluation their mean.
        drop_rate: dropout on the embedding and after the linear layers of a block.
        attn_drop_rate: dropout on the attention weights.
        drop_path_rate: probability of dropping the last block's branches; it grows linearly from
            0 in the first block.

    Attributes:
        num_prefix_tokens: P.
        num_heads: H.
        embed_dim: D.
        num_features: width of what the head reads, D or ``representation_size``.
        num_classes: width of the logits, or 0.

    Example:
        >>> import torch
        >>> from attn_utils import VisionTransformer
        >>> model = VisionTransformer(
        ...     32, patch_size=8, num_classes=10, embed_dim=16, depth=2, num_heads=4
        ... )
        >>> images = torch.rand(5, 3, 32, 32)
        >>> model(images).shape
        torch.Size([5, 10])
        >>> model.forward_features(images).shape  # the class token and 4 × 4 patches
        torch.Size([5, 17, 16])

    References:
        Dosovitskiy et al. (2021). An image is worth 16×16 words. Touvron et al. (2021). Training
        data-efficient image transformers & distillation through attention.
    """

    def __init__(
        self,
        img_size: int | tuple[int, int] = 224,
        patch_size: int | tuple[int, int] = 16,
        in_channels: int = 3,
        num_classes: int = 1000,
        embed_dim: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        representation_size: int | None = None,
        distilled: bool = False,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        width = embed_dim if representation_size is None else representation_size
        embed_dim, depth, num_heads, width = check_sizes(
            embed_dim=embed_dim, depth=depth, num_heads=num_heads, representation_size=width
        )
        num_classes = check_size("num_classes", num_classes, 0)
        for name, rate in (
            ("drop_rate", drop_rate),
            ("attn_drop_rate", attn_drop_rate),
            ("drop_path_rate", drop_path_rate),
        ):
            check_probability(name, rate)
        if embed_dim % num_heads:
            raise ValueError(
                f"embed_dim: expected a multiple of num_heads = {num_heads}, got {embed_dim}"
            )
        if not 1 <= embed_dim * mlp_ratio < math.inf:
            raise ValueError(
                f"mlp_ratio: expected at least 1 / embed_dim = 1 / {embed_dim}, got {mlp_ratio!r}"
            )
        self.num_heads = num_heads
        self.embed_dim = embed_dim
        self.num_features = width
        self.grad_checkpointing = False
        self.num_prefix_tokens = 2 if distilled else 1
        self.patch_embed = PatchEmbedding(img_size, patch_size, in_channels, embed_dim)
        tokens = self.num_prefix_tokens + self.patch_embed.num_patches
        self.cls_token = nn.Parameter(torch.empty(1, 1, embed_dim))
        self.dist_token = nn.Parameter(torch.empty(1, 1, embed_dim)) if distilled else None
        self.pos_embed = nn.Parameter(torch.empty(1, tokens, embed_dim))
        self.pos_drop = nn.Dropout(drop_rate)
        self.blocks = nn.ModuleList(
            Block(
                embed_dim,
                num_heads,
                mlp_ratio,
                qkv_bias,
                drop_rate,
                attn_drop_rate,
                drop_path_rate * i / max(depth - 1, 1),
            )
            for i in range(depth)
        )
        self.norm = nn.LayerNorm(embed_dim, eps=EPSILON)
        self.pre_logits: nn.Module = nn.Identity()
        if representation_size is not None:
            self.pre_logits = nn.Sequential(
                OrderedDict(fc=nn.Linear(embed_dim, width), act=nn.Tanh())
            )
        self._put_heads(num_classes)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights.

        Tokens and positions: truncated normal with standard deviation 0.02; linear layers: 0.01;
        the convolution: Kaiming with fan-out; biases 0; norms the identity.
        """
        for token in (self.cls_token, self.dist_token, self.pos_embed):
            if token is not None:
                draw_trunc_normal(token, std=0.02)
        self._draw(*self.modules())

    def _draw(self, *modules: nn.Module) -> None:
        for module in modules:
            if isinstance(module, nn.Linear):
                draw_trunc_normal(module.weight, std=0.01)
            elif isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
            elif isinstance(module, nn.LayerNorm):
                nn.init.ones_(module.weight)
            if isinstance(module, nn.Linear | nn.Conv2d | nn.LayerNorm) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Classify images.

        Args:
            images: (B, C, height, width), normalised as in training.

        Returns:
            Logits (B, num_classes), or (B, width) without a head. A distilled model in training
            returns a pair: the logits of the class token and of the distillation token.
        """
        return self.forward_head(self._encode(images, last_block_entire=False))

    def forward_features(self, images: Tensor) -> Tensor:
        """Compute every token after the last norm: (B, C, height, width) -> (B, P + N, D).

        The class token comes first, then the distillation token if there is one, then the patches
        row by row.
        """
        return self._encode(images, last_block_entire=True)

    features = forward_features  # its older name

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Classify by what :meth:`forward_features` gave.

        Args:
            x: (B, P + N, D); the patches are not looked at.
            pre_logits: stop before the head.

        Returns:
            What ``forward`` returns; with ``pre_logits`` what the heads read, (B, num_features).
        """
        x = self.pre_logits(x[:, : self.num_prefix_tokens])  # (B, P, num_features)
        heads = [head for head in (self.head, self.head_dist) if head is not None]
        logits: list[Tensor] = [
            x[:, i] if pre_logits else head(x[:, i]) for i, head in enumerate(heads)
        ]
        if len(logits) == 1:
            return logits[0]
        return (logits[0], logits[1]) if self.training else (logits[0] + logits[1]) / 2

    def get_intermediate_layers(
        self,
        images: Tensor,
        n: int | Sequence[int] = 1,
        reshape: bool = False,
        return_prefix_tokens: bool = False,
        norm: bool = False,
    ) -> list[Tensor] | list[tuple[Tensor, Tensor]]:
        """Compute what blocks give, as timm and DINO do.

        Args:
            images: (B, C, height, width).
            n: the last n blocks, or the numbers of some, from 0.
            reshape: lay the patches out as a picture.
            return_prefix_tokens: return pairs, of patches and prefix tokens.
            norm: apply the model's last norm.

        Returns:
            For each block, in the model's order, the patches (B, N, D), or with ``reshape``
            (B, D, rows, columns); prefix tokens are (B, P, D).
        """
        depth, P = len(self.blocks), self.num_prefix_tokens
        if not isinstance(n, Sequence):
            check_sizes(n=n)
            n = range(depth - n, depth)
        if not n or not all(0 <= i < depth for i in n):
            raise ValueError(f"n: expected numbers of blocks from 0 to {depth - 1}, got {list(n)}")
        taken: list[Tensor] = []
        x = self._embed(images)
        for i, block in enumerate(self.blocks):
            x = self._run(block, x)
            if i in n:
                taken.append(self.norm(x) if norm else x)  # (B, P + N, D)
        patches = [x[:, P:] for x in taken]  # (B, N, D)
        if reshape:
            sizes = (self.embed_dim, *self.patch_embed.grid_size)
            patches = [x.mT.reshape(-1, *sizes) for x in patches]
        if not return_prefix_tokens:
            return patches
        return [(some, x[:, :P]) for some, x in zip(patches, taken, strict=True)]

    def reset_classifier(self, num_classes: int) -> None:
        """Put a new head, drawn at random, in place of the old one; with 0 there is none.

        The rest stays as it is, a representation layer too.
        """
        if num_classes != 0:
            check_sizes(num_classes=num_classes)
        self._put_heads(num_classes)
        self._draw(self.head, *([] if self.head_dist is None else [self.head_dist]))

    def _put_heads(self, num_classes: int) -> None:
        like = self.cls_token

        def new_head() -> nn.Module:
            if num_classes == 0:
                return nn.Identity()
            return nn.Linear(self.num_features, num_classes, device=like.device, dtype=like.dtype)

        self.num_classes = num_classes
        self.head = new_head()
        self.head_dist = None if self.dist_token is None else new_head()

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Keep only what enters each block, and compute the block again in the backward pass.

        A third more operations, and memory for one block instead of all. While attention is
        recorded, nothing is computed again.
        """
        self.grad_checkpointing = enable

    def no_weight_decay(self) -> set[str]:
        """Name the parameters that an optimiser should not pull towards 0: tokens, positions."""
        return {"cls_token", "dist_token", "pos_embed"}

    def _embed(self, images: Tensor) -> Tensor:
        x = self.patch_embed(images)  # (B, N, D)
        prefix = [self.cls_token] if self.dist_token is None else [self.cls_token, self.dist_token]
        x = torch.cat([*(token.expand(x.shape[0], -1, -1) for token in prefix), x], dim=1)
        embedded: Tensor = self.pos_drop(x + self.pos_embed)  # (B, P + N, D)
        return embedded

    def _run(self, block: nn.Module, *arguments: Any) -> Tensor:
        again = self.grad_checkpointing and torch.is_grad_enabled() and not is_recorded()
        if again:
            updated: Tensor = checkpoint(block, *arguments, use_reentrant=False)
        else:
            updated = block(*arguments)
        return updated

    def _encode(self, images: Tensor, *, last_block_entire: bool) -> Tensor:
        x = self._embed(images)
        *blocks, last = self.blocks
        for block in blocks:
            x = self._run(block, x)
        # whoever records the attention wants to see what every token looks at
        if last_block_entire or is_recorded() or not is_as_built(last, *BLOCK_PARTS):
            x = self._run(last, x)
        else:
            x = self._run(last, x, self.num_prefix_tokens)
        normed: Tensor = self.norm(x)
        return normed

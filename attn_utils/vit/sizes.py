"""The published sizes of the Vision Transformer, for images of 224×224 pixels."""

from __future__ import annotations

from typing import Any

from .model import VisionTransformer

__all__ = [
    "vit_base_patch16_224",
    "vit_base_patch16_224_in21k",
    "vit_base_patch32_224",
    "vit_base_patch32_224_in21k",
    "vit_huge_patch14_224_in21k",
    "vit_large_patch16_224",
    "vit_large_patch16_224_in21k",
    "vit_large_patch32_224_in21k",
    "vit_small_patch16_224",
    "vit_tiny_patch16_224",
]

#: embed_dim, depth, num_heads
_SIZES = {
    "tiny": (192, 12, 3),
    "small": (384, 12, 6),
    "base": (768, 12, 12),
    "large": (1024, 24, 16),
    "huge": (1280, 32, 16),
}


def _build(
    size: str, patch_size: int, num_classes: int, options: dict[str, Any]
) -> VisionTransformer:
    embed_dim, depth, num_heads = _SIZES[size]
    return VisionTransformer(
        patch_size=patch_size,
        num_classes=num_classes,
        embed_dim=embed_dim,
        depth=depth,
        num_heads=num_heads,
        **options,
    )


def _build_in21k(
    size: str, patch_size: int, num_classes: int, has_logits: bool, options: dict[str, Any]
) -> VisionTransformer:
    """With the layer with tanh that pre-training on ImageNet-21k has before the head."""
    if has_logits:
        options = {"representation_size": _SIZES[size][0], **options}
    return _build(size, patch_size, num_classes, options)


def vit_tiny_patch16_224(num_classes: int = 1000, **options: Any) -> VisionTransformer:
    """Build ViT-Ti/16: patches of 16×16, D = 192, 12 blocks, 3 heads; 5,717,416 parameters.

    Example:
        >>> import torch
        >>> from attn_utils import vit_tiny_patch16_224
        >>> with torch.device("meta"):  # shapes without memory
        ...     model = vit_tiny_patch16_224(num_classes=10)
        ...     logits = model(torch.rand(2, 3, 224, 224))
        >>> logits.shape
        torch.Size([2, 10])
    """
    return _build("tiny", 16, num_classes, options)


def vit_small_patch16_224(num_classes: int = 1000, **options: Any) -> VisionTransformer:
    """Build ViT-S/16: patches of 16×16, D = 384, 12 blocks, 6 heads; 22,050,664 parameters.

    Example:
        >>> import torch
        >>> from attn_utils import vit_small_patch16_224
        >>> with torch.device("meta"):  # shapes without memory
        ...     model = vit_small_patch16_224()
        >>> f"{sum(p.numel() for p in model.parameters()):,}"
        '22,050,664'
    """
    return _build("small", 16, num_classes, options)


def vit_base_patch16_224(num_classes: int = 1000, **options: Any) -> VisionTransformer:
    """Build ViT-B/16: patches of 16×16, D = 768, 12 blocks, 12 heads; 86,567,656 parameters.

    Example:
        >>> import torch
        >>> from attn_utils import vit_base_patch16_224
        >>> with torch.device("meta"):  # shapes without memory
        ...     model = vit_base_patch16_224()
        >>> model.pos_embed.shape  # the class token and 14 × 14 patches
        torch.Size([1, 197, 768])
    """
    return _build("base", 16, num_classes, options)


def vit_base_patch32_224(num_classes: int = 1000, **options: Any) -> VisionTransformer:
    """Build ViT-B/32: patches of 32×32, D = 768, 12 blocks, 12 heads; 88,224,232 parameters.

    Example:
        >>> import torch
        >>> from attn_utils import vit_base_patch32_224
        >>> with torch.device("meta"):  # shapes without memory
        ...     model = vit_base_patch32_224()
        >>> model.pos_embed.shape  # twice the side of a patch, a quarter of the patches
        torch.Size([1, 50, 768])
    """
    return _build("base", 32, num_classes, options)


def vit_large_patch16_224(num_classes: int = 1000, **options: Any) -> VisionTransformer:
    """Build ViT-L/16: patches of 16×16, D = 1024, 24 blocks, 16 heads; 304,326,632 parameters.

    Example:
        >>> import torch
        >>> from attn_utils import vit_large_patch16_224
        >>> with torch.device("meta"):  # shapes without memory
        ...     model = vit_large_patch16_224(img_size=384)
        >>> len(model.blocks), model.patch_embed.grid_size
        (24, (24, 24))
    """
    return _build("large", 16, num_classes, options)


def vit_base_patch16_224_in21k(
    num_classes: int = 21843, has_logits: bool = True, **options: Any
) -> VisionTransformer:
    """Build ViT-B/16 for ImageNet-21k: D = 768, 12 blocks, 12 heads; 103,186,515 parameters.

    Example:
        >>> import torch
        >>> from attn_utils import vit_base_patch16_224_in21k
        >>> with torch.device("meta"):  # shapes without memory
        ...     model = vit_base_patch16_224_in21k()
        >>> model.head.weight.shape, model.num_features
        (torch.Size([21843, 768]), 768)
    """
    return _build_in21k("base", 16, num_classes, has_logits, options)


def vit_base_patch32_224_in21k(
    num_classes: int = 21843, has_logits: bool = True, **options: Any
) -> VisionTransformer:
    """Build ViT-B/32 for ImageNet-21k: D = 768, 12 blocks, 12 heads; 104,843,091 parameters.

    Example:
        >>> import torch
        >>> from attn_utils import vit_base_patch32_224_in21k
        >>> with torch.device("meta"):  # shapes without memory
        ...     model = vit_base_patch32_224_in21k(has_logits=False)
        >>> model.pre_logits  # without the layer with tanh
        Identity()
    """
    return _build_in21k("base", 32, num_classes, has_logits, options)


def vit_large_patch16_224_in21k(
    num_classes: int = 21843, has_logits: bool = True, **options: Any
) -> VisionTransformer:
    """Build ViT-L/16 for ImageNet-21k: D = 1024, 24 blocks, 16 heads; 326,740,307 parameters.

    Example:
        >>> import torch
        >>> from attn_utils import vit_large_patch16_224_in21k
        >>> with torch.device("meta"):  # shapes without memory
        ...     model = vit_large_patch16_224_in21k()
        >>> model.pre_logits
        Sequential(
          (fc): Linear(in_features=1024, out_features=1024, bias=True)
          (act): Tanh()
        )
    """
    return _build_in21k("large", 16, num_classes, has_logits, options)


def vit_large_patch32_224_in21k(
    num_classes: int = 21843, has_logits: bool = True, **options: Any
) -> VisionTransformer:
    """Build ViT-L/32 for ImageNet-21k: D = 1024, 24 blocks, 16 heads; 328,949,075 parameters.

    Example:
        >>> import torch
        >>> from attn_utils import vit_large_patch32_224_in21k
        >>> with torch.device("meta"):  # shapes without memory
        ...     model = vit_large_patch32_224_in21k(num_classes=0)
        ...     features = model(torch.rand(2, 3, 224, 224))
        >>> features.shape  # no head: what it would read
        torch.Size([2, 1024])
    """
    return _build_in21k("large", 32, num_classes, has_logits, options)


def vit_huge_patch14_224_in21k(
    num_classes: int = 21843, has_logits: bool = True, **options: Any
) -> VisionTransformer:
    """Build ViT-H/14 for ImageNet-21k: D = 1280, 32 blocks, 16 heads; 660,385,363 parameters.

    Example:
        >>> import torch
        >>> from attn_utils import vit_huge_patch14_224_in21k
        >>> with torch.device("meta"):  # shapes without memory
        ...     model = vit_huge_patch14_224_in21k()
        >>> size = 4 * sum(p.numel() for p in model.parameters())  # in float32
        >>> f"{size / 2**30:.1f} GiB"
        '2.5 GiB'
    """
    return _build_in21k("huge", 14, num_classes, has_logits, options)

"""The Vision Transformer: an image is cut into patches, and the patches are read like words.

Parameters have the names and shapes of timm's model, so that published weights fit;
:func:`attn_utils.vit.load_vit_checkpoint` reads them in four layouts. Shapes: B batch, C
channels, N patches, P prefix tokens (1 class token, and 1 more when distilled), D = embed_dim,
H heads, d = D / H.

The functions ``vit_…`` build the published sizes: ``_patch16`` is the patch's side in pixels,
``_224`` the image's, ``_in21k`` the pre-training on ImageNet-21k, where ``has_logits`` puts a layer
with tanh before the head. ``num_classes`` is the width of the logits; all other arguments are those
of :class:`VisionTransformer`.
"""

from .checkpoints import load_vit_checkpoint
from .layers import DropPath, PatchEmbedding, resize_position_embedding
from .model import VisionTransformer
from .sizes import (
    vit_base_patch16_224,
    vit_base_patch16_224_in21k,
    vit_base_patch32_224,
    vit_base_patch32_224_in21k,
    vit_huge_patch14_224_in21k,
    vit_large_patch16_224,
    vit_large_patch16_224_in21k,
    vit_large_patch32_224_in21k,
    vit_small_patch16_224,
    vit_tiny_patch16_224,
)

__all__ = [
    "DropPath",
    "PatchEmbedding",
    "VisionTransformer",
    "load_vit_checkpoint",
    "resize_position_embedding",
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

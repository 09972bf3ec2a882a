"""What every attention stands on: masks, attention itself, checks of arguments, recording."""

from .attend import scaled_dot_product_attention
from .masks import causal_mask, length_mask, masked_softmax

__all__ = ["causal_mask", "length_mask", "masked_softmax", "scaled_dot_product_attention"]

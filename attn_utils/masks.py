"""The masks, under the name by which the first release documented them."""

from .core.masks import causal_mask, length_mask, masked_softmax

__all__ = ["causal_mask", "length_mask", "masked_softmax"]

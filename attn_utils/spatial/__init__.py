"""Spatial attention and CBAM: let a network choose which channels count, and then which positions.

Shapes: B batch, C channels, H height, W width of feature maps. A module's ``gate(x)`` gives numbers
from 0 to 1, and ``forward(x)`` gives ``x * gate(x)``.

Without gradients (``torch.no_grad``, ``torch.inference_mode``) the modules compute the same with
other kernels and less memory. Where several entries share a maximum, its gradient goes to one of
them.
"""

from .spatial import CBAM, ChannelAttention, SpatialAttention

__all__ = ["CBAM", "ChannelAttention", "SpatialAttention"]

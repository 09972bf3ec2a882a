"""Channel attention: how much of each feature map to let through, decided image by image.

A convolution weighs its channels by numbers that are fixed after training. A channel gate looks
at the image first: it squeezes each channel to its mean, computes a number in 0…1 for each channel
from these means, and multiplies. Shapes: B batch, C channels, Height and Width of a feature map.
"""

from .channel import ECABlock, SEBlock, eca_kernel_size

__all__ = ["ECABlock", "SEBlock", "eca_kernel_size"]

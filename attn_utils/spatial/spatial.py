"""Spatial attention and CBAM: let a network choose which channels count, and then which positions.

Shapes: B batch, C channels, H height, W width of feature maps. A module's ``gate(x)`` gives numbers
from 0 to 1, and ``forward(x)`` gives ``x * gate(x)``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attn_utils.core.arguments import check_images, check_size, check_sizes

__all__ = ["CBAM", "ChannelAttention", "SpatialAttention"]


class ChannelAttention(nn.Module):
    """Weigh channels by two descriptors of each: ``σ(MLP(mean(x)) + MLP(max(x)))``.

    Mean and maximum run over all positions. Both vectors go through the *same* two layers,
    ``W_2 relu(W_1 d)``, without biases; the hidden width is ``max(1, C // reduction)``, so that few
    channels keep at least one hidden unit. 2 C max(1, C // reduction) parameters.

    It differs from :class:`attn_utils.channel.SEBlock` by the maximum only.

    Args:
        channels: C.
        reduction: by what the hidden layer is narrower than C.

    References:
        Woo et al. (2018). CBAM: Convolutional block attention module, equation 2.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        channels, reduction = check_sizes(channels=channels, reduction=reduction)
        self.channels = channels
        hidden = max(1, channels // reduction)
        self.fc1 = nn.Linear(channels, hidden, bias=False)
        self.fc2 = nn.Linear(hidden, channels, bias=False)

    def gate(self, x: Tensor) -> Tensor:
        """One number for each channel.

        Args:
            x: (B, C, H, W), at least 1 × 1.

        Returns:
            (B, C, 1, 1), from 0 to 1.
        """
        check_images("x", x, self.channels)
        both = torch.stack([_mean(x, (2, 3)), _max_over_places(x)], dim=1)  # (B, 2, C)
        scores: Tensor = self.fc2(self.fc1(both).relu()).sum(1)  # (B, 2, C) -> (B, C)
        return scores.sigmoid()[:, :, None, None]

    def forward(self, x: Tensor) -> Tensor:
        """Scale each channel by its gate: (B, C, H, W) -> (B, C, H, W)."""
        return x * self.gate(x)


class SpatialAttention(nn.Module):
    """Weigh positions by what their neighbourhood holds: ``σ(conv([mean(x); max(x)]))``.

    Mean and maximum run over the channels and give two maps, **in this order: [mean, max]**. One
    convolution without bias turns them into one map of the same size. 2 kernel_size² parameters,
    whatever the number of channels.

    The authors' own code stacks [max, mean] and normalises the map by a BatchNorm that the paper
    does not have. To take over a kernel trained in that order, swap its two input channels:
    ``module.conv.weight.copy_(theirs.flip(1))`` under ``torch.no_grad()``.

    Args:
        kernel_size: height and width of the kernel, odd; the paper tries 3 and 7.

    Raises:
        ValueError: ``kernel_size`` is below 1 or even: an even kernel has no middle, and the map
            would not fit the image.

    References:
        Woo et al. (2018). CBAM: Convolutional block attention module, equation 3.
    """

    def __init__(self, kernel_size: int = 7) -> None:
        super().__init__()
        kernel_size = check_size("kernel_size", kernel_size)
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size: expected an odd number, got {kernel_size}")
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def gate(self, x: Tensor) -> Tensor:
        """One number for each position.

        Args:
            x: (B, C, H, W), any number of channels, at least 1 × 1.

        Returns:
            (B, 1, H, W), from 0 to 1.
        """
        check_images("x", x)
        maps = torch.stack([_mean(x, (1,)), _max_over_channels(x)], dim=1)  # (B, 2, H, W)
        scores: Tensor = self.conv(maps)  # (B, 2, H, W) -> (B, 1, H, W)
        return scores.sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Scale each position by its gate: (B, C, H, W) -> (B, C, H, W)."""
        return x * self.gate(x)


class CBAM(nn.Module):
    """Convolutional block attention module: first which channels, then which positions.

    ``y = x · g_c`` with the :class:`ChannelAttention` g_c of x, then ``y · g_s`` with the
    :class:`SpatialAttention` g_s of **y**: the second gate sees what the first one let through.
    The two are the attributes ``channel`` and ``spatial``. It has
    2 C max(1, C // reduction) + 2 kernel_size² parameters.

    Args:
        channels: C.
        reduction: by what the hidden layer of the channel attention is narrower than C.
        kernel_size: of the spatial attention, odd.

    References:
        Woo et al. (2018). CBAM: Convolutional block attention module.
    """

    def __init__(self, channels: int, reduction: int = 16, kernel_size: int = 7) -> None:
        super().__init__()
        self.channel = ChannelAttention(channels, reduction)
        self.spatial = SpatialAttention(kernel_size)

    def gate(self, x: Tensor) -> Tensor:
        """What ``forward`` multiplies each single entry of x by: the product of both gates.

        For the gates themselves: ``gc = cbam.channel.gate(x)``, (B, C, 1, 1), and then
        ``cbam.spatial.gate(x * gc)``, (B, 1, H, W).

        Args:
            x: (B, C, H, W), at least 1 × 1.

        Returns:
            (B, C, H, W), from 0 to 1.
        """
        by_channel = self.channel.gate(x)
        return by_channel * self.spatial.gate(x * by_channel)

    def forward(self, x: Tensor) -> Tensor:
        """Apply both gates, one after the other: (B, C, H, W) -> (B, C, H, W)."""
        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            y = x * self.channel.gate(x)
            return y * self.spatial.gate(y)
        # No gradients: image by image, each step finds in the cache what the last one left there.
        out = torch.empty_like(x)
        for image, y in zip(torch.split(x, 1), torch.split(out, 1), strict=True):
            y.copy_(image).mul_(self.channel.gate(image))
            y.mul_(self.spatial.gate(y))
        return out


# With gradients, other kernels are the fast ones: amax reduces two to seven times faster than max,
# but its gradient, which it shares out among equal maxima, costs five times as much, and the
# gradient of mean fills a tensor as large as x, which that of sum does not.


def _mean(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    if not torch.is_grad_enabled() or x.dtype == torch.float16:  # in which a sum can overflow
        return x.mean(dims)
    mean = x.sum(dims)
    for d in dims:
        mean = mean / x.shape[d]
    return mean


def _max_over_places(x: Tensor) -> Tensor:
    if torch.is_grad_enabled():
        return F.adaptive_max_pool2d(x, 1).flatten(1)  # (B, C, H, W) -> (B, C)
    return x.amax((2, 3))


def _max_over_channels(x: Tensor) -> Tensor:
    return x.max(1).values if torch.is_grad_enabled() else x.amax(1)  # (B, H, W)

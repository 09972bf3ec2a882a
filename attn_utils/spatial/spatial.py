"""Spatial attention and CBAM: let a network choose which channels count, and then which positions.

Shapes: B batch, C channels, H height, W width of feature maps. A module's ``gate(x)`` gives numbers
from 0 to 1, and ``forward(x)`` gives ``x * gate(x)``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attn_utils.core.arguments import check_images, check_size, check_sizes
from attn_utils.core.parts import is_as_built

__all__ = ["CBAM", "ChannelAttention", "SpatialAttention"]


class ChannelAttention(nn.Module):
    """Weigh channels by two descriptors of each: ``σ(MLP(mean(x)) + MLP(max(x)))``.

    Mean and maximum run over all positions. Both vectors go through the *same* two layers,
    ``W_2 relu(W_1 d)``, by default without biases; the hidden width is ``max(1, C // reduction)``,
    so that few channels keep at least one hidden unit. 2 C max(1, C // reduction) parameters.

    It differs from :class:`attn_utils.channel.SEBlock` by the maximum only.

    Args:
        channels: C.
        reduction: by what the hidden layer is narrower than C.
        bias: whether the two layers have biases, as in the authors' code.

    Example:
        >>> import torch
        >>> from attn_utils import ChannelAttention
        >>> attention = ChannelAttention(channels=32)
        >>> x = torch.rand(2, 32, 8, 8)
        >>> attention.gate(x).shape
        torch.Size([2, 32, 1, 1])
        >>> moved = x.roll(3, dims=-1)  # where something stands plays no part
        >>> torch.allclose(attention.gate(moved), attention.gate(x), atol=1e-6)
        True

    References:
        Woo et al. (2018). CBAM: Convolutional block attention module, equation 2.
    """

    def __init__(self, channels: int, reduction: int = 16, *, bias: bool = False) -> None:
        super().__init__()
        channels, reduction = check_sizes(channels=channels, reduction=reduction)
        self.channels = channels
        hidden = max(1, channels // reduction)
        self.fc1 = nn.Linear(channels, hidden, bias=bias)
        self.fc2 = nn.Linear(hidden, channels, bias=bias)

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

    Args:
        kernel_size: height and width of the kernel, odd; the paper tries 3 and 7.
        batch_norm: whether the map of scores is normalised before σ. The paper does not say so; the
            authors' code and timm's do.

    Raises:
        ValueError: ``kernel_size`` is below 1 or even: an even kernel has no middle, and the map
            would not fit the image.

    Example:
        >>> import torch
        >>> from attn_utils import SpatialAttention
        >>> attention = SpatialAttention(kernel_size=7)
        >>> attention.gate(torch.rand(2, 32, 8, 8)).shape  # a number for each position
        torch.Size([2, 1, 8, 8])
        >>> sum(p.numel() for p in attention.parameters())  # 2 maps · 7 · 7
        98

    References:
        Woo et al. (2018). CBAM: Convolutional block attention module, equation 3.
    """

    def __init__(self, kernel_size: int = 7, *, batch_norm: bool = False) -> None:
        super().__init__()
        kernel_size = check_size("kernel_size", kernel_size)
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size: expected an odd number, got {kernel_size}")
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)
        self.norm = nn.BatchNorm2d(1, momentum=0.01) if batch_norm else None

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
        if self.norm is not None:
            scores = self.norm(scores)
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

    Published weights are of richer modules than the paper's. timm's need ``batch_norm=True``, the
    authors' ``bias=True`` as well. Under ``torch.no_grad()``, with theirs in their names: ::

        cbam.channel.fc1.weight.copy_(fc1.weight.flatten(1))  # and fc2; biases unchanged
        cbam.spatial.conv.weight.copy_(conv.weight)  # the authors': flip(1)
        cbam.spatial.norm.load_state_dict(bn.state_dict())

    The flip is there because the authors stack [max, mean], and we, the paper and timm [mean, max].

    Args:
        channels: C.
        reduction: by what the hidden layer of the channel attention is narrower than C.
        kernel_size: of the spatial attention, odd.
        bias: whether the layers of the channel attention have biases.
        batch_norm: whether the spatial attention normalises its scores.

    Example:
        >>> import torch
        >>> from attn_utils import CBAM
        >>> cbam = CBAM(channels=32)
        >>> x = torch.rand(2, 32, 8, 8)
        >>> by_channel = cbam.channel.gate(x)
        >>> by_position = cbam.spatial.gate(x * by_channel)
        >>> by_channel.shape, by_position.shape
        (torch.Size([2, 32, 1, 1]), torch.Size([2, 1, 8, 8]))
        >>> torch.allclose(cbam(x), x * by_channel * by_position)
        True

    References:
        Woo et al. (2018). CBAM: Convolutional block attention module.
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 16,
        kernel_size: int = 7,
        *,
        bias: bool = False,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.channel = ChannelAttention(channels, reduction, bias=bias)
        self.spatial = SpatialAttention(kernel_size, batch_norm=batch_norm)

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
        y: Tensor = self.channel(x)
        alone = not torch.is_grad_enabled() and not torch.compiler.is_compiling()
        if alone and is_as_built(self, *_PARTS):
            return y.mul_(self.spatial.gate(y))  # y is nobody else's: one tensor less
        output: Tensor = self.spatial(y)
        return output


_PARTS = (CBAM, ChannelAttention, SpatialAttention, nn.Linear, nn.Conv2d, nn.BatchNorm2d)


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

"""Channel attention: how much of each feature map to let through, decided image by image."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from attn_utils.core.arguments import check_images, check_size, check_sizes

__all__ = ["ECABlock", "SEBlock", "eca_kernel_size"]


class SEBlock(nn.Module):
    """Squeeze and excitation: ``x · σ(W_2 ReLU(W_1 z))`` with z the mean of each channel.

    Two linear layers with a bottleneck of ``h = max(1, C // reduction)`` units between them: each
    gate can depend on every channel. (Without the 1, a small C would leave no unit at all, and
    every gate would be 1/2.) 2 · C · h parameters, and C + h more with biases.

    Its parameters are ``fc1.weight`` (h, C) and ``fc2.weight`` (C, h). The paper's equation has no
    biases; most published weights have them (the authors', torchvision's, timm's), and need
    ``bias=True``. Where other code has 1×1 convolutions, ``weight.flatten(1)`` of theirs is ours,
    and their biases are ours as they are; where it rounds h, as timm does to multiples of 8,
    ``reduction=C // h`` gives the same h if h divides C. Blocks with another activation or gate,
    as in EfficientNet and MobileNetV3, are not this function.

    Args:
        channels: C.
        reduction: by how much the bottleneck is narrower than the channels.
        bias: whether the two layers have biases.

    Example:
        >>> import torch
        >>> from attn_utils import SEBlock
        >>> block = SEBlock(channels=32, reduction=16)
        >>> x = torch.rand(2, 32, 8, 8)
        >>> block.gate(x).shape  # a number in 0…1 for each channel of each image
        torch.Size([2, 32, 1, 1])
        >>> torch.equal(block(x), x * block.gate(x))
        True
        >>> sum(p.numel() for p in block.parameters())  # 2 · 32 · 2
        128

    References:
        Hu et al. (2018). Squeeze-and-excitation networks.
    """

    def __init__(self, channels: int, reduction: int = 16, *, bias: bool = False) -> None:
        super().__init__()
        channels, reduction = check_sizes(channels=channels, reduction=reduction)
        self.channels = channels
        hidden = max(1, channels // reduction)
        self.fc1 = nn.Linear(channels, hidden, bias=bias)
        self.fc2 = nn.Linear(hidden, channels, bias=bias)

    def gate(self, x: Tensor) -> Tensor:
        """Compute the gates, (B, C, Height, Width) -> (B, C, 1, 1), each in 0…1."""
        check_images("x", x, self.channels)
        squeezed = x.mean(dim=(2, 3))  # (B, C, Height, Width) -> (B, C)
        excited: Tensor = self.fc2(torch.relu(self.fc1(squeezed)))  # (B, C) -> (B, h) -> (B, C)
        return torch.sigmoid(excited)[:, :, None, None]

    def forward(self, x: Tensor) -> Tensor:
        """Multiply each channel by its gate; shape, dtype and memory format stay."""
        return x * self.gate(x)


class ECABlock(nn.Module):
    """Efficient channel attention: ``x · σ(w ∗ z)``, a 1-D convolution over the channels' means.

    No bottleneck: each gate depends on k neighbouring channels, by the same k weights for all,
    with zeros beyond the first and the last channel. k parameters, no bias.

    Its parameter is ``conv.weight`` (1, 1, k).

    Args:
        channels: C.
        gamma: γ of :func:`eca_kernel_size`.
        b: b of :func:`eca_kernel_size`.
        kernel_size: k, odd; by default what :func:`eca_kernel_size` gives.

    Example:
        >>> import torch
        >>> from attn_utils import ECABlock
        >>> block = ECABlock(channels=64)
        >>> block.gate(torch.rand(2, 64, 8, 8)).shape
        torch.Size([2, 64, 1, 1])
        >>> sum(p.numel() for p in block.parameters())  # one kernel for all 64 channels
        3

    References:
        Wang et al. (2020). ECA-Net: efficient channel attention for deep convolutional neural
        networks.
    """

    def __init__(
        self, channels: int, gamma: float = 2, b: float = 1, *, kernel_size: int | None = None
    ) -> None:
        super().__init__()
        if kernel_size is None:
            kernel_size = eca_kernel_size(channels, gamma, b)
        channels, kernel_size = check_sizes(channels=channels, kernel_size=kernel_size)
        if kernel_size % 2 == 0:  # there would be no middle, and one gate too many or too few
            raise ValueError(f"kernel_size: expected an odd number, got {kernel_size}")
        self.channels = channels
        self.conv = nn.Conv1d(1, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def gate(self, x: Tensor) -> Tensor:
        """Compute the gates, (B, C, Height, Width) -> (B, C, 1, 1), each in 0…1."""
        check_images("x", x, self.channels)
        squeezed = x.mean(dim=(2, 3)).unsqueeze(1)  # (B, C, Height, Width) -> (B, 1, C)
        mixed: Tensor = self.conv(squeezed)  # (B, 1, C): the channels are its sequence
        return torch.sigmoid(mixed).transpose(1, 2).unsqueeze(3)  # (B, 1, C) -> (B, C, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply each channel by its gate; shape, dtype and memory format stay."""
        return x * self.gate(x)


def eca_kernel_size(channels: int, gamma: float = 2, b: float = 1) -> int:
    """Kernel size for C channels: ``|(log2 C + b) / γ|`` truncated, plus 1 if that is even.

    More channels, a wider neighbourhood, but only logarithmically: 3 for 64 channels, 5 for 512,
    7 for 2048.

    Args:
        channels: C.
        gamma: γ, how slowly the kernel grows.
        b: b, how wide it is to begin with.

    Returns:
        An odd number of at least 1.

    Example:
        >>> from attn_utils import eca_kernel_size
        >>> [eca_kernel_size(channels) for channels in (16, 64, 512, 2048)]
        [3, 3, 5, 7]

    References:
        Wang et al. (2020), section 3.2.3.
    """
    channels = check_size("channels", channels)
    if not math.isfinite(gamma) or gamma == 0:
        raise ValueError(f"gamma: expected a finite number other than 0, got {gamma!r}")
    if not math.isfinite(b):
        raise ValueError(f"b: expected a finite number, got {b!r}")
    size = int(abs((math.log2(channels) + b) / gamma))
    return size if size % 2 else size + 1

"""SE and ECA beside the straightforward formulation: single-threaded CPU time, as ratios.

    OMP_NUM_THREADS=1 python benchmarks/channel.py [--quick] [--json results.json]

Feature maps of (8, 256, 56, 56), float32, both memory formats. The other side has the same weights
and no checks. Freed memory is kept for the next call, on both sides. Otherwise the C library would
hand it back to the system for one side and not for the other, by accident, and that would decide
the ratio. Exit code 1 if a bound is missed.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys

import torch
import torch.nn.functional as F
from measure import Table, cpu_ratio, inference, main, peak_bytes, training
from torch import Tensor, nn

from attn_utils.channel import ECABlock, SEBlock

SHAPE = (8, 256, 56, 56)
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
BOUND = 1.05


class PlainSE(nn.Module):
    """As it is written most often: pooling that keeps the axes, and two 1×1 convolutions."""

    def __init__(self, ours: SEBlock) -> None:
        super().__init__()
        self.fc1, self.fc2 = (
            nn.Parameter(layer.weight.detach()[:, :, None, None].clone())
            for layer in (ours.fc1, ours.fc2)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Gate the channels, (B, C, Height, Width) -> the same."""
        z = F.adaptive_avg_pool2d(x, 1)
        return x * F.conv2d(F.conv2d(z, self.fc1).relu(), self.fc2).sigmoid()


class PlainECA(nn.Module):
    """Pooling, a convolution over the channels as a sequence, and a gate of the shape of x."""

    def __init__(self, ours: ECABlock) -> None:
        super().__init__()
        self.conv = ours.conv

    def forward(self, x: Tensor) -> Tensor:
        """Gate the channels, (B, C, Height, Width) -> the same."""
        z = F.adaptive_avg_pool2d(x, 1).flatten(1).unsqueeze(1)
        gate: Tensor = self.conv(z).sigmoid()
        return x * gate.view(*x.shape[:2], 1, 1).expand_as(x)


def keep_freed_memory() -> None:
    """Tell glibc not to return the 26 MB buffers to the system, which costs a page fault per 4 kB.

    It would do so for one candidate and not for the other, by where a small block happens to lie:
    the ratio of two equal modules then comes out anywhere from 0.7 to 1.7.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # only glibc has it
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-3, 32 * 2**20)  # M_MMAP_THRESHOLD: its maximum
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


def measure(table: Table, quick: bool) -> None:
    """Ratios of time in both memory formats, and of memory in one."""
    keep_freed_memory()
    torch.manual_seed(0)
    seconds = 2.0 if quick else 8.0
    se, eca = SEBlock(SHAPE[1]), ECABlock(SHAPE[1])
    for name, ours, plain in (("SE", se, PlainSE(se)), ("ECA", eca, PlainECA(eca))):
        for layout, memory_format in FORMATS.items():
            x = torch.randn(SHAPE).contiguous(memory_format=memory_format)
            torch.testing.assert_close(ours(x), plain(x))
            for what, kind in (("forward", inference), ("forward + backward", training)):
                mine, other = kind(ours, x), kind(plain, x)
                ratio = cpu_ratio(mine, other, seconds)
                table.add(f"{name}, {what}, {layout} / plain", ratio, bound=BOUND)
                if layout == "contiguous":
                    memory = peak_bytes(mine) / peak_bytes(other)
                    table.add("  its memory", memory, bound=BOUND)


if __name__ == "__main__":
    sys.exit(main(__doc__.split("\n")[0], measure))

"""CBAM beside its straightforward formulation: single-threaded CPU time and memory, as ratios.

    OMP_NUM_THREADS=1 python benchmarks/spatial.py [--quick] [--json results.json]

Feature maps (8, 256, 56, 56), float32, r = 16, 7 × 7, both memory formats. Exit code 1 if a bound
is missed.
"""

from __future__ import annotations

import sys

import torch
import torch.nn.functional as F
from measure import Table, cpu_ratio, inference, main, peak_bytes, training
from torch import Tensor, nn

from attn_utils.spatial import CBAM

SHAPE = (8, 256, 56, 56)
FORMATS = {"default": torch.contiguous_format, "channels last": torch.channels_last}


class Straightforward(nn.Module):
    """As it is usually written: 1 × 1 convolutions, amax, a new tensor for each product."""

    def __init__(self, ours: CBAM) -> None:
        super().__init__()
        self.w1 = nn.Parameter(ours.channel.fc1.weight.detach()[:, :, None, None].clone())
        self.w2 = nn.Parameter(ours.channel.fc2.weight.detach()[:, :, None, None].clone())
        self.kernel = nn.Parameter(ours.spatial.conv.weight.detach().clone())

    def mlp(self, x: Tensor) -> Tensor:
        """Two layers, (B, C, 1, 1) -> (B, C, 1, 1)."""
        return F.conv2d(F.conv2d(x, self.w1).relu(), self.w2)

    def forward(self, x: Tensor) -> Tensor:
        """Channel, then spatial attention."""
        mean, most = x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
        x = x * (self.mlp(mean) + self.mlp(most)).sigmoid()
        maps = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return x * F.conv2d(maps, self.kernel, padding=self.kernel.shape[-1] // 2).sigmoid()


def measure(table: Table, quick: bool) -> None:
    """Ratios in both memory formats; bounds hold in the default one."""
    torch.manual_seed(0)
    seconds = 2.0 if quick else 8.0
    ours = CBAM(SHAPE[1])
    theirs = Straightforward(ours)
    for name, memory_format in FORMATS.items():
        default = name == "default"
        x = torch.randn(SHAPE).contiguous(memory_format=memory_format)
        with torch.no_grad():
            torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-5)
        for what, kind in (("inference", inference), ("training", training)):
            mine, other = kind(ours, x), kind(theirs, x)
            ratio = cpu_ratio(mine, other, seconds)
            table.add(f"{what}, {name} / plain", ratio, bound=0.80 if default else None)
            memory = peak_bytes(mine) / peak_bytes(other)
            bound = 0.60 if default and kind is inference else None
            table.add("  its memory", memory, bound=bound)


if __name__ == "__main__":
    sys.exit(main(__doc__.split("\n")[0], measure))

"""Attention beside PyTorch's fused kernel and the plain formula: CPU time and memory, as ratios.

    OMP_NUM_THREADS=1 python benchmarks/attention.py [--quick] [--json results.json]

Batch 2, 8 heads, head size 64, float32, inference. Exit code 1 if a bound is missed.
"""

from __future__ import annotations

import math
import sys

import torch
import torch.nn.functional as F
from measure import Table, cpu_ratio, inference, main, peak_bytes
from torch import Tensor

from attn_utils.core.attend import scaled_dot_product_attention
from attn_utils.core.masks import length_mask

BATCH, HEADS, WIDTH = 2, 8, 64


def plain(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """The formula as one writes it first."""
    weights = torch.softmax(q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]), dim=-1)
    return weights @ v, weights


def measure(table: Table, quick: bool) -> None:
    """Ratios at several lengths n."""
    torch.manual_seed(0)
    seconds = 1.0 if quick else 8.0
    lengths = [64, 256, 1024] if quick else [64, 128, 256, 512, 1024, 2048, 4096]
    ours, fused = scaled_dot_product_attention, F.scaled_dot_product_attention
    memory: dict[int, int] = {}
    for n in lengths:
        x = [torch.randn(BATCH, HEADS, n, WIDTH) for _ in range(3)]  # q, k, v
        mine = inference(ours, *x)
        ratio = cpu_ratio(mine, inference(fused, *x), seconds)
        table.add("without weights / fused", ratio, n=n, bound=1.05)
        memory[n] = peak_bytes(mine)

        mask = length_mask(torch.tensor([n // 2, n]), n)  # (B, 1, S)
        theirs = inference(fused, *x, attn_mask=mask.unsqueeze(1))
        ratio = cpu_ratio(inference(ours, *x, mask=mask), theirs, seconds)
        table.add("  with a mask / fused with it", ratio, n=n)

        ratio = cpu_ratio(inference(ours, *x, is_causal=True), mine, seconds)
        table.add("  is_causal / unmasked", ratio, n=n, bound={1024: 0.85, 2048: 0.70}.get(n))

        if n <= 2048:  # two score matrices of 4096² would be 2 GiB
            explicit, formula = inference(ours, *x, return_weights=True), inference(plain, *x)
            ratio = cpu_ratio(explicit, formula, seconds)
            large = n >= 1024
            table.add("with weights / plain formula", ratio, n=n, bound=0.70 if large else None)
            scores = 4 * BATCH * HEADS * n * n
            matrices = peak_bytes(explicit) / scores
            table.add(
                "  its memory, in score matrices", matrices, n=n, bound=1.3 if large else None
            )
            table.add("  memory of the plain formula", peak_bytes(formula) / scores, n=n)

    low, high = min(lengths), max(lengths)
    exponent = math.log(memory[high] / memory[low]) / math.log(high / low)
    what = f"without weights: memory grows as n to the power, {low}…{high}"
    table.add(what, exponent, bound=1.1)


if __name__ == "__main__":
    sys.exit(main(__doc__.split("\n")[0], measure))

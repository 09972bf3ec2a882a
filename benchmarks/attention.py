"""Attention beside PyTorch's fused kernel and the plain formula: CPU time and memory, as ratios.

    OMP_NUM_THREADS=1 python benchmarks/attention.py [--quick] [--json results.json]

Batch 2, 8 heads, head size 64, float32, inference. Exit code 1 if a bound is missed.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import torch
import torch.nn.functional as F
from measure import Row, Run, cpu_ratio, main, peak_bytes
from torch import Tensor

from attn_utils.masks import length_mask
from attn_utils.scoring import scaled_dot_product_attention

BATCH, HEADS, WIDTH = 2, 8, 64
Inputs = tuple[Tensor, Tensor, Tensor]


def plain(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """The formula as one writes it first."""
    weights = torch.softmax(q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]), dim=-1)
    return weights @ v, weights


def bind(f: Any, inputs: Inputs, **options: Any) -> Run:
    """A call without gradients."""

    def run() -> Any:
        with torch.inference_mode():
            return f(*inputs, **options)

    return run


def measure(quick: bool) -> list[Row]:
    """Ratios at several lengths n."""
    torch.manual_seed(0)
    seconds = 1.0 if quick else 8.0
    lengths = [64, 256, 1024] if quick else [64, 128, 256, 512, 1024, 2048, 4096]
    ours, fused = scaled_dot_product_attention, F.scaled_dot_product_attention
    rows: list[Row] = []
    memory: dict[int, int] = {}

    def report(what: str, n: int | None, value: float, bound: float | None = None) -> None:
        rows.append(Row(what, n, round(value, 3), bound))
        print(rows[-1], flush=True)

    for n in lengths:
        x: Inputs = tuple(torch.randn(BATCH, HEADS, n, WIDTH) for _ in range(3))  # type: ignore
        mine = bind(ours, x)
        report("without weights / fused", n, cpu_ratio(mine, bind(fused, x), seconds), 1.05)
        memory[n] = peak_bytes(mine)

        mask = length_mask(torch.tensor([n // 2, n]), n)  # (B, 1, S)
        theirs = bind(fused, x, attn_mask=mask.unsqueeze(1))
        report(
            "  with a mask / fused with it", n, cpu_ratio(bind(ours, x, mask=mask), theirs, seconds)
        )

        half = bind(ours, x, is_causal=True)
        bound = {1024: 0.85, 2048: 0.70}.get(n)
        report("  is_causal / unmasked", n, cpu_ratio(half, mine, seconds), bound)

        if n <= 2048:  # two score matrices of 4096² would be 2 GiB
            explicit, formula = bind(ours, x, return_weights=True), bind(plain, x)
            bound = 0.70 if n >= 1024 else None
            report("with weights / plain formula", n, cpu_ratio(explicit, formula, seconds), bound)
            scores = 4 * BATCH * HEADS * n * n
            bound = 1.3 if n >= 1024 else None
            report("  its memory, in score matrices", n, peak_bytes(explicit) / scores, bound)
            report("  memory of the plain formula", n, peak_bytes(formula) / scores)

    low, high = min(lengths), max(lengths)
    exponent = math.log(memory[high] / memory[low]) / math.log(high / low)
    report(f"without weights: memory grows as n to the power, {low}…{high}", None, exponent, 1.1)
    return rows


if __name__ == "__main__":
    sys.exit(main(__doc__.split("\n")[0], measure))

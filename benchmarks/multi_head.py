"""Multi-head attention beside its peers: single-threaded CPU time and memory, as ratios.

    OMP_NUM_THREADS=1 python benchmarks/multi_head.py [--quick] [--json results.json]

Batch 2, width 512, 8 heads, float32, self-attention. Exit code 1 if a bound is missed.
"""

from __future__ import annotations

import functools
import os
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from measure import Row, Run, cpu_ratio, main, peak_bytes
from torch import Tensor, nn

from attn_utils.keras_multi_head import KerasMultiHeadAttention
from attn_utils.multi_head import MultiHeadAttention

BATCH, WIDTH, HEADS = 2, 512, 8


class Floor(nn.Module):
    """The least that has to be done: four Linear layers and PyTorch's fused attention."""

    def __init__(self, ours: MultiHeadAttention) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = ours.W_q, ours.W_k, ours.W_v, ours.W_o

    def forward(self, x: Tensor) -> Tensor:
        """Self-attention without checks, (B, T, D) -> (B, T, D)."""
        B, T, D = x.shape
        q, k, v = (f(x).view(B, T, HEADS, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        heads = F.scaled_dot_product_attention(q, k, v)
        return self.o(heads.transpose(1, 2).reshape(B, T, D))


def forward(module: Callable[[Tensor], Any], n: int) -> Run:
    """A call without gradients."""
    x = torch.randn(BATCH, n, WIDTH)

    def run() -> Any:
        with torch.inference_mode():
            return module(x)

    return run


def training(module: nn.Module, n: int) -> Run:
    """A call and its gradients."""
    x = torch.randn(BATCH, n, WIDTH, requires_grad=True)

    def run() -> None:
        module.zero_grad()
        x.grad = None
        module(x).sum().backward()

    return run


def keras_layer() -> Any:
    """Keras's layer on its torch backend, built; its settings file is thrown away."""
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(KERAS_BACKEND="torch", KERAS_HOME=home, KERAS_TORCH_DEVICE="cpu")
        import keras
    layer = keras.layers.MultiHeadAttention(HEADS, WIDTH // HEADS)
    layer.build((BATCH, None, WIDTH), (BATCH, None, WIDTH))
    return layer


def measure(quick: bool) -> list[Row]:
    """Ratios at several lengths n; a row without a bound is shown without a claim."""
    torch.manual_seed(0)
    seconds = 1.5 if quick else 6.0
    lengths = [64, 1024] if quick else [64, 256, 1024, 2048]
    rows: list[Row] = []

    def report(what: str, n: int, ratio: float, bound: float | None) -> None:
        rows.append(Row(what, n, round(ratio, 3), bound))
        print(rows[-1], flush=True)

    def timed(what: str, n: int, ours: Run, theirs: Run, bound: float | None) -> None:
        report(what, n, cpu_ratio(ours, theirs, seconds), bound)

    theirs = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True).eval()
    ours = MultiHeadAttention.from_torch(theirs)
    keras = keras_layer()
    ours_keras = KerasMultiHeadAttention.from_keras(keras).eval()
    floor = Floor(ours)
    plain = functools.partial

    def torch_own(x: Tensor, weights: bool) -> Any:
        return theirs(x, x, x, need_weights=weights, average_attn_weights=False)

    def keras_own(x: Tensor, scores: bool) -> Any:
        return keras(x, x, return_attention_scores=scores)

    def ours_as_keras(x: Tensor, scores: bool) -> Any:
        return ours_keras(x, x, return_attention_scores=scores)

    for n in lengths:
        timed("forward / 4 Linear + fused", n, forward(ours, n), forward(floor, n), 1.05)
        timed("forward + backward / 4 Linear + fused", n,
              training(ours, n), training(floor, n), 1.05)  # fmt: skip
    for n in (n for n in lengths if n >= 256):
        mine, other = forward(ours, n), forward(plain(torch_own, weights=False), n)
        timed("inference / nn.MultiheadAttention", n, mine, other, 0.75 if n == 1024 else None)
        report("  its memory", n, peak_bytes(mine) / peak_bytes(other),
               0.30 if n == 1024 else None)  # fmt: skip
        mine = forward(plain(ours, return_weights=True), n)
        other = forward(plain(torch_own, weights=True), n)
        timed("inference with weights / nn.MultiheadAttention", n, mine, other, None)
    for n in (n for n in lengths if n >= 256):
        mine = forward(plain(ours_as_keras, scores=True), n)
        other = forward(plain(keras_own, scores=True), n)
        timed("as Keras, inference with scores / Keras", n, mine, other,
              0.90 if n >= 1024 else None)  # fmt: skip
        report("  its memory", n, peak_bytes(mine) / peak_bytes(other), None)
        mine = forward(plain(ours, return_weights=True), n)
        timed("inference with weights / Keras", n, mine, other, 0.90 if n >= 1024 else None)
        mine, other = (forward(plain(f, scores=False), n) for f in (ours_as_keras, keras_own))
        timed("as Keras, inference without scores / Keras", n, mine, other, None)
    return rows


if __name__ == "__main__":
    sys.exit(main(__doc__.split("\n")[0], measure))

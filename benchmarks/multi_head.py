"""Multi-head attention beside its peers: single-threaded CPU time and memory, as ratios.

    OMP_NUM_THREADS=1 python benchmarks/multi_head.py [--quick] [--json results.json]

Batch 2, width 512, 8 heads, float32, self-attention, and the small sizes of the book's
chapters. Exit code 1 if a bound is missed.
"""

from __future__ import annotations

import os
import sys
import tempfile
from typing import Any

import torch
import torch.nn.functional as F
from measure import Table, cpu_ratio, inference, main, peak_bytes, training
from torch import Tensor, nn

from attn_utils.keras_multi_head import KerasMultiHeadAttention
from attn_utils.multi_head import MultiHeadAttention, with_kv_heads

BATCH, WIDTH, HEADS, KV_HEADS = 2, 512, 8, 2


class Floor(nn.Module):
    """The least that has to be done: four Linear layers and PyTorch's fused attention."""

    def __init__(self, ours: MultiHeadAttention) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = ours.W_q, ours.W_k, ours.W_v, ours.W_o
        self.num_heads = ours.num_heads
        self.num_kv_heads = ours.num_kv_heads

    def forward(self, x: Tensor) -> Tensor:
        """Self-attention without checks, (B, T, D) -> (B, T, D)."""
        B, T, D = x.shape
        q = self.q(x).view(B, T, self.num_heads, -1).transpose(1, 2)
        k, v = (f(x).view(B, T, self.num_kv_heads, -1).transpose(1, 2) for f in (self.k, self.v))
        grouped = self.num_kv_heads < self.num_heads
        heads = F.scaled_dot_product_attention(q, k, v, enable_gqa=grouped)
        output: Tensor = self.o(heads.transpose(1, 2).reshape(B, T, D))
        return output


def keras_layer() -> Any:
    """Keras's layer on its torch backend, built; its settings file is thrown away."""
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(KERAS_BACKEND="torch", KERAS_HOME=home, KERAS_TORCH_DEVICE="cpu")
        import keras
    layer = keras.layers.MultiHeadAttention(HEADS, WIDTH // HEADS)
    layer.build((BATCH, None, WIDTH), (BATCH, None, WIDTH))
    return layer


def measure(table: Table, quick: bool) -> None:
    """Ratios at several lengths n; a row without a bound is shown without a claim."""
    torch.manual_seed(0)
    seconds = 1.5 if quick else 6.0
    lengths = [64, 1024] if quick else [64, 256, 1024, 2048]
    theirs = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True).eval()
    ours = MultiHeadAttention.from_torch(theirs)
    keras = keras_layer()
    ours_keras = KerasMultiHeadAttention.from_keras(keras).eval()
    floor = Floor(ours)
    grouped = with_kv_heads(ours, KV_HEADS)
    grouped_floor = Floor(grouped)

    for n in lengths:
        x = torch.randn(BATCH, n, WIDTH)
        ratio = cpu_ratio(inference(ours, x), inference(floor, x), seconds)
        table.add("forward / 4 Linear + fused", ratio, n=n, bound=1.05)
        ratio = cpu_ratio(inference(grouped, x), inference(grouped_floor, x), seconds)
        what = f"{KV_HEADS} heads of keys, forward / 4 Linear + fused, enable_gqa"
        table.add(what, ratio, n=n, bound=1.05)
        ratio = cpu_ratio(training(ours, x), training(floor, x), seconds)
        table.add("forward + backward / 4 Linear + fused", ratio, n=n, bound=1.05)

    for (B, n, D), H in (((1, 4, 16), 2), ((2, 10, 64), 4)):
        small, x = MultiHeadAttention(D, H).eval(), torch.randn(B, n, D)
        ratio = cpu_ratio(inference(small, x), inference(Floor(small), x), seconds)
        table.add(f"({B}, {n}, {D}), {H} heads, forward / 4 Linear + fused", ratio, bound=1.35)

    for n in (n for n in lengths if n >= 256):
        x = torch.randn(BATCH, n, WIDTH)
        mine, other = inference(ours, x), inference(theirs, x, x, x, need_weights=False)
        at = n == 1024  # the length for which something is promised
        ratio = cpu_ratio(mine, other, seconds)
        table.add("inference / nn.MultiheadAttention", ratio, n=n, bound=0.75 if at else None)
        memory = peak_bytes(mine) / peak_bytes(other)
        table.add("  its memory", memory, n=n, bound=0.30 if at else None)
        weighing = inference(ours, x, return_weights=True)
        other = inference(theirs, x, x, x, average_attn_weights=False)
        ratio = cpu_ratio(weighing, other, seconds)
        table.add("inference with weights / nn.MultiheadAttention", ratio, n=n)

        mine = inference(ours_keras, x, x, return_attention_scores=True)
        other = inference(keras, x, x, return_attention_scores=True)
        bound = 0.90 if n >= 1024 else None
        ratio = cpu_ratio(mine, other, seconds)
        table.add("as Keras, inference with scores / Keras", ratio, n=n, bound=bound)
        table.add("  its memory", peak_bytes(mine) / peak_bytes(other), n=n)
        ratio = cpu_ratio(weighing, other, seconds)
        table.add("inference with weights / Keras", ratio, n=n, bound=bound)
        ratio = cpu_ratio(inference(ours_keras, x, x), inference(keras, x, x), seconds)
        table.add("as Keras, inference without scores / Keras", ratio, n=n)


if __name__ == "__main__":
    sys.exit(main(__doc__.split("\n")[0], measure))

"""Multi-head attention beside its peers: single-threaded CPU time and memory, as ratios.

    OMP_NUM_THREADS=1 python benchmarks/multi_head.py [--quick] [--json results.json]

Batch 2, width 512, 8 heads, float32, self-attention. Candidates take turns within one run, and the
ratio of medians is what counts: times differ between machines, the bounds beside the ratios should
not. Exit code 1 if a bound is missed.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attn_utils.keras_multi_head import KerasMultiHeadAttention
from attn_utils.multi_head import MultiHeadAttention

BATCH, WIDTH, HEADS = 2, 512, 8
Run = Callable[[], Any]


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


# --- measuring ----------------------------------------------------------------------------------


def cpu_times(runs: dict[str, Run], seconds: float, least: int = 5) -> dict[str, float]:
    """Median CPU milliseconds of each, taking turns for about so many seconds of CPU time."""
    for run in runs.values():
        run()
        run()
    spent: dict[str, list[float]] = {name: [] for name in runs}
    begin, turns = time.process_time(), 0
    while time.process_time() - begin < seconds or turns < least:
        order = list(runs) if turns % 2 else list(reversed(runs))
        for name in order:
            start = time.process_time()
            runs[name]()
            spent[name].append(1e3 * (time.process_time() - start))
        turns += 1
    return {name: statistics.median(values) for name, values in spent.items()}


def peak_mebibytes(run: Run) -> float:
    """Most memory that PyTorch holds at once during a run, beyond what it held before."""
    run()
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        run()
    events = profile.profiler.kineto_results.events()
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    held = peak = 0
    for _, change in changes:
        held += change
        peak = max(peak, held)
    return peak / 2**20


# --- what is compared ---------------------------------------------------------------------------


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


def compare(seconds: float, lengths: list[int]) -> list[dict[str, Any]]:
    """Rows of what, n, ratio and bound (None: shown without a claim)."""
    torch.manual_seed(0)
    rows: list[dict[str, Any]] = []

    def report(what: str, n: int, ratio: float, bound: float | None) -> None:
        rows.append({"what": what, "n": n, "ratio": round(ratio, 3), "bound": bound})
        held = "" if bound is None else f"at most {bound:.2f}  {'ok' if ratio <= bound else 'NO'}"
        print(f"{what:52} n = {n:5}  {ratio:5.2f}  {held}", flush=True)

    def timed(what: str, n: int, ours: Run, theirs: Run, bound: float | None) -> None:
        times = cpu_times({"ours": ours, "theirs": theirs}, seconds)
        report(what, n, times["ours"] / times["theirs"], bound)

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
        report("  its memory", n, peak_mebibytes(mine) / peak_mebibytes(other),
               0.30 if n == 1024 else None)  # fmt: skip
        mine = forward(plain(ours, return_weights=True), n)
        other = forward(plain(torch_own, weights=True), n)
        timed("inference with weights / nn.MultiheadAttention", n, mine, other, None)
    for n in (n for n in lengths if n >= 256):
        mine = forward(plain(ours_as_keras, scores=True), n)
        other = forward(plain(keras_own, scores=True), n)
        timed("as Keras, inference with scores / Keras", n, mine, other,
              0.90 if n >= 1024 else None)  # fmt: skip
        report("  its memory", n, peak_mebibytes(mine) / peak_mebibytes(other), None)
        mine = forward(plain(ours, return_weights=True), n)
        timed("inference with weights / Keras", n, mine, other, 0.90 if n >= 1024 else None)
        mine, other = (forward(plain(f, scores=False), n) for f in (ours_as_keras, keras_own))
        timed("as Keras, inference without scores / Keras", n, mine, other, None)
    return rows


def main() -> int:
    """Measure, print, and tell whether the bounds hold."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path, help="write the ratios to this file")
    parser.add_argument("--quick", action="store_true", help="short runs at n = 64 and 1024")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lengths = [64, 1024] if options.quick else [64, 256, 1024, 2048]
    rows = compare(1.5 if options.quick else 6.0, lengths)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    return any(row["bound"] is not None and row["ratio"] > row["bound"] for row in rows)


if __name__ == "__main__":
    sys.exit(main())

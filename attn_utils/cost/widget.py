"""The cost calculator of chapter 14: operations, bytes and memory of a transformer block."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import traitlets
from torch import Tensor

from attn_utils.widgets.base import (
    Buffer,
    Choice,
    Integer,
    LiveWidget,
    Number,
    Switch,
    front_end,
)

from .formulas import attention_bytes, attention_peak_bytes, block_flops

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PARTS = ("projections", "scores", "softmax", "weighted sum", "output", "MLP")
ITEMSIZE = {"float32": 4, "bfloat16": 2, "float16": 2}
SHORTEST, LONGEST = 16, 2**20  # tokens on the axis
FAR = 2**40  # no crossing or limit lies beyond
GIB = 2**30
CURVES = (
    ("projections", ("projections", "output"), "#0072B2"),
    ("pairs", ("scores", "softmax", "weighted sum"), "#D55E00"),
    ("MLP", ("MLP",), "#009E73"),
)
STOPS = {  # what the lists of the front end offer
    "width": [64, 128, 256, 384, 512, 768, 1024, 1280, 2048, 4096, 8192, 12288, 16384],
    "num_heads": [1, 2, 4, 6, 8, 12, 16, 20, 32, 64, 96, 128],
    "num_kv_heads": [0, 1, 2, 4, 8, 16, 32, 64],
    "batch": [1, 2, 4, 8, 16, 32, 64, 128, 256],
    "memory": [1, 4, 8, 16, 24, 40, 80, 141, 192],
}


def last_that(holds: Callable[[int], bool]) -> int:
    """Find the largest n for which ``holds(n)``; it holds up to some n and not beyond. 0 if never.

    The search ends at 2^40.
    """
    low, high = 0, FAR
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


class CostCalculator(LiveWidget):
    """What a transformer block costs: self-attention of n tokens of width D, and an MLP of ratio 4.

    Args:
        **controls: any of the attributes below.

    Attributes:
        n: tokens, 16 … 1,048,576.
        width: D, 16 … 16,384.
        num_heads: H, 1 … 128; where it does not divide the width, the next smaller number that
            does is used.
        num_kv_heads: heads of the keys and values, 0 … 128; 0 for as many as there are heads. Where
            it does not divide the heads, the next smaller number that does is used.
        batch: B, 1 … 1,024.
        precision: "float32", "bfloat16" or "float16".
        kernel: "explicit" or "fused".
        phase: "prefill", in which n tokens are read at once, or "decode": one token is written, and
            the keys and values of the n - 1 before it come from the cache.
        is_causal: count only the pairs that a causal mask leaves. It saves operations; explicit
            scores are stored in full all the same.
        memory: of the device, in GiB, 1 … 1,024.
        flops: operations by part (projections, scores, softmax, weighted sum, output, MLP) in
            GFLOP, 10⁹.
        moved: bytes read and written by part, in MiB.
        peak: memory of q, k, v and the attention between them, explicit and fused, in GiB.
        crossings: the smallest n, in the present phase, for which scores and weighted sum cost at
            least as many operations as the four projections; for which the whole attention costs
            more than the MLP; the largest n whose explicit, and whose fused attention fits into
            ``memory``.
    """

    _esm = front_end(__file__, ".js")
    _css = front_end(__file__, ".css")

    title = traitlets.Unicode("Cost calculator: what does a block of n tokens need?").tag(sync=True)
    alt = traitlets.Unicode(
        "Bars of operations and of bytes for each part of a transformer block, a bar of memory "
        "against that of the device, and two curves against the number of tokens: operations, "
        "where the pairs rise twice as steeply as projections and MLP and cross them, and memory, "
        "where explicit attention rises twice as steeply as fused attention."
    )
    n = Integer(512, min=SHORTEST, max=LONGEST, step=1, label="tokens n")
    width = Integer(768, min=16, max=16384, step=1, label="width D")
    num_heads = Integer(12, min=1, max=128, step=1, label="heads H")
    num_kv_heads = Integer(0, min=0, max=128, step=1, label="key/value heads")
    batch = Integer(1, min=1, max=1024, step=1, label="batch B")
    precision = Choice("float32", options=tuple(ITEMSIZE), label="precision")
    kernel = Choice("explicit", options=("explicit", "fused"), label="attention")
    phase = Choice("prefill", options=("prefill", "decode"), label="phase")
    is_causal = Switch(False, label="causal")
    memory = Number(8, min=1, max=1024, step=1, label="device memory, GiB")

    flops = Buffer()
    moved = Buffer()
    peak = Buffer()
    crossings = Buffer()

    _stops = traitlets.List([[name, stops] for name, stops in STOPS.items()]).tag(sync=True)

    @property
    def heads_in_use(self) -> int:
        """The largest number of heads up to ``num_heads`` that divides the width."""
        D, H = int(self.width), int(self.num_heads)
        return next(h for h in range(min(D, H), 0, -1) if D % h == 0)

    @property
    def kv_heads_in_use(self) -> int:
        """The largest number of key/value heads up to ``num_kv_heads`` that divides the heads."""
        H = self.heads_in_use
        most = min(H, int(self.num_kv_heads) or H)
        return next(g for g in range(most, 0, -1) if H % g == 0)

    def _phase_of(self, n: int) -> tuple[int, int]:
        """New tokens, and cached ones, where the text has n."""
        return (1, n - 1) if self.phase == "decode" else (n, 0)

    def _heads(self) -> dict[str, int]:
        return {"num_heads": self.heads_in_use, "num_kv_heads": self.kv_heads_in_use}

    def flops_of(self, n: int) -> dict[str, int]:
        """Operations of the block by part, for n tokens and the other controls as they stand."""
        new, cached = self._phase_of(n)
        return block_flops(
            new,
            int(self.width),
            **self._heads(),
            num_cached=cached,
            batch=int(self.batch),
            is_causal=self.is_causal,
        )

    def bytes_of(self, n: int) -> dict[str, int]:
        """Bytes moved, by part; the MLP reads D, writes and reads 4 D, writes D for each token."""
        D, B, itemsize = int(self.width), int(self.batch), ITEMSIZE[self.precision]
        new, cached = self._phase_of(n)
        parts = attention_bytes(
            new,
            D,
            **self._heads(),
            num_cached=cached,
            batch=B,
            itemsize=itemsize,
            fused=self.kernel == "fused",
        )
        return parts | {"MLP": itemsize * (10 * B * new * D + 8 * D * D)}

    def peak_of(self, n: int, kernel: str) -> int:
        """Bytes of q, k, v and the attention between them."""
        new, _ = self._phase_of(n)
        return attention_peak_bytes(
            new,
            int(self.width),
            **self._heads(),
            num_keys=n,
            batch=int(self.batch),
            itemsize=ITEMSIZE[self.precision],
            fused=kernel == "fused",
        )

    def reference(self) -> dict[str, Tensor]:
        """Count everything by the formulas of :mod:`attn_utils.cost`."""
        n, budget = int(self.n), int(self.memory * GIB)

        def below_projections(n: int) -> bool:
            parts = self.flops_of(n)
            pairs = parts["scores"] + parts["weighted sum"]
            return pairs < parts["projections"] + parts["output"]

        def below_mlp(n: int) -> bool:
            parts = self.flops_of(n)
            return sum(parts.values()) <= 2 * parts["MLP"]

        crossings = [last_that(f) + 1 for f in (below_projections, below_mlp)]
        crossings += [
            last_that(lambda n, k=kernel: self.peak_of(n, k) <= budget)  # type: ignore[misc]
            for kernel in ("explicit", "fused")
        ]
        peaks = [self.peak_of(n, kernel) / GIB for kernel in ("explicit", "fused")]
        counts = {
            "flops": [count / 1e9 for count in self.flops_of(n).values()],
            "moved": [count / 2**20 for count in self.bytes_of(n).values()],
            "peak": peaks,
            "crossings": crossings,
        }
        return {name: torch.tensor(x, dtype=torch.float64) for name, x in counts.items()}

    def figure(self) -> Figure:
        """Draw the bars and the two curves as they stand."""
        from matplotlib.figure import Figure

        results = {name: value.tolist() for name, value in self.reference().items()}
        figure = Figure(figsize=(8.0, 5.6), layout="constrained")
        axes = figure.subplot_mosaic([["flops", "moved"], ["curve", "memory"]])
        for name, unit, colour in (("flops", "GFLOP", "#0072B2"), ("moved", "MiB", "#D55E00")):
            axes[name].barh(PARTS[::-1], results[name][::-1], color=colour)
            axes[name].set(xlabel=unit)
        axes["flops"].set(title=f"operations, n = {self.n:g}, D = {self.width:g}")
        axes["moved"].set(title=f"bytes moved, {self.kernel}", yticks=[])

        ns = [2**power for power in range(4, 21)]
        counts = [self.flops_of(n) for n in ns]
        for label, parts, colour in CURVES:
            total = [sum(count[part] for part in parts) for count in counts]
            axes["curve"].loglog(ns, total, label=label, color=colour)
        axes["curve"].set(xlabel="tokens n", title="operations")
        for kernel, colour in (("explicit", "#D55E00"), ("fused", "#0072B2")):
            peaks = [self.peak_of(n, kernel) / GIB for n in ns]
            axes["memory"].loglog(ns, peaks, label=kernel, color=colour)
        axes["memory"].axhline(self.memory, color="#444", linestyle="--", label="device")
        axes["memory"].set(xlabel="tokens n", title="memory of the attention, GiB")
        for name in ("curve", "memory"):
            axes[name].axvline(self.n, color="#444", linestyle=":")
            axes[name].legend(fontsize=8)
        figure.suptitle(self.title, fontsize=11, parse_math=False)
        return figure

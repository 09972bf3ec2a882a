"""What the benchmarks share: fair times, peak memory, a table with machine and versions.

Times are single-threaded CPU times. Candidates take turns within one run, and the ratio of their
medians is what counts: times differ between machines, ratios hardly. A shared machine still moves
a ratio by a few per cent.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler would write between the lines
import torch
from torch import Tensor, nn

Run = Callable[[], Any]


@dataclass(frozen=True)
class Ratio:
    """Median time of ours over median time of theirs; 80 % of the turns lie from low to high."""

    value: float
    low: float
    high: float


@dataclass
class Row:
    """One line of the table; a row without a bound is shown without a claim."""

    what: str
    n: int | None
    value: float
    bound: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the value is within its bound."""
        return self.bound is None or self.value <= self.bound

    def __str__(self) -> str:
        n = "" if self.n is None else f"n = {self.n}"
        spread = "" if self.low is None else f"{self.low:.2f}–{self.high:.2f}"
        claim = "" if self.bound is None else f"≤ {self.bound:.2f}  {'ok' if self.holds else 'NO'}"
        return f"{self.what:<58}{n:>9}{self.value:>8.3f}  {spread:<11}{claim}".rstrip()


class Table:
    """Rows, each printed as soon as it is known."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def add(
        self, what: str, value: Ratio | float, *, n: int | None = None, bound: float | None = None
    ) -> None:
        """Append a ratio of times or any other number."""
        if isinstance(value, Ratio):
            numbers = [round(x, 3) for x in (value.value, value.low, value.high)]
            row = Row(what, n, numbers[0], bound, numbers[1], numbers[2])
        else:
            row = Row(what, n, round(value, 3), bound)
        self.rows.append(row)
        print(row, flush=True)


def inference(f: Callable[..., Any], *inputs: Any, **options: Any) -> Run:
    """A call without gradients."""

    def run() -> Any:
        with torch.inference_mode():
            return f(*inputs, **options)

    return run


def training(module: nn.Module, x: Tensor, *inputs: Any, **options: Any) -> Run:
    """A call and its gradients; the incoming one has to be read, as behind a real layer."""
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    with torch.no_grad():
        incoming = torch.randn_like(module(x, *inputs, **options))

    def run() -> None:
        module.zero_grad()
        x.grad = None
        module(x, *inputs, **options).backward(incoming)

    return run


def cpu_ratio(ours: Run, theirs: Run, seconds: float, least: int = 5) -> Ratio:
    """CPU time of ours over that of theirs, both taking turns for about ``seconds``.

    The order is reversed every turn, so that neither profits from a warm cache more.
    """
    runs = (ours, theirs)
    for run in runs:
        run()
    turns: list[tuple[float, float]] = []
    begin = time.process_time()
    while time.process_time() - begin < seconds or len(turns) < least:
        spent = [0.0, 0.0]
        for i in (0, 1) if len(turns) % 2 else (1, 0):
            start = time.thread_time()
            runs[i]()
            spent[i] = time.thread_time() - start
        turns.append((spent[0], spent[1]))
    medians = [statistics.median(times) for times in zip(*turns, strict=True)]
    tenths = statistics.quantiles((mine / other for mine, other in turns), n=10)
    return Ratio(medians[0] / medians[1], tenths[0], tenths[-1])


def peak_bytes(run: Run) -> int:
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
    return peak


def machine() -> dict[str, str]:
    """What the numbers depend on."""
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), cpu)
    return {
        "cpu": f"{cpu}, {torch.backends.cpu.get_cpu_capability()}",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": str(torch.get_num_threads()),
    }


def main(description: str, measure: Callable[[Table, bool], None]) -> int:
    """Parse --quick and --json, measure, print the table; 1 if a bound is missed."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="short runs, for a first look")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(" · ".join(f"{key} {value}" for key, value in machine().items()), flush=True)
    table = Table()
    measure(table, options.quick)
    if options.json:
        result = {"machine": machine(), "rows": [asdict(row) for row in table.rows]}
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return int(not all(row.holds for row in table.rows))

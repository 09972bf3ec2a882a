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

Run = Callable[[], Any]


@dataclass
class Row:
    """One line of the table; a row without a bound is shown without a claim."""

    what: str
    n: int | None
    value: float
    bound: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the value is within its bound."""
        return self.bound is None or self.value <= self.bound

    def __str__(self) -> str:
        n = "" if self.n is None else f"n = {self.n}"
        claim = "" if self.bound is None else f"≤ {self.bound:.2f}  {'ok' if self.holds else 'NO'}"
        return f"{self.what:<58}{n:>9}{self.value:>8.3f}  {claim}".rstrip()


def median_cpu_times(runs: dict[str, Run], seconds: float, least: int = 5) -> dict[str, float]:
    """Median CPU seconds of each run, taking turns for about ``seconds`` of CPU time.

    The order is reversed every turn, so that none profits from a warm cache more than another.
    """
    for run in runs.values():
        run()
    spent: dict[str, list[float]] = {name: [] for name in runs}
    begin, turn = time.process_time(), 0
    while time.process_time() - begin < seconds or turn < least:
        for name in list(runs) if turn % 2 else list(reversed(runs)):
            start = time.thread_time()
            runs[name]()
            spent[name].append(time.thread_time() - start)
        turn += 1
    return {name: statistics.median(times) for name, times in spent.items()}


def cpu_ratio(ours: Run, theirs: Run, seconds: float) -> float:
    """Median CPU time of ours divided by that of theirs."""
    times = median_cpu_times({"ours": ours, "theirs": theirs}, seconds)
    return times["ours"] / times["theirs"]


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


def main(description: str, measure: Callable[[bool], list[Row]]) -> int:
    """Parse --quick and --json, measure, print the table; 1 if a bound is missed."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="short runs, for a first look")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(" · ".join(f"{key} {value}" for key, value in machine().items()), flush=True)
    rows = measure(options.quick)
    if options.json:
        result = {"machine": machine(), "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return int(not all(row.holds for row in rows))

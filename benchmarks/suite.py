"""All benchmarks, one after the other: a table, the numbers as JSON, and a page of the book.

    OMP_NUM_THREADS=1 python benchmarks/suite.py [--quick] [--json FILE] [--page FILE]

`make bench` writes benchmarks/results.json and book/benchmarks.md. Each benchmark runs in a process
of its own, so that none finds the caches of another. A missed bound is marked, not an error: bounds
are for a quiet machine.
"""

from __future__ import annotations

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import report
from report import BENCHMARKS

HERE = Path(__file__).parent


def run(name: str, quick: bool) -> dict[str, Any]:
    """Run one benchmark; its lines appear as they come."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        command = [sys.executable, str(HERE / f"{name}.py"), "--json", str(result)]
        subprocess.run([*command, "--quick"] if quick else command, check=False, timeout=3600)
        if not result.exists():
            raise SystemExit(f"benchmarks/{name}.py ended without a result")
        read: dict[str, Any] = json.loads(result.read_text())
    return read


def main() -> None:
    """Parse the options, run everything, write what was asked for."""
    parser = argparse.ArgumentParser(description="all benchmarks, as a table, JSON and a page")
    parser.add_argument("--quick", action="store_true", help="short runs, for a first look")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--page", type=Path, help="write the book's page to this file")
    options = parser.parse_args()
    date = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    results: dict[str, Any] = {"date": date}
    for i, name in enumerate(BENCHMARKS, start=1):
        print(f"\n[{i}/{len(BENCHMARKS)}] {name}", flush=True)
        results[name] = run(name, options.quick)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    if options.page:
        report.write(results, options.page, options.page.parent / "assets" / "benchmarks.svg")
    rows = [row for name in BENCHMARKS for row in results[name]["rows"]]
    bounds = [row for row in rows if row["bound"] is not None]
    missed = [row for row in bounds if row["value"] > row["bound"]]
    print(f"\n{len(rows)} numbers; {len(bounds) - len(missed)} of {len(bounds)} bounds hold")


if __name__ == "__main__":
    main()

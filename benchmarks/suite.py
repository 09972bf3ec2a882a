"""All benchmarks, one after the other: a table, the numbers as JSON, and a page of the book.

    OMP_NUM_THREADS=1 python benchmarks/suite.py [--quick] [--json FILE] [--page FILE]

`make bench` writes benchmarks/results.json and book/benchmarks.md. Each benchmark runs in a process
of its own, so that none finds the caches of another. A missed bound is marked, not an error: bounds
are for a quiet machine.
"""

from __future__ import annotations

import argparse
import ast
import datetime
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BENCHMARKS = {
    "import_time": "Import",
    "sequence": "Small modules",
    "attention": "Attention",
    "multi_head": "Multi-head attention",
    "transformer": "Transformer",
    "channel": "Channel attention",
    "spatial": "Spatial attention",
    "vit": "Vision Transformer",
}
PAGE = """\
# Benchmarks

What the package's modules cost beside what you would use instead: PyTorch's own layers, Keras's,
or the formula as one writes it first. **A number below 1 means that ours needs less.** Each is the
ratio of two medians of single-threaded CPU time, taken in turns within one run; in brackets the
range of the middle eighty per cent of the turns. Ratios travel from machine to machine much better
than times do, and even so a busy machine moves them by a few per cent. A bound is what we promise;
× marks one that this run missed.

Measured on {date} with `make bench`: {machine}.
Run it on your own machine: the command writes this page anew, and the numbers as
`benchmarks/results.json`.
"""


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


def section(name: str, rows: list[dict[str, Any]]) -> str:
    """One benchmark as a heading, its docstring's words, and a table."""
    doc = ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text())) or ""
    title, *rest = doc.split("\n\n")
    words = [part.replace("\n", " ") for part in rest if not part.startswith("    ")]
    words = [part.split(" Exit code 1")[0] for part in words if not part.startswith("Exit code")]
    lines = [
        f"## {BENCHMARKS[name]}",
        "",
        title.replace("\n", " "),
        *words,
        "",
        "| what | n | value | bound |",
        "|---|---:|---:|---:|",
    ]
    for row in rows:
        spread = f" ({row['low']:.2f}–{row['high']:.2f})" if row.get("low") else ""
        bound, missed = row["bound"], row["bound"] is not None and row["value"] > row["bound"]
        lines.append(
            f"| {row['what'].strip()} | {row['n'] or ''} | {row['value']:.3f}{spread} | "
            f"{'' if bound is None else f'≤ {bound:.2f}'}{' ×' if missed else ''} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Parse the options, run everything, write what was asked for."""
    parser = argparse.ArgumentParser(description="all benchmarks, as a table, JSON and a page")
    parser.add_argument("--quick", action="store_true", help="short runs, for a first look")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--page", type=Path, help="write the book's page to this file")
    options = parser.parse_args()
    results = {}
    for i, name in enumerate(BENCHMARKS, start=1):
        print(f"\n[{i}/{len(BENCHMARKS)}] {name}", flush=True)
        results[name] = run(name, options.quick)
    date = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    if options.json:
        options.json.write_text(json.dumps({"date": date, **results}, indent=1) + "\n")
    if options.page:
        machine = results["attention"]["machine"]
        words = (
            f"{machine['cpu']} ({machine['system']}, Python {machine['python']}, "
            f"PyTorch {machine['torch']}, one thread)"
        )
        page = [PAGE.format(date=date, machine=words)]
        page += [section(name, result["rows"]) for name, result in results.items()]
        options.page.write_text("\n".join(page))
    rows = [row for result in results.values() for row in result["rows"]]
    bounds = [row for row in rows if row["bound"] is not None]
    missed = [row for row in bounds if row["value"] > row["bound"]]
    print(f"\n{len(rows)} numbers; {len(bounds) - len(missed)} of {len(bounds)} bounds hold")


if __name__ == "__main__":
    main()

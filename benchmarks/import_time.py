"""What `import attn_utils` costs beyond `import torch`, in CPU time of fresh interpreters.

    python benchmarks/import_time.py [--quick] [--json results.json]

Exit code 1 if it costs more than 5 %, or loads a module that only some readers need.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

from measure import Table, main

HEAVY = ("matplotlib.pyplot", "ipywidgets", "anywidget", "sklearn", "skimage")
SPENT = """import time
{statement}
print(time.process_time())"""
LOADED = """import sys, attn_utils
print(*[name for name in {heavy!r} if name in sys.modules])"""
# as after an installation: the first turn may write the bytecode that the others read
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=120, env=ENVIRONMENT
    )
    return done.stdout


def measure(table: Table, quick: bool) -> None:
    """The ratio of medians, taking turns; process time counts from the interpreter's start."""
    spent: dict[str, list[float]] = {"import torch": [], "import torch, attn_utils": []}
    for turn in range(-1, 3 if quick else 15):
        for statement, times in spent.items():
            seconds = float(python(SPENT.format(statement=statement)))
            if turn >= 0:  # the first turn warms the disk's cache
                times.append(seconds)
    torch, both = (statistics.median(times) for times in spent.values())
    loaded = python(LOADED.format(heavy=HEAVY)).split()
    table.add("import torch, in CPU seconds", torch)
    table.add("import torch, attn_utils / import torch", both / torch, bound=1.05)
    table.add("modules loaded that only some need", len(loaded), bound=0)
    print(*loaded)


if __name__ == "__main__":
    sys.exit(main(__doc__.split("\n")[0], measure))

"""What `import attn_utils` costs beyond `import torch`, in CPU time of fresh interpreters.

    python benchmarks/import_time.py [--quick] [--json results.json]

Exit code 1 if it costs more than 5 %, or loads a module that only some readers need.
"""

from __future__ import annotations

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


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def measure(table: Table, quick: bool) -> None:
    """The ratio of medians, taking turns; process time counts from the interpreter's start."""
    statements = {
        "torch": "import torch",
        "attn_utils": "import attn_utils",
        "torch and attn_utils": "import torch, attn_utils",
        "attention": "from attn_utils import SelfAttention, RotaryEmbedding, masked_softmax",
    }
    spent: dict[str, list[float]] = {name: [] for name in statements}
    for turn in range(-1, 3 if quick else 15):
        for name, statement in statements.items():
            seconds = float(python(SPENT.format(statement=statement)))
            if turn >= 0:  # the first turn warms the disk's cache
                spent[name].append(seconds)
    median = {name: statistics.median(times) for name, times in spent.items()}
    both = median["torch and attn_utils"] / median["torch"]
    loaded = python(LOADED.format(heavy=HEAVY)).split()
    table.add("import torch, in CPU seconds", median["torch"])
    table.add("import attn_utils alone, in CPU seconds", median["attn_utils"])
    table.add("import torch, attn_utils / import torch", both, bound=1.05)
    attention = median["attention"] / median["torch"]
    table.add("attention from attn_utils / import torch", attention, bound=1.05)
    table.add("modules loaded that only some need", len(loaded), bound=0)
    print(*loaded)


if __name__ == "__main__":
    sys.exit(main(__doc__.split("\n")[0], measure))

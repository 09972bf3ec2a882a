"""What `import attn_utils` costs beyond `import torch`, in CPU time of fresh interpreters.

    python benchmarks/import_time.py [--quick] [--json results.json]

Exit code 1 if it costs more than 5 %, or loads a module that only some readers need.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

from measure import Row, main

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


def measure(quick: bool) -> list[Row]:
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
    rows = [
        Row("import torch, in CPU seconds", None, round(median["torch"], 3)),
        Row("import attn_utils alone, in CPU seconds", None, round(median["attn_utils"], 3)),
        Row("import torch, attn_utils / import torch", None, round(both, 3), 1.05),
        Row("attention from attn_utils / import torch", None,
            round(median["attention"] / median["torch"], 3), 1.05),
        Row("modules loaded that only some need", None, len(loaded), 0),
    ]  # fmt: skip
    print(*rows, *loaded, sep="\n")
    return rows


if __name__ == "__main__":
    sys.exit(main(__doc__.split("\n")[0], measure))

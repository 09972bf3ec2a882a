"""Open JupyterLab in the notebooks' folder, with the book's kernel: ``python tools/lab.py``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))
from kernel_guard import prepare_kernels


def main() -> int:
    """Run JupyterLab until it is stopped."""
    prepare_kernels()
    command = [sys.executable, "-m", "jupyterlab"]
    try:
        return subprocess.run(command, cwd=ROOT / "book", check=False).returncode
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())

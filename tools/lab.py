"""Open JupyterLab with the book's kernel: ``python tools/lab.py [FOLDER] [options of JupyterLab]``.

Without a folder it opens working copies of the chapters, which it makes (see working_copies.py);
writers open the chapters themselves: ``python tools/lab.py book``.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import working_copies

ROOT = Path(__file__).resolve().parents[1]
# Widgets are saved with a copy, so that they are there when it is opened again without a kernel;
# and JupyterLab asks other hosts for nothing.
SETTINGS = Path(__file__).with_name("lab_settings")
sys.path.insert(0, str(ROOT / "book" / "_ext"))
from kernel_guard import prepare_kernels


def main(arguments: Sequence[str]) -> int:
    """Run JupyterLab until it is stopped."""
    given = arguments[:1] if arguments and not arguments[0].startswith("-") else []
    folder = Path(given[0]) if given else ROOT / working_copies.FOLDER
    options = list(arguments[len(given) :])
    if not given:
        working_copies.main([])
        options.insert(0, f"--LabApp.app_settings_dir={SETTINGS}")
    prepare_kernels()
    command = [sys.executable, "-m", "jupyterlab", *options]
    try:
        return subprocess.run(command, cwd=folder, check=False).returncode
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

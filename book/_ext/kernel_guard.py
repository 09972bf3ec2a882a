"""Sphinx extension: the notebooks run in the environment that builds the book, or not at all.

A kernelspec named "python3" elsewhere on the user's machine (JUPYTER_PATH, a user-wide install)
would silently run the book with other packages.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError


def is_own_interpreter(command: str) -> bool:
    """Tell whether a kernelspec's command starts this environment's Python.

    A bare "python" is replaced by the running interpreter when jupyter_client starts a kernel.
    """
    if os.path.basename(command) == command:
        return command.startswith("python")
    return Path(command).parent.resolve() == Path(sys.executable).parent.resolve()


def set_threads() -> None:
    """Let the kernels that this process starts compute with one thread, unless told otherwise.

    That gives the same numbers everywhere. Small networks gain little from threads, and lose
    eightfold on a busy machine.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def require_own_kernel() -> None:
    """Stop if the kernel "python3" belongs to another environment."""
    command = KernelSpecManager().get_kernel_spec("python3").argv[0]
    if not is_own_interpreter(command):
        raise ExtensionError(
            f"the Jupyter kernel 'python3' would run {command}, not {sys.executable}; "
            "unset JUPYTER_PATH or remove that kernelspec (jupyter kernelspec list)"
        )


def prepare_kernels() -> None:
    """See to it that the notebooks run in this environment, with one thread."""
    set_threads()
    require_own_kernel()


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("config-inited", lambda app, config: prepare_kernels())
    return {"version": "2", "parallel_read_safe": True, "parallel_write_safe": True}

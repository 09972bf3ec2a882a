"""Sphinx extension: when a notebook fails, the last thing said is which cell of which, and why."""

from __future__ import annotations

import atexit
import re
import sys
from typing import Any

from myst_nb.core.execute.base import ExecutionError
from nbclient.exceptions import CellExecutionError
from sphinx.application import Sphinx

ANSI = re.compile(r"\x1b\[[0-9;]*m")


def name_cell(app: Sphinx, error: Exception | None) -> None:
    """Say notebook, cell and error after Sphinx's and Jupyter Book's own tracebacks."""
    cause = error.__cause__ if isinstance(error, ExecutionError) else None
    if not isinstance(cause, CellExecutionError):
        return
    number = re.search(r"In\s?\[(\d+)\]", ANSI.sub("", cause.traceback))
    cell = f"code cell {number[1]}" if number else "a cell"
    reason = ANSI.sub("", f"{cause.ename}: {cause.evalue}")
    message = f"\nThe book was not built: {error}, {cell} failed with\n  {reason}\n"
    atexit.register(print, message, file=sys.stderr)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("build-finished", name_cell)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

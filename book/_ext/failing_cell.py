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


def reason(error: BaseException) -> str:
    """What went wrong, without the colours in which IPython and tests print it."""
    if isinstance(error, CellExecutionError):
        return ANSI.sub("", f"{error.ename}: {error.evalue}")
    return ANSI.sub("", str(error)) or type(error).__name__


def say_failure(notebook: str, cell: str, error: BaseException) -> str:
    """Name the notebook, the cell and the error."""
    return f"\nThe book was not built: {notebook}, {cell} failed with\n  {reason(error)}\n"


def name_cell(app: Sphinx, error: Exception | None) -> None:
    """Say notebook, cell and error after Sphinx's and Jupyter Book's own tracebacks."""
    cause = error.__cause__ if isinstance(error, ExecutionError) else None
    if not isinstance(cause, CellExecutionError):
        return
    number = re.search(r"In\s?\[(\d+)\]", ANSI.sub("", cause.traceback))
    cell = f"code cell {number[1]}" if number else "a cell"
    atexit.register(print, say_failure(str(error), cell, cause), file=sys.stderr)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("build-finished", name_cell)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

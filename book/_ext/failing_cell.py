"""Sphinx extension: when a notebook fails, the last thing said is which cell of which, and why."""

from __future__ import annotations

import atexit
import re
import sys
from typing import Any

from myst_nb.core.execute.base import ExecutionError
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from sphinx.application import Sphinx

ANSI = re.compile(r"\x1b\[[0-9;]*m")
# nbclient shows the cell that took too long: its text, or a list of its lines if there are many
PREVIEW = re.compile(r"^-+\n\s*(?:\[['\"])?(.+?)(?:['\"], ['\"].*)?$", re.MULTILINE)


def reason(error: BaseException) -> str:
    """What went wrong, without the colours in which IPython and tests print it."""
    if isinstance(error, CellExecutionError):
        return ANSI.sub("", f"{error.ename}: {error.evalue}")
    if isinstance(error, CellTimeoutError):
        return str(error).partition("\n")[0]
    return ANSI.sub("", str(error)) or type(error).__name__


def say_failure(notebook: str, cell: str, error: BaseException) -> str:
    """Name the notebook, the cell and the error."""
    return f"\nThe book was not built: {notebook}, {cell} failed with\n  {reason(error)}\n"


def where(error: BaseException) -> str:
    """Say which cell an error is from, as far as the error itself tells."""
    text = ANSI.sub("", str(error))
    if number := re.search(r"In\s?\[(\d+)\]", text):
        return f"code cell {number[1]}"
    first_line = PREVIEW.search(text) if isinstance(error, CellTimeoutError) else None
    return f"the cell that begins with {first_line[1]!r}" if first_line else "a cell"


def name_cell(app: Sphinx, error: Exception | None) -> None:
    """Say notebook, cell and error after Sphinx's and Jupyter Book's own tracebacks."""
    cause = error.__cause__ if isinstance(error, ExecutionError) else None
    if cause is not None:
        said = say_failure(str(error), where(cause), cause)
        atexit.register(print, said, file=sys.stderr)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("build-finished", name_cell)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

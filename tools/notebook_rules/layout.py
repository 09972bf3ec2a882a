"""The form of the cells: a title first, nothing too long to take in."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .notebook import Finding, Notebook

LONGEST_VISIBLE_CELL = 15
LONGEST_HIDDEN_CELL = 30


def starts_with_title(notebook: Notebook) -> Iterator[Finding]:
    """The first cell is the title, and the only heading of level 1."""
    if not any(c.is_markdown and re.match(r"# \S", c.source) for c in notebook.cells[:1]):
        yield 1, "the first cell must be Markdown that starts with the title ('# ...')"
    titles = [c.number for c in notebook.markdown for _ in re.findall("^# ", c.prose, re.M)]
    for number in titles[1:]:
        yield number, "has a second heading of level 1"


def cell_length(notebook: Notebook) -> Iterator[Finding]:
    """A reader takes in a cell at a glance; comments and blank lines count."""
    for cell in notebook.code:
        lines = cell.source.rstrip("\n").count("\n") + 1
        if cell.is_visible and lines > LONGEST_VISIBLE_CELL:
            yield cell.number, f"has {lines} lines; at most {LONGEST_VISIBLE_CELL} are read"
        elif lines > LONGEST_HIDDEN_CELL:
            yield cell.number, f"is hidden and has {lines} lines; at most {LONGEST_HIDDEN_CELL}"

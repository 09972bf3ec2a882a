"""What is stored in the file: the right kernel, ids, and no way around the checks."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from .notebook import HIDING_TAGS, Finding, Notebook, mapping

# What cells and notebooks may say about themselves. All else is refused, since much of it switches
# execution off or lets an error through: metadata, tags and comments that MyST-NB, nbclient and
# nbval know, now or in a later version, and IPython's magics (%%script hides a failing program).
NOTEBOOK_METADATA = {"kernelspec", "language_info"}
MARKDOWN_METADATA = NOTEBOOK_METADATA | {"jupytext", "file_format", "source_map"}  # of .md files
CELL_METADATA = {
    "tags",
    "cell_marker",
    "exercise",
    "jupyter.source_hidden",
    "mystnb.code_prompt_hide",
    "mystnb.code_prompt_show",
    "mystnb.figure",
    "mystnb.image",
}
NBVAL_COMMENT = re.compile(r"^\s*#[#\s]*((?:NBVAL|PYTEST_VALIDATE)_\w+)", re.M)
BEYOND_PYTHON = {"get_ipython", "exit", "quit", "_exit"}  # they reach the magics or end the kernel


def project_kernel(notebook: Notebook) -> Iterator[Finding]:
    """The kernel is the one of the project's environment, under the name everybody has."""
    name = mapping(notebook.metadata.get("kernelspec")).get("name")
    if name != "python3":
        yield None, f"the kernel is {name!r}, expected 'python3'"


def cell_ids(notebook: Notebook) -> Iterator[Finding]:
    """Ids are present and unique: tools refer to cells by them."""
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        name = cell.raw.get("id")
        if not name:
            yield cell.number, "has no id"
        elif name in seen:
            yield cell.number, f"has the id {name!r} of cell {seen[name]}"
        else:
            seen[name] = cell.number


def gate_is_on(notebook: Notebook) -> Iterator[Finding]:
    """Every cell is executed, and every error and warning in it fails the build."""
    allowed = MARKDOWN_METADATA if notebook.path.suffix == ".md" else NOTEBOOK_METADATA
    for key in sorted(notebook.metadata.keys() - allowed):
        yield None, f"the notebook's metadata sets {key}, which may switch off a check"
    for cell in notebook.cells:
        switches = [f"its metadata sets {k}" for k in sorted(_keys(cell.metadata) - CELL_METADATA)]
        switches += [f"has the tag {tag}" for tag in sorted(cell.tags - HIDING_TAGS)]
        if cell.is_code:
            switches += [f"has the comment {text}" for text in NBVAL_COMMENT.findall(cell.source)]
            switches += [f"uses {name}" for name in sorted(_names(cell.tree) & BEYOND_PYTHON)]
            if not cell.is_python:
                switches.append("is not plain Python, perhaps a magic or a shell command")
        for switch in switches:
            yield cell.number, f"{switch}, which may switch off a check"


def _keys(metadata: dict[str, Any]) -> set[str]:
    """Return the keys of a cell's metadata; of a key with a mapping, ``key.inner`` for each."""
    return {
        f"{key}.{inner}" if inner else key
        for key, value in metadata.items()
        for inner in (value if isinstance(value, dict) else [""])
    }


def _names(tree: ast.AST) -> set[str]:
    """Return the names that code uses, imports or looks up in a module."""
    used: set[str] = set()
    for node in ast.walk(tree):
        used |= {getattr(node, part, "") for part in ("id", "attr", "name")}
    return used

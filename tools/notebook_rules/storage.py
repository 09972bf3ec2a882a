"""What is stored in the file: the right kernel, ids, and no way around the checks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .notebook import Finding, Notebook, mapping

GATE_TAGS = {
    "skip-execution",
    "nbval-skip",
    "nbval-ignore-output",
    "nbval-raises-exception",
    "remove-stderr",
}
GATE_KEYS = {
    "execution_mode",
    "execution_allow_errors",
    "execution_raise_on_error",
    "execution_excludepatterns",
    "allow_errors",
    "output_stderr",
}
GATE_COMMENT = re.compile(
    r"^\s*#\s*(NBVAL_(?:SKIP|IGNORE_OUTPUT|RAISES_EXCEPTION)|PYTEST_VALIDATE_IGNORE_OUTPUT)", re.M
)


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
    """Nothing switches off execution, or the refusal of errors and warnings."""
    for key in sorted(GATE_KEYS.intersection(_all_keys(notebook.metadata))):
        yield None, f"the notebook's metadata sets {key}, which switches off a check"
    for cell in notebook.cells:
        keys = GATE_KEYS.intersection(_all_keys(cell.metadata))
        switches = [f"its metadata sets {key}" for key in sorted(keys)]
        switches += [f"has the tag {tag}" for tag in sorted(GATE_TAGS & cell.tags)]
        if cell.is_code:
            switches += [f"has the comment {text}" for text in GATE_COMMENT.findall(cell.source)]
        for switch in switches:
            yield cell.number, f"{switch}, which switches off a check"


def _all_keys(value: Any) -> Iterator[str]:
    """Yield the keys of nested metadata, at every depth."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _all_keys(inner)

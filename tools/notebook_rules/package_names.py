"""Every name that a notebook takes from ``attn_utils`` is there."""

from __future__ import annotations

import ast
import contextlib
import importlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from .calls import dotted
from .notebook import Cell, Finding, Notebook

PACKAGE = "attn_utils"


def package_names_exist(notebook: Notebook) -> Iterator[Finding]:
    """What is imported from the package, and what is taken from its modules, exists."""
    imported = package_objects(notebook)
    for cell in notebook.code:
        names = [name for _, name in _imports(cell)]
        for node in ast.walk(cell.tree):
            if isinstance(node, ast.Attribute):
                module = package_object(dotted(node.value), imported)
                if isinstance(module, ModuleType):
                    names.append(f"{module.__name__}.{node.attr}")
        for name in names:
            try:
                if _find(name) is None:
                    yield cell.number, f"{name} does not exist"
            except ImportError as error:
                yield cell.number, f"{name} cannot be imported ({error})"


def package_objects(notebook: Notebook) -> dict[str, Any]:
    """Return what the notebook imports from the package, by the names that it gives them."""
    objects: dict[str, Any] = {PACKAGE: _find(PACKAGE)}
    for cell in notebook.code:
        for alias, name in _imports(cell):
            with contextlib.suppress(ImportError):  # package_names_exist reports it
                objects[alias] = _find(name)
    return objects


def package_object(name: str, imported: dict[str, Any]) -> Any:
    """Return what a dotted name of the notebook means; None if that is not of the package."""
    if name in imported:
        return imported[name]
    base, _, attribute = name.rpartition(".")
    with contextlib.suppress(ImportError):  # package_names_exist reports it
        return getattr(package_object(base, imported), attribute, None) if base else None
    return None


def _imports(cell: Cell) -> Iterator[tuple[str, str]]:
    """Yield (name in the notebook, full dotted name) of what a cell imports from the package."""
    for node in ast.walk(cell.tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            prefix = f"{node.module}."
        elif isinstance(node, ast.Import):
            prefix = ""
        else:
            continue
        for alias in node.names:
            name = f"{prefix}{alias.name}".removesuffix(".*")
            if name.partition(".")[0] == PACKAGE:
                yield alias.asname or alias.name, name


def _find(name: str) -> Any:
    """Return the module or object of this full dotted name; None if there is none.

    Raises:
        ImportError: it is there, but something that it needs is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise
    base, _, attribute = name.rpartition(".")
    return getattr(_find(base), attribute, None) if base else None

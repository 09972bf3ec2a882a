"""What a notebook's code calls, as far as the source tells."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from .notebook import Notebook

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def dotted(node: ast.AST) -> str:
    """Return ``a.b.c`` for a chain of attributes; what is not a name becomes ``?``."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return "?"


def last_part(name: str) -> str:
    """Return ``c`` of ``a.b.c``."""
    return name.rpartition(".")[2]


def executed(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk what runs when the cell runs: not the bodies of functions, lambdas and classes."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, Definition):
            continue
        yield child
        if not isinstance(child, ast.Lambda):
            yield from executed(child)


def executed_calls(tree: ast.AST) -> list[ast.Call]:
    """Return the calls made when the cell runs, in the order of the source."""
    calls = [node for node in executed(tree) if isinstance(node, ast.Call)]
    return sorted(calls, key=lambda call: (call.lineno, call.col_offset))


def functions_that_call(
    notebook: Notebook,
    wanted: Callable[[ast.Call], bool],
    unless: Callable[[ast.Call], bool] = lambda call: False,
) -> set[str]:
    """Names of the notebook's functions and classes that make a wanted call.

    They make it in their body or through each other; a body with a call that ``unless`` accepts
    does not count.
    """
    bodies = []
    for cell in notebook.code:
        for node in ast.walk(cell.tree):
            if isinstance(node, Definition):
                calls = [inner for inner in ast.walk(node) if isinstance(inner, ast.Call)]
                if not any(unless(call) for call in calls):
                    bodies.append((node.name, calls))
    names: set[str] = set()
    while True:
        found = {
            name
            for name, calls in bodies
            if any(wanted(call) or dotted(call.func) in names for call in calls)
        }
        if found <= names:
            return names
        names |= found

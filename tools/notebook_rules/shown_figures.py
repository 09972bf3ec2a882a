"""Which cells show a figure when they run, as far as the source tells.

A figure appears (1) when ``show()`` of pyplot is called, (2) when pyplot still holds an open one at
the end of the cell, (3) when a figure is the cell's last expression or is passed to ``display``.
``plots.finish`` and ``plt.close`` close a figure for pyplot. Bodies of functions and classes do not
count where they are defined, but where they are called. A tag ``figure`` marks what cannot be seen
from the source.
"""

from __future__ import annotations

import ast
import inspect
from typing import Any

from .calls import dotted, executed, executed_calls, functions_that_call, last_part
from .notebook import Cell, Notebook
from .package_names import package_object, package_objects

PYPLOT = {"plt", "pyplot"}
# pyplot functions after which no figure is open that was not open before
OPEN_NO_FIGURE = {"close", "get_backend", "get_cmap", "rc", "rcdefaults", "switch_backend"}
# methods of Axes that are taken for a figure where a cell ends with them
DRAWING_METHODS = {"imshow", "matshow"}


def cells_with_figures(notebook: Notebook) -> list[Cell]:
    """Return the code cells that show a figure."""
    figures = _Figures(notebook)
    return [cell for cell in notebook.code if figures.appear_in(cell)]


class _Figures:
    """The figures of a notebook, whose cells are read in their order.

    Attributes:
        imported: what the notebook imports from the package.
        openers: the notebook's own functions that leave a figure open.
        makers: the package's and the notebook's functions that make a figure.
        variables: names that cells have bound to a figure so far.
    """

    def __init__(self, notebook: Notebook) -> None:
        self.imported = package_objects(notebook)
        self.openers = functions_that_call(notebook, _opens, unless=_closes)
        self.makers = {"show_heatmaps", "finish"}  # also where their import is not seen
        self.makers |= functions_that_call(notebook, lambda c: _opens(c) or self._are_made_by(c))
        self.variables: set[str] = set()

    def appear_in(self, cell: Cell) -> bool:
        """Read the next cell, and decide whether running it shows a figure."""
        self._note_variables(cell)
        calls = executed_calls(cell.tree)
        shown = any(_is_pyplot(call, "show") for call in calls)
        closed = any(_closes(call) for call in calls)
        left_open = any(_opens(call) or dotted(call.func) in self.openers for call in calls)
        displayed = [arg for c in calls if last_part(dotted(c.func)) == "display" for arg in c.args]
        displayed += [end.value for end in cell.tree.body[-1:] if isinstance(end, ast.Expr)]
        return (
            "figure" in cell.tags
            or shown
            or (left_open and not closed)
            or any(self._include(value) for value in displayed)
        )

    def _note_variables(self, cell: Cell) -> None:
        """Note ``figure = ...`` and ``figure, ax = plt.subplots()``."""
        for node in executed(cell.tree):
            if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
                continue
            for target in node.targets:
                match target:
                    case ast.Name(name) if self._are_made_by(node.value):
                        self.variables.add(name)
                    case ast.Tuple([ast.Name(name), *_]) if _is_pyplot(node.value, "subplots"):
                        self.variables.add(name)

    def _include(self, value: ast.expr) -> bool:
        """Whether a displayed expression is a figure."""
        if isinstance(value, ast.Call):
            method = last_part(dotted(value.func))
            return self._are_made_by(value) or method in self.makers | DRAWING_METHODS
        return isinstance(value, ast.Name) and value.id in self.variables

    def _are_made_by(self, call: ast.Call) -> bool:
        """Whether the call returns a figure."""
        name = dotted(call.func)
        return (
            _is_pyplot(call, "figure")
            or name in self.makers
            or _returns_figure(package_object(name, self.imported))
        )


def _returns_figure(function: Any) -> bool:
    if not inspect.isfunction(function):
        return False
    returned = function.__annotations__.get("return", "")
    return last_part(getattr(returned, "__name__", str(returned))) == "Figure"


def _is_pyplot(call: ast.Call, function: str) -> bool:
    base, _, name = dotted(call.func).rpartition(".")
    return base in PYPLOT and name == function


def _opens(call: ast.Call) -> bool:
    base, _, name = dotted(call.func).rpartition(".")
    return base in PYPLOT and name not in OPEN_NO_FIGURE


def _closes(call: ast.Call) -> bool:
    return last_part(dotted(call.func)) in {"finish", "close"}

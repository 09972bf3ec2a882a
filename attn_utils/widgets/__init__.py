"""Live widgets: they compute in the browser, in JupyterLab and in the rendered book alike.

Each chapter's widget lies in its folder, in ``widget.py``; all of them can be imported from here.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from .base import LiveWidget


@cache
def all_widgets() -> dict[str, type[LiveWidget]]:
    """Find the widgets of all chapters, by name."""
    folders = sorted(file.parent.name for file in Path(__file__).parents[1].glob("*/widget.py"))
    modules = [import_module(f"attn_utils.{folder}.widget") for folder in folders]
    return {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, LiveWidget)
        and value.__module__ == module.__name__
    }


def __getattr__(name: str) -> Any:
    if name in ("__path__", "__wrapped__") or name not in all_widgets():
        raise AttributeError(f"module 'attn_utils.widgets' has no attribute {name!r}")
    return all_widgets()[name]


def __dir__() -> list[str]:
    return [*globals(), *all_widgets()]

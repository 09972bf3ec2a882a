"""The floors of the package: a folder imports what lies below it, and nothing goes in circles.

At the bottom are core, plots, data, the engine of the checks, the widgets' kit and training; above
them the chapters, each on those before it; at the top the package, which collects the names.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path

import pytest

from .chapters import CHAPTERS, ROOT

GROUND = ["checks", "core", "data", "plots", "training", "widgets"]
ROOF = ["teach"]  # commands for teachers, which nothing imports
FIRST_RELEASE = ["checkpoints", "masks"]  # old names of parts of the package, which import them
FOLDERS = [chapter.folder for chapter in CHAPTERS]
Graph = dict[str, set[str]]


def imported(source: str, package: str) -> Iterator[str]:
    """Yield the full names that a module imports, wherever in it, and for types only too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            yield from (f"{module}.{alias.name}" for alias in node.names)


def read_modules(root: Path) -> dict[str, tuple[str, str]]:
    """Return the source and the package of each module of ``root/attn_utils``, by full name."""
    modules = {}
    for file in sorted((root / "attn_utils").rglob("*.py")):
        parts = file.relative_to(root).with_suffix("").parts
        package = ".".join(parts[:-1])
        name = package if parts[-1] == "__init__" else ".".join(parts)
        modules[name] = (file.read_text(encoding="utf-8"), package)
    return modules


def imports(modules: dict[str, tuple[str, str]]) -> Graph:
    """Return for each module those of the package that it imports."""
    graph: Graph = {name: set() for name in modules}
    for name, (source, package) in modules.items():
        for target in imported(source, package):
            module = target if target in modules else target.rpartition(".")[0]
            if module in modules and module != name:
                graph[name].add(module)
    return graph


def between_folders(graph: Graph) -> Graph:
    """Join the modules of a folder; the package itself is called ``attn_utils``."""

    def folder(module: str) -> str:
        return module.split(".")[1] if "." in module else module

    joined: Graph = {}
    for module, targets in graph.items():
        own = folder(module)
        joined.setdefault(own, set()).update(folder(t) for t in targets if folder(t) != own)
    return joined


def circle(graph: Graph) -> list[str]:
    """Return a circle of imports, if there is one."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


MODULES = imports(read_modules(ROOT))
HOUSE = between_folders(MODULES)


def test_every_folder_has_its_floor() -> None:
    assert sorted(HOUSE) == sorted(["attn_utils", *GROUND, *FOLDERS, *ROOF, *FIRST_RELEASE])


@pytest.mark.parametrize("folder", GROUND)
def test_the_ground_imports_no_chapter(folder: str) -> None:
    assert HOUSE[folder] <= set(GROUND)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_chapter_imports_earlier_ones_only(folder: str) -> None:
    assert HOUSE[folder] <= {*GROUND, *FOLDERS[: FOLDERS.index(folder)]}


def test_nothing_goes_in_circles() -> None:
    assert circle(HOUSE) == []
    assert circle(MODULES) == []


@pytest.mark.parametrize("folder", ROOF)
def test_nothing_imports_what_stands_on_top(folder: str) -> None:
    assert not any(folder in targets for targets in HOUSE.values())
    assert HOUSE[folder] <= {"checks"}

"""What can be imported, and what importing costs."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import attn_utils
from attn_utils import widgets

MODULES = sorted(
    name
    for _, name, _ in pkgutil.walk_packages(attn_utils.__path__, "attn_utils.")
    if not name.endswith((".train", ".widgets", ".widgets.base"))
)
HEAVY = [
    "anywidget",
    "ipywidgets",
    "keras",
    "matplotlib",
    "pandas",
    "skimage",
    "sklearn",
    "traitlets",
]


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_can_be_imported_from_the_package(module):
    loaded = importlib.import_module(module)
    for name in getattr(loaded, "__all__", []):
        assert getattr(attn_utils, name) is getattr(loaded, name)


def test_the_package_collects_the_names_of_its_folders_one_in_a_line():
    tree = ast.parse(Path(attn_utils.__file__).read_text(encoding="utf-8"))
    lines = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    collected = [
        (node.module, alias.name, alias.asname)
        for node in lines
        for alias in node.names
        if node.level == 1
    ]
    folders = [name for _, name, _ in pkgutil.iter_modules(attn_utils.__path__)]
    public = [
        (folder, name, name)
        for folder in folders
        if folder not in ("checkpoints", "masks", "widgets")  # old names; widgets stay apart
        for name in importlib.import_module(f"attn_utils.{folder}").__all__
    ]
    assert sorted(collected) == sorted(public)
    assert all(len(node.names) == 1 for node in lines)


def test_importing_loads_torch_and_nothing_heavier():
    code = (
        "import sys, torch, numpy; before = set(sys.modules); import attn_utils; "
        f"print(sorted((set(sys.modules) - before) & set({HEAVY!r})))"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == "[]"


def test_widgets_are_found_in_the_chapters():
    found = widgets.all_widgets()
    assert {"CueExplorer", "DigitReader"} <= found.keys()
    assert all(getattr(widgets, name) is found[name] for name in found)
    assert set(found) <= set(dir(widgets))
    with pytest.raises(ImportError, match="NoSuchWidget"):
        from attn_utils.widgets import NoSuchWidget  # noqa: F401


@pytest.mark.parametrize(
    "documented",
    ["attn_utils.masks.causal_mask", "attn_utils.checkpoints.load_vit_checkpoint"],
)
def test_names_documented_by_the_first_release(documented):
    module, _, name = documented.rpartition(".")
    assert getattr(importlib.import_module(module), name) is getattr(attn_utils, name)

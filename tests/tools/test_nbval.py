"""How nbval reports what goes wrong: a dead kernel at once, a notebook's first failure only."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[2]


def nbval(folder: Path, *cells: str) -> str:
    """Run nbval with the project's conftest on a notebook of these cells; return what it says."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, folder / "chapter.ipynb")
    shutil.copy(ROOT / "conftest.py", folder)
    (folder / "pytest.ini").write_text(f'[pytest]\npythonpath = "{ROOT}/book/_ext"\n')
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env", "-rs"]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=folder).stdout


def test_a_dead_kernel_is_reported_at_once(tmp_path: Path) -> None:
    said = nbval(tmp_path, "import os; os._exit(1)", "1 + 1")
    assert "the kernel died in this cell" in said
    assert "1 failed, 1 skipped" in said


def test_cells_after_a_failed_one_are_not_run(tmp_path: Path) -> None:
    said = nbval(tmp_path, "x = 1", "assert x == 2", "raise RuntimeError('a consequence')")
    assert "1 failed, 1 passed, 1 skipped" in said
    assert "a consequence" not in said

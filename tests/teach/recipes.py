"""The recipes of the page for teachers, run with the graders themselves.

    pip install nbgrader==0.9.6 otter-grader==7.0.0
    pytest tests/teach/recipes.py

The two bring a web server and more, so they are no part of the tests' environment; the workflow
``graders`` installs them. Each marks a right and a wrong answer.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from . import small

IMPORTS = "import math\n\nimport torch\n\nfrom attn_utils.checks import check"
RECIPE = 'assert check("scoring.factor", factor)'
ANSWERS = {"right": small.FACTOR, "wrong": small.STUBS["factor"]}


def run(command: list[str], folder: Path) -> str:
    bin_ = Path(sys.executable).parent  # nbgrader calls programs of its environment by name
    environment = {**os.environ, "PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def graded_by_nbgrader(folder: Path, test: str) -> dict[str, float]:
    """Make a course, hand in a right and a wrong answer; return the points."""
    pytest.importorskip("nbgrader")
    from nbgrader.api import Gradebook

    def cell(source: str, name: str, **flags: object):
        made = new_code_cell(source)
        flags = {"grade": False, "solution": False, "locked": False, "task": False, **flags}
        made.metadata["nbgrader"] = {"schema_version": 3, "grade_id": name, **flags}
        return made

    def notebook(answer: str):
        cells = [
            new_code_cell(IMPORTS),
            cell(answer, "answer", solution=True),
            cell(test, "test", grade=True, locked=True, points=2),
        ]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        return new_notebook(cells=cells, metadata={"kernelspec": kernel})

    def put(path: Path, answer: str) -> None:
        path.parent.mkdir(parents=True)
        nbformat.write(notebook(answer), path)

    put(folder / "source/week3/factor.ipynb", small.FACTOR)
    (folder / "nbgrader_config.py").write_text(
        "c = get_config()\nc.CourseDirectory.course_id = 'a'\n"
    )
    run(["nbgrader", "generate_assignment", "week3"], folder)
    for student, answer in ANSWERS.items():
        put(folder / f"submitted/{student}/week3/factor.ipynb", answer)
    run(["nbgrader", "autograde", "week3"], folder)
    with Gradebook(f"sqlite:///{folder}/gradebook.db") as book:
        return {name: book.find_submission("week3", name).score for name in ANSWERS}


def graded_by_otter(folder: Path, test: str, *, exceptions: bool = True) -> dict[str, bool]:
    """Write a test file; return whether a right and a wrong answer pass it."""
    pytest.importorskip("otter")
    (folder / "tests").mkdir(parents=True)
    if exceptions:
        text = (
            "from otter.test_files import test_case\n\nOK_FORMAT = False\nname = 'factor'\n"
            "points = 2\n\n\n@test_case(points=2)\ndef factor_is_right(check, factor):\n"
            f"    {test}\n"
        )
    else:
        case = {"code": f">>> {test}", "hidden": False, "locked": False}
        suite = {"cases": [case], "scored": True, "setup": "", "teardown": "", "type": "doctest"}
        text = (
            f"OK_FORMAT = True\ntest = {{'name': 'factor', 'points': 2, 'suites': [{suite!r}]}}\n"
        )
    (folder / "tests/factor.py").write_text(text)
    passed = {}
    for student, answer in ANSWERS.items():
        cells = [new_code_cell(IMPORTS), new_code_cell(answer)]
        nbformat.write(new_notebook(cells=cells), folder / f"{student}.ipynb")
        said = run(["otter", "check", f"{student}.ipynb", "-q", "factor"], folder)
        passed[student] = "All tests passed" in said
    return passed


def test_nbgrader(tmp_path):
    assert graded_by_nbgrader(tmp_path, RECIPE) == {"right": 2.0, "wrong": 0.0}


def test_nbgrader_without_assert_would_pass_everything(tmp_path):
    assert graded_by_nbgrader(tmp_path, RECIPE.removeprefix("assert ")) == {"right": 2, "wrong": 2}


def test_otter(tmp_path):
    assert graded_by_otter(tmp_path, RECIPE) == {"right": True, "wrong": False}


def test_otter_with_doctests_would_fail_the_right_answer(tmp_path):
    got = graded_by_otter(tmp_path, RECIPE, exceptions=False)
    assert got == {"right": False, "wrong": False}

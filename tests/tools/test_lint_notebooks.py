"""Every rule of tools/lint_notebooks.py accepts what is good and names what is not."""

from __future__ import annotations

import copy
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _load() -> ModuleType:
    path = ROOT / "tools" / "lint_notebooks.py"
    spec = importlib.util.spec_from_file_location("lint_notebooks", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))  # as where the command runs: its rules lie beside it
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module


tool = _load()

ALT = "A dark diagonal: each query attends to its own key and to nothing else."
FIGURE = {
    "mystnb": {
        "image": {"alt": ALT},
        "figure": {"caption": "The identity.", "name": "fig-identity"},
    }
}
EFFORT = "*About 10 minutes, easy.*\n\n"
TASK = f"### Exercise 1.1 – x\n\n{EFFORT}"
SOLUTION = {"tags": ["hide-cell"], "jupyter": {"source_hidden": True}}


def md(source: str, **metadata: Any) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": metadata, "source": source}


def code(source: str, **metadata: Any) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "metadata": metadata,
        "source": source,
        "outputs": [],
        "execution_count": None,
    }


def box(kind: str, summary: str, text: str, name: str = "") -> str:
    attribute = f' name="{name}"' if name else ""
    return (
        f'<details class="{kind}"{attribute}><summary>{summary}</summary>\n\n{text}\n\n</details>\n'
    )


HINT = box("hint", "Hint", "Think of the rows.")
RIGHT = box("quiz right", "one", "**Right.** They are weights.", "q1")
WRONG = box("quiz wrong", "two", "**Not quite.** They sum to one.", "q1")

# a small notebook with one of everything, as it should be
GOOD = [
    md("# A title\n\nWords, see {doc}`other` and [a file](other.md#part), `[no](link)`."),
    code("import torch\nfrom attn_utils import plots, show_heatmaps\n\ntorch.manual_seed(0)"),
    md("## A section\n\n![Five things on a table](other.md)"),
    code("x = torch.rand(3)\nassert x.shape == (3,)"),
    code("show_heatmaps(torch.eye(3)[None, None], 'Keys', 'Queries')", **FIGURE),
    md("## Exercises"),
    md(
        "### Exercise 1.1 – sums\n\n"
        + EFFORT
        + "Why?\n\n"
        + HINT
        + "\n"
        + box("solution", "Solution", "So.")
    ),
    md("### Exercise 1.2 – code\n\n" + EFFORT + "Do it.\n\n" + HINT),
    code("def answer():\n    ..."),
    code("# Solution 1.2\ndef answer():\n    return 1", **SOLUTION),
    md("## Quiz\n\n**What is the sum of a row?**\n\n" + RIGHT + "\n" + WRONG),
]


def notebook(cells: list[dict[str, Any]], metadata: dict[str, Any] | None = None) -> dict[str, Any]:
    cells = [copy.deepcopy(cell) for cell in cells]
    for i, cell in enumerate(cells):
        cell.setdefault("id", f"cell-{i:03d}")
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {**kernel, **(metadata or {})},
        "cells": cells,
    }


@pytest.fixture
def lint(tmp_path: Path) -> Any:
    """Lint cells as the notebook book/nb.ipynb; give the problems without the file's name."""
    book = tmp_path / "book"
    book.mkdir()
    (book / "other.md").write_text("# Other\n", encoding="utf-8")

    def run(cells: list[dict[str, Any]], metadata: dict[str, Any] | None = None) -> list[str]:
        path = book / "nb.ipynb"
        path.write_text(json.dumps(notebook(cells, metadata)), encoding="utf-8")
        problems = tool.lint(path)
        assert all(problem.startswith(f"{path}: ") for problem in problems)
        return [problem.removeprefix(f"{path}: ") for problem in problems]

    return run


def test_a_good_notebook_passes(lint: Any) -> None:
    assert lint(GOOD) == []


@pytest.mark.parametrize("path", sorted((ROOT / "book").glob("*.ipynb")), ids=lambda p: p.name)
def test_the_books_notebooks_pass(path: Path) -> None:
    assert tool.lint(path) == []


TITLE = md("# A title")
SEED = code("import torch\nfrom torch import nn\ntorch.manual_seed(0)")
PLT = "from matplotlib import pyplot as plt\n"
MANY = "\n".join(f"x = {i}" for i in range(16))

# name: (cells, the expected problems)
BAD: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "missing id": ([TITLE, {**md("text"), "id": ""}], ["cell 2: has no id"]),
    "same id": (
        [{**TITLE, "id": "a"}, {**md("text"), "id": "a"}],
        ["cell 2: has the id 'a' of cell 1"],
    ),
    "tag": (
        [TITLE, code("1", tags=["skip-execution", "raises-exception", "hide-cell"])],
        [
            "cell 2: has the tag raises-exception, which may switch off a check",
            "cell 2: has the tag skip-execution, which may switch off a check",
        ],
    ),
    "nbval tag": (
        [TITLE, code("1", tags=["nbval-ignore-output"])],
        ["cell 2: has the tag nbval-ignore-output, which may switch off a check"],
    ),
    "nbval comment": (
        [TITLE, code("# NBVAL_SKIP\n1")],
        ["cell 2: has the comment NBVAL_SKIP, which may switch off a check"],
    ),
    "cell metadata": (
        [TITLE, code("1", mystnb={"execution_allow_errors": True})],
        ["cell 2: its metadata sets mystnb.execution_allow_errors, which may switch off a check"],
    ),
    **{
        f"tags {tags!r}": (
            [TITLE, code("1", tags=tags)],
            [f"cell 2: has the tag {tags!r}, which may switch off a check"],
        )
        for tags in ("raises-exception", "hide-cell", [["hide-cell"]], 3)
    },
    **{
        f"the source {source!r}": (
            [TITLE, code(source)],
            [
                "cell 2: is not plain Python, perhaps a magic or a shell command, which may switch "
                "off a check"
            ],
        )
        for source in (
            "%%script false --no-raise-error\n1 / 0",
            "%%script true",
            "%%bash\nfalse",
            "%%capture\nx = 1",
            "x = 1\n%run other.py",
            "!false",
            "x = !false",
            "torch.nn?",
        )
    },
    **{
        f"the source {source!r}": (
            [TITLE, code(source)],
            [f"cell 2: uses {name}, which may switch off a check"],
        )
        for name, source in (
            ("exit", "exit"),
            ("quit", "if True:\n    quit()"),
            ("exit", "import sys\nsys.exit(0)"),
            ("_exit", "import os\nos._exit(0)"),
            ("_exit", "from os import _exit as leave"),
            ("get_ipython", "get_ipython().run_cell_magic('script', 'false', '')"),
        )
    },
    "no title": (
        [md("## A section")],
        ["cell 1: the first cell must be Markdown that starts with the title ('# ...')"],
    ),
    "code first": (
        [code("# A title")],
        ["cell 1: the first cell must be Markdown that starts with the title ('# ...')"],
    ),
    "two titles": ([TITLE, md("# Another")], ["cell 2: has a second heading of level 1"]),
    "long cell": ([TITLE, code(MANY)], ["cell 2: has 16 lines; at most 15 are read"]),
    "long cell, with blank lines": (
        [TITLE, code("x = 0" + "\n" * 15 + "y = 0\n\n")],
        ["cell 2: has 16 lines; at most 15 are read"],
    ),
    "long hidden cell": (
        [TITLE, code(MANY + "\n" + MANY, tags=["hide-cell"])],
        ["cell 2: is hidden and has 32 lines; at most 30"],
    ),
    "no hint": (
        [TITLE, md(TASK + box("solution", "Solution", "So."))],
        ["cell 2: Exercise 1.1 has no hint"],
    ),
    "no solution": (
        [
            TITLE,
            md(TASK + HINT),
            md("### Another heading\n\n" + box("solution", "Solution", "So.")),
        ],
        ["cell 2: Exercise 1.1 has no solution"],
    ),
    "solution of another": (
        [
            TITLE,
            md(TASK + HINT),
            code("# Solution 1.2\n1", **SOLUTION),
        ],
        [
            "cell 2: Exercise 1.1 has no solution",
            "cell 3: solves Exercise 1.2, which does not exist",
        ],
    ),
    "open solution": (
        [TITLE, md(TASK + HINT), code("# Solution 1.1\n1")],
        [
            "cell 3: shows the solution 1.1 openly: tag it hide-cell",
            "cell 3: the solution 1.1 needs jupyter.source_hidden for JupyterLab",
        ],
    ),
    **{
        f"effort {effort!r}": (
            [
                TITLE,
                md(TASK.replace(EFFORT, f"{effort}\n\n") + HINT + box("solution", "S", "So.")),
            ],
            [
                "cell 2: Exercise 1.1 should say '*About 10 minutes, easy.*' (or medium, hard) "
                "below its heading"
            ],
        )
        for effort in ("", "*About ten minutes, easy.*", "*About 10 minutes, tricky.*")
    },
    "exercise twice": (
        [
            TITLE,
            *[md(TASK + HINT + box("solution", "S", "So."))] * 2,
        ],
        ["cell 3: there is more than one Exercise 1.1"],
    ),
    **{
        f"details with {text!r}": (
            [TITLE, md(f'<details class="note"><summary>More</summary>{text}</details>')],
            ["cell 2: the box 'More' needs a blank line around its text"],
        )
        for text in ("\nText\n", "\n\nText\n", "\nText\n\n", " Text\n\nText\n\n", "Text")
    },
    "details left open": (
        [TITLE, md("<details><summary>More</summary>\n\nText\n")],
        ["cell 2: has a <details> without <summary> or </details>"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_notebook_is_refused(lint: Any, case: str) -> None:
    cells, expected = BAD[case]
    assert lint(cells) == expected


@pytest.mark.parametrize(
    ("metadata", "problem"),
    [
        ({"kernelspec": {"name": "my-env"}}, "the kernel is 'my-env', expected 'python3'"),
        ({"kernelspec": None}, "the kernel is None, expected 'python3'"),
        (
            {"mystnb": {"execution_mode": "off"}},
            "the notebook's metadata sets mystnb, which may switch off a check",
        ),
        (
            {"execution": {"allow_errors": True}},
            "the notebook's metadata sets execution, which may switch off a check",
        ),
    ],
)
def test_bad_metadata_is_refused(lint: Any, metadata: dict[str, Any], problem: str) -> None:
    assert lint(GOOD, metadata) == [problem]


RANDOM = {
    "torch.rand(3)": ("torch.rand", "torch.manual_seed"),
    "x = torch.randn(2) + torch.randn(3)": ("torch.randn", "torch.manual_seed"),
    "nn.Linear(2, 3)": ("nn.Linear", "torch.manual_seed"),
    "torch.empty(3).normal_()": ("?.normal_", "torch.manual_seed"),
    "F.dropout(x)": ("F.dropout", "torch.manual_seed"),
    "DataLoader(d, shuffle=True)": ("DataLoader", "torch.manual_seed"),
    "np.random.rand(3)": ("np.random.rand", "np.random.seed"),
    "train_test_split(x)": ("train_test_split", "np.random.seed"),
    "random.shuffle(x)": ("random.shuffle", "random.seed"),
    "shuffle(x)": ("shuffle", "random.seed"),
}


@pytest.mark.parametrize("source", RANDOM)
def test_randomness_needs_a_seed(lint: Any, source: str) -> None:
    name, seed = RANDOM[source]
    problem = f"uses randomness ({name}) before a visible {seed}(...)"
    assert lint([TITLE, code(source)]) == [f"cell 2: {problem}"]
    assert lint([TITLE, code(f"{seed}(0)"), code(source)]) == []
    assert lint([TITLE, code(f"{seed}(0)\n{source}")]) == []
    assert lint([TITLE, code(f"{source}\n{seed}(0)")]) == [f"cell 2: {problem}"]
    hidden = code(f"{seed}(0)", tags=["hide-cell"])
    assert lint([TITLE, hidden, code(source)]) == [f"cell 3: {problem}"]


def test_a_function_is_random_where_it_is_called(lint: Any) -> None:
    net = code("class Net(nn.Module):\n    def __init__(self):\n        self.f = nn.Linear(2, 2)")
    assert lint([TITLE, net, SEED, code("Net()")]) == []
    assert lint([TITLE, net, code("Net()"), SEED]) == [
        "cell 3: uses randomness (Net) before a visible torch.manual_seed(...)"
    ]


@pytest.mark.parametrize(
    "source",
    [
        "torch.rand(3, generator=g)",
        "np.random.default_rng(0).normal(size=3)",
        "train_test_split(x, random_state=0)",
        "DataLoader(d)",
        "torch.eye(3)",
        "nn.init.zeros_(w)",
        "def f():\n    torch.manual_seed(0)\n    return torch.rand(3)\nf()",
        "draw = lambda: torch.rand(3)",
    ],
)
def test_what_is_not_random_needs_no_seed(lint: Any, source: str) -> None:
    assert lint([TITLE, code(source)]) == []


def test_a_generator_without_a_seed_is_refused(lint: Any) -> None:
    assert lint([TITLE, code("np.random.default_rng()")]) == [
        "cell 2: np.random.default_rng() is made without a seed"
    ]


@pytest.mark.parametrize("fence", ["```", "~~~", "````"])
def test_examples_of_syntax_are_not_taken_for_the_thing(lint: Any, fence: str) -> None:
    block = f"{fence}\n# A heading\n<details>\n{fence}"
    assert lint([TITLE, md(f"Write `<details>`.\n\n{block}\n\n{{term}}`query` `# x`")]) == []


def test_a_lone_backtick_does_not_hide_what_follows(lint: Any) -> None:
    assert lint([TITLE, md("A ` is not closed.\n\n# Another\n\nThe next ` neither.")]) == [
        "cell 2: has a second heading of level 1"
    ]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cells": 3}', "not json"])
def test_what_is_not_a_notebook_is_reported(tmp_path: Path, text: str) -> None:
    path = tmp_path / "nb.ipynb"
    path.write_text(text, encoding="utf-8")
    (problem,) = tool.lint(path)
    assert problem.startswith(f"{path}: cannot be read as a notebook")


def test_the_command_prints_problems_and_says_so_in_its_exit_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "good.ipynb", tmp_path / "bad.ipynb"
    good.write_text(json.dumps(notebook([TITLE])), encoding="utf-8")
    bad.write_text(json.dumps(notebook([TITLE, md("# Another")])), encoding="utf-8")
    assert tool.main([str(good)]) == 0
    assert capsys.readouterr().out == ""
    assert tool.main([str(good), str(bad)]) == 1
    assert capsys.readouterr().out == f"{bad}: cell 2: has a second heading of level 1\n"


@pytest.mark.parametrize(
    ("stated", "problems"),
    [
        ("*Time to read:* 5 minutes, and about 20 for the exercises.", []),
        ("*Time to read:* 5 minutes, and about 30 for the exercises.", [1]),
        ("*Time to read:* 5 minutes, and as long again for the exercises.", [1]),
    ],
)
def test_a_chapter_says_how_long_its_exercises_take(
    tmp_path: Path, stated: str, problems: list[int]
) -> None:
    tasks = [md(TASK.replace("1.1", f"1.{n}") + HINT + box("solution", "S", "So.")) for n in (1, 2)]
    path = tmp_path / "01-chapter.ipynb"
    path.write_text(json.dumps(notebook([md(f"# Title\n\n{stated}"), *tasks])), encoding="utf-8")
    expected = "cell 1: should say 'and about 20 for the exercises', the sum of their minutes"
    assert tool.lint(path) == [f"{path}: {expected}" for _ in problems]

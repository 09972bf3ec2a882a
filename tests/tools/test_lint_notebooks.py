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
    md("### Exercise 1.1 – sums\n\nWhy?\n\n" + HINT + "\n" + box("solution", "Solution", "So.")),
    md("### Exercise 1.2 – code\n\nDo it.\n\n" + HINT),
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
    "outputs": (
        [TITLE, {**code("1"), "outputs": [{"output_type": "stream"}], "execution_count": 3}],
        [
            "cell 2: has stored outputs; strip them with nbstripout",
            "cell 2: has a stored execution count; strip it with nbstripout",
        ],
    ),
    "missing id": ([TITLE, {**md("text"), "id": ""}], ["cell 2: has no id"]),
    "same id": (
        [{**TITLE, "id": "a"}, {**md("text"), "id": "a"}],
        ["cell 2: has the id 'a' of cell 1"],
    ),
    "tag": (
        [TITLE, code("1", tags=["skip-execution", "raises-exception"])],
        ["cell 2: has the tag skip-execution, which switches off a check"],
    ),
    "nbval tag": (
        [TITLE, code("1", tags=["nbval-ignore-output"])],
        ["cell 2: has the tag nbval-ignore-output, which switches off a check"],
    ),
    "nbval comment": (
        [TITLE, code("# NBVAL_SKIP\n1")],
        ["cell 2: has the comment NBVAL_SKIP, which switches off a check"],
    ),
    "cell metadata": (
        [TITLE, code("1", mystnb={"execution_allow_errors": True})],
        ["cell 2: its metadata sets execution_allow_errors, which switches off a check"],
    ),
    "no title": (
        [md("## A section")],
        ["cell 1: the first cell must be Markdown that starts with the title ('# ...')"],
    ),
    "code first": (
        [code("# A title")],
        ["cell 1: the first cell must be Markdown that starts with the title ('# ...')"],
    ),
    "two titles": ([TITLE, md("# Another")], ["cell 2: has a second heading of level 1"]),
    "not Python": (
        [TITLE, code("x = (1\ny = 2")],
        ["cell 2: is not valid Python (line 1: '(' was never closed)"],
    ),
    "long cell": ([TITLE, code(MANY)], ["cell 2: has 16 lines; at most 15 are read"]),
    "long hidden cell": (
        [TITLE, code(MANY + "\n" + MANY, tags=["hide-cell"])],
        ["cell 2: is hidden and has 32 lines; at most 30"],
    ),
    "short alt text": (
        [TITLE, code("x", mystnb={**FIGURE["mystnb"], "image": {"alt": "Weights"}})],
        ["cell 2: its alt text 'Weights' is too short to say what is to be seen"],
    ),
    "says image of": (
        [TITLE, code("x", mystnb={**FIGURE["mystnb"], "image": {"alt": "Image of the weights"}})],
        [
            "cell 2: its alt text says 'Image of': say what is to be seen, "
            "not that there is a figure"
        ],
    ),
    "says figure": (
        [TITLE, code("x", mystnb={**FIGURE["mystnb"], "image": {"alt": "A figure with weights"}})],
        [
            "cell 2: its alt text says 'A figure': say what is to be seen, "
            "not that there is a figure"
        ],
    ),
    "no caption": (
        [TITLE, code("x", mystnb={"image": {"alt": ALT}, "figure": {"name": "fig-a"}})],
        ["cell 2: shows a figure without a caption (mystnb.figure.caption)"],
    ),
    "same name": (
        [TITLE, code("x", **FIGURE), code("y", **FIGURE)],
        ["cell 3: its figure has the name 'fig-identity' of cell 2"],
    ),
    "Markdown image": (
        [TITLE, md("![](other.md)")],
        ["cell 2: shows the image other.md without alt text"],
    ),
    "HTML image": (
        [TITLE, md('<img src="other.md" alt="">')],
        ['cell 2: shows an image without alt text: <img src="other.md" alt="">'],
    ),
    "directive": (
        [TITLE, md("```{figure} other.md\n:name: x\n\nCaption\n```")],
        ["cell 2: shows the image other.md without alt text"],
    ),
    "import": (
        [TITLE, code("from attn_utils import show_heatmap")],
        ["cell 2: attn_utils.show_heatmap does not exist"],
    ),
    "module": (
        [TITLE, code("from attn_utils.plotz import finish\nimport attn_utils.plot as p")],
        [
            "cell 2: attn_utils.plotz.finish does not exist",
            "cell 2: attn_utils.plot does not exist",
        ],
    ),
    "attribute": (
        [TITLE, code("from attn_utils import plots as p"), code("p.book_style(); p.book_stile()")],
        ["cell 3: attn_utils.plots.book_stile does not exist"],
    ),
    "attribute of the package": (
        [TITLE, code("import attn_utils\nattn_utils.show_heatmap()")],
        ["cell 2: attn_utils.show_heatmap does not exist"],
    ),
    "nested attribute": (
        [TITLE, code("import attn_utils as au\nau.plots.finnish()")],
        ["cell 2: attn_utils.plots.finnish does not exist"],
    ),
    "link": (
        [TITLE, md("[a](nowhere.md) [b](https://example.org) [c](#here) [d](mailto:a@b.org)")],
        ["cell 2: links to nowhere.md, which does not exist"],
    ),
    "HTML link": (
        [TITLE, md('<a href="gone.html">x</a>')],
        ["cell 2: links to gone.html, which does not exist"],
    ),
    "document": (
        [TITLE, md("{doc}`gone`, {doc}`text <lost>`, {doc}`/book/other`, {doc}`/other`")],
        [
            "cell 2: refers to the document gone, which does not exist",
            "cell 2: refers to the document lost, which does not exist",
            "cell 2: refers to the document /other, which does not exist",
        ],
    ),
    "no hint": (
        [TITLE, md("### Exercise 1.1 – x\n\n" + box("solution", "Solution", "So."))],
        ["cell 2: Exercise 1.1 has no hint"],
    ),
    "no solution": (
        [
            TITLE,
            md("### Exercise 1.1 – x\n\n" + HINT),
            md("### Another heading\n\n" + box("solution", "Solution", "So.")),
        ],
        ["cell 2: Exercise 1.1 has no solution"],
    ),
    "solution of another": (
        [TITLE, md("### Exercise 1.1 – x\n\n" + HINT), code("# Solution 1.2\n1", **SOLUTION)],
        [
            "cell 2: Exercise 1.1 has no solution",
            "cell 3: solves Exercise 1.2, which does not exist",
        ],
    ),
    "open solution": (
        [TITLE, md("### Exercise 1.1 – x\n\n" + HINT), code("# Solution 1.1\n1")],
        [
            "cell 3: shows the solution 1.1 openly: tag it hide-cell",
            "cell 3: the solution 1.1 needs jupyter.source_hidden for JupyterLab",
        ],
    ),
    "exercise twice": (
        [TITLE, *[md("### Exercise 1.1 – x\n\n" + HINT + box("solution", "S", "So."))] * 2],
        ["cell 3: there is more than one Exercise 1.1"],
    ),
    "details without blank lines": (
        [TITLE, md('<details class="note"><summary>More</summary>\nText\n</details>')],
        ["cell 2: the box 'More' needs a blank line around its text"],
    ),
    "details left open": (
        [TITLE, md("<details><summary>More</summary>\n\nText\n")],
        ["cell 2: has a <details> without <summary> or </details>"],
    ),
    "no right choice": (
        [TITLE, md(WRONG + "\n" + WRONG)],
        ["cell 2: the question q1 has no right choice"],
    ),
    "single choice": ([TITLE, md(RIGHT)], ["cell 2: the question q1 has a single choice"]),
    "no explanation": (
        [TITLE, md(RIGHT + "\n" + box("quiz wrong", "two", "**Not quite.**", "q1"))],
        ["cell 2: the choice 'two' has no explanation"],
    ),
    "contradicting explanation": (
        [TITLE, md(RIGHT + "\n" + box("quiz wrong", "two", "**Right.** Yes.", "q1"))],
        ["cell 2: the explanation of 'two' must start with **Not quite.**"],
    ),
    "neither right nor wrong": (
        [TITLE, md(RIGHT + "\n" + box("quiz", "two", "**Right.** Yes.", "q1"))],
        ["cell 2: the choice 'two' is neither class 'quiz right' nor 'quiz wrong'"],
    ),
    "no question": (
        [TITLE, md(RIGHT + "\n" + WRONG + "\n" + WRONG.replace(' name="q1"', ""))],
        ["cell 2: the choice 'two' does not say its question (name=...)"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_notebook_is_refused(lint: Any, case: str) -> None:
    cells, expected = BAD[case]
    assert lint(cells) == expected


@pytest.mark.parametrize(
    ("metadata", "problem"),
    [
        (
            {"widgets": {}},
            "the notebook's metadata has stored widget state (metadata.widgets)",
        ),
        ({"kernelspec": {"name": "my-env"}}, "the kernel is 'my-env', expected 'python3'"),
        ({"kernelspec": None}, "the kernel is None, expected 'python3'"),
        (
            {"mystnb": {"execution_mode": "off"}},
            "the notebook's metadata sets execution_mode, which switches off a check",
        ),
        (
            {"execution": {"allow_errors": True}},
            "the notebook's metadata sets allow_errors, which switches off a check",
        ),
    ],
)
def test_bad_metadata_is_refused(lint: Any, metadata: dict[str, Any], problem: str) -> None:
    assert lint(GOOD, metadata) == [problem]


SHOWS_A_FIGURE = {
    "show_heatmaps": "from attn_utils import show_heatmaps\nshow_heatmaps(m, 'K', 'Q')",
    "module": "from attn_utils import plots\nplots.show_heatmaps(m, 'K', 'Q')",
    "finish": PLT + "from attn_utils import plots\nfig, ax = plt.subplots()\nplots.finish(fig)",
    "plt.show": PLT + "plt.plot([1, 2])\nplt.show()",
    "left open": PLT + "fig, ax = plt.subplots()\nax.plot([1, 2])",
    "imshow": "ax.imshow(m)",
    "name": "from attn_utils import show_heatmaps\nfig = show_heatmaps(m, 'K', 'Q')\nfig",
    "display": "from attn_utils import show_heatmaps\ndisplay(show_heatmaps(m, 'K', 'Q'))\n1",
    "in a loop": PLT + "for i in range(3):\n    plt.figure()",
    "own function": (
        PLT + "from attn_utils import plots\ndef draw():\n    fig = plt.figure()\n"
        "    return plots.finish(fig)\ndraw()"
    ),
    "own function, nested": (
        PLT + "def inner():\n    plt.plot([1])\ndef outer():\n    inner()\nouter()\nx = 1"
    ),
}


@pytest.mark.parametrize("case", SHOWS_A_FIGURE)
def test_a_figure_needs_its_description(lint: Any, case: str) -> None:
    assert lint([TITLE, code(SHOWS_A_FIGURE[case])]) == [
        "cell 2: shows a figure without alt text (mystnb.image.alt)",
        "cell 2: shows a figure without a caption (mystnb.figure.caption)",
        "cell 2: shows a figure without a name (mystnb.figure.name)",
    ]
    assert lint([TITLE, code(SHOWS_A_FIGURE[case], **FIGURE)]) == []


def test_a_number_may_be_called_a_figure(lint: Any) -> None:
    alt = "Two bars; the upper one ends at the often taught figure of a hundred million."
    assert lint([TITLE, code("x", mystnb={**FIGURE["mystnb"], "image": {"alt": alt}})]) == []


def test_a_figure_of_an_earlier_cell_counts_where_it_is_shown(lint: Any) -> None:
    made = code("from attn_utils import show_heatmaps\nfig = show_heatmaps(m, 'K', 'Q')")
    problems = lint([TITLE, made, code("fig")])
    assert problems
    assert all(problem.startswith("cell 3: shows a figure without") for problem in problems)


@pytest.mark.parametrize(
    "source",
    [
        PLT + "def draw():\n    fig, ax = plt.subplots()\n    return fig",
        PLT + "fig, ax = plt.subplots()\nfig.savefig('x.png')\nplt.close(fig)",
        "def draw(ax):\n    ax.imshow(m)",
        "from attn_utils import plots\nplots.book_style()",
        "from attn_utils import show_heatmaps\nfig = show_heatmaps(m, 'K', 'Q')\nfig.axes[0]",
        "x = 1\nx",
    ],
)
def test_a_cell_without_a_figure_needs_no_description(lint: Any, source: str) -> None:
    assert lint([TITLE, code(source)]) == []


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
    ],
)
def test_what_is_not_random_needs_no_seed(lint: Any, source: str) -> None:
    assert lint([TITLE, code(source)]) == []


def test_a_generator_without_a_seed_is_refused(lint: Any) -> None:
    assert lint([TITLE, code("np.random.default_rng()")]) == [
        "cell 2: np.random.default_rng() is made without a seed"
    ]


def test_magics_are_not_taken_for_errors(lint: Any) -> None:
    cells = [TITLE, code("%matplotlib inline\n!echo hello"), code("%%bash\nif [ -f x ]; then")]
    assert lint(cells) == []


def test_examples_of_syntax_are_not_taken_for_the_thing(lint: Any) -> None:
    text = "Write `[a](gone.md)`.\n\n```\n![](gone.png)\n<details>\n```\n\n{term}`query` `# x`"
    assert lint([TITLE, md(text)]) == []


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
    bad.write_text(json.dumps(notebook([TITLE, md("[a](gone.md)")])), encoding="utf-8")
    assert tool.main([str(good)]) == 0
    assert capsys.readouterr().out == ""
    assert tool.main([str(good), str(bad)]) == 1
    assert capsys.readouterr().out == f"{bad}: cell 2: links to gone.md, which does not exist\n"

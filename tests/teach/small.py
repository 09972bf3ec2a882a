"""A small book: one chapter, three real checks, a thinking exercise; and how to fill it in."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

CHAPTER = "03-scoring-functions"

TABLE = """\
rules = {
    "the weights do not change when the keys and values are shuffled": "location",
    "it has no parameters": "dot",
    "query and key must have the same size": "dot",
    "no key can get a score above a fixed bound": "additive",
    "the number of values is part of a weight's shape": "location",
    "for a fixed query, the score is linear in the key": "dot",
}
"""
SOFTMAX = """\
def my_masked_softmax(scores, mask):
    alive = mask.any(dim=-1, keepdim=True)
    scores = scores.masked_fill(~mask & alive, -math.inf)
    return scores.softmax(dim=-1) * alive
"""
FACTOR = """\
def factor(q_std, k_std, d):
    return 1 / (q_std * k_std * math.sqrt(d))
"""
THOUGHT = "A long key may point the wrong way."

CHECKS = {
    "sort": '\ncheck("scoring.sort", rules)',
    "softmax": '\n\ncheck("scoring.masked_softmax", my_masked_softmax)',
    "factor": '\n\ncheck("scoring.factor", factor)',
}
STUBS = {
    "sort": TABLE.replace('"location"', '"?"').replace('"dot"', '"?"').replace('"additive"', '"?"'),
    "softmax": "def my_masked_softmax(scores, mask):\n"
    "    return scores.masked_fill(~mask, -1e9).softmax(dim=-1)  # a first attempt\n",
    "factor": "def factor(q_std, k_std, d):\n    return 1 / d  # a first attempt\n",
}
RIGHT = {"sort": TABLE, "softmax": SOFTMAX, "factor": FACTOR}


def book(folder: Path) -> Path:
    """Write the book into a folder."""

    def task(number: str, title: str, effort: str, more: str = "") -> Any:
        text = f"### Exercise {number} – {title}\n\n*About {effort}.*\n\nDo it.{more}"
        return new_markdown_cell(text, id=f"task-{number.replace('.', '-')}")

    def solution(number: str, name: str) -> Any:
        cell = new_code_cell(f"# Solution {number}\n{RIGHT[name]}\n\nassert {CHECKS[name].strip()}")
        cell.metadata = {"tags": ["hide-cell"], "jupyter": {"source_hidden": True}}
        return cell

    def stub(name: str) -> Any:
        return new_code_cell(STUBS[name] + CHECKS[name], id=f"stub-{name}")

    fold = '\n\n<details class="solution"><summary>Solution</summary>\n\nSecret.\n\n</details>'
    notebook = new_notebook(
        cells=[
            new_markdown_cell("# Scoring functions"),
            new_code_cell("import math\n\nimport torch\n\nfrom attn_utils.checks import check"),
            new_code_cell("open('trained.txt', 'w').write('a network is trained here')\ncost = 1"),
            new_markdown_cell("## Exercises"),
            task("3.1", "Which rule?", "5 minutes, easy"),
            stub("sort"),
            solution("3.1", "sort"),
            task("3.3", "A softmax that obeys", "20 minutes, hard"),
            stub("softmax"),
            solution("3.3", "softmax"),
            task("3.5", "Which factor?", "10 minutes, medium"),
            stub("factor"),
            solution("3.5", "factor"),
            task("3.6", "Near against far (widget)", "20 minutes, hard", fold),
            new_markdown_cell("## Summary"),
        ]
    )
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, folder / f"{CHAPTER}.ipynb")
    return folder


def fill_in(handout: Any, answers: dict[str, str], thought: str = "") -> Any:
    """Return a student's copy with answers in the cells of the stubs."""
    copied = copy.deepcopy(handout)
    for cell in copied.cells:
        name = cell.get("id", "").removeprefix("stub-")
        if name in answers:
            cell.source = answers[name] + CHECKS[name]
        if thought and cell.get("id") == "answer-3-6":
            cell.source = thought
    return copied


def insert(notebook: Any, sources: Iterable[str], before: str) -> Any:
    """Return the notebook with code cells of the student's own before the one of this id."""
    copied = copy.deepcopy(notebook)
    place = next(i for i, cell in enumerate(copied.cells) if cell.get("id") == before)
    copied.cells[place:place] = [new_code_cell(source) for source in sources]
    return copied

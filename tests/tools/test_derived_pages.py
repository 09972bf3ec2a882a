"""The API page and the index of solutions, derived from the chapters; no book is built."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sphinx.errors import ExtensionError

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

from derived_pages import Chapter, Exercise, anchor, chapters, derive, fill_page  # noqa: E402

TASKS = """## Exercises

### Exercise 3.1 – Four *numbers* by hand

The task.
"""


def md(source: str, **metadata: Any) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": metadata, "source": source.splitlines(True)}


def code(source: str) -> dict[str, Any]:
    return {"cell_type": "code", "metadata": {}, "source": source.splitlines(True)}


def notebook(path: Path, *cells: dict[str, Any]) -> Chapter:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"cells": cells, "metadata": {}}), encoding="utf-8")
    return Chapter(path)


@pytest.fixture
def scoring(tmp_path: Path) -> Chapter:
    return notebook(
        tmp_path / "book" / "03-scoring-functions.ipynb",
        md("# Scoring functions\n\nYou will be able to …"),
        md(TASKS),
        code("answer = ...\ncheck(\n    'scoring.by_hand', answer\n)"),
        code('# Solution 3.1\nassert check("scoring.by_hand", [1, 2])'),
        md("### Exercise 3.2 – Nothing to learn?\n\nThink."),
        md("### Exercise 3.3 – Explore: near against far\n\nDrag."),
        md("### Exercise 3.4 – With the lab", exercise="widget"),
        code('check("scoring.far", answer)'),
    )


def test_a_chapter_is_known_by_its_notebook(scoring: Chapter) -> None:
    assert (scoring.number, scoring.title) == (3, "Scoring functions")
    assert scoring.folder == "scoring"
    assert scoring.exercises == [
        Exercise(
            "Exercise 3.1 – Four *numbers* by hand", "exercise-31--four-numbers-by-hand", "code"
        ),
        Exercise("Exercise 3.2 – Nothing to learn?", "exercise-32--nothing-to-learn", "think"),
        Exercise(
            "Exercise 3.3 – Explore: near against far",
            "exercise-33--explore-near-against-far",
            "widget",
        ),
        Exercise("Exercise 3.4 – With the lab", "exercise-34--with-the-lab", "widget"),
    ]


@pytest.mark.parametrize("checks", ["", 'check("cues.a", 1)\ncheck("pooling.a", 1)'])
def test_a_chapter_has_one_folder(tmp_path: Path, checks: str) -> None:
    chapter = notebook(tmp_path / "book" / "15-toy.ipynb", md("# Toy"), code(checks))
    with pytest.raises(ExtensionError, match=r"15-toy\.ipynb: expected checks of one folder"):
        _ = chapter.folder


def test_a_chapter_has_a_title(tmp_path: Path) -> None:
    with pytest.raises(ExtensionError, match=r"15-toy\.ipynb: the first cell has no title"):
        _ = notebook(tmp_path / "book" / "15-toy.ipynb", md("## Toy")).title


def test_anchors_are_those_of_the_page() -> None:
    title = "Exercise 5.5 – Think: how much of W_q and `W_k` can be known?"
    assert anchor(title) == "exercise-55--think-how-much-of-w_q-and-w_k-can-be-known"


def test_the_api_page_has_names_and_widgets_of_each_chapter(scoring: Chapter) -> None:
    page = derive("# API\n\n```{derived} api\n```\n\n## Plots\n", [scoring])
    assert page == (
        "# API\n\n## Scoring functions\n\n```{eval-rst}\n.. automodule:: attn_utils.scoring\n"
        "   :members:\n\n.. autoclass:: attn_utils.scoring.widget.ScoringExplorer\n   :members:\n\n"
        "```\n\n"
        "## Plots\n"
    )


def test_the_index_lists_every_exercise_of_each_chapter(scoring: Chapter) -> None:
    lines = derive("```{derived} solutions\n```\n", [scoring, scoring]).split("\n")
    assert lines[:3] == [
        "## Chapter 3: {doc}`Scoring functions <03-scoring-functions>`",
        "",
        "- [Exercise 3.1 – Four *numbers* by hand]"
        "(03-scoring-functions.ipynb#exercise-31--four-numbers-by-hand) (code)",
    ]
    assert lines[6] == ""
    assert lines[7] == lines[0]  # the second chapter


def test_an_unknown_list_is_refused() -> None:
    with pytest.raises(ExtensionError, match=r"expected one of \['api', 'solutions'\], got 'apis'"):
        derive("```{derived} apis\n```", [])


def test_a_page_is_read_again_when_a_chapter_changes(tmp_path: Path, scoring: Chapter) -> None:
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: book/index\nparts:\n"
        "  - chapters:\n      - file: book/03-scoring-functions\n      - file: book/glossary\n"
    )
    noted: list[str] = []
    app: Any = SimpleNamespace(
        srcdir=str(tmp_path), env=SimpleNamespace(note_dependency=noted.append)
    )
    source = ["# Solutions\n\n```{derived} solutions\n```\n"]
    fill_page(app, "book/solutions", source)
    assert "Exercise 3.1" in source[0]
    assert noted == [str(tmp_path / "_toc.yml"), str(scoring.notebook)]

    other = ["A page that asks for nothing"]
    fill_page(app, "book/glossary", other)
    assert (other, len(noted)) == (["A page that asks for nothing"], 2)


def test_every_exercise_of_the_book_has_an_anchor_of_its_own() -> None:
    for chapter in chapters(ROOT):
        anchors = [exercise.anchor for exercise in chapter.exercises]
        assert len(set(anchors)) == len(anchors) > 0

"""The API pages and the index of solutions, derived from the chapters; no book is built."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from sphinx.errors import ExtensionError

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

import derived_pages  # noqa: E402
from derived_pages import (  # noqa: E402
    Chapter,
    Exercise,
    anchor,
    api_page,
    chapters,
    derive,
    fill_page,
    modules,
    public_names,
    write_api_pages,
)

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


def test_an_api_page_has_names_and_widgets_of_a_module(scoring: Chapter) -> None:
    assert api_page(ROOT, "scoring", scoring) == (
        "# scoring\n\nThe module `attn_utils.scoring`; "
        "chapter 3, {doc}`../03-scoring-functions`, derives what it holds.\n\n"
        "```{eval-rst}\n.. automodule:: attn_utils.scoring\n   :members:\n\n"
        ".. autoclass:: attn_utils.scoring.widget.ScoringExplorer\n   :members:\n\n```\n"
    )


def test_an_api_page_shows_the_rules_that_docstrings_refer_to() -> None:
    page = api_page(ROOT, "core", None)
    assert page.startswith(
        "# core\n\nThe module `attn_utils.core`.\n\n"
        "```{eval-rst}\n.. automodule:: attn_utils.core.masks\n"
    )


def test_every_public_name_has_its_place_on_one_api_page() -> None:
    import attn_utils

    placed = [name for module in modules(ROOT) for name in public_names(module)]
    public = {
        name
        for name, value in vars(attn_utils).items()
        if not name.startswith("_") and not isinstance(value, ModuleType) and value is not Any
    }
    assert len(placed) == len(set(placed))
    assert set(placed) == public


def test_api_pages_follow_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "book" / "api"
    monkeypatch.setattr(derived_pages, "chapters", lambda root: [])
    monkeypatch.setattr(derived_pages, "modules", lambda root: ["plots", "data"])
    write_api_pages(tmp_path)
    assert not folder.exists()  # a book without an overview of the API

    folder.mkdir(parents=True)
    folder.with_suffix(".md").touch()
    (folder / "gone.md").touch()
    write_api_pages(tmp_path)
    assert sorted(file.name for file in folder.iterdir()) == ["data.md", "plots.md"]

    before = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    (folder / "data.md").write_text("An older page")
    write_api_pages(tmp_path)
    assert (folder / "data.md").read_text().startswith("# data\n")
    assert (folder / "plots.md").stat().st_mtime_ns == before[folder / "plots.md"]


def test_the_overview_leads_to_every_module(scoring: Chapter) -> None:
    page = derive("# API\n\n```{derived} api\n```\n\n## Widgets\n", ROOT, [scoring])
    chapters_part, _, others = page.partition("## What they stand on")
    assert chapters_part.startswith(
        "# API\n\n## The chapters\n\n{doc}`attn_utils.scoring <api/scoring>`\n"
        ": Scoring functions: three rules that turn queries and keys into attention weights.\n\n"
        "  {py:obj}`~attn_utils.scoring.AdditiveAttention`, "
    )
    assert "{py:obj}`~attn_utils.scoring.widget.ScoringExplorer`" in chapters_part
    assert [f"<api/{module}>" in others for module in ("core", "data", "plots")] == [True] * 3
    assert "<api/masks>" not in others  # other names of what core has


def test_the_index_lists_every_exercise_of_each_chapter(scoring: Chapter) -> None:
    lines = derive("```{derived} solutions\n```\n", ROOT, [scoring, scoring]).split("\n")
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
        derive("```{derived} apis\n```", ROOT, [])


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

"""What counts as reading, and that a chapter says how long it takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from notebook_rules.notebook import Notebook
from notebook_rules.reading import reading, reading_time_is_stated

from .test_lint_notebooks import code, md, notebook

WORDS = "word " * 10


def chapter(folder: Path, cells: list[dict[str, Any]], name: str = "01-toy.ipynb") -> Notebook:
    path = folder / name
    path.write_text(json.dumps(notebook(cells)), encoding="utf-8")
    return Notebook.read(path)


@pytest.mark.parametrize(
    ("cells", "words", "lines"),
    [
        ([md("# Title\n\n" + WORDS)], 11, 0),
        ([md("The weights are $αᵢ$, 0.25 each – [a chapter](some/long/path.ipynb).")], 8, 0),
        ([md("So\n\n$$\na = b + c\n$$\n\nand\n\n```python\nx = y\n```\n")], 2, 0),
        ([md("<details><summary>one</summary>\n\ntwo\n\n</details>")], 2, 0),
        ([code("x = 1\n\n# why\ny = 2\n")], 0, 3),
        ([code("x = 1", tags=["hide-input"]), code("x = 1", tags=["hide-cell"])], 0, 0),
        ([md("## A\n\n" + WORDS), md("## Exercises\n\n" + WORDS), code("x = 1")], 11, 0),
        ([md("## Exercises\n\n### Exercise 1.1\n\n" + WORDS + "\n\n## B\n\nword")], 2, 0),
        (
            [md("## A\n\nThis section may be skipped.\n\n### B\n\nword"), code("x"), md("## C")],
            1,
            0,
        ),
        ([md("## A\n\n### B\n\nThis may be skipped.\n\n### C\n\nword"), code("x")], 3, 1),
        ([md("## A\n\nword\n\nNone of it may be skipped.")], 8, 0),
    ],
)
def test_what_counts(tmp_path: Path, cells: list[dict[str, Any]], words: int, lines: int) -> None:
    measured = reading(chapter(tmp_path, cells))
    assert (measured.words, measured.lines) == (words, lines)


@pytest.mark.parametrize(
    ("line", "problems"),
    [
        ("*Time to read:* 10 minutes, and as long again for the exercises.", []),
        ("**Time to read:** about 10 minutes.", []),
        ("*Time to read:* 5 minutes.", ["should say '*Time to read:* 10 minutes'"]),
        ("Words.", ["should say '*Time to read:* 10 minutes'"]),
    ],
)
def test_the_stated_time_is_the_measured_one(
    tmp_path: Path, line: str, problems: list[str]
) -> None:
    cells = [md("# Title"), md(line), md("word " * 175 * 5), code("x = 1\n" * 3)]
    found = [text for _, text in reading_time_is_stated(chapter(tmp_path, cells))]
    assert [text.partition(",")[0] for text in found] == problems


def test_a_chapter_takes_an_hour_at_most(tmp_path: Path) -> None:
    cells = [md("# Title\n\n*Time to read:* 65 minutes."), code("x = 1\n" * 361)]
    found = list(reading_time_is_stated(chapter(tmp_path, cells)))
    assert found == [(None, "takes 60 minutes to read; at most 60")]


def test_other_notebooks_need_no_time(tmp_path: Path) -> None:
    assert not list(reading_time_is_stated(chapter(tmp_path, [md("# Title")], "handout.ipynb")))

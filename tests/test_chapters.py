"""A chapter is a notebook, a folder in attn_utils and one in tests; hand-written lists name it."""

from __future__ import annotations

import re

import pytest

from .chapters import CHAPTERS, ROOT

WORDS = [
    *["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"],
    *["eighteen", "nineteen", "twenty", "twenty-one", "twenty-two", "twenty-three"],
]


@pytest.mark.parametrize("folder", [chapter.folder for chapter in CHAPTERS])
def test_a_chapter_has_its_files(folder: str) -> None:
    for file in ("__init__.py", "checks.py"):
        assert (ROOT / "attn_utils" / folder / file).is_file()
    for file in ("__init__.py", "test_module.py", "test_checks.py"):
        assert (ROOT / "tests" / folder / file).is_file()


def test_chapters_are_in_the_table_of_contents_in_order() -> None:
    notebooks = sorted((ROOT / "book").glob("[0-9]*.ipynb"))
    assert [chapter.notebook for chapter in CHAPTERS] == notebooks
    assert [chapter.number for chapter in CHAPTERS] == list(range(1, len(CHAPTERS) + 1))


@pytest.mark.parametrize("page", ["index.md", "teaching.md"])
def test_a_page_with_a_table_of_chapters_names_each(page: str) -> None:
    text = (ROOT / "book" / page).read_text(encoding="utf-8")
    rows = re.findall(r"^\| *(\d+) *\| *\{doc\}`[^`<]+<([^>`]+)>`", text, flags=re.M)
    assert rows == [(str(chapter.number), chapter.notebook.stem) for chapter in CHAPTERS]


@pytest.mark.parametrize("file", ["README.md", "book/index.md", "book/teaching.md"])
def test_the_number_of_chapters_is_told_rightly(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8").lower()
    told = re.findall(rf"\b({'|'.join(WORDS)})\s+(?:chapters|sessions)\b", text)
    assert set(told) == {WORDS[len(CHAPTERS) - 10]}

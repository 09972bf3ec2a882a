"""The extension fresh_pages: what a page shows of another is never stale, and no more is done."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fresh_pages import canonical
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

PAGES = {
    "index": "Index\n=====\n\n.. toctree::\n   :numbered:\n\n   a\n   b\n   c\n",
    "a": "A\n=\n\nSee :ref:`part`, :numref:`fig`, :term:`query`, :eq:`sum`.\n",
    "b": """B
=

.. _part:

Part
----

Words.

.. _fig:

.. figure:: b.png

   Caption

.. glossary::

   query
      A question.

.. math:: 1 + 1
   :label: sum
""",
    "c": "C\n=\n\n.. index:: needle\n\nNothing of others but their titles.\n",
}


def build(folder: Path) -> list[str]:
    """Build the pages as they are now; return those that were written."""
    written: list[str] = []
    with docutils_namespace():
        app = Sphinx(
            folder,
            None,
            folder / "html",
            folder / "doctrees",
            "html",
            status=None,
            confoverrides={"extensions": ["fresh_pages"], "numfig": True, "html_theme": "basic"},
        )
        app.connect("html-page-context", lambda app, page, *rest: written.append(page))
        app.build()
    return sorted(PAGES.keys() & written)


@pytest.fixture
def book(tmp_path: Path) -> Path:
    for page, text in PAGES.items():
        (tmp_path / f"{page}.rst").write_text(text)
    (tmp_path / "b.png").touch()
    assert build(tmp_path) == sorted(PAGES)
    return tmp_path


def change(book: Path, old: str, new: str) -> None:
    file = book / "b.rst"
    file.write_text(file.read_text().replace(old, new))
    os.utime(file, (2e9, 2e9))  # later than the last build, however fast that was


@pytest.mark.parametrize("words", ["Words.", "A question.", "1 + 1"])
def test_prose_that_no_other_page_shows_is_written_alone(book: Path, words: str) -> None:
    change(book, words, "Other words.")
    assert build(book) == ["b", "index"]  # Sphinx always writes the table of contents


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("B\n=", "Beta\n===="),
        ("Part\n----", "Section\n-------"),
        (".. _fig:", ".. figure:: b.png\n\n   Another\n\n.. _fig:"),
        (":label: sum", ":label: total"),
        ("   query\n", "   question\n"),
        ("Caption", "Another caption"),
    ],
)
def test_what_other_pages_show_is_written_everywhere(book: Path, old: str, new: str) -> None:
    change(book, old, new)
    assert build(book) == sorted(PAGES)


def test_the_search_still_finds_pages_that_are_not_written_again(book: Path) -> None:
    assert "needle" in (book / "html" / "searchindex.js").read_text()
    change(book, "Words.", "Other words.")
    build(book)
    assert "needle" in (book / "html" / "searchindex.js").read_text()


def test_order_and_memory_do_not_count() -> None:
    class Entry:
        def __init__(self, text: str) -> None:
            self.text = text

    assert canonical({"a": [1, (2, 3)], "b": {4}}) == canonical({"b": {4}, "a": [(3, 2), 1]})
    assert canonical([Entry("a")]) == canonical([Entry("a")]) != canonical([Entry("b")])

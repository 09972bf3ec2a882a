"""Sphinx extension: what the download button of a chapter gives runs by itself.

In the place of the chapter's source the site holds a copy that installs what is missing, and whose
prose needs no Sphinx.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from sphinx.application import Sphinx

from attn_utils.teach.notebooks import chapters, read
from attn_utils.teach.standalone import Book, standalone


def replace_sources(app: Sphinx, error: Exception | None) -> None:
    """Write a copy over the source of each chapter that the site offers."""
    offered = Path(app.outdir, "_sources", "book")
    if error is not None or not list(offered.glob("[0-9][0-9]-*.ipynb")):
        return
    book = Book.of(chapters(Path(app.srcdir, "book")))
    for chapter in book.chapters:
        file = offered / chapter.path.name
        if file.exists():
            made = standalone(read(chapter.path), book, chapter.number)
            text = str(nbformat.writes(made)) + "\n"  # type: ignore[no-untyped-call]
            file.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("build-finished", replace_sources)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

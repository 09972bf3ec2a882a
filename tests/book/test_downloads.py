"""The notebook that a chapter's download button gives: it runs alone, and its prose is plain."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup

from tests.pages import CHAPTERS, SITE


@pytest.mark.parametrize("path", CHAPTERS)
def test_a_downloaded_chapter_stands_alone(path: str) -> None:
    page = BeautifulSoup((SITE / path).read_text(encoding="utf-8"), "html.parser")
    button = page.select_one(".btn-download-source-button")
    assert button is not None
    file = (SITE / path).parent / str(button["href"])
    assert file.name == Path(path).with_suffix(".ipynb").name
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    assert '%pip install -q "attn-utils[notebooks]"' in notebook.cells[0].source
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert not [text for text in prose if re.search(r"\{[\w:]+\}`", text)]

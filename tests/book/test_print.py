"""A chapter on paper: nothing is cut off, nothing is there to press, all that is open is drawn."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from make_pdf import print_page
from playwright.sync_api import Browser, Page
from pypdf import PdfReader

from tests.pages import CHAPTERS, SITE, Watch, new_context

PAPER = 700  # pixels: A4 between its margins


@pytest.fixture
def paper(browser: Browser, site: str) -> Iterator[Page]:
    with new_context(browser, PAPER) as context:
        page = Watch(context, site).open(CHAPTERS[2])
        page.evaluate("document.querySelectorAll('details').forEach((box) => { box.open = true; })")
        page.emulate_media(media="print")
        yield page


def test_a_chapter_prints_well(paper: Page) -> None:
    cut = paper.locator(".bd-article pre:visible").evaluate_all(
        "all => all.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent)"
    )
    assert cut == [], "lines wrap where nobody can scroll"
    late = paper.locator(".bd-article div.cell").evaluate_all(
        "all => all.filter(e => getComputedStyle(e).contentVisibility !== 'visible').length"
    )
    assert late == 0, "cells that are far from the screen are printed too"
    for control in (".quiz-progress", ".aw-tools", ".headerlink", ".prev-next-footer"):
        assert paper.locator(f"{control}:visible").count() == 0, control
    assert paper.locator(".bd-article figure img:visible").count() > 0


def test_the_pdf_has_formulas_and_open_solutions(browser: Browser) -> None:
    """As `make pdf` prints it, where nobody has scrolled to a formula."""
    page = browser.new_page()
    printed = PdfReader(io.BytesIO(print_page(page, SITE / CHAPTERS[2])))
    assert len(printed.pages) > 10
    assert page.locator("mjx-container").count() > 0
    assert page.locator(".math:not(:has(mjx-container))").count() == 0
    text = "".join(sheet.extract_text() for sheet in printed.pages)
    assert text.count("Solution 3.") >= 3
    assert "\\frac" not in text
    page.close()

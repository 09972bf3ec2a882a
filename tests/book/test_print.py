"""A chapter on paper: nothing is cut off, nothing is there to press, all that is open is drawn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.pages import CHAPTERS, Watch, new_context

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

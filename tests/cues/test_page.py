"""The cue explorer in the rendered page: numbers, keys, pointer, links, export."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, Page

from tests.driving import move_slider, settle
from tests.pages import ALONE, Watch

PATH = "book/01-attention-cues.html"


def explorer(page: Page) -> Locator:
    return page.locator(".aw-cue-explorer").first


def weights(page: Page) -> np.ndarray[Any, np.dtype[np.float64]]:
    settle(page)
    return np.array(explorer(page).evaluate("e => e.numbers().weights"))


def move(page: Page, label: str, value: float) -> None:
    move_slider(explorer(page).get_by_label(label, exact=True), value)


def test_the_dial_passes_through_the_three_kinds_of_pooling(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    explorer(page).get_by_label("something to").select_option("read")
    for at, words in ((0, "average pooling"), (1, "saliency only"), (2, "query only")):
        move(page, "one dial for both", at)
        settle(page)
        assert explorer(page).locator(".aw-dial-output").inner_text() == words
        found = weights(page)
        if at == 0:
            np.testing.assert_allclose(found, 1 / 12, atol=1e-6)
        elif at == 1:
            assert found.argmax() == 2  # the red cup
        else:
            assert set(found.argsort()[-3:]) == {0, 1, 4}  # newspaper, paper, book
    assert "average pooling" in explorer(page).locator(".aw-reached").inner_text()


def test_keyboard_alone(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    box = explorer(page)
    gain = box.get_by_label("query gain", exact=True)
    gain.focus()
    page.keyboard.press("ArrowRight")
    assert float(gain.input_value()) == pytest.approx(0.1)
    assert gain.get_attribute("aria-valuetext") == "0.10"
    cup = box.get_by_role("slider", name="coffee cup")
    cup.focus()
    page.keyboard.press("ArrowDown")
    settle(page)
    assert float(cup.get_attribute("aria-valuenow") or 0) == pytest.approx(0.90)
    page.keyboard.press("ArrowRight")
    assert page.evaluate("() => document.activeElement.getAttribute('aria-label')") == "notebook"
    settle(page)
    assert "notebook" in box.get_by_role("status").inner_text()


def test_painting_with_the_pointer(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    before = weights(page)
    book = explorer(page).get_by_role("slider", name="book", exact=True)
    book.scroll_into_view_if_needed()
    area = book.bounding_box()
    assert area
    page.mouse.move(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2)
    page.mouse.down()
    for step in range(8):
        page.mouse.move(area["x"] + area["width"] / 2 + step % 2, area["y"] + area["height"] / 2)
    page.mouse.up()
    assert weights(page)[4] > before[4] * 1.5


def test_a_tap_counts_and_reset_forgets_the_brush(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    box = explorer(page)
    glass = box.get_by_role("slider", name="glass of water")
    glass.scroll_into_view_if_needed()
    glass.click()
    settle(page)
    assert float(glass.get_attribute("aria-valuenow") or 0) == pytest.approx(0.55)  # of 0.35
    assert "glass of water: 4.0 · 0.55 + 0.0 · 0 = 2.20" in box.locator(".aw-why").inner_text()
    assert [t for t in box.locator(".aw-tag").all_text_contents() if t] == ["0.55"]
    brush = box.get_by_label("painting makes things")
    brush.select_option("dimmer")
    glass.click()
    settle(page)
    assert float(glass.get_attribute("aria-valuenow") or 0) == pytest.approx(0.35)
    box.get_by_role("button", name="Reset").click()
    assert brush.input_value() == "brighter"

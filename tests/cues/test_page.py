"""The cue explorer in the rendered page: numbers, keys, pointer, links, export."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, Page

from attn_utils.widgets import CueExplorer
from tests.driving import move_slider, settle
from tests.pages import Watch

PATH = "book/01-attention-cues.html"


def explorer(page: Page) -> Locator:
    return page.locator(".aw-cue-explorer").first


def weights(page: Page) -> np.ndarray[Any, np.dtype[np.float64]]:
    settle(page)
    return np.array(explorer(page).evaluate("e => e.numbers().weights"))


def move(page: Page, label: str, value: float) -> None:
    move_slider(explorer(page).get_by_label(label, exact=True), value)


def test_the_dial_passes_through_the_three_kinds_of_pooling(watch: Watch) -> None:
    page = watch.open(PATH)
    explorer(page).get_by_label("something to").select_option("read")
    for at, words in ((0, "average pooling"), (1, "salience only"), (2, "query only")):
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
    page = watch.open(PATH)
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
    page = watch.open(PATH)
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


def test_link_reopens_the_state(watch: Watch) -> None:
    page = watch.open(PATH)
    explorer(page).get_by_label("something to").select_option("drink")
    move(page, "query gain", 5)
    expected = weights(page)
    link = page.evaluate("() => location.href")
    assert "#cue-explorer?" in link
    page.goto("about:blank")
    page.goto(link)
    page.wait_for_selector("html[data-live-host=ready]")
    np.testing.assert_allclose(weights(page), expected, atol=1e-9)


@pytest.mark.parametrize("fragment", [
    "salience_gain=99", "salience_gain=null", "use=%22fly%22", "salience=[1,2]", "use=%7B", "foo=1",
])  # fmt: skip
def test_a_wrong_link_changes_nothing(watch: Watch, fragment: str) -> None:
    page = watch.open(f"{PATH}#cue-explorer?{fragment}")
    np.testing.assert_allclose(weights(page), CueExplorer().weights, atol=1e-5)
    assert watch.bad == []


def test_copied_python_rebuilds_the_state(watch: Watch) -> None:
    page = watch.open(PATH)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    explorer(page).get_by_label("coloured").select_option("green")
    move(page, "query gain", 2.5)
    explorer(page).get_by_role("button", name="Copy as Python").click()
    source = page.evaluate("() => navigator.clipboard.readText()")
    space: dict[str, Any] = {}
    exec(source.replace("\nCueExplorer(", "\nwidget = CueExplorer("), space)
    np.testing.assert_allclose(weights(page), space["widget"].weights, atol=1e-5)


def test_saved_picture_shows_the_scene(watch: Watch) -> None:
    page = watch.open(PATH)
    with page.expect_download() as download:
        explorer(page).get_by_role("button", name="Save picture").click()
    from matplotlib.image import imread

    picture = imread(download.value.path())
    assert picture.shape[0] > 600
    assert picture.shape[1] > 1000
    red = (picture[..., 0] > 0.6) & (picture[..., 1] < 0.25)
    assert red.sum() > 500, "the red cup"


def test_reset(watch: Watch) -> None:
    page = watch.open(PATH)
    start = weights(page)
    move(page, "salience gain", 0)
    assert np.ptp(weights(page)) < 1e-6
    explorer(page).get_by_role("button", name="Reset").click()
    np.testing.assert_allclose(weights(page), start)
    settle(page)
    assert page.evaluate("() => location.hash") in ("", "#cue-explorer")

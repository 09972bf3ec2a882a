"""The position explorer in the rendered page: numbers, keys, words, links, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, Page

from attn_utils.widgets import PositionExplorer
from tests.driving import move_slider, settle
from tests.pages import ALONE, Watch

PATH = "book/06-positional-encoding.html"
RESULTS = ("vector", "matrix", "scores", "curve", "outputs", "changes")


def explorer(page: Page) -> Locator:
    return page.locator(".aw-position-explorer").first


def numbers(page: Page) -> dict[str, Any]:
    settle(page)
    found = explorer(page).evaluate("e => e.numbers()")
    return {name: np.array(found[name]) for name in RESULTS}


def move(page: Page, label: str, value: float) -> None:
    move_slider(explorer(page).get_by_label(label, exact=True), value)


def choose(page: Page, encoding: str) -> None:
    explorer(page).get_by_label("positions are").select_option(encoding)


def reached(page: Page) -> str:
    settle(page)
    return " ".join(explorer(page).locator(".aw-reached").all_text_contents())


def test_sliders_and_keys(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    position = explorer(page).get_by_label("position", exact=True)
    position.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    settle(page)
    assert position.input_value() == "8"
    assert position.get_attribute("aria-valuetext") == "8"
    expected = PositionExplorer(position=8).vector
    np.testing.assert_allclose(numbers(page)["vector"], expected, atol=1e-5)
    assert explorer(page).locator(".aw-digit.aw-one").count() == 1  # 8 is 1000 in binary
    clocks = explorer(page).locator(".aw-clocks").get_attribute("aria-label") or ""
    assert "16 clock hands at position 8. The fastest has made 1.27 turns" in clocks


def test_a_click_into_the_matrix_goes_there(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    map_ = explorer(page).get_by_role("application").first
    map_.scroll_into_view_if_needed()
    area = map_.bounding_box()
    assert area
    map_.click(position={"x": 10, "y": area["height"] * 30.5 / 96})
    settle(page)
    assert explorer(page).get_by_label("position", exact=True).input_value() == "30"


def test_words_move_and_keep_their_outputs(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    box = explorer(page)
    names = box.locator(".aw-word")
    before = numbers(page)["outputs"].reshape(5, 8)
    button = box.get_by_role("button", name="move old to the right")
    button.focus()
    page.keyboard.press("Enter")
    settle(page)
    assert names.all_text_contents() == ["dog", "old", "bites", "young", "man"]
    assert page.evaluate("() => document.activeElement.ariaLabel") == "move old to the right"
    after = numbers(page)
    np.testing.assert_allclose(after["outputs"].reshape(5, 8), before[[1, 0, 2, 3, 4]], atol=1e-9)
    assert "cannot tell" in (box.locator(".aw-report").text_content() or "")
    box.get_by_label("tell the layer the positions").check()
    assert numbers(page)["changes"].max() > 0.1
    settle(page)
    assert "can tell" in (box.locator(".aw-report").text_content() or "")
    assert "Shuffle so that" in reached(page)
    box.get_by_role("button", name="Back in order").click()
    assert numbers(page)["changes"].max() == 0
    box.get_by_role("button", name="Shuffle", exact=True).click()
    settle(page)
    assert names.all_text_contents() != ["old", "dog", "bites", "young", "man"]
    assert watch.bad == []


def test_beyond_the_table(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    choose(page, "learned")
    move(page, "position", 64)
    settle(page)
    assert "rows 0 to 63" in (explorer(page).locator(".aw-refusal").text_content() or "")
    assert "does not have" in reached(page)
    choose(page, "sinusoidal")
    settle(page)
    assert explorer(page).locator(".aw-refusal").text_content() == ""
    assert np.linalg.norm(numbers(page)["vector"]) == pytest.approx(4.0)


def test_goals_can_be_reached(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    assert reached(page) == ""
    move(page, "position", 44)
    assert "fastest hand" in reached(page)
    move(page, "position", 20)
    move(page, "look back", 8)
    assert "best match position 12" in reached(page)
    move(page, "base", 0)  # a logarithmic slider: its left end is base 10
    assert "fall to half" in reached(page)
    assert "nearly the same" not in reached(page)
    page.goto("about:blank")
    page = watch.open(f"{PATH}{ALONE}#position-explorer?width=4&base=49")
    assert "nearly the same" in reached(page)


def test_a_link_to_an_order_that_is_none_changes_nothing(watch: Watch) -> None:
    page = watch.open(f"{PATH}{ALONE}#position-explorer?order=[0,0,1,2,3]&positions_on=true")
    assert numbers(page)["changes"].max() == 0
    names = explorer(page).locator(".aw-word").all_text_contents()
    assert names == ["old", "dog", "bites", "young", "man"]
    assert watch.bad == []


def test_fits_and_reset(watch_everywhere: Watch) -> None:
    page = watch_everywhere.open(PATH)
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    move(page, "width d", 64)
    settle(page)
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    box = explorer(page)
    assert box.evaluate("e => e.scrollWidth <= e.clientWidth")
    assert not box.get_by_role("button", name="Run the clocks").count()  # reduced motion
    box.get_by_role("button", name="Reset").click()
    np.testing.assert_allclose(numbers(page)["matrix"], PositionExplorer().matrix, atol=1e-5)
    assert watch_everywhere.bad == []


def test_reset_stops_the_running_clocks(watch: Watch) -> None:
    watch.page.emulate_media(reduced_motion="no-preference")
    page = watch.open(PATH + ALONE)
    box = explorer(page)
    position = box.get_by_label("position", exact=True)
    box.get_by_role("button", name="Run the clocks").click()
    page.wait_for_function("e => e.value > 6", arg=position.element_handle())
    box.get_by_role("button", name="Reset").click()
    assert box.get_by_role("button", name="Run the clocks").is_visible()  # and no "Stop"
    page.wait_for_timeout(400)  # two steps of the clocks
    assert position.input_value() == "5"
    assert watch.bad == []

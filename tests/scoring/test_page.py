"""The score lab in the rendered page: numbers, keys, pointer, goals, links, export."""

from __future__ import annotations

import json
import math
import re
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from attn_utils.widgets import ScoringExplorer
from tests.driving import settle
from tests.pages import ALONE, Watch

PATH = "book/03-scoring-functions.html"


def lab(page: Page) -> Locator:
    return page.locator(".aw-scoring-explorer").first


def numbers(page: Page) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    settle(page)
    return {k: np.array(v) for k, v in lab(page).evaluate("e => e.numbers()").items()}


def opened(watch: Watch, **controls: Any) -> Page:
    """Open the page in a state, by its link."""
    query = "&".join(f"{name}={quote(json.dumps(value))}" for name, value in controls.items())
    return watch.open(f"{PATH}{ALONE}#scoring-explorer?{query}" if controls else PATH + ALONE)


def test_keyboard_alone(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    before = numbers(page)
    query = lab(page).get_by_role("slider", name="query")
    query.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    expected = ScoringExplorer(query=[1.3, -0.2]).reference()["scores"]
    np.testing.assert_allclose(numbers(page)["scores"], expected, atol=1e-5)
    key = lab(page).get_by_role("slider", name="key 2")
    key.focus()
    page.keyboard.press("ArrowUp")
    expect(key).to_have_attribute("aria-valuetext", re.compile(re.escape("key 2 at -0.80, 1.70")))
    dial = lab(page).get_by_label("dimension d", exact=True)
    dial.focus()
    page.keyboard.press("ArrowRight")
    assert dial.get_attribute("aria-valuetext") == "2"
    assert numbers(page)["random"][0] > before["random"][0] * 1.2
    marker = lab(page).get_by_role("slider", name="dimension", exact=True)
    marker.focus()
    page.keyboard.press("ArrowRight")
    settle(page)
    assert dial.get_attribute("aria-valuetext") == "3"
    assert watch.bad == []


def test_dragging_the_query(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    page.wait_for_load_state("networkidle")  # nothing moves the page any more
    query = lab(page).get_by_role("slider", name="query")
    query.scroll_into_view_if_needed()
    area = query.bounding_box()
    assert area
    x, y = area["x"] + area["width"] / 2, area["y"] + area["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 120, y + 60, steps=4)
    page.mouse.up()
    settle(page)
    assert "query=" in page.evaluate("() => location.hash")
    assert numbers(page)["scores"][0] < 0.9  # it was 2.16


GOALS = {
    "dot product and cosine disagree": {"key_points": [1, 1.2, 0.3, 0.2, 2.5, 0.2, -1, -1]},
    "ranks last": {"query": [-0.6, -0.5], "key_points": [-0.2, -0.2, -2, -1, -2, -2, -1, -3]},
    "largest slope below 0.01": {"query": [3, 3], "key_points": [3, 3, 1, 1, -1, 1, 0, -2]},
    "below half of log 16": {"dimension": 12},
    "by temperature alone": {"dimension": 256, "temperature": 16},
}


@pytest.mark.parametrize("goal", GOALS)
def test_goals_check_themselves(watch: Watch, goal: str) -> None:
    page = opened(watch, **GOALS[goal])
    settle(page)
    reached = lab(page).locator(".aw-reached").all_inner_texts()
    assert any(goal in text for text in reached), reached


def test_the_temperature_comes_back_to_one(watch: Watch) -> None:
    page = opened(watch, dimension=12)
    temperature = lab(page).get_by_label("temperature", exact=True)
    temperature.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowLeft"):
        page.keyboard.press(key)
    assert temperature.get_attribute("aria-valuetext") == "1"
    page.keyboard.press("ArrowLeft")
    assert temperature.get_attribute("aria-valuetext") == "0.975"


def test_no_goal_is_reached_at_the_start(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    settle(page)
    assert lab(page).locator(".aw-reached").count() == 0
    for d in (8, 16):  # neighbours of the right stop
        page.goto("about:blank")
        opened(watch, dimension=d)
        settle(page)
        assert lab(page).locator(".aw-reached").count() == 0


def test_everywhere_without_sideways_scrolling(watch_everywhere: Watch) -> None:
    page = watch_everywhere.open(PATH)
    settle(page)
    wide = lab(page).evaluate("e => e.scrollWidth - e.clientWidth")
    assert wide <= 1
    # the field lies exactly behind its axes: its corner is the place (-3, 3)
    off = lab(page).evaluate(
        """e => {
          const field = e.querySelector('.aw-score-plane canvas').getBoundingClientRect();
          const svg = e.querySelector('.aw-score-plane svg');
          const clip = svg.querySelector('clipPath rect');
          const [x, y] = [clip.x.baseVal.value, clip.y.baseVal.value];
          const corner = new DOMPoint(x, y).matrixTransform(svg.getScreenCTM());
          return Math.hypot(corner.x - field.left, corner.y - field.top);
        }"""
    )
    assert math.isclose(off, 0, abs_tol=1.0)
    assert watch_everywhere.bad == []

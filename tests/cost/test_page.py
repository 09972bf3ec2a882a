"""The cost calculator in the rendered page: numbers, keys, pointer, goals, links, export."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from attn_utils.widgets import CostCalculator
from tests.driving import settle
from tests.pages import ALONE, Watch

PATH = "book/14-cost-of-attention.html"


def calculator(page: Page) -> Locator:
    return page.locator(".aw-cost-calculator").first


def numbers(page: Page) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    settle(page)
    return {k: np.array(v) for k, v in calculator(page).evaluate("e => e.numbers()").items()}


def opened(watch: Watch, **controls: Any) -> Page:
    """Open the page in a state, by its link."""
    query = "&".join(f"{name}={quote(json.dumps(value))}" for name, value in controls.items())
    return watch.open(f"{PATH}{ALONE}#cost-calculator?{query}" if controls else PATH + ALONE)


def agree(found: dict[str, Any], **controls: Any) -> None:
    expected = CostCalculator(**controls).reference()
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value.numpy(), rtol=1e-12, err_msg=name)


def test_typing_choosing_and_arrow_keys(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    field = calculator(page).get_by_label("tokens n")
    field.fill("3000")
    calculator(page).get_by_label("width D").select_option("1024")
    calculator(page).get_by_label("causal").press("Space")
    agree(numbers(page), n=3000, width=1024, is_causal=True)
    marker = calculator(page).get_by_role("slider", name="on the curves of memory")
    marker.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowLeft")
    settle(page)
    n = int(field.input_value())
    assert n == round(3030 / 1.01**10)
    for key, end in (("End", "max"), ("Home", "min")):
        page.keyboard.press(key)
        settle(page)
        assert field.input_value() == marker.get_attribute(f"aria-value{end}")
    field.fill(str(n))
    # spoken values follow once things rest
    expect(marker).to_have_attribute("aria-valuetext", re.compile(f"^{n:,} tokens: explicit "))
    field.fill("7")  # too few: nothing happens until the field is left, then the least there is
    agree(numbers(page), n=n, width=1024, is_causal=True)
    field.press("Tab")
    assert field.input_value() == "16"
    field.fill("")
    field.press("Tab")
    assert field.input_value() == "16"
    assert watch.bad == []


def test_dragging_the_number_of_tokens(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    marker = calculator(page).get_by_role("slider", name="on the curves of operations")
    marker.scroll_into_view_if_needed()
    area = marker.bounding_box()
    assert area
    x, y = area["x"] + area["width"] / 2, area["y"] + area["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 80, y, steps=4)
    page.mouse.up()
    settle(page)
    assert "n=" in page.evaluate("() => location.hash")
    assert int(calculator(page).get_by_label("tokens n").input_value()) > 2000


GOALS = {
    "as much as the four projections": {"n": 1530},
    "explicit: find the largest n": {"n": 16_200, "memory": 24},
    "The same with fused": {"n": 130_000, "memory": 24, "batch": 16, "kernel": "fused"},
    "at least 40 %": {"n": 4000},
    "at least 6 operations": {
        "n": 8192,
        "width": 4096,
        "num_heads": 32,
        "num_kv_heads": 4,
        "phase": "decode",
        "kernel": "fused",
        "precision": "bfloat16",
    },
}


@pytest.mark.parametrize("goal", GOALS)
def test_goals_check_themselves(watch: Watch, goal: str) -> None:
    page = opened(watch, **GOALS[goal])
    settle(page)
    reached = calculator(page).locator(".aw-reached").all_inner_texts()
    assert any(goal in text for text in reached), reached


def test_no_goal_is_reached_by_a_near_miss(watch: Watch) -> None:
    for controls in ({}, {"n": 1600}, {"n": 17_000, "memory": 24}):
        page = opened(watch, **controls)
        settle(page)
        reached = calculator(page).locator(".aw-reached").all_inner_texts()
        assert [text for text in reached if "40 %" not in text] == []
        page.goto("about:blank")


def test_everywhere_without_sideways_scrolling(watch_everywhere: Watch) -> None:
    page = watch_everywhere.open(f"{PATH}#cost-calculator?n=1048576&width=16384&batch=256&memory=1")
    settle(page)
    assert calculator(page).evaluate("e => e.scrollWidth - e.clientWidth") <= 1
    assert "does not fit" in calculator(page).locator(".aw-memory").inner_text()
    assert watch_everywhere.bad == []

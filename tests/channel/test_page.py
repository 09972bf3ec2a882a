"""The gate lab in the rendered page: numbers, painting by mouse, touch and keys, goals, links."""

from __future__ import annotations

from typing import Any

import numpy as np
from playwright.sync_api import Locator, Page

from attn_utils.channel.widget import PIXELS, start_pixels
from attn_utils.widgets import GateExplorer
from tests.driving import move_slider, settle
from tests.pages import ALONE, Watch

PATH = "book/10-channel-attention.html"
RESULTS = ("means", "hidden", "gates", "output")
START = start_pixels()


def explorer(page: Page) -> Locator:
    return page.locator(".aw-gate-explorer").first


def tile(page: Page, channel: int) -> Locator:
    return explorer(page).locator(".aw-paint canvas").nth(channel - 1)


def numbers(page: Page) -> dict[str, Any]:
    settle(page)
    found = explorer(page).evaluate("e => e.numbers()")
    return {name: np.array(found[name]) for name in RESULTS}


def reached(page: Page) -> str:
    settle(page)
    return " ".join(explorer(page).locator(".aw-reached").all_text_contents())


def status(page: Page) -> str:
    return explorer(page).locator(".aw-status").text_content() or ""


def agrees(page: Page, **controls: Any) -> None:
    found = numbers(page)
    for name, expected in GateExplorer(**controls).reference().items():
        np.testing.assert_allclose(found[name], expected, atol=1e-5, err_msg=name)


def test_painting_with_the_mouse(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    canvas = tile(page, 6)
    canvas.scroll_into_view_if_needed()
    area = canvas.bounding_box()
    assert area
    step = area["width"] / 8
    page.mouse.move(area["x"] + 0.5 * step, area["y"] + 0.5 * step)
    page.mouse.down()
    page.mouse.move(area["x"] + 7.5 * step, area["y"] + 0.5 * step)  # at once: no gaps
    page.mouse.up()
    patch = 3 * PIXELS  # the digit is in channel 3, so channel 6 shows patch 3
    pixels = START[:patch] + "f" * 8 + START[patch + 8 :]
    agrees(page, pixels=pixels)
    assert "Channel 6: mean 0.2" in status(page)
    assert explorer(page).locator(".aw-chosen").text_content() == "channel 6"
    assert explorer(page).get_by_role("button", name="Fill channel 6").is_visible()
    assert watch.bad == []


def test_painting_by_keys(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    tile(page, 4).focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press(" ")
    patch = PIXELS + 2 * 8 + 3  # the cursor begins in the fourth row and column
    agrees(page, pixels=START[:patch] + "f" + START[patch + 1 :])
    assert "Row 3, column 4: 1.00." in status(page)
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Delete")
    agrees(page, pixels=START[:patch] + "0f" + START[patch + 2 :])
    assert "Row 3, column 4: 0.00." in (tile(page, 4).get_attribute("aria-label") or "")


def test_painting_with_a_finger(phone: Any, site: str) -> None:
    watch = Watch(phone, site)
    page = watch.open(PATH)
    move_slider(explorer(page).get_by_label("brush"), 0)
    canvas = tile(page, 3)
    canvas.scroll_into_view_if_needed()
    area = canvas.bounding_box()
    assert area
    page.touchscreen.tap(area["x"] + area["width"] * 3.5 / 8, area["y"] + area["height"] / 16)
    agrees(page, pixels=START[:3] + "0" + START[4:])
    page.close()
    assert watch.bad == []


def test_goals_can_be_reached(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    box = explorer(page)
    assert reached(page) == ""
    tile(page, 3).focus()
    before = numbers(page)["gates"]
    box.get_by_role("button", name="Shuffle channel 3").click()
    np.testing.assert_allclose(numbers(page)["gates"], before, atol=1e-9)
    assert "Change at least 20 pixels" in reached(page)
    box.get_by_role("button", name="Reset").click()
    assert reached(page) == ""
    tile(page, 1).focus()
    box.get_by_role("button", name="Fill channel 1").click()
    agrees(page, pixels=START[: 6 * PIXELS] + "f" * PIXELS + START[7 * PIXELS :])
    assert "Close the digit" in reached(page)
    assert "Fool a gate" in reached(page)
    box.get_by_role("button", name="Reset").click()
    settle(page)
    assert box.locator(".aw-chosen").text_content() == "channel 3"  # the digit's, not channel 1
    box.get_by_label("reduction r").select_option("4")
    assert "so narrow" in reached(page)
    move_slider(box.get_by_label("digit in channel"), 6)  # and another gate opens by itself
    assert numbers(page)["gates"][1] >= 0.8
    assert "Fool a gate" not in reached(page)
    move_slider(box.get_by_label("digit in channel"), 3)
    move_slider(box.get_by_label("volume of channel 5"), 2)
    box.get_by_label("reduction r").select_option("1")
    assert "Fool a gate" in reached(page)
    assert watch.bad == []


def test_the_line_of_counts_and_what_is_hidden(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    box = explorer(page)
    line = box.locator(".aw-count")
    box.get_by_label("reduction r").select_option("2")
    settle(page)
    assert "8 means → 4 hidden → 8 gates, 2 · 8 · 4 = 64 parameters" in (line.text_content() or "")
    assert not box.get_by_label("kernel size k").is_visible()
    box.get_by_label("block").select_option("ECA")
    box.get_by_label("kernel size k").select_option("5")
    settle(page)
    assert "each gate sees 5 means, 5 parameters" in (line.text_content() or "")
    assert not box.get_by_label("reduction r").is_visible()
    label = box.locator(".aw-net").get_attribute("aria-label") or ""
    assert "Gates " in label
    assert "Open: channel " in label
    move_slider(box.get_by_label("digit in channel"), 5)
    settle(page)
    assert box.locator(".aw-chosen").text_content() == "channel 5"
    agrees(page, block="ECA", kernel="5", where=5)


def test_fits(watch_everywhere: Watch) -> None:
    page = watch_everywhere.open(PATH)
    box = explorer(page)
    for block in ("SE", "ECA", "none"):
        box.get_by_label("block").select_option(block)
        settle(page)
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        assert box.evaluate("e => e.scrollWidth <= e.clientWidth")
    assert watch_everywhere.bad == []

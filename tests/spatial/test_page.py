"""The spatial mask in the rendered page: numbers, dragging, touch, keys, goals, links, themes."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.driving import settle
from tests.pages import ALONE, Watch

PATH = "book/11-spatial-attention.html"


def mask(page: Page) -> Locator:
    return page.locator(".aw-spatial-mask-explorer").first


def numbers(page: Page) -> dict[str, Any]:
    settle(page)
    found: dict[str, Any] = mask(page).evaluate("e => e.numbers()")
    return found


def object_of(page: Page, n: int) -> Locator:
    """The handle of an object; 0 is the framed one, which lies on top."""
    return mask(page).locator(".aw-object").nth(4 - n)


def drag(page: Page, n: int, across: float, down: float) -> None:
    """Move an object by pixels of the scene, held at its middle."""
    handle = object_of(page, n)
    handle.scroll_into_view_if_needed()
    area = handle.bounding_box()
    assert area
    x, y, pixel = area["x"] + area["width"] / 2, area["y"] + area["height"] / 2, area["width"] / 10
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + across * pixel / 2, y + down * pixel / 2)
    page.mouse.move(x + across * pixel, y + down * pixel)
    page.mouse.up()


def places(page: Page) -> list[tuple[float, float]]:
    settle(page)
    found: list[tuple[float, float]] = mask(page).evaluate(
        "e => [...e.querySelectorAll('.aw-object')].map((o) => "
        "[Number(o.getAttribute('x')), Number(o.getAttribute('y'))]).reverse()"
    )
    return [(x, y) for x, y in found]


def reached(page: Page) -> str:
    settle(page)
    return " | ".join(mask(page).locator(".aw-reached").all_inner_texts())


def test_the_page_shows_the_trained_net(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    found = numbers(page)
    assert found["share"][0] > 0.5
    assert len(found["gate"]) == 15 * 15
    assert len(found["channel_gate"]) == 16
    assert all(0 <= g <= 1 for g in found["gate"] + found["channel_gate"])
    assert watch.bad == []


def test_dragging_moves_the_mask(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    before, start = numbers(page), places(page)
    gate = np.array(before["gate"]).reshape(15, 15)
    centre = np.argwhere(gate > 0.5 * gate.max()).mean(0)
    drag(page, 0, 10, 0)  # to a cell that another digit leaves free
    after = np.array(numbers(page)["gate"]).reshape(15, 15)
    moved = np.argwhere(after > 0.5 * after.max()).mean(0)
    assert places(page)[0] == (start[0][0] + 10, start[0][1])
    assert places(page)[1:] == start[1:]
    assert moved[1] - centre[1] > 2.5  # cells of two pixels
    assert "#spatial-mask-explorer?left=" in page.url
    mask(page).get_by_role("button", name="Reset").click()
    assert places(page) == start
    assert numbers(page) == before
    assert watch.bad == []


def test_objects_stay_inside_the_scene(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    drag(page, 0, -40, 60)
    assert places(page)[0] == (0, 20)


def test_keys(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    start = places(page)
    handle = object_of(page, 0)
    handle.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "Shift+ArrowUp"):
        page.keyboard.press(key)
    assert places(page)[0] == (start[0][0] + 2, max(0, start[0][1] + 1 - 10))
    expect(handle).to_have_attribute("aria-label", "the framed object, arrow keys move it")
    expect(handle).to_have_attribute("aria-valuetext", re.compile("pixels from the left"))
    names = [object_of(page, n).get_attribute("aria-label") for n in range(5)]
    assert len(set(names)) == 5


def test_kernel_and_channel_gate(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    large = numbers(page)
    mask(page).get_by_label("kernel size").select_option("3")
    small = numbers(page)
    assert small["share"][0] < large["share"][0]
    assert small["max_map"] == large["max_map"]
    mask(page).get_by_label("channel attention first").uncheck()
    off = numbers(page)
    assert set(off["channel_gate"]) == {1}
    assert off["max_map"] != large["max_map"]
    text = mask(page).locator(".aw-readout").inner_text()
    assert f"{off['share'][0]:.2f}" in text
    assert "0.11" in text


def test_goals(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    assert reached(page) == ""
    drag(page, 0, 0, 10)
    drag(page, 0, 10, 0)
    assert "mask follows" in reached(page)
    mask(page).get_by_label("kernel size").select_option("3")
    assert "reach matters" in reached(page)


def test_a_finger_drags_and_does_not_scroll(phone: BrowserContext, site: str) -> None:
    watch = Watch(phone, site)
    page = watch.open(PATH + ALONE)
    handle = object_of(page, 0)
    handle.scroll_into_view_if_needed()
    start, scrolled = places(page)[0], page.evaluate("scrollY")
    area = handle.bounding_box()
    assert area
    x, y = area["x"] + area["width"] / 2, area["y"] + area["height"] / 2
    session = phone.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        session.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [{"x": a, "y": b} for a, b in points]},
        )

    touch("touchStart", (x, y))
    for step in (0.5, 1.0):
        touch("touchMove", (x, y - step * area["height"]))
    touch("touchEnd")
    assert places(page)[0] == (start[0], max(0, start[1] - 10))
    assert page.evaluate("scrollY") == scrolled
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert watch.bad == []
    page.close()

"""The alignment explorer in the rendered page: typing, stepping, links, goals."""

from __future__ import annotations

import datetime
from json import dumps
from typing import Any
from urllib.parse import urlencode

import numpy as np
from playwright.sync_api import Locator, Page

from tests.driving import settle
from tests.pages import ALONE, Watch

PATH = "book/04-decoder-attention.html"


def explorer(page: Page) -> Locator:
    return page.locator(".aw-alignment-explorer")


def numbers(page: Page) -> dict[str, Any]:
    settle(page)
    return {k: np.array(v) for k, v in explorer(page).evaluate("e => e.numbers()").items()}


def written(page: Page) -> str:
    settle(page)
    return "".join(explorer(page).locator(".aw-al-written button").all_text_contents())


def type_text(page: Page, text: str) -> None:
    explorer(page).get_by_label("a date", exact=True).fill(text)
    settle(page)


def status(page: Page) -> str:
    return explorer(page).locator(".aw-status").text_content() or ""


def reached(page: Page) -> str:
    settle(page)
    return " ".join(explorer(page).locator(".aw-reached").all_text_contents())


def test_typing(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    type_text(page, "3 march 2019")
    assert written(page) == "2019-03-03"
    type_text(page, "21 October 1983")
    assert written(page) == "1983-10-21"
    type_text(page, "21 October 1983 €!")
    assert "do not know € !" in status(page)
    assert written(page).startswith("1983")
    before = numbers(page)["logits"]
    for nothing in ("", "   ", "€"):
        type_text(page, nothing)
        assert "Nothing to read yet" in status(page)
        np.testing.assert_array_equal(numbers(page)["logits"], before)
        assert not explorer(page).locator(".aw-al-written").first.is_visible()
    explorer(page).get_by_role("button", name="Reset").click()
    settle(page)
    assert explorer(page).locator(".aw-al-written").first.is_visible()
    for text in ("2019-03-03", "2018-04-05"):  # the first reaches a goal, which the line says
        type_text(page, text)
    assert "never read a date in this form" in status(page)
    type_text(page, "2019/3/3")
    assert status(page) == ""
    explorer(page).get_by_role("button", name="tue 29 feb 00").click()
    assert written(page) == "2000-02-29"
    assert explorer(page).get_by_label("a date", exact=True).input_value() == "tue 29 feb 00"
    letters = (
        explorer(page)
        .locator(".aw-al-map-frame svg text")
        .evaluate_all(
            "all => all.filter((t) => t.getAttribute('y') === '13' && t.style.display !== 'none')"
            ".map((t) => t.textContent).join('')"
        )
    )
    assert letters == "tue␣29␣feb␣00"
    assert watch.bad == []


def test_stepping_by_keys_and_pointer(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    box = explorer(page)
    buttons = box.locator(".aw-al-written button")

    def chosen() -> list[int]:
        settle(page)
        pressed = [b.get_attribute("aria-pressed") for b in buttons.all()]
        return [i for i, p in enumerate(pressed) if p == "true"]

    assert chosen() == [3]
    buttons.nth(3).focus()
    page.keyboard.press("ArrowRight")
    assert chosen() == [4]
    page.keyboard.press("End")
    assert chosen() == [9]
    assert "Character 10 of the date" in status(page)
    page.keyboard.press("Home")
    assert chosen() == [0]
    lit = box.locator(".aw-al-line-read span[style]")
    first = lit.all_text_contents()
    buttons.nth(2).hover()  # shows, and chooses nothing
    assert chosen() == [0]
    assert "Character 3 of the date" in status(page)
    assert lit.all_text_contents() != first
    assert "1" in lit.all_text_contents()
    page.mouse.move(0, 0)
    assert chosen() == [0]
    assert lit.all_text_contents() == first
    buttons.nth(2).click()
    assert chosen() == [2]
    map_ = box.locator(".aw-al-map-frame svg")
    map_.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert chosen() == [3]
    assert "character 2, with" in (map_.get_attribute("aria-label") or "")
    area = map_.bounding_box()
    assert area
    page.mouse.move(area["x"] + 20 + 13 * 4.5, area["y"] + 19 + 17 * 7.5)
    assert chosen() == [3]
    assert "character 5" in status(page)
    page.mouse.down()
    page.mouse.up()
    assert chosen() == [7]
    assert watch.bad == []


def test_goals(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    assert reached(page) == ""
    box = explorer(page)
    for which in (5, 6):
        box.locator(".aw-al-written button").nth(which).click()
    assert "month’s name" in reached(page)
    for text in ("30 february 2019", "31 february 2021", "30 feb 1999", "31 june 2020"):
        type_text(page, text)
    assert "no calendar" in reached(page)
    plain = box.locator(".aw-al-written").nth(1).locator("span")
    for days in range(0, 4000, 97):
        date = datetime.date(2001, 1, 3) + datetime.timedelta(days)
        type_text(page, f"{date.day}.{date.month}.{date.year % 100:02d}")
        other = "".join(plain.all_text_contents())
        if other[:4] == written(page)[:4] and other != written(page):
            break
    assert box.locator(".aw-al-differs").count() > 0
    assert "one half only" in reached(page)
    box.get_by_role("button", name="Reset").click()
    assert reached(page) == ""
    assert watch.bad == []


def test_link_and_python(watch: Watch) -> None:
    state = {"text": "7.8.1999", "step": 9}
    query = urlencode({name: dumps(value) for name, value in state.items()})
    page = watch.open(f"{PATH}#alignment-explorer?{query}")
    assert written(page) == "1999-08-07"
    assert explorer(page).get_by_label("a date", exact=True).input_value() == "7.8.1999"
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    explorer(page).get_by_role("button", name="Copy as Python").click()
    source = page.evaluate("() => navigator.clipboard.readText()")

    class Explorer:
        text = ""
        step = 0

    model = Explorer()
    exec(source, {"explorer": model})
    assert (model.text, model.step) == ("7.8.1999", 9)
    type_text(page, "8.8.1999")
    page.wait_for_function("() => decodeURIComponent(location.hash).includes('8.8.1999')")
    assert watch.bad == []


def test_fits(watch_everywhere: Watch) -> None:
    page = watch_everywhere.open(PATH)
    type_text(page, "wednesday, the twenty-seventh of september, in the year 2034")
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert explorer(page).evaluate("e => e.scrollWidth <= e.clientWidth")
    assert written(page) == "2034-09-27"
    assert watch_everywhere.bad == []

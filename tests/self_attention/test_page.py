"""The mask studio in the rendered page: numbers, typing, clicks, keys, prediction, links."""

from __future__ import annotations

from typing import Any

import numpy as np
from playwright.sync_api import Locator, Page

from attn_utils.widgets import SelfAttentionExplorer
from tests.driving import move_slider, settle
from tests.pages import ALONE, Watch

PATH = "book/05-self-attention.html"
RESULTS = ("scores", "weights", "output", "row_sums", "leaked")
WAYS = {
    "-inf": "−∞ before the softmax",
    "-1e9": "−1e9 before the softmax",
    "zero after softmax": "0 after the softmax",
    "package": "−∞, empty rows 0 (the package)",
}


def studio(page: Page) -> Locator:
    return page.locator(".aw-self-attention-explorer").first


def numbers(page: Page) -> dict[str, Any]:
    settle(page)
    found: dict[str, Any] = studio(page).evaluate("e => e.numbers()")
    return found


def same(page: Page, expected: SelfAttentionExplorer) -> None:
    found = numbers(page)
    reference = expected.reference()
    for name in RESULTS:
        np.testing.assert_allclose(
            np.array(found[name], float), reference[name].flatten().numpy(), atol=1e-5, err_msg=name
        )


def matrix(page: Page, name: str) -> Locator:
    return studio(page).locator(f".aw-panel-{name} svg")


def press(page: Page, row: int, column: int) -> None:
    """Click a cell of the mask."""
    box = matrix(page, "masked")
    cell = box.locator(".aw-box").nth(row * len(numbers(page)["row_sums"]) + column)
    cell.scroll_into_view_if_needed()
    area = cell.bounding_box()
    assert area
    page.mouse.click(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2)


def reached(page: Page) -> str:
    settle(page)
    return " | ".join(studio(page).locator(".aw-reached").all_inner_texts())


def test_the_slider_of_the_chosen_mask_is_shown(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    valid, reach = (
        studio(page).get_by_label(name, exact=True) for name in ("valid tokens", "reach")
    )
    for mask, shown in (("causal", ()), ("window", (reach,)), ("padding", (valid,))):
        studio(page).get_by_label("mask", exact=True).select_option(mask)
        settle(page)
        assert [slider for slider in (valid, reach) if slider.is_visible()] == list(shown)
    move_slider(valid, 0)
    same(page, SelfAttentionExplorer(mask="padding", valid=0))
    assert watch.bad == []


def test_the_worked_example_is_shown(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    for name, entries in {
        "q": ["1.00", "2.00", "1.00", "1.00"],
        "raw": ["1.00", "2.00", "1.00", "1.00"],
        "scores": ["0.71", "1.41", "0.71", "0.71"],
        "weights": ["0.33", "0.67", "0.50", "0.50"],
        "output": ["0.33", "0.67", "0.50", "0.50"],
    }.items():
        assert matrix(page, name).locator(".aw-entry").all_text_contents() == entries


def test_entries_can_be_typed_dragged_and_stepped(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    entry = studio(page).get_by_label("a, token 2 a2, column 2")
    entry.fill("1.5")
    same(page, SelfAttentionExplorer(inputs=[1, 1, 1, 1.5]))
    entry.press("ArrowUp")
    same(page, SelfAttentionExplorer(inputs=[1, 1, 1, 1.6]))
    corner = studio(page).get_by_label("W_q, row 1, column 2")
    corner.scroll_into_view_if_needed()
    area = corner.bounding_box()
    assert area
    x, y = area["x"] + area["width"] / 2, area["y"] + area["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 20, y)
    page.mouse.move(x - 40, y)
    page.mouse.up()
    same(page, SelfAttentionExplorer(inputs=[1, 1, 1, 1.6], w_q=[1, 0, 0, 1]))
    corner.fill("77")  # out of range: not taken over
    corner.blur()
    same(page, SelfAttentionExplorer(inputs=[1, 1, 1, 1.6], w_q=[1, 0, 0, 1]))
    assert corner.input_value() == "0"
    assert watch.bad == []


def test_click_and_keys_forbid_cells(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    press(page, 0, 1)
    cells = np.ones((8, 8))
    cells[0, 1] = 0
    same(page, SelfAttentionExplorer(mask="my own", cells=list(cells.ravel())))
    assert studio(page).get_by_label("mask", exact=True).input_value() == "my own"
    box = matrix(page, "masked")
    box.focus()
    page.keyboard.press("ArrowDown")
    assert "query 2" in (box.get_attribute("aria-label") or "")
    page.keyboard.press("Space")
    cells[1, 1] = 0
    same(page, SelfAttentionExplorer(mask="my own", cells=list(cells.ravel())))
    assert "forbidden" in studio(page).get_by_role("status").inner_text()
    page.keyboard.press("Enter")
    cells[1, 1] = 1
    same(page, SelfAttentionExplorer(mask="my own", cells=list(cells.ravel())))
    assert watch.bad == []


def test_every_number_is_explained(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    for name, part in {
        "q": "q₁, number 1: 1.00·1.00 + 1.00·0.00 = 1.00",
        "raw": "q₁ · k₁ = 1.00·1.00 + 2.00·0.00 = 1.00",
        "scores": "1.00 / √2 = 0.71",
        "weights": "e^0.71 / (e^0.71 + e^1.41) = 0.33",
        "output": "0.33·1.00 + 0.67·0.00 = 0.33",
    }.items():
        assert part in (matrix(page, name).get_attribute("aria-label") or ""), name
    weights = matrix(page, "weights")
    weights.scroll_into_view_if_needed()
    weights.locator(".aw-box").nth(1).hover(force=True)
    assert "= 0.67" in studio(page).get_by_role("status").inner_text()
    assert matrix(page, "k").locator(".aw-outline").get_attribute("visibility") == "visible"


def test_goals(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    assert reached(page) == ""
    press(page, 1, 0)  # a weight of 1, but by force
    assert reached(page) == ""
    press(page, 1, 1)  # now nobody is left
    assert "NaN" not in reached(page)
    assert "NaN" in matrix(page, "weights").inner_html()
    assert "not a number" in studio(page).locator(".aw-verdict").inner_text()
    studio(page).get_by_label(WAYS["-1e9"]).check()
    assert "Leak" in reached(page)
    studio(page).get_by_label(WAYS["package"]).check()
    assert "NaN" in reached(page)
    found = numbers(page)
    assert found["weights"][2:] == [0, 0]
    assert found["output"][2:] == [0, 0]
    studio(page).get_by_role("button", name="Reset").click()
    assert reached(page) == ""
    for column in (1, 2):  # the key of token 1 turns away from the query of token 2
        studio(page).get_by_label(f"W_k, row 2, column {column}").fill("-5")
    assert "attend to itself" in reached(page)


def test_predict_then_reveal(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    studio(page).get_by_role("button", name="Step by step").click()
    settle(page)
    assert set(matrix(page, "q").locator(".aw-entry").all_text_contents()) == {"?"}
    assert "1.00" not in (matrix(page, "q").get_attribute("aria-label") or "")
    assert studio(page).get_by_label("Predict q₂, second number").is_visible()
    page.keyboard.type("3")  # the field has the focus
    page.keyboard.press("Enter")
    settle(page)
    assert "You said 3.00. It is 1.00" in studio(page).get_by_role("status").inner_text()
    assert matrix(page, "q").locator(".aw-entry").nth(3).text_content() == "1.00"
    assert reached(page) == ""
    guess = studio(page).get_by_label("Predict QKᵀ, row 2, column 1")
    guess.fill("1")
    studio(page).get_by_role("button", name="Reveal").click()
    settle(page)
    assert "predict a number" in reached(page)
    studio(page).get_by_role("button", name="Show all").click()
    settle(page)
    assert matrix(page, "output").locator(".aw-entry").first.text_content() == "0.33"
    studio(page).get_by_role("button", name="Reset").click()
    settle(page)
    assert reached(page) == ""


def test_words_are_text_and_link_reopens_them(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    studio(page).get_by_label("tokens", exact=True).fill('<img src=x onerror="alert(1)"> cat')
    studio(page).get_by_label("mask", exact=True).select_option("causal")
    settle(page)
    assert studio(page).locator("img").count() == 0
    assert matrix(page, "raw").locator(".aw-name").first.text_content() == "<img"
    expected = numbers(page)
    link = page.evaluate("() => location.href")
    assert "#self-attention-explorer?" in link
    page.goto("about:blank")
    page.goto(link)
    page.wait_for_selector("html[data-live-host=ready]")
    assert numbers(page) == expected
    assert watch.bad == []


def test_too_many_words_and_none(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    field = studio(page).get_by_label("tokens", exact=True)
    field.fill("a b c d e f g h i j")
    same(page, SelfAttentionExplorer(words="a b c d e f g h"))
    assert "first 8 words" in studio(page).get_by_role("status").inner_text()
    field.fill("  ")
    same(page, SelfAttentionExplorer(words="a b c d e f g h"))
    assert "At least one word" in studio(page).get_by_role("status").inner_text()
    field.fill("a b")
    same(page, SelfAttentionExplorer(words="a b"))
    assert "At least one word" not in studio(page).get_by_role("status").inner_text()
    assert watch.bad == []


def test_reset(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    studio(page).get_by_role("button", name="A sentence").click()
    press(page, 0, 1)
    studio(page).get_by_role("button", name="Reset").click()
    same(page, SelfAttentionExplorer())
    assert studio(page).get_by_label("tokens", exact=True).input_value() == "a1 a2"


def test_fits_everywhere(watch_everywhere: Watch) -> None:
    page = watch_everywhere.open(PATH)
    studio(page).get_by_label("tokens", exact=True).fill("eight words stand here in one long row")
    settle(page)
    assert len(numbers(page)["row_sums"]) == 8
    wide = page.evaluate("() => document.documentElement.clientWidth")
    for box in studio(page).locator("svg, table, input, button").all():
        area = box.bounding_box()
        if area:
            assert area["x"] >= 0
            assert area["x"] + area["width"] <= wide + 1
    assert watch_everywhere.bad == []

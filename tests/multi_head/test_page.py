"""The head explorers in the rendered page: faders, lines, guesses, links, goals."""

from __future__ import annotations

from typing import Any

import numpy as np
from playwright.sync_api import Locator, Page

from attn_utils.widgets import HeadExplorer
from tests.driving import move_slider, settle
from tests.pages import ALONE, Watch

PATH = "book/07-multi-head-attention.html"
RESULTS = ("logits", "predicted", "accuracy")


def explorer(page: Page, which: int = 0) -> Locator:
    return page.locator(".aw-head-explorer").nth(which)


def numbers(page: Page, which: int = 0) -> dict[str, Any]:
    settle(page)
    found = explorer(page, which).evaluate("e => e.numbers()")
    return {name: np.array(found[name]) for name in RESULTS}


def press(page: Page, name: str) -> None:
    explorer(page).get_by_role("button", name=name, exact=True).click()


def fade(page: Page, head: str, value: float) -> None:
    move_slider(explorer(page).get_by_label(f"fader of {head}", exact=True), value)


def move(page: Page, label: str, value: float) -> None:
    move_slider(explorer(page).get_by_label(label, exact=True), value)


def reached(page: Page) -> str:
    settle(page)
    return " ".join(explorer(page).locator(".aw-reached").all_text_contents())


def agree(page: Page, widget: HeadExplorer) -> None:
    found = numbers(page)
    for name in RESULTS:
        np.testing.assert_allclose(found[name], getattr(widget, name), atol=1e-5, err_msg=name)


def test_faders_mute_and_solo(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    box = explorer(page)
    tally = box.locator(".aw-tally")
    assert "Right on 40 of 40" in (tally.text_content() or "")
    press(page, "Mute ring")
    agree(page, HeadExplorer(faders=[1, 0, 1, 1]))
    assert "Right on 40" not in (tally.text_content() or "")
    mute = box.get_by_role("button", name="Mute ring", exact=True)
    assert mute.get_attribute("aria-pressed") == "true"
    press(page, "Mute ring")  # goes back to where it was
    agree(page, HeadExplorer())
    fade(page, "family", 1.5)
    agree(page, HeadExplorer(faders=[1.5, 1, 1, 1]))
    press(page, "Solo family")
    agree(page, HeadExplorer(faders=[1, 0, 0, 0]))
    press(page, "Solo family")
    agree(page, HeadExplorer())
    fader = box.get_by_label("fader of everybody", exact=True)
    fader.focus()
    page.keyboard.press("ArrowLeft")
    agree(page, HeadExplorer(faders=[1, 1, 0.9, 1]))
    assert fader.get_attribute("aria-valuetext") == "0.9"
    fade(page, "everybody", 0.1)
    for key, value in (("ArrowLeft", 0.09), ("ArrowRight", 0.1), ("ArrowRight", 0.2)):
        fader.press(key)
        agree(page, HeadExplorer(faders=[1, 1, value, 1]))


def test_lines_follow_query_faders_and_ticks(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    box = explorer(page)

    def widths() -> np.ndarray:  # (H, S): what is drawn for the chosen query
        settle(page)
        return np.array(
            box.locator(".aw-strong line").evaluate_all(
                "all => all.map((l) => l.style.display ? 0 : +l.getAttribute('stroke-width'))"
            )
        ).reshape(4, 6)

    widget = HeadExplorer()
    weights = np.array(widget._weights).reshape(widget._shape[:4])[0]
    drawn = np.where(weights > 0.01, 0.6 + 7 * weights, 0)
    np.testing.assert_allclose(widths(), drawn[:, widget._asked[0]], atol=1e-4)
    query = box.get_by_label("query", exact=True)
    assert query.get_attribute("aria-valuetext") == "the one asked"
    query.focus()
    page.keyboard.press("End")
    np.testing.assert_allclose(widths(), drawn[:, 5], atol=1e-4)
    assert query.get_attribute("aria-valuetext") == widget._tokens[0][5]
    cards = box.locator(".aw-query")
    cards.nth(2).hover()
    np.testing.assert_allclose(widths(), drawn[:, 2], atol=1e-4)
    reading = box.locator(".aw-reading").text_content() or ""
    assert reading.startswith(f"{widget._tokens[0][2]} looks mostly at: family → ")
    query.hover()  # a pointer shows and chooses nothing
    np.testing.assert_allclose(widths(), drawn[:, 5], atol=1e-4)
    cards.nth(2).click()
    query.hover()
    np.testing.assert_allclose(widths(), drawn[:, 2], atol=1e-4)
    cards.nth(widget._asked[0]).click()  # the way back to the task's question
    assert query.get_attribute("aria-valuetext") == "the one asked"
    cards.nth(2).click()
    press(page, "Mute family")
    box.get_by_label("lines of ring", exact=True).uncheck()
    rows = widths().sum(axis=1)
    assert rows[0] == rows[1] == 0
    assert (rows[2:] > 0).all()
    agree(page, HeadExplorer(faders=[0, 1, 1, 1]))  # hidden lines are heard all the same


def test_examples_can_be_leafed_through(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    box = explorer(page)
    example = box.get_by_label("example", exact=True)
    press(page, "previous example")
    settle(page)
    assert example.get_attribute("aria-valuetext") == "40 of 40"
    press(page, "next example")
    press(page, "next example")
    settle(page)
    assert example.input_value() == "1"
    names = box.locator(".aw-key text").all_text_contents()
    assert names == HeadExplorer()._tokens[1]
    press(page, "Next wrong answer")
    assert "No stored example" in (box.locator(".aw-status").text_content() or "")
    press(page, "Solo ring")
    press(page, "Next wrong answer")
    settle(page)
    at = int(example.input_value())
    widget = HeadExplorer(faders=[0, 1, 0, 0])
    wrong = np.flatnonzero(widget.predicted != np.array(widget._labels))
    assert at == wrong[wrong > 1][0]
    notes = box.locator(".aw-answers li")
    assert "right" in (notes.nth(widget._labels[at]).text_content() or "")
    assert "answer" in (notes.nth(int(widget.predicted[at])).text_content() or "")


def test_the_answer_is_covered_until_guessed(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    box = explorer(page)
    classes = box.locator(".aw-class")
    assert classes.first.is_disabled()
    box.get_by_label("let me guess first").check()
    settle(page)
    assert box.locator(".aw-answers .aw-value").all_text_contents() == ["?"] * 7
    assert box.locator(".aw-answers .aw-right").count() == 0
    labels = HeadExplorer()._labels
    classes.nth((labels[0] + 1) % 7).click()  # a wrong guess does not count
    settle(page)
    status = box.locator(".aw-status").text_content() or ""
    assert status.startswith("You say ")
    assert "Well read" not in status
    assert box.locator(".aw-answers .aw-right .aw-class").text_content() == "+2"
    press(page, "next example")
    press(page, "previous example")  # covered again, but its answer has been seen
    settle(page)
    classes.nth(labels[0]).click()
    for at in (1, 2, 3):
        press(page, "next example")
        settle(page)
        assert box.locator(".aw-answers .aw-right").count() == 0
        assert "predict" not in reached(page)
        classes.nth(labels[at]).click()
    assert "predict" in reached(page)
    assert watch.bad == []


def test_goals_can_be_reached(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    assert reached(page) == ""
    press(page, "Mute everybody")
    assert "does not need" in reached(page)
    assert "below 0.5" not in reached(page)
    press(page, "Mute right neighbour")
    assert "as good as all" in reached(page)
    press(page, "Reset")
    assert reached(page) == ""
    press(page, "Mute family")
    assert "below 0.5" in reached(page)
    press(page, "Reset")
    fade(page, "ring", 2)
    for _ in range(3):
        press(page, "Next wrong answer")
    assert "More is not better" in reached(page)
    press(page, "Solo family")
    widget = HeadExplorer(faders=[1, 0, 0, 0])
    lucky = np.flatnonzero(widget.predicted == np.array(widget._labels))[0]
    move(page, "example", int(lucky))
    assert "all by itself" in reached(page)


def test_the_trained_heads(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    found = numbers(page, 1)
    assert found["logits"].shape == (700,)
    assert found["accuracy"][0] > 0.9
    box = explorer(page, 1)
    names = box.locator(".aw-head-name").all_text_contents()
    assert names == [f"{h}head {h}" for h in (1, 2, 3, 4)]
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    box.get_by_role("button", name="Mute head 1").click()
    settle(page)
    box.get_by_role("button", name="Copy as Python").click()
    source = page.evaluate("() => navigator.clipboard.readText()")

    class Model:
        faders: list[float] | None = None

    model = Model()
    exec(source, {"explorer": model})  # the data are the notebook's, only the state is copied
    assert model.faders == [0, 1, 1, 1]
    assert watch.bad == []


def test_fits_and_reset(watch_everywhere: Watch) -> None:
    page = watch_everywhere.open(PATH)
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    for which in (0, 1):
        box = explorer(page, which)
        assert box.evaluate("e => e.scrollWidth <= e.clientWidth")
        lines = box.locator(".aw-lines").bounding_box()
        assert lines
        texts = box.locator(".aw-lines text").evaluate_all(
            "all => all.map((t) => t.getBoundingClientRect()).filter((r) => r.width > 0)"
            ".map((r) => [r.left + scrollX, r.right + scrollX])"
        )
        assert len(texts) >= 14  # twelve names, two labels, and the numbers on the lines
        assert min(left for left, _ in texts) >= lines["x"] - 1
        assert max(right for _, right in texts) <= lines["x"] + lines["width"] + 1
    fade(page, "family", 0.2)
    press(page, "Reset")
    agree(page, HeadExplorer())
    assert watch_everywhere.bad == []

"""The circuit bench in the rendered page: pattern, switches, keys, cells, goals."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import Locator, Page

from attn_utils.widgets import CircuitBench
from tests.driving import settle
from tests.pages import ALONE, Watch

PATH = "book/16-circuits.html"


def bench(page: Page) -> Locator:
    return page.locator(".aw-circuit-bench").first


def agree(page: Page, python: CircuitBench) -> None:
    settle(page)
    found = bench(page).evaluate("e => e.numbers()")
    for name, want in python.reference().items():
        got = np.array(found[name], float)
        np.testing.assert_allclose(got, want.flatten().numpy(), atol=1e-5, err_msg=name)


def reached(page: Page) -> str:
    settle(page)
    return " | ".join(bench(page).locator(".aw-reached").all_inner_texts())


def switch(page: Page, head: int, layer: int) -> Locator:
    return bench(page).get_by_label(f"head {head} of layer {layer} is on", exact=True)


def keys(page: Page) -> Locator:
    return bench(page).get_by_label("keys of layer 2", exact=True)


def typed(page: Page) -> Locator:
    return bench(page).get_by_label("pattern", exact=True)


def letters(page: Page) -> list[tuple[str, str]]:
    """The text, and what was predicted for each of its letters."""
    settle(page)
    rows = bench(page).locator(".aw-text li").all_inner_texts()
    return [(row.split()[0], " ".join(row.split()[1:])) for row in rows]


def test_a_pattern_is_typed_and_continued(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    typed(page).fill("quartz")
    agree(page, CircuitBench(pattern="quartz"))
    rows = letters(page)
    assert "".join(letter for letter, _ in rows).startswith("quartzquartz")
    assert all(letter == guess for letter, guess in rows[7:])
    assert "Right: 25 of the 25" in bench(page).locator(".aw-text-panel .aw-hint").inner_text()
    typed(page).fill("Quartz 1")  # nothing that the model knows: the last pattern stays
    agree(page, CircuitBench(pattern="quartz"))
    assert "2 to 16 letters" in bench(page).get_by_role("status").inner_text()
    typed(page).blur()
    assert typed(page).input_value() == "quartz"
    assert watch.bad == []


def test_heads_are_switched_off_and_shown(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    switch(page, 1, 1).uncheck()
    agree(page, CircuitBench(heads=[0, 1, 1, 1, 1, 1, 1, 1]))
    caption = bench(page).locator("figcaption").first
    assert caption.inner_text() == "Layer 1, head 1 (off: it adds nothing)"
    bench(page).get_by_role("button", name="show head 2 of layer 1", exact=True).click()
    settle(page)
    assert caption.inner_text() == "Layer 1, head 2"
    switch(page, 1, 1).focus()
    page.keyboard.press("Space")
    agree(page, CircuitBench(first=2))
    assert watch.bad == []


@pytest.mark.parametrize("key_source", CircuitBench.key_source.options[1:])
def test_keys_of_layer_2(watch: Watch, key_source: str) -> None:
    page = watch.open(PATH + ALONE)
    keys(page).select_option(key_source)
    agree(page, CircuitBench(key_source=key_source))
    assert watch.bad == []


def test_a_cell_marks_its_letters(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    canvas = bench(page).locator(".aw-heatmap canvas").first
    canvas.focus()
    page.keyboard.press("ArrowDown")
    settle(page)
    assert bench(page).locator(".aw-text .aw-query").inner_text().split()[0] == "u"
    assert bench(page).locator(".aw-text .aw-key").inner_text().split()[0] == "t"
    said = bench(page).get_by_role("status").inner_text()
    assert said.startswith("Query u at 1 looks at key t at 0: 0.9") or said.endswith(": 1.00")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    settle(page)
    assert "comes later and is hidden" in bench(page).get_by_role("status").inner_text()
    assert watch.bad == []


def test_goals(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    assert reached(page) == ""
    typed(page).fill("banana")
    assert "find a pattern" in reached(page)
    typed(page).fill("tulips")
    keys(page).select_option("without layer 1")
    assert "break the copying" in reached(page)
    keys(page).select_option("from one position earlier")
    assert "skips a letter" in reached(page)
    keys(page).select_option("as they are")
    for head, layer in [(2, 1), (3, 1), (4, 1), (1, 2), (2, 2), (3, 2)]:
        assert "Leave at most" not in reached(page)
        switch(page, head, layer).uncheck()
    assert "Leave at most" in reached(page)
    bench(page).get_by_role("button", name="Reset", exact=True).click()
    assert reached(page) == ""
    assert watch.bad == []

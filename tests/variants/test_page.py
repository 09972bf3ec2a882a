"""The variant lab in a page of its own: numbers, maps, words, goals, keys."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator

from attn_utils.widgets import VariantLab
from tests.driving import move_slider, settle
from tests.widgets.bench import Bench

WINDOWS = ("window in layer 1", "window in layer 2")
FETCHED = "words fetched in layer 2"


@pytest.fixture(scope="module")
def shared(browser: Browser) -> Iterator[Bench]:
    bench = Bench(browser, VariantLab)
    yield bench
    bench.context.close()


@pytest.fixture
def bench(shared: Bench) -> Iterator[Bench]:
    """The page afresh; nothing bad may happen in it."""
    shared.bad.clear()
    shared.open()
    yield shared
    assert shared.bad == []


def field(bench: Bench, label: str) -> Locator:
    return bench.page.get_by_label(label, exact=True)


def slide(bench: Bench, label: str, value: int) -> None:
    move_slider(field(bench, label), value)
    settle(bench.page)


def goals(bench: Bench) -> list[bool]:
    """Which goals are reached."""
    settle(bench.page)
    items = bench.page.locator(".aw-goals li").all()
    return ["aw-reached" in (item.get_attribute("class") or "") for item in items]


def text_of(bench: Bench, part: str) -> str:
    return bench.page.locator(part).text_content() or ""


def test_controls_change_numbers_and_words(bench: Bench) -> None:
    assert "16,384 bytes (16,384 bytes)" in text_of(bench, ".aw-bill")
    field(bench, "heads of keys and values").select_option("2")
    field(bench, "trained on after grouping").check()
    slide(bench, WINDOWS[0], 4)
    slide(bench, WINDOWS[1], 8)
    slide(bench, FETCHED, 2)
    field(bench, "first word always seen").uncheck()
    field(bench, "soft cap").select_option("20")
    python = VariantLab(
        kv_heads="2", trained=True, window1=4, window2=8, fetched=2, first=False, cap="20"
    )
    found = bench.numbers()
    for name, wanted in python.reference().items():
        want = wanted.double().flatten().numpy()
        bound = 1e-5 * np.abs(want).max()
        np.testing.assert_allclose(found[name], want, rtol=0, atol=bound, err_msg=name)
    assert f"{int(python.kept.sum()):,} bytes (16,384 bytes)" in text_of(bench, ".aw-bill")
    assert f"{python.total[1]:.2f} nats" in text_of(bench, ".aw-bill")
    said = text_of(bench, ".aw-sums")
    assert "layer 1: 4" in said
    assert "layer 2: all 64, each with 8 bytes for the indexer" in said
    assert "2 heads · 8 numbers · 2 bytes = 64 bytes" in said


def test_the_words_say_what_is_hidden_and_what_was_missed(bench: Bench) -> None:
    words = bench.page.locator(".aw-word")
    assert words.count() == 65
    assert bench.page.locator(".aw-unseen, .aw-missed").count() == 0
    known = len(VariantLab()._known[0])
    assert bench.page.locator(".aw-known").count() == known
    slide(bench, WINDOWS[1], 8)
    assert bench.page.locator(".aw-unseen").count() == 64 - 8 - 1  # the first one is seen
    lab = VariantLab(window2=8)
    missed = sum(np.exp(-lab.loss[t]) < 0.5 for t in lab._known[0])
    assert 0 < bench.page.locator(".aw-missed").count() == missed < known
    field(bench, "first word always seen").uncheck()
    settle(bench.page)
    assert bench.page.locator(".aw-unseen").count() == 64 - 8


def test_a_head_and_an_asking_word_are_chosen(bench: Bench) -> None:
    maps = bench.page.locator(".aw-map")
    assert maps.count() == 8
    bench.page.get_by_role("button", name="Layer 1, head 2,").click()
    words = bench.page.locator(".aw-word")
    words.nth(30).click()
    assert bench.linked() == {"layer": 1, "head": 2, "query": 30}
    row = VariantLab().weights.reshape(2, 4, 64, 64)[0, 1, 30]
    settle(bench.page)
    shades = [
        float(word.evaluate("e => e.style.getPropertyValue('--aw-weight')"))
        for word in words.all()[:64]
    ]
    np.testing.assert_allclose(shades, row, atol=1e-5)
    told = bench.page.locator(".aw-strip").get_attribute("aria-label") or ""
    assert (
        f"attends most to {words.nth(int(row.argmax())).locator('.aw-name').text_content()}" in told
    )
    field(bench, "heads of keys and values").select_option("2")
    settle(bench.page)
    names = [node.get_attribute("aria-label") or "" for node in maps.all()]
    shared = ["1 of 2", "1 of 2", "2 of 2", "2 of 2"]
    assert [name[-6:] for name in names] == shared * 2


def test_keys_do_it_all(bench: Bench) -> None:
    field(bench, WINDOWS[1]).focus()
    bench.page.keyboard.press("Home")
    bench.page.keyboard.press("ArrowRight")
    settle(bench.page)
    big = bench.page.get_by_role("application", name="Attention.")
    big.focus()
    for _ in range(9):
        bench.page.keyboard.press("ArrowDown")
    said = text_of(bench, ".aw-status")
    word = [*bench.page.locator(".aw-name").all()][9].text_content()
    assert said.startswith(f"From {word} (9) to <bos> (0)")
    bench.page.keyboard.press("ArrowRight")
    assert text_of(bench, ".aw-status").endswith("(1): hidden")
    bench.page.keyboard.press("Enter")
    assert bench.linked() == {"window2": 2, "query": 9}


def test_the_small_cache_is_a_goal(bench: Bench) -> None:
    assert goals(bench) == [False] * 3
    field(bench, "heads of keys and values").select_option("1")
    slide(bench, WINDOWS[0], 4)
    assert goals(bench) == [False] * 3  # by the mean, the orders are lost
    field(bench, "trained on after grouping").check()
    assert goals(bench) == [True, False, False]
    bench.press("Reset")
    assert goals(bench) == [False] * 3


def test_reading_little_is_a_goal(bench: Bench) -> None:
    field(bench, "heads of keys and values").select_option("2")
    field(bench, "trained on after grouping").check()
    slide(bench, WINDOWS[0], 2)
    slide(bench, WINDOWS[1], 2)
    assert goals(bench) == [False] * 3
    slide(bench, FETCHED, 1)
    assert goals(bench) == [False, True, False]


def test_the_first_word_is_a_goal(bench: Bench) -> None:
    first = field(bench, "first word always seen")
    first.uncheck()
    slide(bench, WINDOWS[1], 8)
    assert goals(bench) == [False] * 3  # with it, nobody has looked yet
    first.check()
    assert goals(bench) == [False, False, True]
    bench.press("Reset")
    assert goals(bench) == [False] * 3


def test_it_fits_a_phone(bench: Bench) -> None:
    page = bench.page
    page.set_viewport_size({"width": 320, "height": 800})
    try:
        slide(bench, FETCHED, 3)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.locator(".aw-map").first.bounding_box()["width"] >= 44  # type: ignore[index]
    finally:
        page.set_viewport_size({"width": 1300, "height": 900})

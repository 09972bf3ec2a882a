"""The patch explorer in the rendered page: numbers, keys, pointer, goals, links, a model."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from playwright.sync_api import Locator, Page

from attn_utils.widgets import PatchExplorer
from tests.driving import move_slider, settle
from tests.pages import ALONE, Watch

PATH = "book/12-vision-transformer.html"


def explorer(page: Page, which: int = 0) -> Locator:
    return page.locator(".aw-patch-explorer").nth(which)


def numbers(page: Page, which: int = 0) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    settle(page)
    return {k: np.array(v) for k, v in explorer(page, which).evaluate("e => e.numbers()").items()}


def opened(watch: Watch, **controls: Any) -> Page:
    """Open the page in a state, by its link."""
    query = "&".join(f"{name}={quote(json.dumps(value))}" for name, value in controls.items())
    return watch.open(f"{PATH}{ALONE}#patch-explorer?{query}" if controls else PATH + ALONE)


def test_keyboard_alone(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    picture = explorer(page).get_by_label("Image in 14 by 14 patches")
    picture.focus()
    for key in ("ArrowUp", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    expected = PatchExplorer(down=9.5 / 14, across=6.5 / 14).reference()  # from (10, 4)
    np.testing.assert_allclose(numbers(page)["row"], expected["row"], atol=1e-5)
    assert "row 10, column 7" in (picture.get_attribute("aria-label") or "")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")  # only reads
    settle(page)
    status = explorer(page).locator(".aw-status").inner_text()
    share = expected["row"][10 * 14 + 6].item()
    assert status.startswith("Patch 147 (row 11, column 7) gets")
    assert f"{share:.3f}" in status
    page.keyboard.press("Enter")  # this one asks
    expected = PatchExplorer(down=10.5 / 14, across=6.5 / 14).reference()
    np.testing.assert_allclose(numbers(page)["row"], expected["row"], atol=1e-5)
    thumb = explorer(page).get_by_role("button", name="layer 2, head 4")
    thumb.focus()
    page.keyboard.press("Enter")
    settle(page)
    assert thumb.get_attribute("aria-pressed") == "true"
    expected = PatchExplorer(down=10.5 / 14, across=6.5 / 14, layer=2, head=4).reference()
    np.testing.assert_allclose(numbers(page)["row"], expected["row"], atol=1e-5)
    assert watch.bad == []


def test_a_click_lets_a_patch_ask(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    page.wait_for_load_state("networkidle")
    canvas = explorer(page).locator("canvas[role=application]").first
    canvas.scroll_into_view_if_needed()
    area = canvas.bounding_box()
    assert area
    page.mouse.click(area["x"] + 0.9 * area["width"], area["y"] + 0.1 * area["height"])
    expected = PatchExplorer(down=0.1, across=0.9).reference()["row"]
    np.testing.assert_allclose(numbers(page)["row"], expected, atol=1e-5)
    assert "down=" in page.evaluate("() => location.hash")
    page.mouse.move(area["x"] + 0.53 * area["width"], area["y"] + 0.53 * area["height"])
    assert "Patch 106 (row 8, column 8)" in explorer(page).locator(".aw-status").inner_text()


GOALS = {
    "fewer than 60 tokens": {"patch": "32"},
    "more than 60,000 weights": {"patch": "14"},
    "more than 150 patches": {"sharpness": 0},
    "less than a fifth": {"view": "rollout", "layer": 3},
}


@pytest.mark.parametrize("goal", GOALS)
def test_goals_check_themselves(watch: Watch, goal: str) -> None:
    page = opened(watch, **GOALS[goal])
    settle(page)
    reached = explorer(page).locator(".aw-reached").all_inner_texts()
    assert len(reached) == 1
    assert goal in reached[0]


def test_the_head_that_does_not_ask_is_found_by_moving(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    settle(page)
    assert explorer(page).locator(".aw-reached").count() == 0
    picture = explorer(page).get_by_label("Image in 14 by 14 patches")
    picture.focus()
    page.keyboard.press("ArrowUp")  # with another head: not yet
    settle(page)
    assert explorer(page).locator(".aw-reached").count() == 0
    explorer(page).get_by_role("button", name="layer 1, head 4").click()
    before = numbers(page)["row"]
    picture.focus()
    page.keyboard.press("ArrowUp")
    np.testing.assert_allclose(numbers(page)["row"], before)
    assert "does not care who asks" in explorer(page).locator(".aw-reached").inner_text()


def test_a_trained_model_s_weights(watch: Watch) -> None:
    """The second explorer of the page: rows sum to 1, and the rollout is the product."""
    page = watch.open(PATH + ALONE)
    box = explorer(page, 1)
    found = numbers(page, 1)
    assert found["counts"].tolist() == [17, 4, 240, 816, 289]
    small = found["small"].reshape(-1, 4, 17)  # (L, H, T) of the class token
    np.testing.assert_allclose(small.sum(axis=-1), 1, atol=1e-5)
    np.testing.assert_allclose(found["row"], small[0, 0], atol=1e-7)
    layers = len(small)
    rows = []  # of all tokens, by asking with each of them
    box.get_by_label("show").select_option("mean of heads")
    move_slider(box.get_by_label("layer", exact=True), 1)
    rows.append(numbers(page, 1)["row"])
    canvas = box.locator("canvas[role=application]").first
    canvas.focus()
    for key in ["ArrowUp"] * 3 + ["ArrowLeft"] * 3:
        page.keyboard.press(key)
    for patch in range(16):
        i, j = divmod(patch, 4)
        for key in ["ArrowDown"] * i + ["ArrowRight"] * j:
            page.keyboard.press(key)
        rows.append(numbers(page, 1)["row"])
        for key in ["ArrowUp"] * i + ["ArrowLeft"] * j:
            page.keyboard.press(key)
    first = np.stack(rows)
    assert first.shape == (17, 17)
    box.get_by_label("who asks").select_option("class token")
    move_slider(box.get_by_label("layer", exact=True), layers)
    box.get_by_label("show").select_option("rollout")
    shown = numbers(page, 1)["row"]
    if layers == 2:
        last = found["small"].reshape(-1, 4, 17)[1].mean(axis=0)
        start = np.eye(17)[0]
        expected = (start + last) / 2
        np.testing.assert_allclose(shown, (expected + expected @ first) / 2, atol=1e-5)
    assert "rollout through all layers" in box.locator(".aw-reached").first.inner_text()
    assert watch.bad == []


def test_everywhere_without_sideways_scrolling(watch_everywhere: Watch) -> None:
    page = watch_everywhere.open(PATH)
    settle(page)
    for which in (0, 1):
        box = explorer(page, which)
        assert box.evaluate("e => e.scrollWidth - e.clientWidth") <= 1
        small = box.locator("button, select, input").evaluate_all(
            "all => all.filter((e) => e.offsetParent && e.getBoundingClientRect().height < 23)"
            ".map((e) => e.outerHTML)"
        )
        assert small == []
        # the frame of the asking patch lies over that patch in both panels
        off = box.locator(".aw-heatmap-frame").evaluate_all(
            """all => all.map((e) => e.querySelector('.aw-asking-patch'))
                 .filter((e) => !e.hidden).map((e) => e.style.top + e.style.left)"""
        )
        assert len(set(off)) <= 1
    assert watch_everywhere.bad == []

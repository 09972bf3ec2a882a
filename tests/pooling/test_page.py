"""The kernel regression explorer in the rendered page: numbers, dragging, keys, learning."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import torch
from playwright.sync_api import BrowserContext, Locator, Page, expect

from attn_utils.widgets import KernelRegressionExplorer
from tests.driving import come_to_rest, settle
from tests.pages import ALONE, Watch

PATH = "book/02-attention-pooling.html"
NAME = "kernel-regression-explorer"


def explorer(page: Page) -> Locator:
    return page.locator(f".aw-{NAME}").first


def numbers(page: Page) -> dict[str, list[float]]:
    settle(page)
    found: dict[str, list[float]] = explorer(page).evaluate("e => e.numbers()")
    return found


def data(page: Page) -> dict[str, list[float]]:
    """The points that the page's explorer starts with."""
    state = page.locator('script[type="application/vnd.jupyter.widget-state+json"]')
    view = explorer(page).evaluate("e => e.parentElement.nextElementSibling.textContent")
    mine = json.loads(state.inner_text())["state"][json.loads(view)["model_id"]]["state"]
    return {"x": mine["x"], "y": mine["y"]}


def open_with(watch: Watch, **controls: Any) -> Page:
    query = "&".join(f"{name}={quote(json.dumps(value))}" for name, value in controls.items())
    return watch.open(f"{PATH}{ALONE}#{NAME}?{query}")


def agrees(page: Page, widget: KernelRegressionExplorer) -> None:
    found = numbers(page)
    for name, value in widget.reference().items():
        got = np.array(found[name]).reshape(value.shape)
        np.testing.assert_allclose(got, value.numpy(), rtol=1e-5, atol=1e-5, err_msg=name)


def copied(page: Page) -> KernelRegressionExplorer:
    """Build the widget anew from the Python that the page copies."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    explorer(page).get_by_role("button", name="Copy as Python").click()
    space: dict[str, Any] = {}
    source = page.evaluate("() => navigator.clipboard.readText()")
    exec(source.replace("\nKernel", "\nwidget = Kernel"), space)
    widget: KernelRegressionExplorer = space["widget"]
    return widget


def lonely(widget: KernelRegressionExplorer) -> int:
    """The point farthest from all others and from the query's line: a pointer hits it alone."""
    x, y = torch.tensor(widget.x), torch.tensor(widget.y)
    apart = torch.hypot(x[:, None] - x, y[:, None] - y).fill_diagonal_(torch.inf).amin(dim=1)
    return int(apart.minimum((x - widget.query).abs()).argmax())


def drag(page: Page, handle: Locator, right: float, down: float) -> None:
    handle.scroll_into_view_if_needed()
    area = handle.bounding_box()
    assert area
    x, y = area["x"] + area["width"] / 2, area["y"] + area["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + right, y + down, steps=4)
    page.mouse.up()
    settle(page)


def test_dragging_points_query_and_bandwidth(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    box = explorer(page)
    before = copied(page)
    i = lonely(before)
    drag(page, box.get_by_role("slider", name=f"point {i + 1}", exact=True), 12, -40)
    drag(page, box.get_by_role("slider", name="query", exact=True), -90, 0)
    drag(page, box.locator(".aw-marker"), -30, 0)
    after = copied(page)
    assert after.x[i] > before.x[i]
    assert after.y[i] > before.y[i]
    assert after.query < before.query - 0.5
    assert after.bandwidth < before.bandwidth / 1.5
    assert [k for k, x in enumerate(before.x) if x != after.x[k]] == [i]
    agrees(page, after)
    assert watch.bad == []


def test_a_point_stays_inside_the_plane(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    i = lonely(copied(page))
    drag(page, explorer(page).get_by_role("slider", name=f"point {i + 1}", exact=True), -900, 0)
    assert copied(page).x[i] == 0.0


def test_keyboard_alone(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    box = explorer(page)
    start = copied(page)
    for name, keys in (
        ("query", ["ArrowLeft", "Shift+ArrowLeft"]),
        ("point 3", ["ArrowUp", "ArrowRight"]),
        ("bandwidth", ["ArrowUp"]),
    ):
        handle = box.locator(".aw-handle").and_(box.get_by_role("slider", name=name, exact=True))
        handle.focus()
        for key in keys:
            page.keyboard.press(key)
            settle(page)
    end = copied(page)
    room = start.grid()[-1].item() - start.grid()[0].item()
    assert end.query == pytest.approx(start.query - 0.11 * room, abs=0.002)
    assert end.x[2] > start.x[2]
    assert end.y[2] > start.y[2]
    assert end.bandwidth == pytest.approx(1.03 * start.bandwidth, rel=0.01)
    agrees(page, end)
    point = box.get_by_role("slider", name="point 3", exact=True)
    weight = f"weight {end.weights[2]:.3f}"
    expect(point).to_have_attribute("aria-valuetext", re.compile(re.escape(weight)))
    area = box.get_by_role("slider", name="query", exact=True).get_attribute("aria-valuetext")
    assert area is not None
    assert "prediction" in area


def test_the_matrix_names_its_cells_and_moves_the_query(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    box = explorer(page)
    start = KernelRegressionExplorer(**data(page))
    box.locator(".aw-heatmap canvas").first.focus()
    for key in ["ArrowDown"] * 5 + ["ArrowRight"] * 2:
        page.keyboard.press(key)
    point = int(torch.argsort(torch.tensor(start.x))[2])
    weight = start.reference()["matrix"][5, 2].item()
    assert f"point {point + 1} at" in box.locator(".aw-status").inner_text()
    assert f"weight {weight:.3f}" in box.locator(".aw-status").inner_text()
    picked = box.locator(".aw-point.aw-picked")
    assert picked.get_attribute("aria-label") == f"point {point + 1}"
    page.keyboard.press("Enter")
    settle(page)
    assert copied(page).query == pytest.approx(start.grid()[20].item(), abs=1e-9)


def test_an_overshooting_step_says_so(watch: Watch) -> None:
    top = KernelRegressionExplorer(**data(watch.open(PATH + ALONE)))._own_bounds["learning_rate"][1]
    watch.page.goto("about:blank")
    page = open_with(watch, bandwidth=1.7, learning_rate=top)
    explorer(page).get_by_role("button", name="One gradient step on w").click()
    settle(page)
    assert "Overshot" in explorer(page).locator(".aw-report").inner_text()
    assert "overshoot" in explorer(page).locator(".aw-reached").last.inner_text()
    explorer(page).get_by_role("button", name="Reset").click()
    settle(page)
    assert explorer(page).locator(".aw-report").inner_text() == ""
    assert explorer(page).locator(".aw-reached", has_text="overshoot").count() == 0


def test_few_tab_stops_and_a_bandwidth_that_the_text_asks_for(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    box = explorer(page)
    assert box.locator(".aw-point[tabindex='0']").count() == 1
    first = box.locator(".aw-point").first
    first.focus()
    page.keyboard.press("PageDown")
    order = np.argsort(data(page)["x"], kind="stable")
    here = page.evaluate("() => document.activeElement.getAttribute('aria-label')")
    assert here == f"point {order[list(order).index(0) + 1] + 1}"
    bandwidth = box.get_by_label("bandwidth", exact=True).first  # the slider, not the marker
    said = set()
    bandwidth.focus()
    for _ in range(130):
        page.keyboard.press("ArrowLeft")
        said.add((bandwidth.get_attribute("aria-valuetext") or "").split(",")[0])
    assert {"0.300", "0.100", "0.500"} <= said


def test_only_the_gaussian_learns(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    button = explorer(page).get_by_role("button", name="One gradient step on w")
    assert button.is_enabled()
    explorer(page).get_by_label("kernel", exact=True).select_option("boxcar")
    assert button.is_disabled()
    assert "Gaussian only" in explorer(page).locator(".aw-report").inner_text()


def test_an_empty_window_is_a_gap_and_is_said(watch: Watch) -> None:
    page = open_with(watch, kernel="epanechnikov", bandwidth=0.08)
    settle(page)
    assert "The curve has gaps" in explorer(page).locator(".aw-status").inner_text()
    page.goto("about:blank")
    page = open_with(watch, kernel="boxcar", bandwidth=0.02)
    settle(page)
    box = explorer(page)
    assert "Where the curve has a gap" in box.locator(".aw-readout").inner_text()
    assert (box.locator(".aw-main .aw-curve").get_attribute("d") or "").count("M") > 5
    empty = np.array(numbers(page)["matrix"]).reshape(50, -1).sum(axis=1) == 0
    assert empty.any()
    query = KernelRegressionExplorer(**data(page)).grid()[4 * int(empty.argmax())].item()
    page.goto("about:blank")
    page = open_with(watch, kernel="boxcar", bandwidth=0.02, query=query)
    settle(page)
    assert explorer(page).locator(".aw-answer-text").text_content() == "nothing in the window"


def test_goals_can_be_reached_and_are_not_from_the_start(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    assert explorer(page).locator(".aw-reached").count() == 0
    widget = KernelRegressionExplorer(**data(page))
    best = float(widget.bandwidths()[int(widget.loo_curve.argmin())])
    for goal, controls in enumerate(
        [
            {"bandwidth": best},
            {"bandwidth": 0.01, "kernel": "triangular"},
            {"bandwidth": 20.0},
        ]
    ):
        page.goto("about:blank")
        open_with(watch, **controls)
        settle(page)
        classes = explorer(page).locator(".aw-goals li").nth(goal).get_attribute("class")
        assert classes == "aw-reached", goal


def test_it_fits_everywhere(watch_everywhere: Watch) -> None:
    page = watch_everywhere.open(PATH)
    box = explorer(page)
    wide = box.evaluate("e => [e.scrollWidth, e.clientWidth]")
    assert wide[0] <= wide[1]
    outside = box.evaluate(
        """e => [...e.querySelectorAll("svg, canvas, input, select, button, p, span")]
            .filter((n) => n.getBoundingClientRect().right > e.getBoundingClientRect().right)
            .length"""
    )
    assert outside == 0
    touch = "e => getComputedStyle(e).touchAction"
    assert box.locator(".aw-point .aw-dot").first.evaluate(touch) == "none"
    assert box.locator(".aw-plane").first.evaluate(touch) == "auto"
    assert watch_everywhere.bad == []


def test_a_finger_drags_the_query_and_scrolls_elsewhere(phone: BrowserContext, site: str) -> None:
    watch = Watch(phone, site)
    page = watch.open(PATH)
    box = explorer(page)
    page.evaluate("() => typesetFormulas()")  # nothing moves later
    touch = page.context.new_cdp_session(page)

    def swipe(target: Locator, right: float, down: float) -> float:
        """Swipe from the lower end of the target and tell how far the widget moved up."""
        target.scroll_into_view_if_needed()
        come_to_rest(page)
        area, widget = target.bounding_box(), box.bounding_box()
        assert area
        assert widget
        x, y = area["x"] + area["width"] / 2, area["y"] + 0.97 * area["height"]

        def send(kind: str, *points: dict[str, float]) -> None:
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": list(points)})

        send("touchStart", {"x": x, "y": y})
        for step in range(1, 9):
            send("touchMove", {"x": x + right * step / 8, "y": y + down * step / 8})
            settle(page)
        send("touchEnd")
        come_to_rest(page)
        after = box.bounding_box()
        assert after
        return widget["y"] - after["y"]

    before = copied(page)
    assert abs(swipe(box.locator(".aw-query"), -60, -60)) < 2, "a drag does not scroll"
    assert copied(page).query < before.query - 0.3
    assert swipe(box.locator(".aw-readout"), 0, -120) > 50, "elsewhere the page scrolls"
    page.close()

"""Weights on demand: nothing is loaded before the reader asks, and what fails can be repeated."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.driving import settle

from .bench import URL, Bench, site_of
from .carrier import RAMP, Carrier, ramp

POLICY = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'"
OFFER = re.compile(r"Load the ramp \(500 KB\)")
PIECE = re.compile(r"/live/[0-9a-f]{12}-(\d+)\.js$")
HALVES = RAMP.half().double()
MEANS = [HALVES.mean().item(), HALVES[-1].item()]


class Loading:
    """A page with a carrier, which remembers the pieces that were asked for."""

    def __init__(self, bench: Bench) -> None:
        self.page: Page = bench.page
        self.bad = bench.bad
        self.pieces: list[int] = []
        self.page.on("request", self._request)

    def _request(self, request: Any) -> None:
        if found := PIECE.search(request.url):
            self.pieces.append(int(found[1]))

    def press(self, name: str | re.Pattern[str]) -> None:
        self.page.get_by_role("button", name=name).first.click()

    def expect_loaded(self, box: Locator | None = None) -> None:
        box = box or self.page.locator(".aw")
        expect(box.locator(".aw-status")).to_have_text("The ramp is there.")
        expect(box.locator(".aw-file")).to_have_count(0)
        np.testing.assert_allclose(box.evaluate("e => e.numbers().means"), MEANS, rtol=1e-5)


@pytest.fixture
def loading(browser: Browser) -> Iterator[Loading]:
    bench = Bench(browser, Carrier)
    loading = Loading(bench)
    bench.open_link("", load=False)
    yield loading
    bench.context.close()


# ---- the page


def test_a_file_is_loaded_when_the_reader_asks(loading: Loading) -> None:
    settle(loading.page)
    assert loading.pieces == []
    loading.press(OFFER)
    loading.expect_loaded()
    assert loading.pieces == [0, 1, 2]
    assert loading.bad == []


def test_two_widgets_of_a_page_load_it_once(loading: Loading) -> None:
    two = site_of(Carrier(), Carrier())["/"]
    page = loading.page
    page.route(f"{URL}two", lambda route: route.fulfill(body=two, content_type="text/html"))
    page.goto(f"{URL}two")
    for which in (0, 1):
        box = page.locator(".aw[data-ready]").nth(which)
        box.get_by_role("button", name=OFFER).click()
        loading.expect_loaded(box)
    assert loading.pieces == [0, 1, 2]


@pytest.mark.parametrize("answer", ["nothing", "another page"])
def test_a_piece_that_does_not_arrive_can_be_asked_for_again(loading: Loading, answer: str) -> None:
    def broken(route: Route) -> None:
        if answer == "nothing":
            route.abort()
        else:
            route.fulfill(body="/* welcome to this network */", content_type="text/javascript")

    page = loading.page
    page.route("**/*-1.js", broken)
    loading.press(OFFER)
    again = page.get_by_role("button", name="Try again (500 KB)")
    expect(again).to_be_focused()
    said = page.locator(".aw-file [role=status]")
    expect(said).to_have_text(re.compile(r"^A part of ramp\.safetensors did not arrive\."))
    page.unroute("**/*-1.js")
    page.keyboard.press("Enter")
    loading.expect_loaded()
    assert loading.pieces == [0, 1, 1, 2]


def test_loading_can_be_cancelled(loading: Loading) -> None:
    page, held = loading.page, list[Route]()
    page.route("**/*-1.js", lambda route: held.append(route))
    loading.press(OFFER)
    bar = page.get_by_role("progressbar", name="loading the ramp")
    size = len(ramp())
    expect(bar).to_have_js_property("value", 192 * 1024 / size)
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Try again")).to_be_focused()
    expect(page.locator(".aw-file [role=status]")).to_have_text("Stopped.")
    for route in held:
        route.fallback()
    page.wait_for_function("() => Object.keys(liveParts).some((name) => name.endsWith('-1'))")
    settle(page)
    assert loading.pieces == [0, 1]
    loading.press("Try again")
    loading.expect_loaded()
    assert loading.pieces == [0, 1, 2]


def test_it_loads_from_a_file_on_disk(browser: Browser, tmp_path: Path) -> None:
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    for path, text in site_of(Carrier()).items():
        file = tmp_path / (path.lstrip("/") or "index.html")
        file.parent.mkdir(exist_ok=True)
        text = text.replace('src="/live', 'src="live').replace("<title>", f"{policy}<title>")
        file.write_text(text, encoding="utf-8")
    page = browser.new_page()
    bad: list[str] = []
    page.on("console", lambda said: bad.append(said.text))
    page.goto((tmp_path / "index.html").as_uri())
    page.get_by_role("button", name=OFFER).click()
    expect(page.locator(".aw-status")).to_have_text("The ramp is there.")
    np.testing.assert_allclose(
        page.locator(".aw").evaluate("e => e.numbers().means"), MEANS, rtol=1e-5
    )
    assert bad == []
    page.close()


def test_silence_is_explained(browser: Browser) -> None:
    """In JupyterLab a kernel that is busy or gone answers nothing."""
    bench = Bench(browser, Carrier)
    bench.page.clock.install()
    bench.page.route("**/*-0.js", lambda route: None)
    bench.open_link("", load=False)
    bench.press("Load the ramp (500 KB)")
    said = bench.page.locator(".aw-file [role=status]")
    expect(said).to_have_text("")
    bench.page.clock.fast_forward(5001)
    expect(said).to_have_text(re.compile("^No answer yet"))
    bench.context.close()


# ---- the kernel


def asked(message: dict[str, Any], kind: type[Carrier] = Carrier) -> Mock:
    """What a widget sends when its front end says something."""
    widget = kind()
    widget.send = Mock()
    widget._handle_custom_msg(message, [])
    return widget.send


def test_the_kernel_sends_a_file_that_is_asked_for() -> None:
    assert Carrier()._files == [["ramp.safetensors", len(ramp())]]
    asked({"file": "ramp.safetensors"}).assert_called_once_with(
        {"file": "ramp.safetensors", "loaded": 1}, [ramp()]
    )


@pytest.mark.parametrize(
    "message",
    [{"file": "ramp.safetensors", "cancel": True}, {"file": "../secret"}, {"file": None}, {}],
)
def test_the_kernel_sends_nothing_else(message: dict[str, Any]) -> None:
    asked(message).assert_not_called()


def test_a_file_that_is_gone_is_named() -> None:
    answers = iter([ramp()])

    def read() -> bytes:
        for data in answers:
            return data
        raise FileNotFoundError(2, "No such file or directory")

    class Gone(Carrier):
        files = {"ramp.safetensors": read}

    asked({"file": "ramp.safetensors"}, Gone).assert_called_once_with(
        {
            "file": "ramp.safetensors",
            "error": "The kernel cannot read ramp.safetensors: No such file or directory.",
        }
    )

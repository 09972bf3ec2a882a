"""One widget on a page of its own, as the book writes it, without building the book."""

from __future__ import annotations

import html
import io
import itertools
import json
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import numpy as np
import numpy.typing as npt
from ipywidgets import Widget
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Route

from attn_utils.widgets.base import LiveWidget
from tests.driving import load_files, settle

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

from live_widgets import STATE, VIEW, slim_state  # noqa: E402

HOST = ROOT / "book/_ext/live_widgets/static/live/host.js"
URL = "https://widgets.test/"  # answered by `Bench` itself; https, so that there is a clipboard

# What the kit takes from the book's theme.
THEME = """
body { margin: 0; padding: 0 16px; font-family: sans-serif; }
body { background: var(--pst-color-background); }
html[data-theme="light"] { --pst-color-background: #ffffff; --pst-color-text-base: #222832; }
html[data-theme="dark"] {
  color-scheme: dark; --pst-color-background: #14181e; --pst-color-text-base: #ced6dd;
  --pst-color-text-muted: #9ca4af; --pst-color-border: #48566b;
}
"""

Picture = npt.NDArray[np.uint8]  # (height, width, 3)


def picture_of(png: Path | io.BytesIO) -> Picture:
    with Image.open(png) as image:
        return np.asarray(image.convert("RGB"))


def site_of(*widgets: LiveWidget) -> dict[str, str]:
    """Write the page and its scripts, the host and the front end, as ``live_widgets`` does."""
    stored = json.dumps(Widget.get_manager_state(widgets=widgets))
    state, scripts = slim_state(stored, {widget.model_id for widget in widgets})
    views = "".join(
        f'<div><script type="{VIEW}">{json.dumps({"model_id": widget.model_id})}</script></div>'
        for widget in widgets
    )
    page = (
        '<!doctype html><html lang="en" data-theme="light"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(widgets[0].title)}</title><style>{THEME}</style></head><body>"
        f"{views}"
        f'<script type="{STATE}">{state}</script>'
        '<script src="/live/host.js"></script></body></html>'
    )
    return {
        "/": page,
        "/live/host.js": HOST.read_text(encoding="utf-8"),
        **{f"/live/{name}.js": script for name, script in scripts.items()},
    }


class Bench:
    """A browser page with one widget; it remembers everything that should not have happened."""

    def __init__(self, browser: Browser, kind: type[LiveWidget]) -> None:
        self.kind = kind
        self.widget = kind()
        self.bad: list[str] = []
        self.visits = itertools.count()
        site = site_of(self.widget)
        # two dots for a CSS pixel, as a saved picture has them
        window = {"viewport": {"width": 1300, "height": 900}, "device_scale_factor": 2}
        self.context = browser.new_context(**window)  # type: ignore[arg-type]
        self.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.context.route(URL + "**", lambda route: self._answer(route, site))
        self.page: Page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.bad.append(str(error)))
        self.page.on("console", lambda said: self.bad.append(said.text))

    @staticmethod
    def _answer(route: Route, site: dict[str, str]) -> None:
        path = urlsplit(route.request.url).path
        kind = "text/javascript" if path.endswith(".js") else "text/html"
        route.fulfill(body=site.get(path, ""), content_type=f"{kind}; charset=utf-8")

    def open(self, **state: Any) -> Locator:
        """Load the page afresh, with a link to a state, and wait until the widget has drawn."""
        query = "&".join(f"{name}={quote(json.dumps(value))}" for name, value in state.items())
        return self.open_link(f"#{self.widget._name}?{query}" if query else "")

    def open_link(self, fragment: str, *, load: bool = True) -> Locator:
        """Load the page afresh with anything behind its address, and the widget's weights."""
        # another query each time: a change of the fragment alone loads nothing
        self.page.goto(f"{URL}?{next(self.visits)}{fragment}")
        box = self.page.locator(".aw[data-ready]")
        box.wait_for()
        if load:
            load_files(box)
        settle(self.page)
        return box

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()
        settle(self.page)

    def copied(self, name: str) -> str:
        """Press a button that copies, and read the clipboard."""
        self.press(name)
        text: str = self.page.evaluate("() => navigator.clipboard.readText()")
        return text

    def linked(self) -> dict[str, Any]:
        """The controls that differ from the start, from the link that the widget offers."""
        fragment = urlsplit(self.copied("Copy link")).fragment
        _, _, query = fragment.partition("?")
        return {name: json.loads(text) for name, text in parse_qsl(query)}

    def numbers(self) -> dict[str, npt.NDArray[np.float64]]:
        settle(self.page)
        found = self.page.locator(".aw").evaluate("e => e.numbers()")
        return {name: np.array(values, np.float64) for name, values in found.items()}

    def saved_picture(self) -> Picture:
        with self.page.expect_download() as download:
            self.press("Save picture")
        return picture_of(download.value.path())

    def screenshot(self, part: str) -> Picture:
        png = self.page.locator(part).screenshot()
        return picture_of(io.BytesIO(png))


def another(spec: dict[str, Any], value: Any) -> Any:
    """A value that the control may take, other than the present one."""
    kind = spec["kind"]
    if kind == "choice":
        return next(option for option in spec["options"] if option != value)
    if kind == "switch":
        return not value
    if kind == "text":
        return value[::-1]
    if kind == "numbers":
        swapped = value[::-1]  # a list in which each number stands once stays one
        first = spec["max"] if value[0] == spec["min"] else spec["min"]
        return swapped if swapped != value else [first, *value[1:]]
    step = (spec["max"] - spec["min"]) / 7 if spec["step"] == "any" else spec["step"]
    changed = value - step if value + step > spec["max"] else value + step
    return round(changed, 6)


# Texts that are nothing any more when they are turned around, and others of their kind.
TEXTS = {"reaction": "CC(=O)O.OCC>>CC(=O)OCC"}


def changed_state(widget: LiveWidget) -> dict[str, Any]:
    """Another value for each control."""
    return {
        name: TEXTS.get(name) or another(spec, getattr(widget, name))
        for name, spec in widget._controls
    }


def hostile(spec: dict[str, Any], present: Any) -> list[Any]:
    """Values that no control of the kind takes, and some that only this one does not."""
    values: list[Any] = [None, {}, [[]], -1e9, " ", "x" * 1000]
    if spec["kind"] != "switch":
        values.append(True)
    if spec["kind"] != "text":
        values.append("<img src=x onerror=alert(1)>")
    if "pattern" in spec:
        # a letter that is no hexadecimal digit, a sign that no date has
        texts = ("g" * spec["max"], "€")
        refused = [t for t in texts if not re.fullmatch(spec["pattern"], t, re.DOTALL)]
        assert refused, spec
        values += refused
    if spec["kind"] == "number" and spec["step"] != "any":
        values += [spec["min"] + spec["step"] / 2, spec["max"] + spec["step"]]
    if spec["kind"] == "numbers":
        values += [[*present[:-1], *last] for last in ([], [0, 0], [None], ["0"], [1e9])]
        if spec["step"] != "any":
            values.append([*present[:-1], spec["min"] + spec["step"] / 2])
    return values

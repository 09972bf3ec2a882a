"""Photograph a live widget of the built book for the README: ``python tools/screenshot.py``."""

from __future__ import annotations

import sys
from pathlib import Path

from chromium import HINT, find_chromium
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "_build" / "html" / "book" / "01-attention-cues.html"
PICTURE = ROOT / "book" / "assets" / "readme-widget.png"
# a reader with an intent: something to read, in spite of the red cup
STATE = '#cue-explorer?use="read"&salience_gain=1.6&query_gain=2.4'


def main() -> None:
    """Open chapter 1 in Chromium with the explorer in a telling state and photograph it."""
    chromium = find_chromium() or sys.exit(HINT)
    if not PAGE.exists():
        sys.exit("the book is not built: run 'make book' first")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1300, "height": 1000}, color_scheme="light")
        page.goto(PAGE.as_uri() + STATE)
        page.wait_for_selector("html[data-live-host=ready]")
        page.wait_for_timeout(300)
        page.locator(".aw-cue-explorer").first.screenshot(path=PICTURE)
        browser.close()
    print(f"{PICTURE.relative_to(ROOT)} renewed")


if __name__ == "__main__":
    main()

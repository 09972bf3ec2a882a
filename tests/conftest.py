"""What several groups of tests need."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from chromium import HINT, find_chromium
from playwright.sync_api import Browser, sync_playwright

# fixtures: the built book, open in a browser
from .pages import phone, site, watch, watch_everywhere, wide  # noqa: F401

FLAGS = [
    *["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"],
    *["--disable-background-networking", "--disable-component-update"],
    # nothing but this machine can be reached, so a request to another host fails
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the system's Chromium or Chrome. Without one, tests are skipped; in CI they fail."""
    path = find_chromium()
    if path:
        return path
    if os.environ.get("CI"):
        pytest.fail(HINT)
    pytest.skip(HINT)


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    """One headless Chromium for all tests: Playwright runs once in a process."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()

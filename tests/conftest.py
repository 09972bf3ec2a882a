"""What several groups of tests need."""

from __future__ import annotations

import os
import shutil

import pytest


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the system's Chromium or Chrome. Without one, tests are skipped; in CI they fail."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path:
        return path
    hint = (
        "no Chromium found: install it (Debian: apt-get install chromium; macOS: "
        "brew install --cask chromium) or set CHROMIUM to the path of Chromium or Chrome"
    )
    if os.environ.get("CI"):
        pytest.fail(hint)
    pytest.skip(hint)

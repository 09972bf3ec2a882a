"""Find the system's Chromium or Chrome: ``python tools/chromium.py`` prints its path.

The variable CHROMIUM names another one. The exit status is 1 if there is none.
"""

from __future__ import annotations

import os
import shutil
import sys

# The headless shell, where it is installed, first: without a user's interface it is quicker.
NAMES = (
    *("chromium-headless-shell", "chrome-headless-shell"),
    *("chromium", "chromium-browser", "google-chrome", "chrome"),
)
HINT = (
    "no Chromium found: install it (Debian: apt-get install chromium; macOS: "
    "brew install --cask chromium) or set CHROMIUM to the path of Chromium or Chrome"
)


def find_chromium() -> str | None:
    """Return the path of the browser that tests, screenshots and benchmarks drive, if any."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


if __name__ == "__main__":
    print(find_chromium() or sys.exit(HINT))

"""What a test does with any widget: wait for it to draw, and move a slider."""

from __future__ import annotations

from playwright.sync_api import Locator, Page


def settle(page: Page) -> None:
    """Wait for the next painted frame: a widget draws once per frame."""
    page.evaluate("() => new Promise((f) => requestAnimationFrame(() => requestAnimationFrame(f)))")


def move_slider(slider: Locator, value: float) -> None:
    """Drag a slider to a value and let go of it."""
    slider.evaluate(
        """(e, v) => {
            e.value = v;
            e.dispatchEvent(new Event('input'));
            e.dispatchEvent(new Event('change'));
        }""",
        value,
    )

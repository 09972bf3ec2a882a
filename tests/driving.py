"""What a test does with any widget: wait for it to draw, and move a slider."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect


def settle(page: Page) -> None:
    """Wait for the next painted frame: a widget draws once per frame."""
    page.evaluate("() => new Promise((f) => requestAnimationFrame(() => requestAnimationFrame(f)))")


def load_files(box: Locator) -> None:
    """Press a widget's offer to load its weights, if it has one, and wait for them."""
    offer = box.locator(".aw-file button:visible")
    if offer.count():
        offer.click()
        expect(box.locator(".aw-file")).to_have_count(0, timeout=60_000)


def come_to_rest(page: Page) -> None:
    """Wait until the page has neither scrolled nor grown for ten frames."""
    page.evaluate(
        """async () => {
            const now = () => `${scrollX} ${scrollY} ${document.documentElement.scrollHeight}`;
            for (let before = now(), same = 0; same < 10; ) {
                await new Promise(requestAnimationFrame);
                same = now() === before ? same + 1 : 0;
                before = now();
            }
        }"""
    )


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

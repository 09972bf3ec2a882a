"""The saved picture of every widget: what the reader sees, without buttons and goals."""

from __future__ import annotations

import numpy as np
import pytest

from .bench import Bench, Picture, changed_state

pytestmark = pytest.mark.usefixtures("nothing_bad")


def colours(picture: Picture, at_least: int) -> set[int]:
    """The colours, in steps of 1/16 a channel, that at least so many dots have."""
    red, green, blue = np.moveaxis(picture // 16, -1, 0).astype(np.uint16)
    codes = 256 * red + 16 * green + blue
    return set(np.flatnonzero(np.bincount(codes.ravel()) >= at_least).tolist())


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_saved_picture_shows_what_the_reader_sees(bench: Bench, theme: str) -> None:
    box = bench.open()
    bench.page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
    stage = bench.screenshot(".aw-stage")
    picture = bench.saved_picture()
    high, wide, _ = picture.shape
    seen = box.bounding_box()
    assert seen
    assert 0.8 * stage.shape[0] < high < 2 * seen["height"], "two dots a pixel, no goals"
    assert 0.7 * stage.shape[1] < wide <= 2 * seen["width"]
    shown = colours(stage, 40)
    assert len(shown) > 5
    missing = shown - colours(picture, 20)
    assert len(missing) <= 0.02 * len(shown), sorted(missing)
    edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    assert np.ptp(edge, axis=0).max() < 5, "nothing is cut off, no rim"


COPY = """() => {
    const decode = Image.prototype.decode;
    Image.prototype.decode = function () {
        const text = decodeURIComponent(this.src.slice(this.src.indexOf(',') + 1));
        window.copy = new DOMParser().parseFromString(text, 'image/svg+xml');
        return decode.call(this);
    };
}"""
# Inputs with what is set in them, and texts; from the page, and from the copy of it, where the
# state of an input has to stand in its attributes.
SHOWN = """stage => {
    const seen = (e) => e.checkVisibility() && !e.closest('button, .aw-visually-hidden');
    const texts = document.createTreeWalker(stage, NodeFilter.SHOW_TEXT);
    const words = [];
    while (texts.nextNode())
        if (seen(texts.currentNode.parentElement)) words.push(texts.currentNode.data);
    const inputs = [...stage.querySelectorAll('input')].filter(seen);
    return { words, inputs: inputs.map((e) => [e.value, e.checked]) };
}"""
KEPT = """() => {
    const texts = document.createTreeWalker(copy, NodeFilter.SHOW_TEXT);
    const words = [];
    while (texts.nextNode()) words.push(texts.currentNode.data);
    const stateOf = (e) => [e.getAttribute('value'), e.hasAttribute('checked')];
    return { words, inputs: [...copy.querySelectorAll('input')].map(stateOf) };
}"""


def test_a_saved_picture_keeps_inputs_and_words(bench: Bench) -> None:
    box = bench.open(**changed_state(bench.widget))
    shown = box.locator(".aw-stage").evaluate(SHOWN)
    bench.page.evaluate(COPY)
    bench.saved_picture()
    kept = bench.page.evaluate(KEPT)
    assert kept["inputs"] == shown["inputs"]
    assert set(shown["words"]) - {""} <= set(kept["words"])


def test_a_browser_without_foreign_objects_saves_the_drawings(bench: Bench) -> None:
    bench.open()
    bench.page.evaluate("""() => {
        const decode = Image.prototype.decode;
        Image.prototype.decode = function () {
            const refused = this.src.includes("foreignObject");
            return refused ? Promise.reject(new Error("refused")) : decode.call(this);
        };
    }""")
    picture = bench.saved_picture()
    assert len(colours(picture, 20)) > 5

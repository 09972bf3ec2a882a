"""The live writer in the rendered page: loading, writing, asking letters, goals, from a disk."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import torch
from playwright.sync_api import BrowserContext, Locator, Page, expect

from attn_utils import load_writer
from attn_utils.transformer.widget import CONTEXT, START, vocabulary
from attn_utils.widgets import LiveWriter
from tests.driving import load_files, move_slider, settle
from tests.pages import ALONE, SITE, Watch

PATH = "book/09-transformer.html"
PIECE = re.compile(r"/_static/live/[0-9a-f]{12}-\d+\.js$")


def writer(page: Page) -> Locator:
    return page.locator(".aw-live-writer")


def opened(page: Page) -> Locator:
    """The widget with the model loaded."""
    load_files(writer(page))
    return writer(page)


def same(page: Page, **controls: Any) -> None:
    """The page shows what the model computes in torch."""
    settle(page)
    found = writer(page).evaluate("e => e.numbers()")
    for name, want in LiveWriter(**controls).reference().items():
        np.testing.assert_allclose(found[name], want.flatten().numpy(), atol=1e-5, err_msg=name)


def text(page: Page) -> Locator:
    return writer(page).get_by_label("text", exact=True)


def press(page: Page, name: str) -> None:
    writer(page).get_by_role("button", name=name, exact=True).click()


def test_the_model_is_loaded_when_the_reader_asks(watch: Watch) -> None:
    pieces: list[str] = []
    watch.page.on("request", lambda r: pieces.append(r.url) if PIECE.search(r.url) else None)
    page = watch.open(PATH + ALONE)
    first = writer(page).locator(".aw-lw-bar").first
    expect(first).to_have_attribute("aria-label", re.compile(r"^write “a”: probability 0\.2\d$"))
    expect(writer(page).get_by_role("button", name="One letter")).to_be_disabled()
    same(page)
    text(page).fill("She was")
    hint = "Load the model to see what it expects after this text."
    expect(writer(page).locator(".aw-lw-rest")).to_have_text(hint)
    assert pieces == []
    opened(page)
    assert len(pieces) == len(set(pieces)) == 7
    expect(writer(page).get_by_role("button", name="One letter")).to_be_focused()
    same(page, text="She was")
    assert watch.bad == []


def test_it_writes_as_generate_does(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    box = opened(page)
    move_slider(box.get_by_label("temperature"), 0)
    for _ in range(3):
        press(page, "One letter")
    press(page, "Write on")  # past the point where the older half is forgotten
    page.wait_for_function(
        "() => document.querySelector('.aw-live-writer textarea').value.length > 100"
    )
    press(page, "Stop")
    written = text(page).input_value()
    expect(box.get_by_role("button", name="Write on")).to_be_visible()
    prompt = torch.tensor([[vocabulary().index(c) for c in START]])
    steps = len(written) - len(START)
    want = load_writer().generate(prompt, steps, temperature=0, context=CONTEXT)[0]
    assert written == "".join(vocabulary()[token] for token in want)
    same(page, text=written, temperature=0)
    notes = box.locator(".aw-lw-notes")
    expect(notes).to_contain_text(re.compile(rf"^It reads the last \d+ of {len(written)} letters"))
    assert watch.bad == []


def test_a_pressed_bar_writes_its_letter(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    box = opened(page)
    box.locator(".aw-lw-bar").first.click()
    expect(text(page)).to_have_value(START + "a")
    same(page, text=START + "a")
    move_slider(box.get_by_label("top-k"), 2)
    expect(box.locator(".aw-lw-rest")).to_have_text("2 of 66 letters may be drawn.")
    expect(box.locator(".aw-lw-bar").nth(2).locator(".aw-value")).to_have_text("cut")
    same(page, text=START + "a", top_k=2)


def test_any_letter_may_ask(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    box = opened(page)
    line = box.get_by_role("slider", name="the letter that asks")
    line.locator("[data-at='5']").click()
    expect(line).to_have_attribute("aria-valuetext", "“g”, letter 6 of 68")
    expect(box.locator(".aw-lw-next .aw-lw-title")).to_have_text("Predicted; l came")
    same(page, back=62)
    line.press("ArrowLeft")
    same(page, back=63)
    line.press("Home")
    same(page, back=67)
    line.press("End")
    expect(box.locator(".aw-lw-next .aw-lw-title")).to_have_text("The next letter")
    same(page)
    box.get_by_role("button", name=re.compile("^layer 3, head 4: ")).click()
    settle(page)
    weights = box.evaluate("e => e.numbers().weights").copy()
    darkest = max(range(68), key=lambda at: weights[11 * 68 + at])
    colours = line.locator("span").evaluate_all("all => all.map((e) => e.style.background)")
    assert colours[darkest] not in colours[:darkest]
    assert watch.bad == []


def test_characters_that_it_does_not_know_are_named(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    box = opened(page)
    text(page).fill("Mr. Ünal has 7 cats")
    expect(box.locator("p[role=status]")).to_have_text(
        "The model has never seen “Ü”, “7”: it reads without them."
    )
    same(page, text="Mr. Ünal has 7 cats")
    text(page).fill("")
    same(page, text="")
    press(page, "One letter")
    expect(box.locator(".aw-status")).to_contain_text("Write a letter first")
    text(page).fill("a" * 400)
    press(page, "One letter")
    expect(box.locator(".aw-status")).to_contain_text("The text is full: 400 characters.")
    assert watch.bad == []


def test_goals(watch: Watch) -> None:
    page = watch.open(PATH + ALONE)
    box = opened(page)
    reached = box.locator(".aw-reached")
    text(page).fill("Mr. Darc")  # not from an empty text
    settle(page)
    assert reached.count() == 0
    press(page, "Clear")
    text(page).press_sequentially("Mr. Darc")
    expect(reached).to_have_count(1)
    for head in range(12):
        box.locator(".aw-lw-head").nth(head).click()
    expect(reached).to_have_count(2)
    text(page).press_sequentially("y was not in the house, and she was ")
    expect(reached).to_have_count(3)
    press(page, "Reset")
    expect(reached).to_have_count(0)
    assert watch.bad == []


def test_it_loads_from_a_disk_and_on_a_phone(phone: BrowserContext) -> None:
    page = phone.new_page()
    bad: list[str] = []
    page.on("pageerror", lambda error: bad.append(str(error)))
    page.on("console", lambda said: bad.append(said.text) if said.type == "error" else None)
    page.goto((SITE / PATH).as_uri())
    page.wait_for_selector("html[data-live-host=ready]")
    box = opened(page)
    box.get_by_role("button", name="One letter").tap()
    expect(text(page)).not_to_have_value(START)
    same(page, text=text(page).input_value())
    assert box.evaluate("e => e.scrollWidth <= e.clientWidth")
    assert bad == []
    page.close()

"""The reaction explorer in a page: pointing, pinning, faults, goals, with and without the model."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Position, expect

from attn_utils import load_reaction_reader, mapped_reactions, mapping_accuracy
from attn_utils.widgets import ReactionExplorer
from tests.driving import load_files, move_slider, settle
from tests.widgets.bench import Bench

SULFUR = "S, atom 4 of the product, comes from S, atom 4 of the reactants: 0."
LONG = ".".join(["CCCCCCCCCC"] * 12) + ">>" + "C" * 40  # read in slices


class Explorer(Bench):
    """The widget on a page of its own."""

    @property
    def product(self) -> Locator:
        return self.page.get_by_role("application", name="Product.")

    def slide(self, name: str, value: int) -> None:
        move_slider(self.page.get_by_role("slider", name=name), value)
        settle(self.page)

    def write(self, text: str) -> None:
        self.page.get_by_label("reaction").fill(text)
        settle(self.page)

    def choose(self, name: str) -> None:
        self.page.get_by_label("example").select_option(label=name)
        settle(self.page)

    def says(self, text: str | re.Pattern[str]) -> None:
        expect(self.page.locator(".aw-status")).to_contain_text(text)

    def summary(self) -> str:
        return self.page.locator(".aw-rx-summary").inner_text()

    def fault(self) -> str:
        return self.page.locator(".aw-rx-fault").text_content() or ""

    def place_of(self, atom: int) -> Position:
        """Where an atom of the product, counted from 1, is drawn."""
        disc = self.product.locator(".aw-rx-disc").nth(atom - 1).bounding_box()
        area = self.product.bounding_box()
        assert disc
        assert area
        return {
            "x": disc["x"] + disc["width"] / 2 - area["x"],
            "y": disc["y"] + disc["height"] / 2 - area["y"],
        }

    def reached(self) -> list[bool]:
        goals = self.page.locator(".aw-goals li").all()
        return ["aw-reached" in (goal.get_attribute("class") or "") for goal in goals]


@pytest.fixture
def explorer(browser: Browser) -> Iterator[Explorer]:
    explorer = Explorer(browser, ReactionExplorer)
    yield explorer
    assert explorer.bad == []
    explorer.context.close()


# ---- with the map that comes with the page


def test_before_the_model_is_loaded(explorer: Explorer) -> None:
    box = explorer.open_link("", load=False)
    wanted = ReactionExplorer().reference()["weights"].flatten()
    np.testing.assert_allclose(explorer.numbers()["weights"], wanted, atol=1e-6)
    assert explorer.summary().startswith("Pass 9, head 1: ")
    explorer.slide("head", 6)
    assert explorer.summary().startswith("Load the model to see")
    assert explorer.numbers()["weights"].size == 0
    explorer.product.press("ArrowRight")
    explorer.says("C, atom 1 of the product.")
    explorer.slide("head", 1)
    assert explorer.summary().startswith("Pass 9, head 1: ")
    load_files(box)
    explorer.slide("head", 6)
    assert explorer.summary() == "Pass 9, head 6: 11 of 11 atoms come from where they should."


# ---- pointing


def test_keys_point_and_pin(explorer: Explorer) -> None:
    explorer.open(head=6)
    for key in ("End", "Home", "ArrowRight", "ArrowDown", "ArrowUp", "ArrowRight", "ArrowRight"):
        explorer.product.press(key)
    explorer.says(SULFUR)
    name = explorer.product.get_attribute("aria-label") or ""
    assert f"Product. {SULFUR}" in name
    assert "This is right." in name
    explorer.product.press("Enter")
    explorer.product.blur()
    assert explorer.linked() == {"head": 6, "atom": 4}
    explorer.says(SULFUR)
    explorer.product.press("ArrowLeft")
    explorer.says("C, atom 3 of the product, comes from")
    explorer.product.press("Escape")
    assert "atom" not in explorer.linked()


def test_the_pointer_shows_and_a_click_pins(explorer: Explorer) -> None:
    explorer.open(head=6)
    best = explorer.page.locator(".aw-rx-best")
    explorer.product.hover(position=explorer.place_of(4))
    explorer.says(SULFUR)
    expect(best).to_have_count(1)
    explorer.product.hover(position={"x": 12, "y": 12})
    expect(best).to_have_count(0)
    explorer.product.click(position=explorer.place_of(4))
    explorer.page.mouse.move(0, 0)
    expect(best).to_have_count(1)
    assert explorer.linked()["atom"] == 4
    explorer.product.click(position=explorer.place_of(6))
    assert explorer.linked()["atom"] == 6
    explorer.product.click(position=explorer.place_of(6))
    assert "atom" not in explorer.linked()
    explorer.product.click(position=explorer.place_of(1))
    explorer.choose("Amide coupling")
    assert set(explorer.linked()) == {"head", "reaction"}


def test_a_wrong_origin_is_called_wrong(explorer: Explorer) -> None:
    explorer.open(atom=4)  # head 1 maps nothing
    explorer.product.press("ArrowLeft")
    explorer.says(re.compile(r"atom 3 of the product.*This is wrong: it comes from atom 1 or 3\."))
    expect(explorer.page.locator(".aw-rx-wrong").first).to_be_visible()
    explorer.says(re.compile(r"More of its attention, 0\.\d\d, goes to "))


def test_every_example_is_scored_as_in_python(explorer: Explorer) -> None:
    explorer.open()
    model = load_reaction_reader()
    for reaction in mapped_reactions()[::4]:
        explorer.choose(reaction.name)
        share = mapping_accuracy(model, [reaction])
        for layer, head in ((2, 6), (9, 3)):
            explorer.slide("pass", layer)
            explorer.slide("head", head)
            count = len(reaction.origins)
            right = round(share[layer - 1, head - 1].item() * count)
            assert explorer.summary() == (
                f"Pass {layer}, head {head}: {right} of {count} atoms come from where they should."
            )


def test_the_whole_map(explorer: Explorer) -> None:
    explorer.open(head=6)
    explorer.page.get_by_text("The whole map").click()
    cells = explorer.page.get_by_role("application", name="Attention of this head.")
    cells.press("ArrowRight")
    weight = ReactionExplorer(head=6).reference()["weights"][19, 1]
    explorer.says(f"C, token 19, looks at C, token 1: {weight:.2f}")
    explorer.write("CCO>>CC=O")
    cells.press("ArrowDown")
    explorer.says("C, token 6, looks at [CLS], token 0: ")
    explorer.page.set_viewport_size({"width": 320, "height": 700})
    assert explorer.page.evaluate("() => document.documentElement.scrollWidth") <= 320


# ---- text


def test_what_cannot_be_read_is_said_and_the_picture_stays(explorer: Explorer) -> None:
    explorer.open(head=6)
    before, numbers = explorer.summary(), explorer.numbers()["weights"]
    explorer.write("CC(C)S.Fc1cccnc1F>>CC(C)S[Xx]")
    assert explorer.fault() == "The model does not know “[Xx]” at place 26."
    explorer.write("CC(C)S.Fc1cccnc1F>>CC(C)Sc1")
    assert explorer.fault() == "The ring that “1” at place 27 opens is not closed."
    assert explorer.summary() == before
    np.testing.assert_array_equal(explorer.numbers()["weights"], numbers)
    assert "reaction" not in explorer.linked()
    explorer.write("CCO.CC(=O)O >>\nCCOC(C)=O")
    assert explorer.fault() == ""
    assert explorer.linked()["reaction"] == "CCO.CC(=O)O>>CCOC(C)=O"
    assert "nobody has checked it" in explorer.summary()
    want = ReactionExplorer(reaction="CCO.CC(=O)O>>CCOC(C)=O", head=6).reference()["weights"]
    np.testing.assert_allclose(explorer.numbers()["weights"], want.flatten(), atol=1e-5)


def test_reset_takes_back_what_cannot_be_read(explorer: Explorer) -> None:
    explorer.open()
    explorer.write("CC(")
    explorer.press("Reset")
    assert explorer.fault() == ""
    assert explorer.page.get_by_label("reaction").input_value() == ReactionExplorer().reaction


def test_a_link_with_a_broken_reaction(explorer: Explorer) -> None:
    explorer.open(reaction="CC(C>>CC", head=6)
    assert explorer.fault() == "The reaction of the link: “(” at place 3 is not closed by a “)”."
    assert explorer.linked() == {"head": 6}


def test_a_long_reaction_is_read_in_slices(explorer: Explorer) -> None:
    explorer.open(head=6)
    explorer.write(LONG)
    expect(explorer.page.locator(".aw-rx-summary")).to_contain_text(
        "Pass 9, head 6", timeout=60_000
    )
    want = ReactionExplorer(reaction=LONG, head=6).reference()["weights"]
    np.testing.assert_allclose(explorer.numbers()["weights"], want.flatten(), atol=1e-5)
    explorer.write(LONG + "C")
    explorer.write("CCO>>CC=O")  # the longer one is given up
    want = ReactionExplorer(reaction="CCO>>CC=O", head=6).reference()["weights"]
    np.testing.assert_allclose(explorer.numbers()["weights"], want.flatten(), atol=1e-5)


# ---- goals


def test_goals(explorer: Explorer) -> None:
    explorer.open(head=6)
    assert explorer.reached() == [False, False, False]
    explorer.slide("pass", 3)  # where the map of the first example appears
    assert explorer.reached() == [False, True, False]
    explorer.slide("pass", 9)
    explorer.write("CCCCCC>>C1CCCCC1")
    assert "cannot be right" in explorer.summary()
    assert explorer.reached() == [False, True, False]  # the head has not been found yet
    explorer.choose("Amide coupling")
    explorer.choose("Suzuki coupling")
    assert explorer.reached() == [True, True, False]
    explorer.write("CO>>CCO")  # no wonder
    explorer.write("CC>>CC")
    assert explorer.reached() == [True, True, False]
    explorer.write("CCCCCC>>C1CCCCC1")
    assert explorer.reached() == [True, True, True]
    explorer.press("Reset")
    assert explorer.reached() == [False, False, False]
    assert explorer.linked() == {}

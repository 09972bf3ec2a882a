"""What every widget has from the kit: link, copy as Python, reset, keyboard, sizes."""

from __future__ import annotations

import ast
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import pytest

from attn_utils.widgets.base import LiveWidget
from tests.driving import load_files, settle

from .bench import URL, Bench, changed_state, hostile, site_of

pytestmark = pytest.mark.usefixtures("nothing_bad")


def assert_same(found: dict[str, Any], expected: dict[str, npt.NDArray[Any]]) -> None:
    assert set(found) == set(expected)
    for name, want in expected.items():
        scale = np.abs(want[np.isfinite(want)]).max(initial=1e-6)
        np.testing.assert_allclose(found[name], want, rtol=0, atol=2e-5 * scale, err_msg=name)


def results(widget: LiveWidget) -> dict[str, npt.NDArray[Any]]:
    return {name: value.flatten().numpy() for name, value in widget.reference().items()}


# ---- link, Python, reset


def test_a_link_leads_to_its_state(bench: Bench) -> None:
    state = changed_state(bench.widget)
    bench.open(**state)
    assert bench.linked() == state
    assert_same(bench.numbers(), results(bench.kind(**state)))


def test_a_wrong_link_changes_nothing(bench: Bench) -> None:
    bench.open()
    untouched = bench.numbers()
    state = {}
    for which, (name, spec) in enumerate(bench.widget._controls):
        values = hostile(spec, getattr(bench.widget, name))
        state[name] = values[which % len(values)]
    bench.open(**state, __proto__="1", unknown=2)
    assert bench.linked() == {}, state
    assert_same(bench.numbers(), untouched)


@pytest.mark.parametrize("bench", ["CueExplorer"], indirect=True)  # whichever: the kit reads links
@pytest.mark.parametrize(
    "rest", ["?", "?{name}=%7B", "?{name}=%", "?=1", "?{name}", "", "??{name}=1"]
)
def test_a_broken_link_changes_nothing(bench: Bench, rest: str) -> None:
    name = bench.widget._controls[0][0]
    bench.open_link(f"#{bench.widget._name}{rest.format(name=name)}")
    assert bench.linked() == {}


def test_the_second_of_a_kind_has_links_of_its_own(bench: Bench) -> None:
    page, name, state = bench.page, bench.widget._name, changed_state(bench.widget)
    bench.open(**state)
    query = urlsplit(bench.copied("Copy link")).fragment.removeprefix(name)
    two = site_of(bench.widget, bench.kind())["/"]
    page.route(f"{URL}two", lambda route: route.fulfill(body=two, content_type="text/html"))
    page.goto(f"{URL}two#{name}-2{query}")
    first, second = (page.locator(".aw[data-ready]").nth(which) for which in (0, 1))
    second.wait_for()
    settle(page)
    for box, want in ((first, bench.kind()), (second, bench.kind(**state))):
        load_files(box)
        found = box.evaluate("e => e.numbers()")
        assert_same({key: np.array(v, np.float64) for key, v in found.items()}, results(want))
    assert page.evaluate("() => scrollY") > 0
    second.get_by_role("button", name="Copy link").click()
    copied = page.evaluate("() => navigator.clipboard.readText()")
    assert urlsplit(copied).fragment == f"{name}-2{query}"


def test_copied_python_rebuilds_the_state(bench: Bench) -> None:
    state = changed_state(bench.widget)
    bench.open(**state)
    code = ast.parse(bench.copied("Copy as Python"))
    last = code.body.pop()
    assert isinstance(last, ast.Expr)
    space: dict[str, Any] = {}
    exec(compile(code, "copied", "exec"), space)
    rebuilt = eval(compile(ast.Expression(last.value), "copied", "eval"), space)
    assert {name: getattr(rebuilt, name) for name in state} == state


def test_reset_leads_back(bench: Bench) -> None:
    bench.open()
    start = bench.numbers()
    bench.open(**changed_state(bench.widget))
    bench.press("Reset")
    assert_same(bench.numbers(), start)
    assert bench.linked() == {}
    assert bench.page.evaluate("() => location.hash") == f"#{bench.widget._name}"


# ---- keyboard and sizes

CONTROLS = """box => [...box.querySelectorAll(
    'input, select, textarea, button, [tabindex="0"]')].filter((e) => e.checkVisibility()
    && !e.disabled && e.tabIndex >= 0 && !(e.type === 'radio' && !e.checked))"""


def test_the_keyboard_reaches_every_control(bench: Bench) -> None:
    box = bench.open()
    box.evaluate(f"box => {{ window.left = new Set(({CONTROLS})(box)); }}")
    count = bench.page.evaluate("() => left.size")
    assert count >= 5
    for _ in range(2 * count):
        bench.page.keyboard.press("Tab")
        if bench.page.evaluate("() => { left.delete(document.activeElement); return !left.size; }"):
            break
    unreached = bench.page.evaluate("() => [...left].map((e) => e.outerHTML)")
    assert unreached == []


def test_arrow_keys_move_every_slider(bench: Bench) -> None:
    box = bench.open()
    for slider in box.locator("input[type=range]:visible:not(:disabled)").all():
        before = slider.input_value()
        slider.focus()
        at_end = slider.evaluate("e => Number(e.value) >= Number(e.max)")
        bench.page.keyboard.press("ArrowLeft" if at_end else "ArrowRight")
        assert slider.input_value() != before, slider.evaluate("e => e.outerHTML")


def test_plain_keys_stay_in_the_box(bench: Bench) -> None:
    """JupyterLab would take "x" for cutting the cell; chords, Tab and Escape are its own."""
    box = bench.open()
    bench.page.evaluate("""() => {
        window.heard = [];
        window.left = [];  // to Notebook 7, which listens on the way down
        document.addEventListener('keydown', (event) => heard.push(event.key));
        document.addEventListener('keydown', (event) => {
            if (!event.target.closest('[data-lm-suppress-shortcuts]')) left.push(event.key);
        }, true);
    }""")
    box.locator("button:visible:not(:disabled)").last.focus()
    for key in ("x", "ArrowDown", "Escape", "Control+b", "Tab"):
        bench.page.keyboard.press(key)
    assert bench.page.evaluate("() => heard") == ["Escape", "Control", "b", "Tab"]
    assert bench.page.evaluate("() => left") == ["Escape", "Control", "b", "Tab"]


@pytest.mark.parametrize("width", [320, 390, 1300])
def test_nothing_scrolls_sideways(bench: Bench, width: int) -> None:
    bench.page.set_viewport_size({"width": width, "height": 900})
    bench.open()
    needed = bench.page.evaluate("() => document.documentElement.scrollWidth")
    bench.page.set_viewport_size({"width": 1300, "height": 900})
    assert needed <= width

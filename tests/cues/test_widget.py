"""The cue explorer in Python: what it computes, what it refuses, what it draws."""

from __future__ import annotations

import pytest

from attn_utils.widgets import CueExplorer


def test_what_is_asked_for_and_what_stands_out() -> None:
    assert CueExplorer().weights.argmax() == 2  # the red cup
    asked = CueExplorer(use="eat", colour="yellow", shape="long", query_gain=6.0)
    assert asked.match().argmax() == 8  # the banana
    assert asked.weights.argmax() == 8


@pytest.mark.parametrize(
    ("controls", "message"),
    [
        ({"use": "fly"}, "use: expected one of any, read"),
        ({"salience_gain": 6.1}, "salience_gain: expected a number from 0 to 6, got 6.1"),
        ({"salience": [0.5, 0.5]}, "salience: expected 12 numbers, got 2"),
        ({"salience": [2.0] * 12}, "salience: expected finite numbers from 0 to 1"),
    ],
)
def test_bad_input(controls: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CueExplorer(**controls)


def test_a_title_is_text_and_no_formula() -> None:
    data, _ = CueExplorer(title="$$ costs $x^")._repr_mimebundle_()
    assert len(data["image/png"]) > 5000

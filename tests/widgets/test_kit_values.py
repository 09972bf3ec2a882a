"""What a link may set: a control takes what it could have produced itself, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from attn_utils.widgets import all_widgets
from tests.conftest import JavaScript

from .bench import another, hostile

FITS = Path(__file__).with_name("fits.js")


@pytest.mark.parametrize("name", sorted(all_widgets()))
def test_a_control_takes_its_own_values_only(javascript: JavaScript, name: str) -> None:
    widget = all_widgets()[name]()
    calls = []
    for control, spec in widget._controls:
        present = getattr(widget, control)
        values = [present, another(spec, present), *hostile(spec, present)]
        calls.append({"spec": spec, "present": present, "values": values})
    for call, found in zip(calls, javascript(FITS, calls), strict=True):
        values, taken = call["values"], found["taken"]
        assert taken == [1, 1, *[0] * (len(values) - 2)], call

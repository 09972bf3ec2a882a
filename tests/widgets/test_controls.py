"""Controls in Python: numbers are taken whichever library they come from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from attn_utils.widgets import all_widgets


@pytest.mark.parametrize("name", sorted(all_widgets()))
def test_numpy_numbers_are_numbers(name: str) -> None:
    widget = all_widgets()[name]()
    made: dict[str, type[Any]] = {"number": np.float64, "switch": np.bool_}
    for control, spec in widget._controls:
        value = getattr(widget, control)
        if spec["kind"] not in made:
            continue
        kind = made[spec["kind"]]
        whole = kind is np.float64 and value == int(value)
        setattr(widget, control, np.int64(value) if whole else kind(value))
        assert type(getattr(widget, control)) in (float, bool)
        assert getattr(widget, control) == value

"""A widget's arithmetic in the browser, held against its ``reference()`` in torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from attn_utils.widgets.base import LiveWidget
from tests.conftest import JavaScript

DOUBLE = 1e-11  # float64 on both sides
SINGLE = 1e-5  # float32 in torch


def equal_references(
    javascript: JavaScript,
    module: Path,
    widgets: Sequence[LiveWidget],
    names: Sequence[str],
    within: float = DOUBLE,
    terms: Mapping[str, float] | None = None,
) -> None:
    """Compute all widgets' states, the traits in ``names``, and compare with the references.

    ``within`` is relative to the largest finite number of a result, or to the size of what it is
    the sum or difference of, if ``terms`` says that this is larger. NaN has to stand where the
    reference has NaN.
    """
    states = [{name: getattr(widget, name) for name in names} for widget in widgets]
    for state, widget, found in zip(states, widgets, javascript(module, states), strict=True):
        expected = widget.reference()
        assert found.keys() == expected.keys()
        for name, tensor in expected.items():
            want = tensor.detach().double().flatten().numpy()
            size = np.abs(want[np.isfinite(want)]).max(initial=(terms or {}).get(name, 1e-12))
            np.testing.assert_allclose(
                found[name], want, rtol=0, atol=within * size, err_msg=f"{name} of {state}"
            )

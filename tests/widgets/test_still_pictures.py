"""Still pictures take any text: what Matplotlib would read as a formula is shown as it is."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from attn_utils.widgets import all_widgets

BROKEN = "$$"  # no formula: Matplotlib refuses to draw it
WORDS = [BROKEN, r"$\frac{$", "$b", "c_{"]
HEADS = {
    "tokens": [WORDS] * 2,
    "weights": torch.full((2, 2, 4, 4), 1 / 4),
    "contributions": torch.zeros(2, 2, 4),
    "bias": torch.zeros(4),
    "labels": [0, 1],
    "classes": WORDS,
    "heads": WORDS[:2],
    "question": BROKEN,
}
TEXTS: dict[str, dict[str, Any]] = {
    "HeadExplorer": HEADS,
    "PatchExplorer": {"images": torch.rand(2, 3, 32, 32), "names": WORDS[:2]},
    "SelfAttentionExplorer": {"words": " ".join(WORDS)},
}


@pytest.mark.parametrize("name", sorted(all_widgets()))
def test_no_text_is_a_formula(name: str) -> None:
    data, _ = all_widgets()[name](title=BROKEN, **TEXTS.get(name, {}))._repr_mimebundle_()
    assert data["image/png"]

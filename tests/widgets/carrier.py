"""A widget with a file of three pieces, to try out how it is loaded."""

from __future__ import annotations

import torch

from attn_utils.core.halves import half_bytes
from attn_utils.widgets.base import Buffer, LiveWidget, front_end

NUMBERS = 250_000
RAMP = torch.arange(NUMBERS) / 1e5 - 1


def ramp() -> bytes:
    """A tensor in half precision, 500 KB."""
    return half_bytes({"one": torch.ones(1), "ramp": RAMP})


class Carrier(LiveWidget):
    """Shows nothing but the button."""

    _esm = front_end(__file__, ".js")
    _css = front_end(__file__, ".css")
    files = {"ramp.safetensors": ramp}
    means = Buffer()

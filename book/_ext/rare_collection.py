"""Sphinx extension: while pages are built, Python looks for circular garbage less often.

What is read of the pages stays to the end, and is made of circles. With Python's own settings the
collector walks through all of it more than twenty times, which is over a quarter of the time that
the pages take.
"""

from __future__ import annotations

import gc
from typing import Any

from sphinx.application import Sphinx

# New objects until the youngest are looked at (Python: 700), and how many such looks until the next
# older ones are (10 and 10): the oldest never. That takes 0.4 GB more, and less than two notebooks.
THRESHOLDS = 5000, 10, 1000


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    gc.set_threshold(*THRESHOLDS)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

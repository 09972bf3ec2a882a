"""The chapters of the book, as the build derives them from _toc.yml and the notebooks."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

from derived_pages import chapters  # noqa: E402

CHAPTERS = chapters(ROOT)

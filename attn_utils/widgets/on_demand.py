"""Files that a widget's reader asks for: weights that would be too heavy for every page."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeAlias

#: What reads the bytes of a file.
Reader: TypeAlias = Callable[[], bytes]


def name_of(data: bytes) -> str:
    """Name a file's content: other bytes, another name, so that no cache holds an old one."""
    return hashlib.sha256(data).hexdigest()[:12]

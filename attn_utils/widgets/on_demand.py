"""Files that a widget's reader asks for: weights that would be too heavy for every page."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import TypeAlias

from torch import Tensor

#: What reads the bytes of a file.
Reader: TypeAlias = Callable[[], bytes]


def name_of(data: bytes) -> str:
    """Name a file's content: other bytes, another name, so that no cache holds an old one."""
    return hashlib.sha256(data).hexdigest()[:12]


def in_halves(tensors: Mapping[str, Tensor]) -> bytes:
    """Write tensors in half precision as the bytes of a safetensors file, which is easily read.

    It is an eight-byte length, a JSON header of that length with each tensor's place, and the
    numbers. Written here, it needs no package, and the same tensors give the same bytes.
    """
    header: dict[str, object] = {}
    parts: list[bytes] = []
    at = 0
    for name, tensor in tensors.items():
        halves = tensor.detach().cpu().half()
        if not halves.isfinite().all():
            raise ValueError(f"{name}: expected numbers that half precision can hold")
        parts.append(halves.numpy().astype("<f2").tobytes())
        end = at + len(parts[-1])
        header[name] = {"dtype": "F16", "shape": [*tensor.shape], "data_offsets": [at, end]}
        at = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])

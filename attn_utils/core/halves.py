"""Files of named half-precision tensors in the safetensors format, which a page can read as well.

Eight bytes say how long the header is; the header is JSON with dtype, shape and place of each
tensor; then come the numbers. Nothing in such a file can be executed.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor


def half_bytes(
    tensors: Mapping[str, Tensor], about: Mapping[str, str] = MappingProxyType({})
) -> bytes:
    """Round tensors to half precision and lay them out; the same input gives the same bytes.

    Args:
        tensors: by name; they lie in the file in the order of their names.
        about: what the file says about itself.

    Raises:
        ValueError: a number is too large for half precision.
    """
    header: dict[str, Any] = {"__metadata__": dict(about)}
    numbers = b""
    for name, tensor in sorted(tensors.items()):
        halves = tensor.detach().cpu().half()
        if not halves.isfinite().all():
            raise ValueError(f"{name}: expected numbers that half precision can hold")
        data = halves.numpy().astype("<f2").tobytes()
        place = [len(numbers), len(numbers) + len(data)]
        header[name] = {"dtype": "F16", "shape": [*tensor.shape], "data_offsets": place}
        numbers += data
    text = json.dumps(header, ensure_ascii=True).encode()
    text += b" " * (-len(text) % 8)  # the numbers begin at a multiple of 8
    return struct.pack("<Q", len(text)) + text + numbers


def read_half(path: Path) -> dict[str, Tensor]:
    """Read what :func:`half_bytes` has laid out, in single precision."""
    data = path.read_bytes()
    begin = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:begin])
    del header["__metadata__"]
    tensors = {}
    for name, entry in header.items():
        first, last = (begin + place for place in entry["data_offsets"])
        numbers = np.frombuffer(data[first:last], "<f2").astype(np.float32)
        tensors[name] = torch.from_numpy(numbers).reshape(entry["shape"])
    return tensors

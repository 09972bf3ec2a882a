"""What a file or a mapping holds: named tensors, whose shapes are known before they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    import numpy as np

MOST_TENSORS = 2**14  # ViT-H in training, twice averaged, has a quarter
_MOST_ENTRIES = 2**20
_DEEPEST = 12


class UnreadableError(ValueError):
    """This is no set of tensors; the message says what it is, and what to do."""


class Stored(NamedTuple):
    """A tensor that can be read."""

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], Tensor]

    @property
    def is_floating_point(self) -> bool:
        """Whether the numbers have a fraction, whoever names the dtype: float32, BF16, F8_E4M3."""
        return self.dtype.lower().startswith(("f", "bf"))


@dataclass
class Contents:
    """All tensors by name, and the names of mappings that are empty."""

    tensors: dict[str, Stored] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)


def flatten(content: object) -> Contents:
    """Gather the tensors of nested mappings; the names of the levels are joined by ``/``.

    Whatever is no tensor is passed over, and a mapping that is met again too.
    """
    contents, met, entries = Contents(), set(), 0
    levels: list[tuple[str, Any, int]] = [("", content, 0)]
    while levels:
        prefix, mapping, depth = levels.pop()
        if id(mapping) in met or depth > _DEEPEST:
            continue
        met.add(id(mapping))
        if not mapping and prefix:
            contents.empty.append(prefix.removesuffix("/"))
        deeper = []
        for key, value in mapping.items():
            entries += 1
            if not isinstance(key, str):
                continue
            if isinstance(value, Mapping):
                deeper.append((f"{prefix}{key}/", value, depth + 1))
            elif (stored := _stored(value)) is not None:
                contents.tensors[prefix + key] = stored
        levels.extend(reversed(deeper))  # in the order of the content
        if entries > _MOST_ENTRIES or len(contents.tensors) > MOST_TENSORS:
            raise UnreadableError(f"more than {MOST_TENSORS} tensors or {_MOST_ENTRIES} entries")
    return contents


def _stored(x: object) -> Stored | None:
    if isinstance(x, Tensor):
        ordinary = x.layout == torch.strided and not (x.is_meta or x.is_quantized or x.is_nested)
        kind = str(x.dtype).removeprefix("torch.") if ordinary else "no ordinary tensor"
        return Stored(() if x.is_nested else tuple(x.shape), kind, x.detach)
    if hasattr(x, "__array__") and getattr(x, "shape", None):  # NumPy's and JAX's
        import numpy as np

        array = np.asarray(x)
        return Stored(array.shape, name_of_dtype(array.dtype), lambda: as_tensor(array))
    return None


def name_of_dtype(dtype: np.dtype[Any]) -> str:
    """NumPy has no bfloat16 of its own: files store it as two bytes without meaning."""
    return "bfloat16" if dtype.str[1:] == "V2" else str(dtype.newbyteorder("="))


def as_tensor(array: np.ndarray[Any, Any]) -> Tensor:
    """Convert an array of any byte order, and of bfloat16."""
    if name_of_dtype(array.dtype) == "bfloat16":
        return torch.from_numpy(array.view("<i2").copy()).view(torch.bfloat16)
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))


def some(names: Iterable[str]) -> str:
    """List the first six of many names, each of them shortened and printable."""
    listed = list(names)
    shown = [name if name.isprintable() else ascii(name)[1:-1] for name in listed[:6]]
    shown = [name if len(name) <= 100 else f"{name[:60]}… ({len(name)} letters)" for name in shown]
    more = f" and {len(listed) - 6} more" if len(listed) > 6 else ""
    return ", ".join(shown) + more or "nothing"

"""Values on their way between judge and room: JSON, and no pickle, which could run code.

What has no form here, an object of a student's own class, arrives as a :class:`Stranger`: the
checks then say what kind of thing was expected in its place.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

LONGEST = 16 * 2**20  # bytes of a message; longer ones end the conversation
DEEPEST = 20  # lists in lists
WORDIEST = 1000  # characters of a text; the rest is cut off
_HEAD = struct.Struct(">Q")
_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
        *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
        *(torch.complex64, torch.complex128),
    )
}


class Garbled(Exception):
    """What came over the pipe is no message of ours."""


class Stranger:
    """Stands for an object that cannot travel; its class has the name of the object's class."""


def send(pipe: IO[bytes], message: Mapping[str, Any]) -> None:
    """Write a message."""
    text = json.dumps(message).encode()
    pipe.write(_HEAD.pack(len(text)) + text)
    pipe.flush()


def receive(pipe: IO[bytes]) -> dict[str, Any] | None:
    """Read a message; None if the other side has gone.

    Raises:
        Garbled: it is no message, or longer than :data:`LONGEST`.
    """
    head = pipe.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    (length,) = _HEAD.unpack(head)
    if length > LONGEST:
        raise Garbled(f"a message of {length:,} bytes")
    text = pipe.read(length)
    if len(text) < length:
        return None
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Garbled("no JSON") from error
    if not isinstance(message, dict):
        raise Garbled("no message")
    return message


def pack(value: Any, function: Callable[[Callable[..., Any]], Any]) -> Any:
    """Return ``value`` in a form that JSON can write; ``function`` packs callables."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufc":
        array = np.asarray(value)
        kind = {"kind": "array" if isinstance(value, np.ndarray) else "scalar"}
        return kind | {"dtype": array.dtype.name, "shape": array.shape, "data": _text(array)}
    if isinstance(value, float):
        return float(value)
    if value is Ellipsis:
        return {"kind": "ellipsis"}
    if isinstance(value, Tensor):
        return _pack_tensor(value)
    if isinstance(value, list | tuple):
        kind = {"kind": "list" if isinstance(value, list) else "tuple"}
        return kind | {"items": [pack(item, function) for item in value]}
    if isinstance(value, Mapping):
        pairs = [[pack(key, function), pack(item, function)] for key, item in value.items()]
        return {"kind": "dict", "items": pairs}
    if callable(value) and not isinstance(value, type):
        return function(value)
    return {"kind": "stranger", "name": type(value).__name__[:60]}


def unpack(value: Any, function: Callable[[dict[str, Any]], Any], depth: int = 0) -> Any:
    """Return the value that was packed; ``function`` unpacks callables.

    Raises:
        Garbled: nothing was packed like this.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value[:WORDIEST]
    try:
        kind = value["kind"]
        if depth > DEEPEST:
            raise Garbled("too many lists in lists")
        if kind == "ellipsis":
            return ...
        if kind == "tensor":
            return _unpack_tensor(value)
        if kind in ("array", "scalar"):
            array = np.frombuffer(_bytes(value), _number_type(value["dtype"])).copy()
            array = array.reshape(_shape(value))
            return array if kind == "array" else array[()]
        if kind in ("list", "tuple"):
            items = [unpack(item, function, depth + 1) for item in value["items"]]
            return items if kind == "list" else tuple(items)
        if kind == "dict":
            pairs = [
                [unpack(part, function, depth + 1) for part in pair] for pair in value["items"]
            ]
            return {key: item for key, item in pairs}  # noqa: C416 - they may be garbled
        if kind == "function":
            return function(value)
        if kind == "stranger":
            return type(str(value["name"]), (Stranger,), {})()
    except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise Garbled(f"{type(error).__name__}: {error}") from error
    raise Garbled(f"a value of the kind {kind!r}")


def tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested lists, tuples and dictionaries, always in the same order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors(item)
    elif isinstance(value, Mapping):
        yield from tensors(list(value.values()))


def _pack_tensor(tensor: Tensor) -> dict[str, Any]:
    name = str(tensor.dtype).removeprefix("torch.")
    if name not in _DTYPES or tensor.is_meta:
        return {"kind": "stranger", "name": f"Tensor of {tensor.dtype}"}
    plain = tensor.detach().cpu()
    plain = plain.to_dense() if plain.layout != torch.strided else plain
    flat = plain.resolve_conj().resolve_neg().contiguous().reshape(-1)
    data = flat.view(torch.uint8).numpy()
    packed = {"kind": "tensor", "dtype": name, "shape": list(tensor.shape), "data": _text(data)}
    return packed | {"grad": tensor.requires_grad}


def _unpack_tensor(value: dict[str, Any]) -> Tensor:
    dtype, shape = _DTYPES[value["dtype"]], _shape(value)
    data = bytearray(_bytes(value))
    tensor = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
    return tensor.reshape(shape).requires_grad_(value["grad"] is True)


def _shape(value: dict[str, Any]) -> tuple[int, ...]:
    shape = value["shape"]
    if not all(isinstance(size, int) and size >= 0 for size in shape):
        raise Garbled(f"the shape {shape!r}")
    return tuple(shape)


def _number_type(name: Any) -> np.dtype[Any]:
    dtype = np.dtype(str(name))
    if dtype.kind not in "biufc":
        raise Garbled(f"the type {name!r}")
    return dtype


def _text(array: Any) -> str:
    return base64.b64encode(array.tobytes()).decode()


def _bytes(value: dict[str, Any]) -> bytes:
    return base64.b64decode(value["data"], validate=True)

"""Reading weights from files that somebody else wrote: nothing in them is executed or believed.

Whatever the format, a file is a set of named shapes and a way to read one tensor. Shapes are known
before a number is read, so that a small file that promises a giant tensor is found out in time.
"""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

Shapes = dict[str, tuple[int, ...]]
Reader = Callable[[str], Tensor]


@contextlib.contextmanager
def open_checkpoint(path: Path) -> Iterator[tuple[Shapes, Reader]]:
    """Open .npz, .safetensors or, by any other name, what ``torch.save`` wrote.

    Yields:
        The shapes by name, and a function that reads the tensor of a name.
    """
    if path.is_dir():
        raise ValueError(f"path: expected a file, got the folder {path}")
    path.stat()  # a FileNotFoundError if there is none
    open_file = {".npz": _open_npz, ".safetensors": _open_safetensors}.get(
        path.suffix.lower(), _open_torch
    )
    with contextlib.ExitStack() as files:
        with _as_value_error(path):
            shapes, read = files.enter_context(open_file(path))

        def read_safely(name: str) -> Tensor:
            with _as_value_error(path):
                tensor = read(name)
                if not tensor.is_floating_point():
                    raise ValueError(f"{name} holds {tensor.dtype}, no floating-point numbers")
                if tuple(tensor.shape) != shapes[name]:
                    raise ValueError(f"{name} has not the shape that was announced")
                return tensor

        yield shapes, read_safely


@contextlib.contextmanager
def _as_value_error(path: Path) -> Iterator[None]:
    """What goes wrong in a broken file can be any exception; all of them mean the same."""
    try:
        yield
    except (ImportError, FileNotFoundError, PermissionError):
        raise  # not the file's fault
    except Exception as error:
        reason = str(error).strip().splitlines() or [""]
        raise ValueError(
            f"path: expected a file of weights, got {path} ({type(error).__name__}: {reason[0]})"
        ) from error


@contextlib.contextmanager
def _open_torch(path: Path) -> Iterator[tuple[Shapes, Reader]]:
    content: Any = torch.load(path, map_location="cpu", weights_only=True)
    for key in ("model", "state_dict"):  # training scripts save more than the weights
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content:
        raise ValueError("no dictionary of tensors in it")
    size = path.stat().st_size
    for name, x in content.items():
        if not isinstance(name, str) or not isinstance(x, Tensor):
            raise ValueError(f"{name!r} is no tensor but {type(x).__name__}")
        if x.layout != torch.strided or x.is_meta or x.is_quantized:
            raise ValueError(f"{name} is no ordinary tensor")
        if x.numel() * x.element_size() > size:  # a view that repeats few numbers without end
            raise ValueError(f"{name} of shape {tuple(x.shape)} is larger than the file")
    yield {name: tuple(x.shape) for name, x in content.items()}, content.__getitem__


@contextlib.contextmanager
def _open_safetensors(path: Path) -> Iterator[tuple[Shapes, Reader]]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        yield shapes, file.get_tensor


@contextlib.contextmanager
def _open_npz(path: Path) -> Iterator[tuple[Shapes, Reader]]:
    import numpy as np

    shapes: Shapes = {}
    with zipfile.ZipFile(path) as archive:  # the headers only: NumPy would read the data as well
        for member in archive.namelist():
            with archive.open(member) as file:
                version = np.lib.format.read_magic(file)
                read_header = {
                    (1, 0): np.lib.format.read_array_header_1_0,
                    (2, 0): np.lib.format.read_array_header_2_0,
                }[version]
                shape, _, dtype = read_header(file)
            if dtype.hasobject:
                raise ValueError(f"{member} holds Python objects, which would be executed")
            shapes[member.removesuffix(".npy")] = tuple(shape)
    with np.load(path, allow_pickle=False) as arrays:

        def read(name: str) -> Tensor:
            array = arrays[name]
            return torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))

        yield shapes, read

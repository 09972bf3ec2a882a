"""Reading tensors from files that somebody else wrote: nothing in them is executed or believed.

A file is told by its first bytes, since names lie. Sizes are compared with what is really there
before a number is read, so that neither a small file that promises a giant tensor nor one that
inflates to a giant costs more than its own size.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import math
import os
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from .checkpoint_contents import (
    MOST_TENSORS,
    Contents,
    Stored,
    UnreadableError,
    as_tensor,
    name_of_dtype,
    some,
)
from .checkpoint_pickles import LARGEST_INDEX, read_torch

# First bytes of what is mistaken for weights: what it is, and what to do.
_FOREIGN = (
    (b"version https://git-lfs", "a pointer of Git LFS; 'git lfs pull' fetches the file itself"),
    (b"<", "a web page; download the file itself, not the page about it"),
    (b"{", "a JSON file, which describes a model; the weights are in another file"),
    (b"[", "a JSON file; the weights are in another file"),
    (b"\x89HDF", "an HDF5 file, as Keras writes it; pass its arrays as a mapping instead"),
    (b"\x1f\x8b", "packed by gzip; unpack it first"),
    (b"GGUF", "a GGUF file, which holds quantised language models"),
)
# What a folder of Hugging Face's holds, the better file first.
_IN_FOLDER = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_LONGEST_NPY_HEADER = 10_000  # bytes; NumPy's own limit


@contextlib.contextmanager
def open_checkpoint(path: Path) -> Iterator[Contents]:
    """Open a file, the index of several, or a folder of Hugging Face's.

    Yields:
        The tensors in it, which can be read as long as the context lasts.
    """
    if path.is_dir():
        found = [name for name in _IN_FOLDER if (path / name).is_file()]
        if not found:
            raise ValueError(
                f"path_or_mapping: expected a file, or a folder with {' or '.join(_IN_FOLDER)}, "
                f"got the folder {path}"
            )
        path = path / found[0]
    with contextlib.ExitStack() as files:
        with _naming(path):
            shards = _shards(path, _first_bytes(path))
        contents = Contents()
        for file in [path.parent / shard for shard in shards] or [path]:
            with _naming(file):
                opened = files.enter_context(_open(file, _first_bytes(file)))
                if twice := contents.tensors.keys() & opened.tensors.keys():
                    raise UnreadableError(f"{some(sorted(twice))} are in another shard as well")
            contents.tensors |= opened.tensors
            contents.empty += opened.empty
        yield contents


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """What goes wrong in a broken file can be any exception; all of them mean the same."""
    try:
        yield
    except (ImportError, FileNotFoundError, PermissionError):
        raise  # not the file's fault
    except UnreadableError as error:
        raise ValueError(
            f"path_or_mapping: expected a file of weights, got {path}: {error}"
        ) from None
    except Exception as error:
        raise ValueError(
            f"path_or_mapping: expected a file of weights, got {path}, which is damaged or "
            f"incomplete ({type(error).__name__})"
        ) from error


def _first_bytes(path: Path) -> bytes:
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    if not path.is_file():  # reading would never end
        raise UnreadableError("no ordinary file but a device or a pipe")
    with path.open("rb") as file:
        return file.read(512)


def _shards(path: Path, start: bytes) -> list[str]:
    """The files that an index names, or none if this is no index."""
    if not start.startswith(b"{") or path.stat().st_size > LARGEST_INDEX:
        return []
    try:
        content = json.loads(path.read_bytes())
        files = sorted(set(content["weight_map"].values()))
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        return []
    for name in files:
        if not isinstance(name, str) or name in ("", ".", "..") or set(name) & set("/\\:\0"):
            raise UnreadableError(f"its index names {some([str(name)])}, which is not beside it")
    return files


def _open(path: Path, start: bytes) -> contextlib.AbstractContextManager[Contents]:
    if start[8:9] == b"{" and 8 + _header_length(start) <= path.stat().st_size:
        return _open_safetensors(path, start)
    if start.startswith(b"PK\x03\x04"):
        return _open_archive(path)
    if start.startswith(b"\x80"):
        return contextlib.nullcontext(read_torch(path, []))
    begin = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    for foreign, what in _FOREIGN:
        if begin.startswith(foreign):
            raise UnreadableError(what)
    if not start:
        raise UnreadableError("it is empty")
    raise UnreadableError(
        "by its first bytes it is neither of torch.save nor safetensors nor .npz, or it is cut off"
    )


def _header_length(start: bytes) -> int:
    length: int = struct.unpack("<Q", start[:8])[0]
    return length


@contextlib.contextmanager
def _open_safetensors(path: Path, start: bytes) -> Iterator[Contents]:
    from safetensors import safe_open

    if _header_length(start) > LARGEST_INDEX:
        raise UnreadableError(f"its header has more than {LARGEST_INDEX} bytes")
    with safe_open(path, framework="pt") as file:
        names = list(file.keys())
        if len(names) > MOST_TENSORS:
            raise UnreadableError(f"more than {MOST_TENSORS} tensors")
        parts = {name: file.get_slice(name) for name in names}
        yield Contents(
            {
                name: Stored(
                    tuple(part.get_shape()), part.get_dtype(), _reader(path, file.get_tensor, name)
                )
                for name, part in parts.items()
            }
        )


def _open_archive(path: Path) -> contextlib.AbstractContextManager[Contents]:
    _check_directory(path)
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    names = [info.filename for info in members]
    if len({name.lower() for name in names}) < len(names):
        raise UnreadableError("an archive with two members of one name")
    for name in names:
        if name.startswith("/") or "\\" in name or ".." in name.split("/"):
            raise UnreadableError(f"an archive with a member outside of it, {some([name])}")
    if any(name.endswith("/data.pkl") for name in names):
        return contextlib.nullcontext(read_torch(path, members))
    if names and all(name.endswith(".npy") for name in names):
        return _open_npz(path, members)
    raise UnreadableError(f"an archive without tensors; it holds {some(names)}")


def _check_directory(path: Path) -> None:
    """The directory at the end of an archive is read whole; see that it is no giant itself."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 98))
        end = file.read().rjust(98, b"\0")
    length = struct.unpack("<L", end[-10:-6])[0]
    if end[-42:-38] == b"PK\x06\x07":  # an archive of more than 4 GB: its record lies before
        length = struct.unpack("<Q", end[40:48])[0]
    if end[-22:-18] != b"PK\x05\x06" or length > LARGEST_INDEX:
        raise UnreadableError("an archive that is damaged, incomplete or of too many members")


@contextlib.contextmanager
def _open_npz(path: Path, members: list[zipfile.ZipInfo]) -> Iterator[Contents]:
    if len(members) > MOST_TENSORS:
        raise UnreadableError(f"more than {MOST_TENSORS} arrays")
    with zipfile.ZipFile(path) as archive:
        yield Contents(
            {
                info.filename.removesuffix(".npy"): _stored_array(path, archive, info)
                for info in members
            }
        )


def _stored_array(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Stored:
    import numpy as np

    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnreadableError("compressed by another method than NumPy's")
    with archive.open(info) as file:
        shape, fortran, dtype = _npy_header(file)
        begin = file.tell()
    name, announced = some([info.filename]), math.prod(shape) * dtype.itemsize
    if dtype.hasobject:
        raise UnreadableError(f"{name} holds Python objects, which would be executed")
    if any(n < 0 for n in shape) or announced != info.file_size - begin:
        raise UnreadableError(
            f"{name} announces {announced} bytes of shape {shape}, and has {info.file_size - begin}"
        )

    def read(member: str) -> Tensor:
        with archive.open(member) as file:
            file.seek(begin)
            data = file.read()  # to the end, where the checksum is compared
        array = np.frombuffer(data, dtype)
        return as_tensor(array.reshape(shape, order="F" if fortran else "C"))

    return Stored(shape, name_of_dtype(dtype), _reader(path, read, info.filename))


def _npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, Any]:
    """Read shape, order and dtype; NumPy's own reader would take a header of any length."""
    import numpy as np

    version = np.lib.format.read_magic(file)
    form = {(1, 0): "<H", (2, 0): "<I"}[version]
    length = struct.unpack(form, file.read(struct.calcsize(form)))[0]
    if length > _LONGEST_NPY_HEADER:
        raise UnreadableError(f"an array's header has more than {_LONGEST_NPY_HEADER} bytes")
    header = io.BytesIO(struct.pack("<H", length) + file.read(length))
    return np.lib.format.read_array_header_1_0(header)


def _reader(path: Path, read: Callable[[str], Tensor], name: str) -> Callable[[], Tensor]:
    def read_naming() -> Tensor:
        with _naming(path), torch.no_grad():
            return read(name)

    return read_naming

"""Reading what ``torch.save`` wrote: a pickle of names, which is a program, and tensors beside it.

PyTorch's own reader with ``weights_only=True`` builds tensors and plain values and nothing else.
Before it is called, the program is looked through without being run: classes it asks for are named
in the message, and what would take memory without end is refused. Settings and scores that people
store beside their weights become empty stand-ins; the real classes are never built.
"""

from __future__ import annotations

import contextlib
import encodings
import encodings.aliases
import io
import pickletools
import re
import warnings
import zipfile
from pathlib import Path

import torch
from torch import Tensor

from .checkpoint_contents import Contents, UnreadableError, flatten, some

#: How the older files begin, which are no zip archives.
OLD_TORCH = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
LARGEST_INDEX = 2**21  # bytes of names, shapes and settings; a training of ViT-H takes a tenth

# What tensors are built from. bytearray is missing on purpose: PyTorch would allow one of any size.
_OF_TENSORS = re.compile(
    r"torch\.(_utils|_tensor|serialization|storage)\.\w+|torch\.nn\.parameter\.Parameter|"
    r"torch\.(\w*Storage|\w*Tensor|Size|device|bool|[a-z]+\d\w*)|"
    r"collections\.(OrderedDict|Counter)|(builtins|__builtin__)\.(set|complex)|_codecs\.encode"
)


class _StandIn:
    """Takes the place of an object that nobody needs here, and takes anything."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


class _PlainDict:
    """Takes the place of a kind of dictionary: the reader fills nothing but plain ones."""

    def __new__(cls, *_: object) -> dict[object, object]:  # type: ignore[misc]
        return {}


_HARMLESS = {
    f"{module}.{name}": type(
        name, (_PlainDict if name == "AttributeDict" else _StandIn,), {"__module__": module}
    )
    for module, names in (
        ("argparse", "Namespace"),
        ("pathlib", "PosixPath WindowsPath PurePosixPath PureWindowsPath"),
        ("pathlib._local", "PosixPath WindowsPath PurePosixPath PureWindowsPath"),  # Python 3.13
        ("numpy", "dtype ndarray"),
        ("numpy.core.multiarray", "scalar _reconstruct"),
        ("numpy._core.multiarray", "scalar _reconstruct"),  # NumPy 2
        # settings of Lightning's models, where its releases have had that class
        ("lightning.fabric.utilities.data", "AttributeDict"),
        ("lightning_fabric.utilities.data", "AttributeDict"),
        ("lightning.pytorch.utilities.parsing", "AttributeDict"),
        ("pytorch_lightning.utilities.parsing", "AttributeDict"),
    )
    for name in names.split()
}


def read_torch(path: Path, members: list[zipfile.ZipInfo]) -> Contents:
    """Read tensors from an archive of ``torch.save`` or, without members, from an older file."""
    size = path.stat().st_size
    if members:
        _check_archive(members, size)
        (index,) = (info for info in members if info.filename.endswith("/data.pkl"))
        with zipfile.ZipFile(path) as archive:
            _look_through(archive.read(index), pickles=1)
    else:
        with path.open("rb") as file:
            start = file.read(min(size, LARGEST_INDEX))
        if not start.startswith(OLD_TORCH):
            _look_through(start, pickles=1)
            raise UnreadableError("a plain pickle; write the weights by torch.save instead")
        _look_through(start, pickles=5)  # magic number, version, system, the content, storages
    # tensors of an archive are mapped, not read; PyTorch takes names in .safetensors for such files
    mapped = bool(members) and path.suffix != ".safetensors"
    with (
        torch.serialization.safe_globals(list(_HARMLESS.values())),
        warnings.catch_warnings(),
        contextlib.nullcontext(str(path)) if mapped else path.open("rb") as source,
    ):
        warnings.simplefilter("ignore")
        try:
            content = torch.load(source, map_location="cpu", weights_only=True, mmap=mapped)
        except Exception:  # its messages advise to switch the safety off
            raise UnreadableError(
                "a file of torch.save that is damaged or holds more than tensors and plain values"
            ) from None
    if not isinstance(content, dict):
        raise UnreadableError(f"it holds a {type(content).__name__}, no dictionary of tensors")
    contents = flatten(content)
    for name, stored in contents.tensors.items():
        tensor: Tensor = stored.read()
        if tensor.layout == torch.strided and tensor.numel() * tensor.element_size() > size:
            raise UnreadableError(  # a view that repeats few numbers without end
                f"{some([name])} of shape {stored.shape} is larger than the file"
            )
    return contents


def _check_archive(members: list[zipfile.ZipInfo], size: int) -> None:
    names = [info.filename for info in members]
    if len({name.partition("/")[0] for name in names}) > 1:
        raise UnreadableError("an archive with more than one folder, which torch.save never writes")
    if any("/code/" in name for name in names):
        raise UnreadableError(
            "a TorchScript program; load it by torch.jit.load, pass its state_dict() as a mapping"
        )
    if any(info.compress_type != zipfile.ZIP_STORED for info in members) or (
        sum(info.file_size for info in members) > size
    ):
        raise UnreadableError(
            "a compressed archive, which torch.save never writes; pack it without compression"
        )
    indices = [info for info in members if info.filename.endswith("/data.pkl")]
    if len(indices) > 1 or indices[0].file_size > LARGEST_INDEX:
        raise UnreadableError(f"it has more than {LARGEST_INDEX} bytes of names and settings")


def _look_through(program: bytes, pickles: int) -> None:
    """Refuse pickles that ask for other classes than tensors are built from; nothing is run."""
    stream, asked, texts = io.BytesIO(program), set(), set()
    for _ in range(pickles):
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name == "GLOBAL":
                asked.add(str(argument).replace(" ", "."))
            elif opcode.name in ("STACK_GLOBAL", "INST", "OBJ", "EXT1", "EXT2", "EXT4"):
                raise UnreadableError("a pickle that torch.save did not write")
            elif isinstance(argument, str):
                texts.add(argument)
    foreign = sorted(x for x in asked if not _OF_TENSORS.fullmatch(x) and x not in _HARMLESS)
    if foreign:
        raise UnreadableError(
            f"it holds objects that only running foreign code restores ({some(foreign)}); where "
            "you trust it, open it with the program that wrote it and save model.state_dict()"
        )
    if "_codecs.encode" in asked and any(_lengthens(text) for text in texts):
        raise UnreadableError("it encodes bytes again and again, which takes memory without end")


def _lengthens(codec: str) -> bool:
    """Whether this is one of Python's codecs from bytes to bytes: hex doubles at each call."""
    name = encodings.normalize_encoding(codec[:40]).lower().replace(".", "_")
    return encodings.aliases.aliases.get(name, name).endswith("_codec")

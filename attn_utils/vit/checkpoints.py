"""Published weights of vision transformers, in the four layouts that they come in.

The model of the book has timm's names; torchvision, Hugging Face and JAX call the same numbers
differently and lay some of them out differently. A loader is a table of names, a few transposes,
and care.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import operator
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .checkpoint_contents import Contents, UnreadableError, flatten, some
from .checkpoint_copies import Copy, choose_copy
from .checkpoint_files import open_checkpoint
from .checkpoint_layouts import HUGGING_FACE, TIMM, Layout, Shape, Source
from .layers import EPSILON, resize_position_embedding
from .model import VisionTransformer

__all__ = ["load_vit_checkpoint"]

_MOST_POSITIONS = 2**16  # what nobody has; a file that promises more is not to be trusted
_ABSURD = 1e4  # no trained weight is as large; a flipped bit gives 1e36

_HEADS = ("head.weight", "head.bias", "head_dist.weight", "head_dist.bias")
_REPRESENTATION = ("pre_logits.fc.weight", "pre_logits.fc.bias")


def load_vit_checkpoint(
    model: VisionTransformer,
    path_or_mapping: str | os.PathLike[str] | Mapping[str, Any],
    *,
    grid: Sequence[int] | None = None,
) -> list[str]:
    """Load published weights into a model.

    The layout is timm's (and DeiT's), torchvision's, Hugging Face's (names as on disk or as in
    memory) or JAX's (older, newer, or big_vision's with stacked blocks), told from the names. A
    file is what ``torch.save`` wrote, safetensors or .npz, told from its first bytes; the index of
    several such files and a folder of Hugging Face's are read as well. Weights may lie inside of
    what a training script stores, under any prefix (``module.``, ``_orig_mod.``, ``model.``, …).
    Of two copies the averaged one is taken, the best epoch's or the teacher's. Whoever wants
    another one, or has another kind of file, passes a mapping from names to tensors or arrays.

    Three things are adapted, each with a warning. **Positions**: for another grid of patches they
    are resized as :func:`~attn_utils.vit.resize_position_embedding` does. **Classifier**: if the
    file has another number of classes or none, the model keeps the head that it has, and a
    representation layer is loaded only where both have the same. **What stands beside** a copy of
    the weights is left out. Everything else has to agree, name by name and shape by shape.

    What a file does not say: the *number of heads*, in all layouts but JAX's. Weights load just as
    well with another one, and the logits are wrong. Where a ``config.json`` lies beside the file,
    its number is compared with the model's, as are its activation and its epsilon; the model
    computes GELU by erf, and its norms have an epsilon of 1e-6.

    Files are not trusted: nothing in them is unpickled but tensors and plain values, and shapes are
    compared before numbers are read. If anything is wrong, the model stays as it was.

    Args:
        model: where the weights go; it keeps its dtype and device.
        path_or_mapping: a file, a folder, or the tensors by name, nested or not.
        grid: patches downwards and across in the file. By default that is the model's grid if the
            number of patches is the same, but a square wherever it can be one: a square that
            differs from the model's grid is resized, and the warning says so.

    Returns:
        What was adapted and what is odd about the weights, a sentence each; nothing if the file
        fits as it is.

    Raises:
        ValueError: a file that is broken, foreign or of a model of another kind; tensors that are
            missing are named as in the model, unexpected ones and shapes as in the file.
        FileNotFoundError: no such file.

    Example:
        >>> import torch
        >>> from attn_utils import VisionTransformer, load_vit_checkpoint
        >>> sizes = {"img_size": 32, "embed_dim": 16, "depth": 2, "num_heads": 4}
        >>> trained, model = VisionTransformer(**sizes), VisionTransformer(**sizes)
        >>> load_vit_checkpoint(model, trained.state_dict())  # nothing was adapted
        []
        >>> images = torch.rand(1, 3, 32, 32)
        >>> torch.equal(model(images), trained(images))
        True
    """
    if not isinstance(model, VisionTransformer):
        raise ValueError(f"model: expected a VisionTransformer, got {type(model).__name__}")
    target = model.state_dict()
    if any(x.is_meta for x in target.values()):
        raise ValueError("model: expected weights in memory, got some on the meta device")
    with torch.no_grad():
        with _open(path_or_mapping) as (contents, where):
            copy = choose_copy(contents, f"in {where}")
            new, notes = _fit(model, target, copy, grid, where)
        if isinstance(path_or_mapping, str | os.PathLike):
            notes += _compare_config(model, Path(path_or_mapping), copy.layout)
        notes += _odd_numbers(new)
        for name, x in new.items():
            target[name].copy_(x)  # state_dict() holds the parameters' own memory
    title = Path(where).name or where
    for note in notes:
        warnings.warn(f"{title}: {note}", stacklevel=2)
    return notes


@contextlib.contextmanager
def _open(source: object) -> Iterator[tuple[Contents, str]]:
    if isinstance(source, Mapping):
        try:
            contents = flatten(source)
        except UnreadableError as error:
            raise ValueError(f"path_or_mapping: expected weights, got {error}") from None
        yield contents, "the mapping"
    elif isinstance(source, str | os.PathLike):
        with open_checkpoint(Path(source)) as contents:
            yield contents, str(Path(source))
    else:
        raise ValueError(
            f"path_or_mapping: expected a path or a mapping, got {type(source).__name__}"
        )


def _fit(
    model: VisionTransformer,
    target: dict[str, Tensor],
    copy: Copy,
    grid: Sequence[int] | None,
    where: str,
) -> tuple[dict[str, Tensor], list[str]]:
    """Compare all names and shapes, then read and convert the tensors."""
    layout, notes = copy.layout, list(copy.notes)
    sources = {
        name: layout.source(name, copy.tensors)
        for name in dict.fromkeys([*target, *_HEADS, *_REPRESENTATION])
    }
    shapes = {  # that the model's parameters have in the file
        name: layout.shape(name, tuple(x.shape), model.num_heads, len(sources[name].names))
        for name, x in target.items()
    }
    kept, told = _adapt_classifier(target, shapes, sources, copy)
    notes += told
    _compare_names([name for name in target if name not in kept], kept, sources, copy, where)
    loaded = {
        name: source for name, source in sources.items() if name in target and name not in kept
    }
    for name, source in loaded.items():
        want = (len(model.blocks), *shapes[name]) if source.stacked else shapes[name]
        for part in source.names:
            _compare_tensor(name, copy, part, want)
    prefix = model.num_prefix_tokens
    patches = copy.tensors[sources["pos_embed"].names[0]].shape[1] - prefix
    old, note = _file_grid(patches, model.patch_embed.grid_size, grid)
    notes += note
    read = functools.cache(lambda part: copy.tensors[part].read())  # stacked ones once for all
    new = {}
    for name, source in loaded.items():
        parts = [read(part) for part in source.names]
        if source.stacked:
            parts = [part[int(name.split(".")[1])] for part in parts]
        new[name] = layout.convert(name, parts)
    new["pos_embed"] = resize_position_embedding(
        new["pos_embed"], model.patch_embed.grid_size, old_grid=old, num_prefix_tokens=prefix
    )
    return {name: x.to(target[name].dtype) for name, x in new.items()}, notes


def _adapt_classifier(
    target: dict[str, Tensor], shapes: dict[str, Shape], sources: dict[str, Source], copy: Copy
) -> tuple[set[str], list[str]]:
    """Which names of the classifier are left alone, because file and model have different ones."""
    stored = {
        name: copy.tensors[sources[name].names[0]].shape
        for name in (*_HEADS, *_REPRESENTATION)
        if sources[name].names[0] in copy.tensors
    }
    theirs, bias = stored.get("head.weight", ()), stored.get("head.bias")
    counts = {
        "the file": theirs[-1 if copy.layout.is_jax else 0] if theirs else 0,
        "the model": target["head.weight"].shape[0] if "head.weight" in target else 0,
    }
    same = counts["the file"] == counts["the model"]
    if (same and theirs) or (bias and not theirs):
        return set(), []  # strict: a part of a head is no head
    kept, notes = set(_HEADS), []
    if not same:
        said = " and ".join(f"{who} has {n or 'no'} classes" for who, n in counts.items())
        notes.append(f"classifier not loaded, since {said}; the model keeps its own")
    ours = {name: shapes[name] for name in _REPRESENTATION if name in target}
    theirs_too = {name: stored[name] for name in _REPRESENTATION if name in stored}
    if ours != theirs_too:
        kept |= set(_REPRESENTATION)
        if not ours:
            notes.append("representation layer not loaded, since the model has none")
        else:
            what = "another one" if theirs_too else "none"
            notes.append(
                f"representation layer pre_logits not loaded, since the file has {what}; the model "
                "keeps its own between trunk and classifier"
            )
    return kept, notes


def _compare_names(
    wanted: list[str], kept: set[str], sources: dict[str, Source], copy: Copy, where: str
) -> None:
    missing = []
    for name in wanted:
        lost = [part for part in sources[name].names if part not in copy.tensors]
        if lost and len(sources[name].names) > len(lost):  # a part of what timm packs
            missing.append(f"{name} ({some(lost)})")
        elif lost:
            missing.append(name)
    used = {part for name in (*wanted, *kept) for part in sources[name].names}
    unexpected = [copy.full_names[part] for part in copy.tensors if part not in used]
    if missing or unexpected:
        raise ValueError(
            f"path_or_mapping: expected the {len(wanted)} tensors of this model in {where}; "
            f"missing: {some(sorted(missing))}; unexpected: {some(sorted(unexpected))}"
        )


def _compare_tensor(name: str, copy: Copy, part: str, want: Shape) -> None:
    stored, full = copy.tensors[part], some([copy.full_names[part]])
    got = stored.shape
    if not stored.is_floating_point:
        raise ValueError(
            f"path_or_mapping: expected {full} of floating-point numbers, got {stored.dtype}"
        )
    if name == "pos_embed" and len(got) == 3 and (got[0], got[2]) == (want[0], want[2]):
        if got[1] > _MOST_POSITIONS:
            raise ValueError(
                f"path_or_mapping: expected at most {_MOST_POSITIONS} positions in {full}, got "
                f"{got[1]}"
            )
    elif got != want:
        raise ValueError(f"path_or_mapping: expected {full} of shape {want}, got {got}")


def _file_grid(
    patches: int, ours: tuple[int, int], grid: Sequence[int] | None
) -> tuple[tuple[int, int], list[str]]:
    """The grid of a file that has so many patches, and what has to be said about it."""
    if grid is not None:
        try:
            rows, columns = (operator.index(n) for n in grid)
        except (TypeError, ValueError):
            rows = columns = 0
        if rows < 1 or rows * columns != patches:
            raise ValueError(
                f"grid: expected (rows, columns) of the {patches} patches in the file, got {grid!r}"
            )
        old, assumed = (rows, columns), ""
    elif patches < 1:
        raise ValueError("path_or_mapping: expected patches beside the prefix tokens, got none")
    elif math.isqrt(patches) ** 2 == patches:
        side = math.isqrt(patches)
        old = (side, side)
        assumed = f" ({patches} patches were taken for a square; if they are none, pass grid)"
    elif patches == math.prod(ours):
        return ours, []
    else:
        raise ValueError(
            f"grid: expected (rows, columns) of the file's {patches} patches, which are no square, "
            "got None"
        )
    if old == ours:
        return old, []
    return old, [f"positions resized from {old[0]}×{old[1]} to {ours[0]}×{ours[1]}{assumed}"]


def _odd_numbers(new: dict[str, Tensor]) -> list[str]:
    broken = [name for name, x in new.items() if not x.isfinite().all()]
    largest = {name: x.abs().max().item() for name, x in new.items() if name not in broken}
    absurd = [f"{name} (up to {x:.1e})" for name, x in largest.items() if x > _ABSURD]
    notes = [f"NaN or infinity in {some(broken)}"] if broken else []
    return notes + ([f"absurdly large numbers in {some(absurd)}"] if absurd else [])


def _compare_config(model: VisionTransformer, path: Path, layout: Layout) -> list[str]:
    """Compare what only a config.json beside the weights says, Hugging Face's or timm's."""
    file = (path if path.is_dir() else path.parent) / "config.json"
    try:
        config = json.loads(file.read_bytes()) if file.stat().st_size < 2**20 else None
    except (OSError, ValueError, RecursionError):
        return []
    if layout is TIMM and isinstance(config, dict):
        config = config.get("model_args")
    names = ("num_heads", "embed_dim") if layout is TIMM else ("num_attention_heads", "hidden_size")
    width = model.cls_token.shape[2]
    if not isinstance(config, dict) or config.get(names[1], width) != width:
        return []  # of another model
    heads = config.get(names[0], model.num_heads)
    if heads != model.num_heads:
        raise ValueError(
            f"model: expected num_heads = {some([str(heads)])} as in {file}, got {model.num_heads}"
        )
    return [
        f"config.json says {key} = {some([str(config[key])])}, the model computes with {ours}"
        for key, ours in (("hidden_act", "gelu"), ("layer_norm_eps", EPSILON))
        if layout is HUGGING_FACE and config.get(key, ours) != ours
    ]

"""Published weights of vision transformers, in the three layouts that they come in.

The model of the book has timm's names; Hugging Face and JAX call the same numbers differently and
lay some of them out differently. A loader is a dictionary of names, a few transposes, and care.
"""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

import torch
from torch import Tensor

from .checkpoint_files import Shapes, open_checkpoint
from .layers import resize_position_embedding
from .model import VisionTransformer

__all__ = ["load_vit_checkpoint"]

Shape = tuple[int, ...]

_MOST_POSITIONS = 2**16  # what nobody has; a file that promises more is not to be trusted
_QKV = ("query", "key", "value")

# The names of other layouts, in order, and what timm calls them; {query}, {key} and {value} are
# the three parts of timm's packed qkv.
_BLOCK = r"^(?:encoder\.layer|layers)\.(\d+)\."
_HUGGING_FACE = (
    (r"^(?:vit|deit)\.", r""),
    (r"^embeddings\.cls_token$", r"cls_token"),
    (r"^embeddings\.distillation_token$", r"dist_token"),
    (r"^embeddings\.position_embeddings$", r"pos_embed"),
    (r"^embeddings\.patch_embeddings\.projection\.", r"patch_embed.proj."),
    (_BLOCK + r"layernorm_before\.", r"blocks.\1.norm1."),
    (_BLOCK + r"layernorm_after\.", r"blocks.\1.norm2."),
    (_BLOCK + r"attention\.(?:attention\.query|q_proj)\.", r"blocks.\1.attn.qkv.{query}."),
    (_BLOCK + r"attention\.(?:attention\.key|k_proj)\.", r"blocks.\1.attn.qkv.{key}."),
    (_BLOCK + r"attention\.(?:attention\.value|v_proj)\.", r"blocks.\1.attn.qkv.{value}."),
    (_BLOCK + r"attention\.(?:output\.dense|o_proj)\.", r"blocks.\1.attn.proj."),
    (_BLOCK + r"(?:intermediate\.dense|mlp\.fc1)\.", r"blocks.\1.mlp.fc1."),
    (_BLOCK + r"(?:output\.dense|mlp\.fc2)\.", r"blocks.\1.mlp.fc2."),
    (r"^layernorm\.", r"norm."),
    (r"^pooler\.dense\.", r"pre_logits.fc."),
    (r"^(?:cls_)?classifier\.", r"head."),
    (r"^distillation_classifier\.", r"head_dist."),
)
_JAX_BLOCK = r"^Transformer/encoderblock_(\d+)/"
_JAX = (
    (r"^(?:opt/target|params)/", r""),
    (r"/(?:kernel|scale)$", r".weight"),
    (r"/bias$", r".bias"),
    (r"^cls$", r"cls_token"),
    (r"^(?:Transformer/posembed_input/)?pos_embedding$", r"pos_embed"),
    (r"^embedding\.", r"patch_embed.proj."),
    (_JAX_BLOCK + r"LayerNorm_0\.", r"blocks.\1.norm1."),
    (_JAX_BLOCK + r"LayerNorm_[12]\.", r"blocks.\1.norm2."),
    (
        _JAX_BLOCK + r"MultiHeadDotProductAttention_[01]/(query|key|value)\.",
        r"blocks.\1.attn.qkv.{\2}.",
    ),
    (_JAX_BLOCK + r"MultiHeadDotProductAttention_[01]/out\.", r"blocks.\1.attn.proj."),
    (_JAX_BLOCK + r"MlpBlock_[03]/Dense_0\.", r"blocks.\1.mlp.fc1."),
    (_JAX_BLOCK + r"MlpBlock_[03]/Dense_1\.", r"blocks.\1.mlp.fc2."),
    (r"^Transformer/encoder_norm\.", r"norm."),
    (r"^pre_logits\.", r"pre_logits.fc."),
)


def load_vit_checkpoint(model: VisionTransformer, path: str | os.PathLike[str]) -> list[str]:
    """Load published weights from a file into a model.

    The file is one of timm's or DeiT's (.pth, .safetensors), one of Hugging Face's (.safetensors,
    .bin; names as on disk or as in memory, with or without the prefix ``vit.`` or ``deit.``), or
    one of JAX's (.npz, older or newer names); the layout is told from the names in it.

    Two things are adapted, each with a warning. **Positions**: for another number of patches they
    are resized as :func:`~attn_utils.vit.resize_position_embedding` does; the file's grid is taken
    to be square. **Classifier**: if the file has another number of classes or none, the model keeps
    the head that it has, and a representation layer is loaded only where both have the same.
    Everything else has to agree, name by name and shape by shape.

    Files are not trusted: nothing in them is unpickled but tensors, and shapes are compared before
    anything is copied. If anything is wrong, the model stays as it was.

    Args:
        model: where the weights go; it keeps its dtype and device.
        path: the file.

    Returns:
        What was adapted, a sentence each; nothing if the file fits as it is.

    Raises:
        ValueError: a file that is broken, foreign or of a model of another kind; tensors that are
            missing, unexpected or of another shape are named, the missing ones as timm does.
        FileNotFoundError: no such file.
    """
    if not isinstance(model, VisionTransformer):
        raise ValueError(f"model: expected a VisionTransformer, got {type(model).__name__}")
    target = model.state_dict()
    if any(x.is_meta for x in target.values()):
        raise ValueError("model: expected weights in memory, got some on the meta device")
    file = Path(path)
    with open_checkpoint(file) as (shapes, read):
        layout, sources = _translate(shapes, file)
        found = {name: shapes[source] for name, source in sources.items()}
        kept, notes = _adapt_classifier(target, found, layout)
        found = {name: shape for name, shape in found.items() if name not in kept}
        parts = {
            name: [name] if layout == "timm" else _parts(name)
            for name in target
            if name not in kept
        }
        _compare_names({part for group in parts.values() for part in group}, found, sources, file)
        for name, group in parts.items():
            want = _shape_in_file(name, tuple(target[name].shape), layout, model.num_heads)
            for part in group:
                _compare_shape(name, sources[part], found[part], want)
        new = {
            name: _convert(name, [read(sources[part]) for part in group], layout)
            for name, group in parts.items()
        }
    positions = new["pos_embed"]
    grid, prefix = model.patch_embed.grid_size, model.num_prefix_tokens
    if positions.shape != target["pos_embed"].shape:
        notes.append(
            f"positions resized from {positions.shape[1] - prefix} patches to {grid[0]}×{grid[1]}"
        )
        new["pos_embed"] = resize_position_embedding(positions, grid, num_prefix_tokens=prefix)
    with torch.no_grad():
        for name, x in new.items():
            target[name].copy_(x)  # state_dict() holds the parameters' own memory
    for note in notes:
        warnings.warn(f"{file.name}: {note}", stacklevel=2)
    return notes


def _translate(shapes: Shapes, file: Path) -> tuple[str, dict[str, str]]:
    """Tell the layout, and give for each of timm's names the file's own name."""
    names = list(shapes)
    rules: tuple[tuple[str, str], ...] = ()
    if any(re.match(r"blocks\.|patch_embed\.", name) for name in names):
        layout = "timm"
    elif any(re.search(r"(^|\.)(embeddings|encoder\.layer|layers\.\d+)\.", name) for name in names):
        layout, rules = "Hugging Face", _HUGGING_FACE
    elif any(re.search(r"Transformer/|embedding/kernel", name) for name in names):
        layout, rules = "JAX", _JAX
        for prefix in ("opt/target/", "params/"):  # beside them, a training's state is stored
            if any(name.startswith(prefix) for name in names):
                names = [name for name in names if name.startswith(prefix)]
    else:
        raise ValueError(
            "path: expected names of a vision transformer as of timm, Hugging Face or JAX, got "
            f"{_some(names)} in {file}"
        )
    sources: dict[str, str] = {}
    for name in names:
        ours = name
        for pattern, replacement in rules:
            ours = re.sub(pattern, replacement, ours)
        if ours in sources:
            raise ValueError(f"path: expected one {ours}, got {sources[ours]} and {name} in {file}")
        sources[ours] = name
    return layout, sources


def _adapt_classifier(
    target: dict[str, Tensor], found: Shapes, layout: str
) -> tuple[set[str], list[str]]:
    """Which names of the classifier are left alone, because file and model have different ones."""
    theirs = found.get("head.weight", ())
    classes = {
        "the file": (theirs[-1] if layout == "JAX" else theirs[0]) if theirs else 0,
        "the model": target["head.weight"].shape[0] if "head.weight" in target else 0,
    }
    same = classes["the file"] == classes["the model"]
    if (same and theirs) or ("head.bias" in found and not theirs):
        return set(), []  # strict: a part of a head is no head
    names = {*found, *target}
    kept = {name for name in names if name.startswith(("head.", "head_dist."))}
    representation = {"pre_logits.fc.weight", "pre_logits.fc.bias"} & names
    shapes = {
        name: _shape_in_file(name, tuple(target[name].shape), layout, 1)
        for name in representation & set(target)
    }
    if {name: found[name] for name in representation & set(found)} != shapes:
        kept |= representation
    if same:  # neither has a classifier
        return kept, ["representation layer not loaded: only one has it"] if kept else []
    counts = " and ".join(f"{who} has {n or 'no'} classes" for who, n in classes.items())
    return kept, [f"classifier not loaded, since {counts}; the model keeps its own"]


def _parts(name: str) -> list[str]:
    """Split what timm packs: the names of queries, keys and values apart."""
    head, _, kind = name.rpartition(".")
    return [f"{head}.{{{x}}}.{kind}" for x in _QKV] if head.endswith(".attn.qkv") else [name]


def _shape_in_file(name: str, shape: Shape, layout: str, heads: int) -> Shape:
    """The shape that a part of the model's parameter has in a file."""
    if layout == "timm":
        return shape
    if ".attn.qkv." in name:
        D = shape[0] // 3
        if layout == "JAX":
            return (D, heads, D // heads) if name.endswith("weight") else (heads, D // heads)
        return (D, *shape[1:])
    if layout == "JAX" and name.endswith(".weight"):
        if ".attn.proj." in name:
            return (heads, shape[1] // heads, shape[0])
        return (*shape[2:], shape[1], shape[0]) if len(shape) > 1 else shape
    return shape


def _convert(name: str, parts: list[Tensor], layout: str) -> Tensor:
    """Bring the file's tensors into timm's layout."""
    if layout == "JAX" and name.endswith(".weight"):
        if ".attn.qkv." in name:
            parts = [x.flatten(1).T for x in parts]  # (D, H, d) -> (D, D), inputs first -> last
        elif ".attn.proj." in name:
            parts = [parts[0].permute(2, 0, 1).flatten(1)]  # (H, d, D) -> (D, D)
        elif parts[0].ndim == 4:
            parts = [parts[0].permute(3, 2, 0, 1)]  # (p, p, C, D) -> (D, C, p, p)
        elif parts[0].ndim == 2:
            parts = [parts[0].T]
    elif layout == "JAX" and ".attn.qkv." in name:
        parts = [x.flatten() for x in parts]  # (H, d) -> (D,)
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def _compare_names(wanted: set[str], found: Shapes, sources: dict[str, str], file: Path) -> None:
    missing = sorted(wanted - set(found))
    unexpected = sorted(sources[name] for name in set(found) - wanted)
    if missing or unexpected:
        raise ValueError(
            f"path: expected the {len(wanted)} tensors of this model in {file}; "
            f"missing: {_some(missing)}; unexpected: {_some(unexpected)}"
        )


def _compare_shape(name: str, source: str, got: Shape, want: Shape) -> None:
    if name == "pos_embed" and len(got) == 3 and (got[0], got[2]) == (want[0], want[2]):
        if got[1] > _MOST_POSITIONS:
            raise ValueError(f"path: expected at most {_MOST_POSITIONS} positions, got {got[1]}")
        return
    if got != want:
        raise ValueError(f"path: expected {source} of shape {want}, got {got}")


def _some(names: list[str]) -> str:
    shown = ", ".join(name.replace("{", "").replace("}", "") for name in names[:6])
    return f"{shown} and {len(names) - 6} more" if len(names) > 6 else shown or "nothing"

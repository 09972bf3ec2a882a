"""What others call the tensors of a Vision Transformer, and how they lay them out.

The model of the book has timm's names. Each other layout is one table from timm's names to its
own, and JAX's besides a few transposes.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

Shape = tuple[int, ...]
Names = tuple[str, ...]  # of one tensor, or of queries, keys and values apart


@dataclass(frozen=True)
class Source:
    """Where a parameter of the model is in a file: in one tensor, or in three."""

    names: Names
    stacked: bool  # over all blocks


@dataclass(frozen=True, eq=False)
class Layout:
    """One library's names.

    Args:
        name: of the library.
        table: from timm's names, of a module or of a parameter, to the alternatives of the file;
            ``#`` is the number of a block.
        prefix: a pattern of what may stand before some of the names.
        is_jax: matrices are transposed, heads have an axis of their own, leaves other names.
    """

    name: str
    table: Mapping[str, tuple[str | Names, ...]]
    prefix: str = ""
    is_jax: bool = False

    @cached_property
    def landmarks(self) -> re.Pattern[str]:
        """A pattern of names that only this layout has; what stands before them is its group."""
        names = [
            re.escape(name).replace(r"\#", r"\d+")
            for ours, alternatives in self.table.items()
            if ours.startswith(("blocks.", "patch_embed."))
            for group in alternatives
            for name in ([group] if isinstance(group, str) else group)
        ]
        return re.compile(rf"((?:.*?[./])??){self.prefix}(?:{'|'.join(names)})(?:[./]\w+)?")

    def source(self, ours: str, there: Container[str]) -> Source:
        """Find a parameter among a file's names; of its alternatives, the one that is there most.

        Args:
            ours: timm's name.
            there: those of the file, without a prefix.
        """
        general = re.sub(r"^blocks\.\d+\.", "blocks.#.", ours)
        number = ours.split(".")[1] if general != ours else ""
        module, _, kind = general.rpartition(".")
        if general in self.table:
            alternatives, ending = self.table[general], ""
        elif module in self.table:
            if self.is_jax and kind == "weight":
                kind = "scale" if "norm" in module else "kernel"
            alternatives, ending = self.table[module], f"/{kind}" if self.is_jax else f".{kind}"
        else:  # the layout has no such thing, or timm's name for it
            return Source((ours,), stacked=False)
        found: list[Source] = []
        for group in alternatives:
            parts = (group,) if isinstance(group, str) else group
            names = tuple(part.replace("#", number) + ending for part in parts)
            found.append(Source(names, stacked=parts[0].startswith("Transformer/encoderblock/")))
        return max(found, key=lambda source: sum(name in there for name in source.names))

    def shape(self, ours: str, shape: Shape, heads: int, parts: int = 1) -> Shape:
        """The shape that a parameter of the model, or each of its parts, has in a file."""
        if parts == 3:
            D = shape[0] // 3
            if not self.is_jax:
                return (D, *shape[1:])
            return (D, heads, D // heads) if ours.endswith("weight") else (heads, D // heads)
        if self.is_jax and ours.endswith(".weight"):
            if ".attn.proj." in ours:
                return (heads, shape[1] // heads, shape[0])
            return (*shape[2:], shape[1], shape[0]) if len(shape) > 1 else shape
        return shape

    def convert(self, ours: str, parts: list[Tensor]) -> Tensor:
        """Bring a file's tensors into timm's layout."""
        if self.is_jax and ours.endswith(".weight"):
            if ".attn.qkv." in ours:
                parts = [x.flatten(1).T for x in parts]  # (D, H, d) -> (D, D), inputs last
            elif ".attn.proj." in ours:
                parts = [parts[0].permute(2, 0, 1).flatten(1)]  # (H, d, D) -> (D, D)
            elif parts[0].ndim == 4:
                parts = [parts[0].permute(3, 2, 0, 1)]  # (p, p, C, D) -> (D, C, p, p)
            elif parts[0].ndim == 2:
                parts = [parts[0].T]
        elif self.is_jax and ".attn.qkv." in ours:
            parts = [x.flatten() for x in parts]  # (H, d) -> (D,)
        return torch.cat(parts) if len(parts) > 1 else parts[0]


def _qkv(*patterns: str, names: Names) -> tuple[Names, ...]:
    """Three names for each pattern, which has a ``*`` in their place."""
    return tuple(tuple(pattern.replace("*", name) for name in names) for pattern in patterns)


_TIMM_BLOCK = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
TIMM = Layout(
    "timm",
    {"patch_embed.proj": ("patch_embed.proj",)}
    | {f"blocks.#.{name}": (f"blocks.#.{name}",) for name in _TIMM_BLOCK},
)

_TV_BLOCK = "encoder.layers.encoder_layer_#."
TORCHVISION = Layout(
    "torchvision",
    {
        "cls_token": ("class_token",),
        "pos_embed": ("encoder.pos_embedding",),
        "patch_embed.proj": ("conv_proj",),
        "blocks.#.norm1": (_TV_BLOCK + "ln_1",),
        "blocks.#.attn.qkv.weight": (_TV_BLOCK + "self_attention.in_proj_weight",),
        "blocks.#.attn.qkv.bias": (_TV_BLOCK + "self_attention.in_proj_bias",),
        "blocks.#.attn.proj": (_TV_BLOCK + "self_attention.out_proj",),
        "blocks.#.norm2": (_TV_BLOCK + "ln_2",),
        "blocks.#.mlp.fc1": (_TV_BLOCK + "mlp.0", _TV_BLOCK + "mlp.linear_1"),
        "blocks.#.mlp.fc2": (_TV_BLOCK + "mlp.3", _TV_BLOCK + "mlp.linear_2"),
        "norm": ("encoder.ln",),
        "pre_logits.fc": ("heads.pre_logits",),
        "head": ("heads.head",),
    },
)

# On disk, and as newer versions have it in memory.
_HF_BLOCK, _HF_NEWER = "encoder.layer.#.", "layers.#."
HUGGING_FACE = Layout(
    "Hugging Face",
    {
        "cls_token": ("embeddings.cls_token",),
        "dist_token": ("embeddings.distillation_token",),
        "pos_embed": ("embeddings.position_embeddings",),
        "patch_embed.proj": ("embeddings.patch_embeddings.projection",),
        "blocks.#.norm1": (_HF_BLOCK + "layernorm_before", _HF_NEWER + "layernorm_before"),
        "blocks.#.attn.qkv": (
            *_qkv(_HF_BLOCK + "attention.attention.*", names=("query", "key", "value")),
            *_qkv(_HF_NEWER + "attention.*", names=("q_proj", "k_proj", "v_proj")),
        ),
        "blocks.#.attn.proj": (
            _HF_BLOCK + "attention.output.dense",
            _HF_NEWER + "attention.o_proj",
        ),
        "blocks.#.norm2": (_HF_BLOCK + "layernorm_after", _HF_NEWER + "layernorm_after"),
        "blocks.#.mlp.fc1": (_HF_BLOCK + "intermediate.dense", _HF_NEWER + "mlp.fc1"),
        "blocks.#.mlp.fc2": (_HF_BLOCK + "output.dense", _HF_NEWER + "mlp.fc2"),
        "norm": ("layernorm",),
        "pre_logits.fc": ("pooler.dense",),
        "head": ("classifier", "cls_classifier"),
        "head_dist": ("distillation_classifier",),
    },
    prefix=r"(?:(?:vit|deit)\.)?",
)

# Each block with a number, or all of them stacked along a first axis.
_JAX_BLOCKS = ("Transformer/encoderblock_#/", "Transformer/encoderblock/")
_JAX_ATTENTION = tuple(
    f"{block}MultiHeadDotProductAttention_{i}/" for block in _JAX_BLOCKS for i in (1, 0)
)
_JAX_MLP = tuple(f"{block}MlpBlock_{i}/" for block in _JAX_BLOCKS for i in (3, 0))
JAX = Layout(
    "JAX",
    {
        "cls_token": ("cls",),
        "pos_embed": ("Transformer/posembed_input/pos_embedding", "pos_embedding"),
        "patch_embed.proj": ("embedding",),
        "blocks.#.norm1": tuple(block + "LayerNorm_0" for block in _JAX_BLOCKS),
        "blocks.#.attn.qkv": _qkv(
            *(attention + "*" for attention in _JAX_ATTENTION), names=("query", "key", "value")
        ),
        "blocks.#.attn.proj": tuple(attention + "out" for attention in _JAX_ATTENTION),
        "blocks.#.norm2": tuple(f"{block}LayerNorm_{i}" for block in _JAX_BLOCKS for i in (2, 1)),
        "blocks.#.mlp.fc1": tuple(mlp + "Dense_0" for mlp in _JAX_MLP),
        "blocks.#.mlp.fc2": tuple(mlp + "Dense_1" for mlp in _JAX_MLP),
        "norm": ("Transformer/encoder_norm",),
        "pre_logits.fc": ("pre_logits",),
        "head": ("head",),
    },
    is_jax=True,
)

LAYOUTS = (TIMM, TORCHVISION, HUGGING_FACE, JAX)

"""Grouped heads: from weights with a head of keys and values for each query head, and back."""

from __future__ import annotations

import copy
from typing import TypeVar, cast

from torch import nn

from attn_utils.core.arguments import check_size

from .multi_head import MultiHeadAttention, check_kv_heads

__all__ = ["with_kv_heads"]

AnyModule = TypeVar("AnyModule", bound=nn.Module)


def with_kv_heads(model: AnyModule, num_kv_heads: int) -> AnyModule:
    """Copy a model, and give its attention another number of heads of keys and values.

    To fewer heads, each is the mean of a group: ``W_g = (W_i + … + W_j) / (j - i + 1)`` over the
    rows of heads i … j of ``W_k`` and ``W_v``, biases alike. The model that comes out is another
    one, a good start for some more training; it is the same where the heads of each group are
    equal. To more heads, each is repeated, and the model computes what it did. Back and forth, from
    few heads to many to few, is exact.

    Args:
        model: a module with attention that has ``num_kv_heads``: :class:`MultiHeadAttention`,
            :class:`~attn_utils.transformer.CausalSelfAttention`,
            :class:`~attn_utils.transformer.LanguageModel`, or what else contains them. All of its
            attentions are converted.
        num_kv_heads: G, a divisor of ``num_heads``, and a divisor or a multiple of the number
            that there is.

    Returns:
        A copy in the same dtype, on the same device and in the same mode.

    Example:
        >>> import torch
        >>> from attn_utils import MultiHeadAttention, with_kv_heads
        >>> grouped = MultiHeadAttention(embed_dim=8, num_heads=4, num_kv_heads=2)
        >>> full = with_kv_heads(grouped, 4)
        >>> x = torch.rand(3, 5, 8)
        >>> torch.allclose(full(x), grouped(x), atol=1e-6)  # nothing is lost
        True
        >>> single = with_kv_heads(full, 1)  # multi-query attention, by the mean
        >>> single.W_k.weight.shape
        torch.Size([2, 8])

    References:
        Ainslie et al. (2023). GQA: training generalized multi-query transformer models from
        multi-head checkpoints, section 2.1, arXiv 2305.13245.
    """
    num_kv_heads = check_size("num_kv_heads", num_kv_heads)
    model = copy.deepcopy(model)
    attentions = [
        cast(MultiHeadAttention, part) for part in model.modules() if hasattr(part, "num_kv_heads")
    ]
    if not attentions:
        raise ValueError(
            f"model: expected attention that has num_kv_heads, got {type(model).__name__}"
        )
    for part in attentions:
        check_kv_heads(num_kv_heads, part.num_heads)
        if part.num_kv_heads % num_kv_heads and num_kv_heads % part.num_kv_heads:
            raise ValueError(
                f"num_kv_heads: expected a divisor or a multiple of the {part.num_kv_heads} that "
                f"there are, got {num_kv_heads}"
            )
        for layer in (part.W_k, part.W_v):
            _regroup(layer, part.num_kv_heads, num_kv_heads)
        part.num_kv_heads = num_kv_heads
    return model


def _regroup(layer: nn.Linear, old: int, new: int) -> None:
    """Give a projection with the rows of ``old`` heads those of ``new`` ones."""
    for name, rows in (*layer.named_parameters(),):
        heads = rows.detach().reshape(old, -1, *rows.shape[1:])  # (old, d, …)
        if new > old:
            heads = heads.repeat_interleave(new // old, 0)
        else:
            groups = heads.reshape(new, -1, *heads.shape[1:])  # (new, old / new, d, …)
            first = groups[:, 0]  # a mean of differences: of equal heads it is exact
            heads = first + (groups - first[:, None]).mean(1)
        setattr(layer, name, nn.Parameter(heads.flatten(0, 1), rows.requires_grad))
    layer.out_features = layer.weight.shape[0]

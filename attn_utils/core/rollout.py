"""Attention rollout: follow the weights of a model through all its layers.

Shapes: B batch, H heads, T queries, S keys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .arguments import check_probability
from .precision import without_autocast, working_dtype

__all__ = ["attention_rollout"]

_FUSIONS: dict[str, Callable[..., Tensor]] = {
    "mean": torch.mean,
    "max": torch.amax,
    "min": torch.amin,
}


def attention_rollout(
    weights: Sequence[Tensor], *, head_fusion: str = "mean", discard_ratio: float = 0.0
) -> Tensor:
    """Follow attention from the last layer to the input: ``Â_L … Â_2 Â_1``.

    ``Â = (A + I) / 2`` with rows normalised to sum 1: A is the layer's attention, one matrix for
    all heads, and the identity stands for the residual connection. Row i of the product says of
    which input tokens token i of the output is made, if values and MLPs did nothing but pass on.
    For a vision transformer, ``rollout[:, 0, P:]`` is what the class token has seen of the patches,
    with P prefix tokens.

    Args:
        weights: one tensor (B, H, S, S) per layer, first layer first, as
            :func:`~attn_utils.explain.record_attention` gives them; H may differ.
        head_fusion: "mean", "max" or "min" over the heads.
        discard_ratio: which share of each matrix A, from 0 to 1, is set to 0, smallest entries
            first. The class token's weight on itself, the first entry, is never discarded.

    Returns:
        (B, S, S), rows that sum to 1.

    Example:
        >>> import torch
        >>> from attn_utils import attention_rollout
        >>> layer = torch.tensor([[[[0.0, 1.0], [1.0, 0.0]]]])  # tokens see each other
        >>> attention_rollout([layer])[0]  # the residual connection keeps half
        tensor([[0.5000, 0.5000],
                [0.5000, 0.5000]])
        >>> itself = torch.eye(2)[None, None]
        >>> attention_rollout([itself] * 12)[0]
        tensor([[1., 0.],
                [0., 1.]])

    References:
        Abnar & Zuidema (2020). Quantifying attention flow in transformers.
    """
    if head_fusion not in _FUSIONS:
        raise ValueError(f"head_fusion: expected one of {', '.join(_FUSIONS)}, got {head_fusion!r}")
    check_probability("discard_ratio", discard_ratio)
    layers = list(weights)
    if not layers:
        raise ValueError("weights: expected a tensor for each of at least one layer, got none")
    for i, layer in enumerate(layers):
        _check_layer(f"weights[{i}]", layer, layers[0])
    dtype, S = layers[0].dtype, layers[0].shape[-1]
    identity = torch.eye(S, device=layers[0].device)
    rollout = identity
    for layer in layers:
        A = layer.to(working_dtype(dtype))
        A = _FUSIONS[head_fusion](A, dim=1)  # (B, H, S, S) -> (B, S, S)
        discarded = int(discard_ratio * S * S)
        if discarded:
            flat = A.flatten(1)  # (B, S · S)
            smallest = flat.topk(discarded, dim=1, largest=False).indices
            keep = torch.ones_like(flat).scatter(1, smallest, 0.0)
            keep[:, 0] = 1.0
            A = (flat * keep).view_as(A)
        mixed = (A + identity) / 2
        mixed = mixed / mixed.sum(-1, keepdim=True)  # rows, not columns
        with without_autocast(mixed):
            rollout = mixed @ rollout.to(mixed.dtype)  # (B, S, S)
    return rollout.to(dtype)


def _check_layer(name: str, layer: Tensor, first: Tensor) -> None:
    if not isinstance(layer, Tensor) or not layer.is_floating_point() or layer.ndim != 4:
        got = tuple(layer.shape) if isinstance(layer, Tensor) else type(layer).__name__
        raise ValueError(f"{name}: expected floating-point weights (B, H, S, S), got {got}")
    B, H, T, S = layer.shape
    if T != S or H == 0:
        raise ValueError(
            f"{name}: expected as many queries as keys and at least one head, got shape "
            f"{tuple(layer.shape)}"
        )
    if first.shape[:1] + first.shape[-1:] != (B, S) or layer.dtype != first.dtype:
        raise ValueError(
            f"{name}: expected the batch, tokens and dtype of weights[0] {tuple(first.shape)}, got "
            f"{layer.dtype} of shape {tuple(layer.shape)}"
        )

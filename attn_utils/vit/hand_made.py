"""What the patch explorer shows: pictures as bytes, and an attention that is set by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from attn_utils.core.attend import scaled_dot_product_attention

STORED = 112  # pixels of a photograph that travel with the page
LAYERS = 3
HEADS = ("same colour", "close by", "same colour and close by", "whatever stands out")
MOST_BYTES = 240 * 1024  # of weights and pixels on a page


def hand_made_tokens(pixels: Tensor, rows: int) -> Tensor:
    """Describe each patch of a square photograph by its mean colour and its position.

    Args:
        pixels: (side, side, 3), uint8.
        rows: patches downwards and across.

    Returns:
        (rows², 5), float64: red, green and blue from 0 to 1, how far down and how far across.
    """
    size = len(pixels) // rows
    patches = pixels.double().view(rows, size, rows, size, 3) / 255
    colour = patches.mean(dim=(1, 3)).flatten(0, 1)  # (rows, p, rows, p, 3) -> (N, 3)
    position = (torch.arange(rows, dtype=torch.float64) + 0.5) / rows
    return torch.cat([colour, torch.cartesian_prod(position, position)], dim=1)


def hand_made_attention(tokens: Tensor, sharpness: float = 1.0) -> Tensor:
    r"""Compute the attention of three layers of four heads that nobody trained.

    Each layer first gives colours and positions mean 0 and mean square 1, as a norm would. The
    heads are Gaussian kernels of chapter 2, by the distance in colour, in position, and in
    both; the fourth asks nothing and takes every patch by how much its colour stands out, the
    saliency of chapter 1. The layer then returns, for each token, the mean of itself and of
    what the heads bring:
    :math:`x \leftarrow (x + \frac1H \sum_h A_h x) / 2`. The values are the tokens themselves, so
    the rollout of these layers is exactly what they do.

    Args:
        tokens: (N, 5), from :func:`hand_made_tokens`.
        sharpness: a factor for all scores, the inverse of a temperature.

    Returns:
        Weights (3, 4, N, N), float64.
    """
    x, layers = tokens, []
    for _ in range(LAYERS):
        q, k = _queries_and_keys(_standard(x[:, :3]), _standard(x[:, 3:]))
        brought, weights = scaled_dot_product_attention(
            q, k, x.expand(len(HEADS), -1, -1), scale=sharpness, return_weights=True
        )  # (H, N, 5), (H, N, N)
        x = (x + brought.mean(dim=0)) / 2
        layers.append(weights)
    return torch.stack(layers)


def _queries_and_keys(colour: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
    """Make the four heads' queries and keys (H, N, 6).

    The score of a Gaussian kernel, -|a - b|²/2, is a · b - |b|²/2 less |a|²/2. The last does not
    depend on the key, so the softmax does not see it: (a, 1) · (b, -|b|²/2) is score enough.
    """
    compared = [colour / 0.15, position / 0.25, torch.cat([colour / 0.3, position / 0.5], dim=1)]
    features = torch.stack([F.pad(x, (0, 5 - x.shape[1])) for x in compared])  # (3, N, 5)
    queries = F.pad(features, (0, 1), value=1.0)
    keys = torch.cat([features, -features.square().sum(dim=-1, keepdim=True) / 2], dim=-1)
    saliency = F.pad(2.5 * colour.norm(dim=1, keepdim=True), (5, 0))  # the same for each query
    alike = F.pad(torch.zeros_like(features[0]), (0, 1), value=1.0)
    return torch.cat([queries, alike[None]]), torch.cat([keys, saliency[None]])


def _standard(x: Tensor) -> Tensor:
    x = x - x.mean(dim=0)
    return x / x.square().sum(dim=1).mean().clamp(min=1e-12).sqrt()


def photographs(images: Any, names: Sequence[str] | None) -> dict[str, Any]:
    """Crop photographs to squares of 112×112; return the explorer's traits."""
    if images is None:
        from skimage import data

        # NASA, in the public domain; Stéfan van der Walt, CC0
        loaders: Any = (data.astronaut, data.chelsea)  # scikit-image does not type its data
        astronaut, cat = (torch.tensor(load()).permute(2, 0, 1) for load in loaders)
        pictures = [astronaut[:, :400, 60:460], cat[:, :, 75:375]]
        names = names or ["astronaut", "cat"]
    else:
        pictures = list(_colour(images))
    small = []
    for picture in pictures:
        side = min(picture.shape[1:])
        top, left = ((n - side) // 2 for n in picture.shape[1:])
        square = picture[None, :, top : top + side, left : left + side].float()
        small.append(F.interpolate(square, size=(STORED, STORED), mode="area"))
    pixels = torch.cat(small).round().to(torch.uint8).permute(0, 2, 3, 1)
    return _stored(pixels, names) | {"_heads": list(HEADS), "_layers": LAYERS}


def model_images(
    images: Any, weights: Any, patch: Any, embed_dim: Any, prefix: int, names: Sequence[str] | None
) -> dict[str, Any]:
    """Check images and weights of a model; return the explorer's traits."""
    pixels = _colour(images).permute(0, 2, 3, 1)
    weights = torch.as_tensor(weights).detach().cpu().float()
    M, height, width, _ = pixels.shape
    C = torch.as_tensor(images).shape[-3]
    if height % patch or width % patch:
        raise ValueError(f"patch_size: expected a divisor of {height} and {width}, got {patch}")
    T = prefix + height // patch * (width // patch)
    if weights.ndim != 5 or len(weights) != M or weights.shape[3:] != (T, T):
        raise ValueError(
            f"weights: expected shape ({M}, L, H, {T}, {T}), got {tuple(weights.shape)}"
        )
    size = weights.numel() * 4 + pixels.numel()
    if size > MOST_BYTES:
        raise ValueError(f"images: expected at most {MOST_BYTES} bytes with weights, got {size}")
    heads = [f"head {h + 1}" for h in range(weights.shape[2])]
    return _stored(pixels, names) | {
        "_weights": weights.numpy().ravel(),
        "_heads": heads,
        "_layers": weights.shape[1],
        "_model": [prefix, patch, C, embed_dim],
    }


def _stored(pixels: Tensor, names: Sequence[str] | None) -> dict[str, Any]:
    M = len(pixels)
    names = [f"picture {i + 1}" for i in range(M)] if names is None else [str(n) for n in names]
    if len(names) != M:
        raise ValueError(f"names: expected {M}, one for each image, got {len(names)}")
    return {
        "_pixels": pixels.contiguous().numpy().tobytes(),
        "_shape": list(pixels.shape[:3]),
        "_names": names,
    }


def _colour(images: Any) -> Tensor:
    """Make images of any range (M, 3, height, width), uint8: the least number becomes black."""
    images = torch.as_tensor(images).detach().cpu()
    images = images[None] if images.ndim == 3 else images
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not 1 <= len(images) <= 40:
        raise ValueError(
            f"images: expected shape (M, C, height, width) with M up to 40 and C 1 or 3, got "
            f"{tuple(images.shape)}"
        )
    if images.dtype != torch.uint8:
        images = images.float()
        if not images.isfinite().all():
            raise ValueError("images: expected finite numbers, got NaN or infinity")
        low, high = images.min(), images.max()
        images = ((images - low) / (high - low).clamp(min=1e-12) * 255).round().to(torch.uint8)
    coloured: Tensor = images.expand(-1, 3, -1, -1)
    return coloured

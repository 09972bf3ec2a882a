"""What pulls attention (saliency) and what directs it (a query): the pieces of chapter 1."""

from __future__ import annotations

import math
from typing import Literal, overload

import torch
import torch.nn.functional as F
from torch import Tensor

from attn_utils.core.arguments import has_values
from attn_utils.core.masks import sharp_softmax

__all__ = ["cue_weights", "fuzzy_lookup", "saliency_map"]

SaliencyMethod = Literal["frequency-tuned", "centre-surround"]


# --- weights from two cues ----------------------------------------------------------------------


def cue_weights(
    salience: Tensor, match: Tensor, *, salience_gain: float = 1.0, query_gain: float = 1.0
) -> Tensor:
    """Turn a nonvolitional and a volitional cue into attention weights.

    Computes ``softmax(salience_gain · salience + query_gain · match)`` over the last axis. With
    both gains 0 all weights are equal (average pooling); with ``query_gain=0`` only what stands
    out counts, with ``salience_gain=0`` only what is wanted.

    Args:
        salience: (..., n), how much each of n things stands out, in any unit.
        match: (..., n), how well each thing's key matches the query, usually ``keys @ query``.
            The axes before the last broadcast with those of ``salience``.
        salience_gain: finite factor of the nonvolitional cue.
        query_gain: finite factor of the volitional cue.

    Returns:
        (..., n), not negative, summing to 1 over the last axis; the computation is
        differentiable in both cues.

    Example:
        >>> import torch
        >>> from attn_utils import cue_weights
        >>> salience = torch.tensor([1.0, 0.0])  # the red cup stands out
        >>> match = torch.tensor([0.0, 1.0])  # the book is wanted
        >>> cue_weights(salience, match)
        tensor([0.5000, 0.5000])
        >>> cue_weights(salience, match, query_gain=1000.0)
        tensor([0., 1.])
    """
    for name, tensor in (("salience", salience), ("match", match)):
        _require_floats(name, tensor)
        if tensor.dim() == 0 or tensor.shape[-1] == 0:
            raise ValueError(
                f"{name}: expected shape (..., n) with n >= 1, got {tuple(tensor.shape)}"
            )
    if salience.shape[-1] != match.shape[-1]:
        raise ValueError(
            f"match: expected one entry per thing, {salience.shape[-1]} as in salience of shape "
            f"{tuple(salience.shape)}, got shape {tuple(match.shape)}"
        )
    try:
        salience, match = torch.broadcast_tensors(salience, match)  # type: ignore[no-untyped-call]
    except RuntimeError:
        raise ValueError(
            f"match: expected a shape that broadcasts with salience {tuple(salience.shape)}, "
            f"got {tuple(match.shape)}"
        ) from None
    for name, gain in (("salience_gain", salience_gain), ("query_gain", query_gain)):
        if not math.isfinite(gain):
            raise ValueError(f"{name}: expected a finite number, got {gain}")
    factor = max(1.0, abs(salience_gain), abs(query_gain))  # so large gains do not overflow
    cues = salience_gain / factor * salience + query_gain / factor * match
    return sharp_softmax(cues, factor).to(cues.dtype)


# --- the fuzzy dictionary -----------------------------------------------------------------------


@overload
def fuzzy_lookup(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    sharpness: float = ...,
    return_weights: Literal[False] = ...,
) -> Tensor: ...
@overload
def fuzzy_lookup(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    sharpness: float = ...,
    return_weights: Literal[True],
) -> tuple[Tensor, Tensor]: ...
@overload
def fuzzy_lookup(
    query: Tensor, keys: Tensor, values: Tensor, *, sharpness: float = ..., return_weights: bool
) -> Tensor | tuple[Tensor, Tensor]: ...
def fuzzy_lookup(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    sharpness: float = 1.0,
    return_weights: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Look a query up in a dictionary that answers with a blend of all its values.

    Computes ``w = softmax(sharpness · query keysᵀ)`` and returns ``w values``. A large
    ``sharpness`` approaches an exact dictionary (the value of the best key), 0 returns the mean
    of the values whatever the query.

    Args:
        query: (..., d), one query or any number of them.
        keys: (S, d), one vector per entry.
        values: (S, dv), what each entry holds.
        sharpness: finite factor of the dot products, at least 0.
        return_weights: also return the weights.

    Returns:
        The blend, (..., dv); with ``return_weights`` the pair of blend and weights (..., S).

    Example:
        >>> import torch
        >>> from attn_utils import fuzzy_lookup
        >>> keys = torch.eye(2)
        >>> values = torch.tensor([[10.0], [20.0]])
        >>> query = torch.tensor([0.0, 1.0])
        >>> fuzzy_lookup(query, keys, values, sharpness=0.0)  # the mean
        tensor([15.])
        >>> fuzzy_lookup(query, keys, values, sharpness=100.0)  # an exact dictionary
        tensor([20.])
    """
    for name, tensor in (("query", query), ("keys", keys), ("values", values)):
        _require_floats(name, tensor)
    if keys.dim() != 2 or 0 in keys.shape:
        raise ValueError(f"keys: expected shape (S, d), neither 0, got {tuple(keys.shape)}")
    if query.dim() == 0 or query.shape[-1] != keys.shape[1]:
        raise ValueError(
            f"query: expected shape (..., {keys.shape[1]}) to fit keys {tuple(keys.shape)}, "
            f"got {tuple(query.shape)}"
        )
    if values.dim() != 2 or values.shape[0] != keys.shape[0]:
        raise ValueError(
            f"values: expected shape ({keys.shape[0]}, dv), one row per key, "
            f"got {tuple(values.shape)}"
        )
    if not 0 <= sharpness < math.inf:
        raise ValueError(f"sharpness: expected a finite number >= 0, got {sharpness}")
    scores = query @ keys.T  # (..., d) -> (..., S)
    weights = sharp_softmax(scores, sharpness).to(scores.dtype)
    output = weights @ values  # (..., S) -> (..., dv)
    return (output, weights) if return_weights else output


def _require_floats(name: str, tensor: Tensor) -> None:
    if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
        kind = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
        raise ValueError(f"{name}: expected a tensor of floating-point numbers, got {kind}")
    if has_values(tensor) and not bool(torch.isfinite(tensor).all()):
        raise ValueError(f"{name}: expected finite numbers, got NaN or infinity")


# --- saliency: the nonvolitional cue of an image ------------------------------------------------


def saliency_map(image: Tensor, *, method: SaliencyMethod = "centre-surround") -> Tensor:
    """Estimate how much each dot of an image stands out, without any query.

    * ``"frequency-tuned"`` (Achanta et al., 2009): the distance in CIELAB between the slightly
      blurred colour of a dot and the mean colour of the image,
      ``S(x, y) = ‖mean Lab − blurred Lab(x, y)‖``. Sharp outlines, but blind to what lies where:
      it favours rare colours, and a large dark background can win.
    * ``"centre-surround"`` (Itti, Koch & Niebur, 1998): in a pyramid of blurred copies, the
      difference between fine levels (2, 3, 4: the centre) and coarse ones (3 or 4 levels
      further: the surround), for intensity, red–green and blue–yellow. Each map is promoted if
      it has one strong peak and demoted if it has many. The paper's orientation channels are
      left out, and so is its winner-take-all network.

    Both are models of the first glance at a picture. Neither knows faces, text or meaning.

    Args:
        image: (H, W, 3), RGB (sRGB) in 0…1, each side at least 32 dots.
        method: one of the two above.

    Returns:
        (H, W) in 0…1 with maximum 1, or all 0 for an image of a single colour; same dtype as
        ``image``.

    Example:
        >>> import torch
        >>> from attn_utils import saliency_map
        >>> image = torch.full((64, 64, 3), 0.5)
        >>> image[40:48, 16:24] = torch.tensor([0.9, 0.1, 0.1])  # one red square on grey
        >>> saliency = saliency_map(image, method="frequency-tuned")
        >>> saliency.shape
        torch.Size([64, 64])
        >>> bool(saliency[44, 20] > 0.9), bool(saliency[10, 50] < 0.1)
        (True, True)
    """
    _require_floats("image", image)
    if image.dim() != 3 or image.shape[2] != 3 or min(image.shape[:2]) < 32:
        raise ValueError(
            f"image: expected shape (H, W, 3) with H, W >= 32, got {tuple(image.shape)}"
        )
    if has_values(image) and (image.min() < 0 or image.max() > 1):
        raise ValueError(
            f"image: expected values in 0…1, got {image.min():.3g}…{image.max():.3g} "
            "(divide bytes by 255)"
        )
    rgb = image.permute(2, 0, 1).double()  # (H, W, 3) -> (3, H, W)
    if method == "frequency-tuned":
        saliency = _frequency_tuned(rgb)
    elif method == "centre-surround":
        saliency = _centre_surround(rgb)
    else:
        raise ValueError(f"method: expected 'frequency-tuned' or 'centre-surround', got {method!r}")
    peak = saliency.max()
    # up to 1e-6 is rounding alone; an even image would show noise
    return (saliency * (peak > 1e-6) / peak.clamp_min(1e-6)).to(image.dtype)


def _rgb_to_lab(rgb: Tensor) -> Tensor:
    """CIELAB (3, H, W) of sRGB (3, H, W) under the D65 white point, by the CIE's formulas."""
    linear = torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    to_xyz = torch.tensor(
        [
            [0.412453, 0.357580, 0.180423],
            [0.212671, 0.715160, 0.072169],
            [0.019334, 0.119193, 0.950227],
        ],
        dtype=rgb.dtype,
        device=rgb.device,
    )
    white = to_xyz.sum(dim=1).view(3, 1, 1)
    xyz = torch.einsum("ij,jhw->ihw", to_xyz, linear) / white
    f = torch.where(xyz > 0.008856, xyz.clamp_min(1e-9) ** (1 / 3), 7.787 * xyz + 16 / 116)
    return torch.stack([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def _blur(maps: Tensor) -> Tensor:
    """Blur maps (C, H, W) with the binomial filter (1, 4, 6, 4, 1)/16 in both directions."""
    taps = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], dtype=maps.dtype, device=maps.device) / 16
    wide = F.pad(maps[:, None], (2, 2, 2, 2), mode="replicate")  # (C, 1, H + 4, W + 4)
    return F.conv2d(F.conv2d(wide, taps.view(1, 1, 1, 5)), taps.view(1, 1, 5, 1))[:, 0]


def _frequency_tuned(rgb: Tensor) -> Tensor:
    lab = _rgb_to_lab(rgb)
    mean = lab.mean(dim=(1, 2), keepdim=True)  # (3, 1, 1)
    return (_blur(lab) - mean).square().sum(dim=0).sqrt()  # (3, H, W) -> (H, W)


def _centre_surround(rgb: Tensor) -> Tensor:
    intensity = rgb.mean(dim=0)
    # Hue is measured relative to brightness, and only where there is enough light to see it.
    lit = intensity > 0.1 * intensity.max()
    r, g, b = torch.where(lit, rgb / intensity.clamp_min(1e-6), torch.zeros_like(rgb))
    red, green = (r - (g + b) / 2).clamp_min(0), (g - (r + b) / 2).clamp_min(0)
    blue = (b - (r + g) / 2).clamp_min(0)
    yellow = ((r + g) / 2 - (r - g).abs() / 2 - b).clamp_min(0)

    bright = _conspicuity(intensity)
    colour = _promote(_conspicuity(red - green) + _conspicuity(blue - yellow))
    saliency = (bright + colour) / 2
    return F.interpolate(
        saliency[None, None], size=rgb.shape[1:], mode="bilinear", align_corners=False
    )[0, 0]  # (h, w) -> (H, W)


def _conspicuity(channel: Tensor) -> Tensor:
    """Sum of the promoted |centre − surround| maps of one channel (H, W), at pyramid level 4."""
    pyramid = [channel]
    for _ in range(8):  # each level half as wide and high
        pyramid.append(_blur(pyramid[-1][None])[0, ::2, ::2])
    total = torch.zeros_like(pyramid[4])
    height, width = total.shape
    for centre in (2, 3, 4):
        for surround in (centre + 3, centre + 4):
            coarse = F.interpolate(
                pyramid[surround][None, None],
                size=pyramid[centre].shape,
                mode="bilinear",
                align_corners=False,
            )
            difference = (pyramid[centre] - coarse[0, 0]).abs()
            total += _promote(F.adaptive_avg_pool2d(difference[None], (height, width))[0])
    return _promote(total)


def _promote(single: Tensor) -> Tensor:
    """Scale a map to 0…1 and multiply it by (1 − mean of its lesser local maxima)²."""
    low, high = single.min(), single.max()
    scaled = (single - low) * (high - low > 1e-9) / (high - low).clamp_min(1e-9)
    neighbourhood = F.max_pool2d(scaled[None], 3, stride=1, padding=1)[0]
    lesser = (scaled == neighbourhood) & (scaled < 1) & (scaled > 0.02)
    others = (scaled * lesser).sum() / lesser.sum().clamp_min(1)  # their mean, 0 without any
    return scaled * (1 - others) ** 2

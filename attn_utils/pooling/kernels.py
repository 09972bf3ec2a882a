"""From distances to weights: kernels, and rows of them that sum to 1.

u stands for distances in units of the bandwidth, ``(x − x_i) / h``, with a row (S,) for each query.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from attn_utils.core.arguments import has_values

__all__ = ["KERNELS"]


def _gaussian(u: Tensor) -> Tensor:
    return torch.exp(-(u**2) / 2) / math.sqrt(2 * math.pi)


def _boxcar(u: Tensor) -> Tensor:
    return (u.abs() <= 1).to(u.dtype) / 2


def _triangular(u: Tensor) -> Tensor:
    return (1 - u.abs()).clamp(min=0)


def _epanechnikov(u: Tensor) -> Tensor:
    return 0.75 * ((1 - u) * (1 + u)).clamp(min=0)


#: Kernels K(u) by name. Each is even, largest at 0 and integrates to 1; all but the Gaussian are
#: compact, that is 0 for u outside −1 … 1. ``nadaraya_watson`` accepts these names.
KERNELS: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {
        "gaussian": _gaussian,
        "boxcar": _boxcar,
        "triangular": _triangular,
        "epanechnikov": _epanechnikov,
    }
)


def kernel_weights(differences: Tensor, kernel: str, bandwidth: float | Tensor) -> Tensor:
    if not isinstance(kernel, str) or kernel not in KERNELS:
        raise ValueError(f"kernel: expected one of {', '.join(KERNELS)}, got {kernel!r}")
    h = _bandwidth(bandwidth, differences.dtype, differences.device)
    u = differences / h  # (T, S)
    if overflows(u):
        raise ValueError(
            f"bandwidth: expected one large enough that (x − x_i) / bandwidth is finite in "
            f"{u.dtype}, got {h.item()}"
        )
    return gaussian_weights(u) if kernel == "gaussian" else _normalised(KERNELS[kernel](u))


def overflows(u: Tensor) -> bool:
    """Tell whether u, or a sum of two of its numbers, is not finite."""
    return has_values(u) and not bool((2 * u).isfinite().all())


def gaussian_weights(u: Tensor) -> Tensor:
    """softmax(−u²/2) over the last axis.

    A softmax does not change when a row is shifted, so −(u² − m²)/2 with m = min |u| gives the
    same weights. Written as a product, that difference keeps its digits for a query far from all
    keys, where u² is huge and nearly the same for every key.
    """
    m = u.detach().abs().amin(dim=-1, keepdim=True)  # (T, 1)
    return torch.softmax(-(u - m) * (u + m) / 2, dim=-1)


def _normalised(k: Tensor) -> Tensor:
    """Divide each row by its sum; a row of zeros stays a row of zeros."""
    total = k.sum(dim=-1, keepdim=True)  # (T, 1)
    return k / torch.where(total > 0, total, 1.0)


def _bandwidth(bandwidth: float | Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    h = one_number("bandwidth", bandwidth).reshape(()).to(dtype)
    if has_values(h) and not (math.isfinite(h.item()) and h.item() > 0):
        given = bandwidth.item() if isinstance(bandwidth, Tensor) else bandwidth
        raise ValueError(f"bandwidth: expected a positive finite number (in {dtype}), got {given}")
    return h.to(device)


def one_number(name: str, number: float | Tensor) -> Tensor:
    if isinstance(number, Tensor):
        if number.numel() != 1 or not number.is_floating_point():
            raise ValueError(
                f"{name}: expected one floating-point number, got {number.dtype} of shape "
                f"{tuple(number.shape)}"
            )
        return number
    try:
        return torch.tensor(float(number), dtype=torch.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected one number, got {number!r}") from error

"""Checks of arguments that several modules share: each raises a ValueError that names the argument.

The message reads "argument: expected …, got …", with shapes spelled out. Nothing is computed first.
"""

from __future__ import annotations

import operator
from typing import SupportsIndex, cast

import numpy as np
import torch
from torch import Tensor
from torch._subclasses import FakeTensor

from .precision import is_autocast


def has_values(x: Tensor) -> bool:
    """Tell whether the numbers of a tensor may be looked at, as a check of them has to.

    They may not while torch compiles, exports or traces, where a look would stop it or make a
    constant of what was seen; under ``torch.func``'s transforms; and where there are none, on the
    meta device and in fake tensors.
    """
    if torch.compiler.is_compiling() or _is_tracing():
        return False
    transformed = torch._C._functorch.is_functorch_wrapped_tensor(x)
    return not (transformed or x.is_meta or isinstance(x, FakeTensor))


def is_exported() -> bool:
    """Tell whether torch exports or traces, where comparing a length would fix it for ever."""
    # not torch.compiler.is_exporting(), which is true in a compiled function up to PyTorch 2.10
    return torch.compiler._is_exporting_flag or _is_tracing()


def _is_tracing() -> bool:
    return torch._C._get_tracing_state() is not None  # torch.jit.is_tracing takes six times as long


def check_range(name: str, numbers: Tensor, what: str, least: int, most: int) -> None:
    """Raise ValueError unless all integers of a tensor are from ``least`` to ``most``.

    Where the values may not be looked at, all pass.
    """
    if not has_values(numbers) or numbers.numel() == 0:
        return
    low, high = (int(x) for x in numbers.aminmax())
    if low < least or high > most:
        wrong = low if low < least else high
        raise ValueError(
            f"{name}: expected {what} from {least} to {most}, got {wrong} in shape "
            f"{tuple(numbers.shape)}"
        )


def check_tensors(**named: Tensor) -> None:
    """Raise ValueError unless all are (…, n, width) with one dtype, device and leading axes.

    Under autocast float32 and the half types may be mixed, as for PyTorch's own modules.
    """
    first_name, first = next(iter(named.items()))
    for name, x in named.items():
        if x is first and name != first_name:
            continue  # self-attention: once is enough
        if not isinstance(x, Tensor):
            raise ValueError(f"{name}: expected a tensor, got {type(x).__name__}")
        if not x.is_floating_point() or x.ndim < 2:
            raise ValueError(
                f"{name}: expected floating-point numbers of shape (…, number, width), got "
                f"{x.dtype} of shape {tuple(x.shape)}"
            )
        if x.shape[:-2] != first.shape[:-2]:
            raise ValueError(
                f"{name}: expected the leading axes of {first_name} {tuple(first.shape)}, got "
                f"shape {tuple(x.shape)}"
            )
        same = x.dtype == first.dtype or (
            is_autocast(x) and torch.float64 not in (x.dtype, first.dtype)
        )
        if not same or x.device != first.device:
            raise ValueError(
                f"{name}: expected {first.dtype} on {first.device} like {first_name}, got "
                f"{x.dtype} on {x.device}"
            )


def check_width(name: str, x: Tensor, width: int) -> None:
    """Raise ValueError unless the last axis of x has this width."""
    if x.shape[-1] != width:
        raise ValueError(f"{name}: expected a width of {width}, got shape {tuple(x.shape)}")


def check_same_length(keys: Tensor, values: Tensor, names: tuple[str, str]) -> None:
    """Raise ValueError unless there is at least one key, and a value for each."""
    if keys.shape[-2] == 0:
        raise ValueError(f"{names[0]}: expected at least one, got shape {tuple(keys.shape)}")
    if keys.shape[-2] != values.shape[-2]:
        raise ValueError(
            f"{names[1]}: expected one for each of {names[0]} {tuple(keys.shape)}, got shape "
            f"{tuple(values.shape)}"
        )


def check_size(name: str, size: SupportsIndex, least: int = 1) -> int:
    """Return a size as a plain integer; raise ValueError unless it is one of at least ``least``.

    NumPy's integers are welcome, and so is a length that stays free while torch exports or traces.
    """
    if isinstance(size, torch.SymInt) or _is_tracing():
        return cast(int, size)
    try:
        # as a tuple: torch.compile before PyTorch 2.9 stops at a union of types
        number = least - 1 if isinstance(size, (bool, np.bool_, Tensor)) else operator.index(size)
    except TypeError:
        number = least - 1
    if number < least:
        raise ValueError(f"{name}: expected an integer of at least {least}, got {size!r}")
    return number


def check_sizes(**sizes: SupportsIndex) -> list[int]:
    """Return sizes as plain integers, in their order; all have to be at least 1."""
    return [check_size(name, size) for name, size in sizes.items()]


def check_probability(name: str, p: float) -> None:
    """Raise ValueError unless p lies in [0, 1]."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"{name}: expected a probability from 0 to 1, got {p!r}")


def check_images(name: str, x: Tensor, channels: int | None = None) -> None:
    """Raise ValueError unless x is (B, C, Height, Width) with C = channels and at least a pixel.

    Without ``channels``, any number of them from 1 on will do.
    """
    if not isinstance(x, Tensor):
        raise ValueError(f"{name}: expected a tensor, got {type(x).__name__}")
    if x.ndim != 4 or x.shape[1] == 0 or (channels is not None and x.shape[1] != channels):
        number = "C ≥ 1" if channels is None else f"C = {channels}"
        raise ValueError(
            f"{name}: expected shape (B, C, Height, Width) with {number}, got {tuple(x.shape)}"
        )
    if not x.is_floating_point():
        raise ValueError(f"{name}: expected floating-point numbers, got {x.dtype}")
    if x.shape[2] == 0 or x.shape[3] == 0:
        raise ValueError(f"{name}: expected at least one pixel, got shape {tuple(x.shape)}")


def check_qkv(**named: Tensor) -> None:
    """Raise ValueError unless queries, keys and values, in this order, fit a dot product."""
    (q_name, q), (k_name, k), (v_name, v) = named.items()
    check_tensors(**named)
    if q.shape[-1] == 0:
        raise ValueError(f"{q_name}: expected a width of at least 1, got shape {tuple(q.shape)}")
    check_width(k_name, k, q.shape[-1])
    check_same_length(k, v, (k_name, v_name))

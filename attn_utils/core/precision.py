"""Half precision, mixed kinds of numbers, and autocast: in which dtype something is computed."""

from __future__ import annotations

import contextlib
import functools

import torch
from torch import Tensor, nn


def common_dtype(*tensors: Tensor) -> torch.dtype:
    """The dtype that holds the numbers of all tensors."""
    return functools.reduce(torch.promote_types, (x.dtype for x in tensors))


def working_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype to compute a softmax or a long sum in: half precision is too coarse for them."""
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype


@torch.no_grad()
def draw_trunc_normal(x: Tensor, std: float) -> None:
    """``nn.init.trunc_normal_``, drawn in single precision.

    In half precision, up to PyTorch 2.10 at least, one number in 250 is -2, however small std is.
    """
    x.copy_(nn.init.trunc_normal_(torch.empty_like(x, dtype=working_dtype(x.dtype)), std=std))


def is_autocast(x: Tensor) -> bool:
    """Tell whether autocast rules on the tensor's device: operations choose their dtype then."""
    return not x.is_meta and torch.is_autocast_enabled(x.device.type)


def without_autocast(x: Tensor) -> contextlib.AbstractContextManager[object]:
    """A block in which the operations on x's device keep the dtype that they are given."""
    return torch.autocast(x.device.type, enabled=False) if is_autocast(x) else _NOTHING


_NOTHING = contextlib.nullcontext()

"""Random tensors, and when two results count as the same."""

from __future__ import annotations

import torch
from torch import Tensor

# How many rounding errors may add up, in units of the dtype's epsilon at the largest value. A
# result in double or single precision is rounded at each step, and processors sum in different
# orders: the worst of all module tests is 7 units, on instruction sets with and without AVX, with
# one thread. Half precision is computed in single precision between the steps: the worst
# is 1.4 units, of a module with many steps under autocast.
UNITS = {torch.float64: 32, torch.float32: 32, torch.bfloat16: 6, torch.float16: 6}


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Draw from N(0, 1); the same numbers in every dtype, up to its rounding."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def close(
    got: Tensor,
    want: Tensor,
    what: object = "",
    *,
    scale: float = 0.0,
    within: float | None = None,
) -> None:
    """Fail unless ``got`` is ``want`` up to the rounding errors of got's dtype.

    Args:
        got: the result to judge; its dtype says how exact it has to be.
        want: the right one, in the same or in a finer dtype.
        what: what is compared, for the message.
        scale: size of the terms that were summed, where the result is smaller than they are.
        within: largest difference instead, for means of random draws, for numbers that a source
            prints with a few digits, and where the bound depends on more than the sizes.
    """
    if within is None:
        size = max(scale, want.abs().max().item() if want.numel() else 0.0)
        within = UNITS[got.dtype] * torch.finfo(got.dtype).eps * size
    torch.testing.assert_close(
        got.detach().to(want.dtype),
        want.detach(),
        rtol=0,
        atol=within,
        msg=lambda text: f"{what}: {text}",
    )

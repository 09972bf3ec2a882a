"""Who listens to attention weights: the one place through which they can be recorded.

:func:`attn_utils.explain.record_attention` puts a recorder here for as long as its block lasts.
The functions that compute weights ask :func:`is_recorded`; if so they take the explicit path, on
which the weights exist, and :func:`record` them.
"""

from __future__ import annotations

from contextvars import ContextVar

import torch
from torch import Tensor


class Recorder:
    """A list of weights, and whether one of the modules that it listens to is running."""

    def __init__(self) -> None:
        self.weights: list[Tensor] = []
        self.running = 0  # how many of the modules, one inside the other


#: all recorders at work in this thread; nested blocks put theirs behind the outer ones
recorders: ContextVar[tuple[Recorder, ...]] = ContextVar("recorders", default=())


def is_recorded() -> bool:
    """Tell whether somebody wants the weights of the module that is running."""
    if torch.compiler.is_compiling():
        return False
    return any(recorder.running for recorder in recorders.get())


def record(weights: Tensor) -> None:
    """Hand weights (…, T, S) to all who want them, without their graph."""
    if torch.compiler.is_compiling():
        return
    heads = weights.detach()
    if heads.ndim < 4:  # (B, T, S) -> (B, 1, T, S) and (T, S) -> (1, 1, T, S)
        heads = heads.unsqueeze(-3)[(None,) * (3 - heads.ndim)]
    for recorder in recorders.get():
        if recorder.running:
            recorder.weights.append(heads)

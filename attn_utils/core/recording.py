"""Who listens to attention weights: the one place through which they can be recorded.

:func:`record_attention`, which chapter 13 is about, listens for as long as its block lasts. The
functions that compute weights ask :func:`is_recorded`; if so they take the explicit path, on which
the weights exist, and :func:`record` them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn


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
    listening = recorders.get()
    return bool(listening) and any(recorder.running for recorder in listening)


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


@contextlib.contextmanager
def record_attention(model: nn.Module) -> Iterator[list[Tensor]]:
    """Record the attention weights of a model's layers while the block lasts.

    ::

        with record_attention(model) as weights:
            model(images)
        weights[0]  # of the first layer, (B, H, T, S)

    **Recording changes the path.** The fused kernel never holds the weights, so that nothing could
    be seen on it. While a layer of ``model`` runs inside the block, it computes the explicit
    formula instead: the output agrees up to rounding, memory grows with T · S, and the last block
    of a :class:`~attn_utils.vit.VisionTransformer` computes all its rows. After the block, also
    after an error in it, everything is as before.

    What is recorded: every layer of this package that attends, wherever it is in the model;
    PyTorch's own ``nn.MultiheadAttention`` is not. Blocks can be nested; a model outside the
    block's own is not recorded.

    Args:
        model: any module that holds attention layers, or is one.

    Yields:
        A list that grows by one tensor (B, H, T, S) with each call of an attention layer, in the
        order of the calls: the weights before dropout, without a graph. Layers without heads have
        H = 1; the pooling of chapter 2 has B = 1 as well.

    Raises:
        ValueError: no module, or one that ``torch.compile`` has compiled, whose layers cannot be
            switched any more.
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"model: expected a module, got {type(model).__name__}")
    for module in model.modules():
        if hasattr(module, "_orig_mod") or module._compiled_call_impl is not None:
            raise ValueError(
                f"model: expected one that is not compiled, got a compiled {type(module).__name__}"
            )
    recorder = Recorder()

    def enter(*_: Any) -> None:
        recorder.running += 1

    def leave(*_: Any) -> None:
        recorder.running -= 1

    hooks = []
    for module in model.modules():
        # first in and, even after an error, out again: the two always come in pairs
        hooks.append(module.register_forward_pre_hook(enter, prepend=True))
        hooks.append(module.register_forward_hook(leave, always_call=True))
    before = recorders.set((*recorders.get(), recorder))
    try:
        yield recorder.weights
    finally:
        recorders.reset(before)
        for hook in hooks:
            hook.remove()

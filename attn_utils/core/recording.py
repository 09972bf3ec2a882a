"""Who listens to attention weights: the one place through which they can be recorded.

:func:`record_attention`, which chapter 13 is about, listens for as long as its block lasts. The
functions that compute weights ask :func:`is_recorded`; if so they take the explicit path, on which
the weights exist, and :func:`record` them.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)


class Recorder:
    """What one block of :func:`record_attention` listens to, and what it has heard."""

    def __init__(self, model: nn.Module, keep_graph: bool) -> None:
        self.modules = frozenset(model.modules())
        self.keep_graph = keep_graph
        self.weights: list[Tensor] = []
        self.running: list[nn.Module] = []  # one inside the other
        self.called = self.heard = False  # whether a module ran, and whether one handed weights

    def enter(self, module: nn.Module, *_: Any) -> None:
        """Note that a module begins."""
        if module in self.modules and self in recorders.get():  # other threads run it as well
            self.running.append(module)
            self.called = True

    def leave(self, module: nn.Module, *_: Any) -> None:
        """Note that it has ended, with an error or without."""
        if self in recorders.get() and self.running and self.running[-1] is module:
            self.running.pop()


#: all recorders at work in this thread; nested blocks put theirs behind the outer ones
recorders: ContextVar[tuple[Recorder, ...]] = ContextVar("recorders", default=())


def is_recorded() -> bool:
    """Tell whether somebody wants the weights of the module that is running."""
    if torch.compiler.is_compiling():
        return False
    listening = recorders.get()
    return bool(listening) and any(recorder.running for recorder in listening)


def record(weights: Tensor) -> Tensor:
    """Hand weights (…, T, S) to all who want them; the caller goes on with what is returned."""
    if not is_recorded():
        return weights
    heads = weights
    if heads.ndim < 4:  # (B, T, S) -> (B, 1, T, S) and (T, S) -> (1, 1, T, S)
        heads = heads.unsqueeze(-3)[(None,) * (3 - heads.ndim)]
    # In a backward pass it is gradient checkpointing that computes a layer for the second time.
    if torch._C._current_graph_task_id() == -1:
        for recorder in recorders.get():
            if recorder.running:
                recorder.heard = True
                recorder.weights.append(heads if recorder.keep_graph else heads.detach())
    return heads.view(weights.shape)  # through what was recorded, so that gradients reach it


@contextlib.contextmanager
def record_attention(model: nn.Module, *, keep_graph: bool = False) -> Iterator[list[Tensor]]:
    """Record the attention weights of a model's layers while the block lasts.

    ::

        with record_attention(model) as weights:
            model(images)
        weights[0]  # of the first layer, (B, H, T, S)

    **Recording changes the path.** The fused kernel never holds the weights, so that nothing could
    be seen on it. While a layer of ``model`` runs inside the block, it computes the explicit
    formula instead: the output agrees up to rounding (in training with dropout on the weights,
    others are dropped), memory grows with T · S, and the last block of a
    :class:`~attn_utils.vit.VisionTransformer` computes all its rows. After the block, also after an
    error in it, everything is as before.

    What is recorded: every layer of this package that attends, wherever it is in the model, when it
    is called in this thread. Blocks can be nested; a model outside the block's own is not recorded,
    and a copy is another model. Under gradient checkpointing each layer is recorded once; the
    backward pass belongs into the block then, since it has to compute the same path again.

    What is not: other people's layers. A block in which nothing was recorded warns. Hugging Face's
    models give their weights with ``model.set_attn_implementation("eager")`` and
    ``output_attentions=True``; ``nn.MultiheadAttention`` with ``need_weights=True`` and
    ``average_attn_weights=False``; timm's by a forward hook on ``attn_drop``, once
    ``timm.layers.set_fused_attn(False)`` came before the model was built.

    Args:
        model: any module that holds attention layers, or is one.
        keep_graph: leave the weights in the graph of the output. Then
            ``torch.autograd.grad(logits[:, c].sum(), weights)`` is how class c depends on them,
            which class-specific maps are made of (Chefer et al., 2021).

    Yields:
        A list that grows by one tensor (B, H, T, S) with each call of an attention layer, in the
        order of the calls: the weights before dropout, by default without a graph. Layers without
        heads have H = 1; the pooling of chapter 2 has B = 1 as well.

    Raises:
        ValueError: no module, or one that ``torch.compile`` has compiled, whose layers cannot be
            switched any more.

    Example:
        >>> import torch
        >>> from attn_utils import VisionTransformer, record_attention
        >>> model = VisionTransformer(8, 4, 1, 10, embed_dim=8, depth=2, num_heads=2)
        >>> with record_attention(model) as weights:
        ...     logits = model(torch.rand(1, 1, 8, 8))
        >>> [tuple(w.shape) for w in weights]  # 2 layers; 4 patches and the class token
        [(1, 2, 5, 5), (1, 2, 5, 5)]
        >>> torch.allclose(weights[0].sum(-1), torch.ones(1, 2, 5))
        True
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"model: expected a module, got {type(model).__name__}")
    for module in model.modules():
        if hasattr(module, "_orig_mod") or module._compiled_call_impl is not None:
            raise ValueError(
                f"model: expected one that is not compiled, got a compiled {type(module).__name__}"
            )
    recorder = Recorder(model, keep_graph)
    # Hooks on all modules there are, not on those of the model, where a copy would take them along.
    # They come before any other: enter and leave always come in pairs.
    hooks = [
        register_module_forward_pre_hook(recorder.enter),
        register_module_forward_hook(recorder.leave, always_call=True),
    ]
    before = recorders.set((*recorders.get(), recorder))
    try:
        yield recorder.weights
    finally:
        recorders.reset(before)
        for hook in hooks:
            hook.remove()
    if recorder.called and not recorder.heard:
        warnings.warn(
            f"record_attention: {type(model).__name__} ran, and no weights were recorded, since "
            "none of the layers that ran is an attention of attn_utils. Hugging Face's models give "
            'their weights with attn_implementation="eager" and output_attentions=True, '
            "nn.MultiheadAttention with need_weights=True, timm's by a hook on attn_drop without "
            "the fused kernel.",
            stacklevel=3,
        )

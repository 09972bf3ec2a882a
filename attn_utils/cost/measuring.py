"""What a run really holds in memory: the tensors it makes, counted."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

__all__ = ["peak_bytes"]


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the storages that operations return, for as long as they live."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.held = 0
        self.peak = 0
        self.alive: set[int] = set()  # addresses of storages that are counted, or were there before

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for x in _tensors(args, kwargs):  # a view of an argument is no new memory
            self._see(x, 0)
        result = func(*args, **(kwargs or {}))
        for x in _tensors(result):
            self._see(x, x.untyped_storage().nbytes())
        return result

    def _see(self, x: Tensor, size: int) -> None:
        storage = x.untyped_storage()
        key = storage._cdata  # of the storage itself; id() would be that of a passing wrapper
        if key in self.alive:
            return
        self.alive.add(key)
        self.held += size
        self.peak = max(self.peak, self.held)
        weakref.finalize(storage, self._free, key, size).atexit = False

    def _free(self, key: int, size: int) -> None:
        self.alive.discard(key)
        self.held -= size


def _tensors(*tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_flatten(tree)[0] if isinstance(leaf, Tensor))


def peak_bytes(run: Callable[[], Any]) -> int:
    """Most memory that the tensors made during a run hold at once.

    Every tensor that an operation returns counts from then until it is freed, also what autograd
    keeps for the backward pass. What was there before counts nothing, and neither does memory that
    an operation uses inside and gives back before it returns.

    Args:
        run: a function without arguments.

    Returns:
        Bytes; the same in every run on one device. Another device or release may compute the same
        with other operations: on meta tensors attention has no fused kernel, for example.

    Example:
        >>> import torch
        >>> from attn_utils import peak_bytes
        >>> x = torch.rand(1000)  # was there before: counts nothing
        >>> peak_bytes(lambda: (x + 1) * 2)  # two results of 1,000 numbers of 4 bytes
        8000
    """
    watch = _Watch()
    with watch:
        run()
    return watch.peak

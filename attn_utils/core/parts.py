"""Whether a module is as it was built: the condition of every path that leaves something out."""

from __future__ import annotations

from torch import nn


def is_as_built(module: nn.Module, *kinds: type[nn.Module]) -> bool:
    """Tell whether all parts of a module are of these kinds, and nobody listens.

    An adapter, a parametrisation, a quantised or sharded layer is of another kind. Where this
    holds, nobody can notice that a part computes less than it is asked for, or in place.
    """
    return all(
        type(part) in kinds
        and "forward" not in vars(part)
        and not (part._forward_hooks or part._forward_pre_hooks)
        and not (part._backward_hooks or part._backward_pre_hooks)
        for part in module.modules()
    )

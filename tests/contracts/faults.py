"""What is known to fail, as sets of checks of ``MODULE``; a set goes when its fault is mended."""

from __future__ import annotations

ADAPTERS = {"replaced_layers_are_felt": "fault A1: the forward pass reads a layer's attributes"}
HOOKS = {"hooks_fire": "fault A1: a part is never called, only its weights or methods are used"}
RECURRENT = {  # limits of PyTorch's own layer
    "exports_with_free_sizes": "PyTorch exports a GRU with as many steps as the example has",
    "vmaps": "PyTorch has no batching rule for a GRU",
}

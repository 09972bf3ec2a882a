"""What is known to fail, as sets of checks of ``MODULE``; a set goes when its fault is mended."""

from __future__ import annotations

ADAPTERS = {"replaced_layers_are_felt": "fault A1: the forward pass reads a layer's attributes"}
HOOKS = {"hooks_fire": "fault A1: a part is never called, only its weights or methods are used"}

# Limits of PyTorch itself:
VMAP = {"vmaps": "PyTorch has no batching rule for a GRU"}
RECURRENT = VMAP | dict.fromkeys(
    ("exports_with_free_sizes", "onnx_of_an_export"),
    "PyTorch exports a GRU with as many steps as the example has",
)
NAMED_TUPLE = dict.fromkeys(
    ("traces", "onnx_of_a_trace"), "torch.jit.trace makes a plain tuple of a named one"
)
ROTARY = {"onnx_of_a_trace": "PyTorch's older exporter knows no complex numbers"}

"""Checks of ``MODULE`` that fail for some modules because of limits of PyTorch itself."""

from __future__ import annotations

VMAP = {"vmaps": "PyTorch has no batching rule for a GRU"}
RECURRENT = VMAP | dict.fromkeys(
    ("exports_with_free_sizes", "onnx_of_an_export"),
    "PyTorch exports a GRU with as many steps as the example has",
)
NAMED_TUPLE = dict.fromkeys(
    ("traces", "onnx_of_a_trace"), "torch.jit.trace makes a plain tuple of a named one"
)
ROTARY = {"onnx_of_a_trace": "PyTorch's older exporter knows no complex numbers"}

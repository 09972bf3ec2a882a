"""What is known to fail, as sets of checks of ``MODULE``; a set goes when its fault is mended."""

from __future__ import annotations

ADAPTERS = {"replaced_layers_are_felt": "fault A1: the forward pass reads a layer's attributes"}
HOOKS = {"hooks_fire": "fault A1: a part is never called, only its weights or methods are used"}
META = {"without_memory": "fault B2: the forward pass looks at values"}
VALUES = dict.fromkeys(
    ("compiles", "exports_with_free_sizes", "vmaps"), "fault B2: the forward pass looks at values"
)
AUTOCAST = {"autocasts": "fault B3: mixed dtypes under autocast are refused"}
EMPTY = {"empty_batch": "fault B7: an empty batch is refused"}

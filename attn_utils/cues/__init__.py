"""What pulls attention (saliency) and what directs it (a query): the pieces of chapter 1.

``saliency_map`` looks at an image only, ``fuzzy_lookup`` matches a query with keys, and
``cue_weights`` puts both cues into one set of attention weights.
"""

from .cues import cue_weights, fuzzy_lookup, saliency_map

__all__ = ["cue_weights", "fuzzy_lookup", "saliency_map"]

"""Attention in today's models: what they changed in it, each change by itself.

Windows bound the cache, sinks let a head keep silent, norms and caps keep scores small, latent
attention makes keys and values from one small vector per token, the delta rule keeps a matrix of
fixed size, and an indexer selects a few keys.
"""

from attn_utils.scoring.norms import QKNorm as QKNorm
from attn_utils.scoring.norms import soft_cap_attention as soft_cap_attention

from .delta import delta_rule, delta_rule_chunkwise
from .latent import LatentAttention, LatentCache
from .selection import Indexer, top_k_mask
from .sinks import SinkAttention
from .windows import window_attention, window_mask

__all__ = [
    "Indexer",
    "LatentAttention",
    "LatentCache",
    "SinkAttention",
    "delta_rule",
    "delta_rule_chunkwise",
    "top_k_mask",
    "window_attention",
    "window_mask",
]

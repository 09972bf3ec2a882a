"""Attention in today's models: what they changed in it, each change by itself.

Windows bound the cache, sinks let a head keep silent, norms and caps keep scores small, latent
attention makes keys and values from one small vector per token, and the delta rule keeps a matrix
of fixed size.
"""

from .delta import delta_rule, delta_rule_chunkwise
from .latent import LatentAttention, LatentCache
from .norms import QKNorm, soft_cap_attention
from .sinks import SinkAttention
from .windows import window_attention, window_mask

__all__ = [
    "LatentAttention",
    "LatentCache",
    "QKNorm",
    "SinkAttention",
    "delta_rule",
    "delta_rule_chunkwise",
    "soft_cap_attention",
    "window_attention",
    "window_mask",
]

"""Multi-head attention: several small attentions side by side, each free to look elsewhere.

One head has one distribution of weights for each query; a query that has two things to ask needs
two. Shapes: B batch, H heads, G heads of keys and values, T queries, S keys, D = embed_dim,
d = D / H width of a head.
"""

from .grouping import with_kv_heads
from .multi_head import MultiHeadAttention

__all__ = ["MultiHeadAttention", "with_kv_heads"]

"""Self-attention: a sequence asks itself.

Queries, keys and values are three linear images of one sequence x of shape (B, T, D), so that each
position gathers what it needs from all positions at once. B batch, T positions, D width of x.
"""

from .self_attention import SelfAttention

__all__ = ["SelfAttention"]

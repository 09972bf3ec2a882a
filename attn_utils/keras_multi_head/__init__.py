"""Multi-head attention as Keras defines it, in PyTorch.

The idea is that of :mod:`attn_utils.multi_head`; what differs is the interface. The width of a
head is a choice of its own (``key_dim``, not embed_dim / num_heads), values may have another width
than keys, the arguments come as query, **value**, key, and the parameters are kernels with an axis
for the heads instead of matrices. Shapes: B batch, H heads, T queries, S keys, K = key_dim,
V = value_dim, O output width.

Keras itself is not imported.
"""

from .keras_multi_head import KerasMultiHeadAttention

__all__ = ["KerasMultiHeadAttention"]

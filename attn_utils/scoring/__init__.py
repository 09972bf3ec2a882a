"""Scoring functions: three rules that turn queries and keys into attention weights.

A rule scores each pair of a query and a key; a softmax makes weights of the scores; the output is
the average of the values under these weights. The rules differ in the score alone:

1. **location-based** (:class:`LocationAttention`): one linear layer reads query and key, joined,
   and emits a score for every value slot;
2. **additive** (:class:`AdditiveAttention`): a linear layer, tanh, and a learned weighted sum;
3. **scaled dot product** (:func:`~attn_utils.core.scaled_dot_product_attention`): ``q · k / √d``.

Two ways keep the scores of rule 3 small, however large queries and keys become: :class:`QKNorm`
normalises both, :func:`soft_cap_attention` caps the scores.

Shapes throughout: B batch, H heads, T queries, S keys, d width of a query and a key, dv width of
a value; ``…`` stands for any leading axes, as a rule B or B and H. Masks are boolean, True = may
be attended; :mod:`attn_utils.core.masks` says how they fit. Weights are the ones before dropout, so
that their rows sum to 1.
"""

from attn_utils.core.attend import scaled_dot_product_attention as scaled_dot_product_attention

from .norms import QKNorm, soft_cap_attention
from .scoring import (
    AdditiveAttention,
    Attn,
    ConcatAttention,
    DotProductAttention,
    LocationAttention,
)

__all__ = [
    "AdditiveAttention",
    "Attn",
    "ConcatAttention",
    "DotProductAttention",
    "LocationAttention",
    "QKNorm",
    "soft_cap_attention",
]

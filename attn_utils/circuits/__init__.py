"""Circuits: two heads that work together, found, cut and read.

A model of attention alone continues a repeated pattern. One head tells each position which token
stands before it, a head of the next layer looks for the position that was told the present token,
and copies what stands there: together they are an induction circuit. Shapes: B batch, T tokens,
L layers, H heads, D = embed_dim, V = vocab_size.
"""

from .model import AttentionOnlyModel, HeadRun, cut_path, run_heads
from .patterns import repeated_patterns
from .reading import ov_matrix, qk_matrix, stripe_score

__all__ = [
    "AttentionOnlyModel",
    "HeadRun",
    "cut_path",
    "ov_matrix",
    "qk_matrix",
    "repeated_patterns",
    "run_heads",
    "stripe_score",
]

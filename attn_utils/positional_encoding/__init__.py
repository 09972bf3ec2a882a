"""Positional encoding: order for a mechanism that does not know any.

Self-attention treats its input as a set. Three ways to tell it the order: add a fixed pattern of
sines and cosines, add a learned vector for each position, or rotate queries and keys by an angle
that grows with the position. B batch, T positions, D width.
"""

from .positional_encoding import (
    LearnedPositionalEmbedding,
    RotaryEmbedding,
    SinusoidalPositionalEncoding,
)

__all__ = ["LearnedPositionalEmbedding", "RotaryEmbedding", "SinusoidalPositionalEncoding"]

"""The transformer: blocks of attention and small networks, stacked, and a model that writes.

:class:`EncoderBlock` and :class:`DecoderBlock` are the two blocks of the paper, pre-norm or
post-norm; :class:`TransformerEncoder` and :class:`TransformerDecoder` stack them.
:class:`LanguageModel` is a decoder without a memory: it predicts the next token from those before
it, and writes with a cache of keys and values.

Shapes: B batch, T tokens (with a cache: the new ones), S all tokens so far, H heads, G heads of
keys and values, D = embed_dim, d = D / H, V = vocab_size.
"""

from .blocks import DecoderBlock, EncoderBlock, FeedForward
from .language_model import (
    Cache,
    CausalBlock,
    CausalSelfAttention,
    KVCache,
    LanguageModel,
)
from .sampling import sample
from .stacks import TransformerDecoder, TransformerEncoder
from .trained import load_writer

__all__ = [
    "Cache",
    "CausalBlock",
    "CausalSelfAttention",
    "DecoderBlock",
    "EncoderBlock",
    "FeedForward",
    "KVCache",
    "LanguageModel",
    "TransformerDecoder",
    "TransformerEncoder",
    "load_writer",
    "sample",
]

"""Attention in a decoder: read a sequence, then write another one while looking back at it.

An encoder (:class:`GRUEncoder`) reads B sequences of up to S tokens. A decoder writes T tokens, one
after the other. Without attention (:class:`FixedVectorDecoder`) all it ever sees of the input is
one vector; with attention (:class:`AttentionDecoder`) each of its states is a query, and the
encoder's states are keys and values. Everything else is the same, so that the two can be compared.

Tokens are integers. Sources are padded at the end, with any token: what lies behind
``valid_lens`` is never looked at. The chapter's data, dates as people write them, are here as well.
"""

from .dates import (
    SOURCE_CHARACTERS,
    TARGET_CHARACTERS,
    all_dates,
    source_tokens,
    target_text,
    target_tokens,
    written_forms,
)
from .model import (
    AttentionDecoder,
    EncoderDecoder,
    EncoderOutput,
    FixedVectorDecoder,
    GRUEncoder,
    Memory,
    greedy_decode,
)

__all__ = [
    "SOURCE_CHARACTERS",
    "TARGET_CHARACTERS",
    "AttentionDecoder",
    "EncoderDecoder",
    "EncoderOutput",
    "FixedVectorDecoder",
    "GRUEncoder",
    "Memory",
    "all_dates",
    "greedy_decode",
    "source_tokens",
    "target_text",
    "target_tokens",
    "written_forms",
]

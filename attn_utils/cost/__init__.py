"""What attention costs: operations, bytes and memory by formula, and ways around the n² scores.

The formulas count one multiplication with its addition as two operations (FLOPs), as PyTorch's
``torch.utils.flop_counter.FlopCounterMode`` does. That counter sees matrix products (and, where
it knows the kernel, fused attention as if nothing were masked); it leaves out everything else.
Here the softmax has an entry of its own, with five operations for each score, so that all other
entries together are what the counter finds.

Letters: B batch, H heads, T queries, S keys, D model width, d = D / H. A projection, a score and a
weighted sum cost the same however D is divided into heads; only what exists *per head and pair*
(the scores, the softmax) grows with H.
"""

from .blockwise import blockwise_attention, linear_attention
from .formulas import (
    attention_bytes,
    attention_flops,
    attention_peak_bytes,
    block_flops,
    kv_cache_bytes,
    mlp_flops,
)
from .measuring import peak_bytes

__all__ = [
    "attention_bytes",
    "attention_flops",
    "attention_peak_bytes",
    "block_flops",
    "blockwise_attention",
    "kv_cache_bytes",
    "linear_attention",
    "mlp_flops",
    "peak_bytes",
]

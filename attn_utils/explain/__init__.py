"""Reading attention: record what a model looks at, and follow it through all layers.

Shapes: B batch, H heads, T queries, S keys.
"""

from attn_utils.core.recording import record_attention
from attn_utils.core.rollout import attention_rollout

__all__ = ["attention_rollout", "record_attention"]

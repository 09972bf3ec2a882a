"""A layer of Llama: norm, rotary positions, grouped queries. Ours computes the same."""

from __future__ import annotations

import math

import pytest
import torch

from attn_utils import CausalSelfAttention
from tests.helpers import close, draw


def in_pairs(weight, head_dim):
    """Order a projection's rows for pairs (2j, 2j + 1) in place of Llama's (j, j + d / 2)."""
    heads = weight.unflatten(0, (-1, 2, head_dim // 2))  # (heads, half, j, D)
    return heads.transpose(1, 2).reshape(weight.shape)


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
def test_llama(kv_heads):
    pytest.importorskip("transformers")
    from transformers.models.llama import modeling_llama as theirs

    config = theirs.LlamaConfig(
        hidden_size=24,
        num_attention_heads=4,
        num_key_value_heads=kv_heads,
        num_hidden_layers=1,
        attn_implementation="eager",
    )
    torch.manual_seed(0)
    layer = theirs.LlamaDecoderLayer(config, 0).eval()
    norm, attention = layer.input_layernorm, layer.self_attn
    own_norm = torch.nn.RMSNorm(24, eps=config.rms_norm_eps)
    own = CausalSelfAttention(24, 4, num_kv_heads=kv_heads)
    with torch.no_grad():
        norm.weight.copy_(draw(24))
        for part in (attention.q_proj, attention.k_proj):
            part.weight.mul_(8)  # scores that differ
    own_norm.load_state_dict(norm.state_dict())
    own.load_state_dict(
        {
            "W_q.weight": in_pairs(attention.q_proj.weight, 6),
            "W_k.weight": in_pairs(attention.k_proj.weight, 6),
            "W_v.weight": attention.v_proj.weight,
            "W_o.weight": attention.o_proj.weight,
        }
    )
    x = draw(2, 7, 24, dtype=torch.float32)
    turns = theirs.LlamaRotaryEmbedding(config)(x, torch.arange(7)[None])
    hidden = torch.full((7, 7), -math.inf).triu(1)
    want, weights = attention(norm(x), turns, hidden)
    output, cache, own_weights = own(own_norm(x), return_weights=True)
    size = 1e-5 * want.abs().max().item()
    close(own_weights, weights, within=1e-5)
    close(output, want, within=size)
    assert cache.keys.shape == (2, kv_heads, 7, 6)
    first, cache = own(own_norm(x[:, :3]))
    rest, _ = own(own_norm(x[:, 3:]), cache)  # in two pieces
    close(torch.cat([first, rest], 1), want, within=size)

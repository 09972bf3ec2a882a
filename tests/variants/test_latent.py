"""Latent attention: by loops, its two forms, its cache, and against DeepSeek-V2's layer."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_utils import LatentAttention, LatentCache
from tests.helpers import close, draw


def make(D=6, H=2, d=3, c=5, r=4, dtype=torch.float64):
    torch.manual_seed(0)
    module = LatentAttention(D, H, d, c, r).to(dtype)
    with torch.no_grad():
        module.norm_scale.copy_(draw(c, seed=7))
    return module


def rotated(x, position):
    """By the definition: pair j turns by position · base^(−2j/r)."""
    r, out = len(x), torch.empty_like(x)
    for j in range(r // 2):
        angle = position * 10000.0 ** (-2 * j / r)
        a, b = x[2 * j].item(), x[2 * j + 1].item()
        out[2 * j] = a * math.cos(angle) - b * math.sin(angle)
        out[2 * j + 1] = a * math.sin(angle) + b * math.cos(angle)
    return out


@torch.no_grad()
def by_loops(module, x):
    """One sequence (T, D)."""
    T, H, d, r = len(x), module.num_heads, module.head_dim, module.rotary_dim
    W_c, W_kr = module.W_c.weight.split([module.latent_dim, r])
    W_q, W_qr = module.W_q.weight.view(H, d + r, -1).split([d, r], 1)
    latents = x @ W_c.T
    latents = latents / (latents.square().mean(-1, keepdim=True) + 1e-6).sqrt() * module.norm_scale
    k_r = [rotated(W_kr @ x[t], t) for t in range(T)]
    outputs = []
    for t in range(T):
        heads = []
        for h in range(H):
            q = W_q[h] @ x[t]
            q_r = rotated(W_qr[h] @ x[t], t)
            scores = [q @ (module.W_uk[h] @ latents[s]) + q_r @ k_r[s] for s in range(t + 1)]
            weights = (torch.stack(scores) / math.sqrt(d + r)).softmax(0)
            heads.append(sum(weights[s] * (module.W_uv[h] @ latents[s]) for s in range(t + 1)))
        outputs.append(module.W_o.weight @ torch.cat(heads))
    return torch.stack(outputs)


@pytest.mark.parametrize("absorbed", [False, True])
def test_both_forms_by_loops(absorbed):
    module, x = make(d=7), draw(2, 5, 6)
    want = torch.stack([by_loops(module, one) for one in x])
    close(module(x, absorbed=absorbed)[0], want)
    output, _, weights = module(x, absorbed=absorbed, return_weights=True)
    close(output, want)
    assert weights.shape == (2, 2, 5, 5)
    assert (weights.triu(1) == 0).all()


@given(st.lists(st.tuples(st.integers(1, 3), st.booleans()), min_size=1, max_size=5))
@settings(max_examples=30, deadline=None)
def test_pieces_in_either_form_are_the_whole(pieces):
    module = make()
    x = draw(2, sum(size for size, _ in pieces), 6)
    want, full = module(x)
    cache, outputs = None, []
    for part, (_, absorbed) in zip(x.split([size for size, _ in pieces], 1), pieces, strict=True):
        output, cache = module(part, cache, absorbed=absorbed)
        outputs.append(output)
    close(torch.cat(outputs, 1), want)
    for got, whole in zip(cache, full, strict=True):
        close(got, whole)


def test_the_cache_and_the_rank():
    """c + r numbers a token; the keys of all heads side by side have rank c."""
    module = make(D=64, H=8, d=8, c=12, r=4)
    _, cache = module(draw(1, 40, 64))
    assert sum(part.numel() for part in cache) == 40 * (12 + 4)
    keys = torch.cat([cache.latents[0] @ W.T for W in module.W_uk], -1)
    assert keys.shape == (40, 64)
    assert torch.linalg.matrix_rank(keys) == 12


@pytest.mark.parametrize("absorbed", [False, True])
def test_deepseek_v2(absorbed):
    pytest.importorskip("transformers")
    from transformers.models.deepseek_v2 import modeling_deepseek_v2 as theirs

    config = theirs.DeepseekV2Config(
        hidden_size=24,
        num_attention_heads=3,
        num_key_value_heads=3,
        q_lora_rank=None,
        kv_lora_rank=10,
        qk_nope_head_dim=6,
        qk_rope_head_dim=4,
        v_head_dim=6,
        num_hidden_layers=1,
        attn_implementation="eager",
    )
    torch.manual_seed(0)
    layer = theirs.DeepseekV2Attention(config, 0).eval()
    with torch.no_grad():
        layer.kv_a_layernorm.weight.copy_(draw(10))
    module = LatentAttention(24, 3, 6, 10, 4)
    W_uk, W_uv = layer.kv_b_proj.weight.view(3, 12, 10).split([6, 6], 1)
    module.load_state_dict(
        {
            "W_q.weight": layer.q_proj.weight,
            "W_c.weight": layer.kv_a_proj_with_mqa.weight,
            "W_o.weight": layer.o_proj.weight,
            "norm_scale": layer.kv_a_layernorm.weight,
            "W_uk": W_uk,
            "W_uv": W_uv,
        }
    )
    x = 3 * draw(2, 7, 24, dtype=torch.float32)
    turns = theirs.DeepseekV2RotaryEmbedding(config)(x, torch.arange(7)[None])
    hidden = torch.full((7, 7), -math.inf).triu(1)
    want, weights = layer(x, hidden, position_embeddings=turns)
    output, _, own = module(x, absorbed=absorbed, return_weights=True)
    close(own, weights, within=1e-5)
    close(output, want, within=1e-5)
    close(module(x, absorbed=absorbed)[0], want, within=1e-5)


def test_refusals():
    x = draw(2, 3, 6)
    for name, sizes in (
        ("embed_dim", (0, 2, 3, 5, 4)),
        ("num_heads", (6, 0, 3, 5, 4)),
        ("head_dim", (6, 2, 0, 5, 4)),
        ("latent_dim", (6, 2, 3, 0.5, 4)),
        ("rotary_dim", (6, 2, 3, 5, 3)),
    ):
        with pytest.raises(ValueError, match=f"{name}: expected"):
            LatentAttention(*sizes)
    with pytest.raises(ValueError, match=r"x: expected a width of 6, got shape \(2, 3, 5\)"):
        make()(x[..., 1:])
    with pytest.raises(ValueError, match=r"x: expected shape \(B, T, D\) with T ≥ 1"):
        make()(x[:, :0])
    module = make()
    _, (latents, rotary_keys) = module(x)
    with pytest.raises(ValueError, match=r"cache\.latents: expected a width of 5"):
        module(x, LatentCache(rotary_keys, rotary_keys))
    with pytest.raises(ValueError, match=r"cache\.rotary_keys: expected one for each"):
        module(x, LatentCache(latents, rotary_keys[:, 1:]))
    with pytest.raises(ValueError, match=r"cache\.latents: expected the leading axes"):
        module(x[:1], LatentCache(latents, rotary_keys))

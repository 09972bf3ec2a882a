"""Norm and cap: by their definition, by FlexAttention, and against Qwen3's and Gemma 2's layers."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention.flex_attention import flex_attention

from attn_utils import QKNorm, causal_mask, scaled_dot_product_attention, soft_cap_attention
from tests.helpers import close, draw


def test_the_norm_by_loops():
    norm, q, k = QKNorm(4).double(), draw(2, 3, 4), draw(2, 5, 4, seed=1)
    with torch.no_grad():
        norm.q_scale.copy_(draw(4, seed=2))
        norm.k_scale.copy_(draw(4, seed=3))
    for got, x, scale in zip(norm(q, k), (q, k), (norm.q_scale, norm.k_scale), strict=True):
        for b in range(2):
            for t in range(x.shape[1]):
                length = math.sqrt(sum(float(e) ** 2 for e in x[b, t]) / 4 + 1e-6)
                close(got[b, t], scale.detach() * x[b, t] / length)


@given(st.floats(0.1, 1e4), st.integers(1, 12))
@settings(max_examples=30, deadline=None)
def test_scores_stay_within_root_d(size, d):
    q, k = QKNorm(d).double()(draw(5, d) * size, draw(6, d, seed=1) * size)
    assert ((q @ k.mT / math.sqrt(d)).abs() <= math.sqrt(d) * (1 + 1e-12)).all()


def test_entropy_at_three_sizes():
    """The weights of the plain softmax collapse as queries and keys grow, the others do not."""

    def entropy(weights):
        return -torch.special.xlogy(weights, weights).sum(-1).mean().item()

    plain, normed, capped = [], [], []
    for size in (1, 4, 16):
        q, k, v = draw(64, 64) * size, draw(64, 64, seed=1) * size, draw(64, 64, seed=2)
        _, weights = scaled_dot_product_attention(q, k, v, return_weights=True)
        plain.append(entropy(weights))
        rows = QKNorm(64).double()(q, k)
        normed.append(entropy(scaled_dot_product_attention(*rows, v, return_weights=True)[1]))
        capped.append(entropy(soft_cap_attention(q, k, v, cap=20.0, return_weights=True)[1]))
    assert plain[0] > 3.5
    assert plain[2] < 0.1
    assert min(normed) > 3.5
    assert capped[2] > 3


@pytest.mark.parametrize("masked", [False, True])
def test_the_cap_by_loops(masked):
    q, k, v = draw(3, 4) * 5, draw(3, 4, seed=1) * 5, draw(3, 2, seed=2)
    mask = causal_mask(3) if masked else torch.ones(3, 3, dtype=torch.bool)
    output, weights = soft_cap_attention(q, k, v, mask, cap=3.0, return_weights=True)
    for t in range(3):
        powers = [
            math.exp(3 * math.tanh(q[t] @ k[s] / 2 / 3)) if mask[t, s] else 0.0 for s in range(3)
        ]
        want = torch.tensor(powers, dtype=torch.float64) / sum(powers)
        close(weights[t], want)
        close(output[t], want @ v)


def test_a_high_cap_is_none():
    q, k, v = draw(3, 2, 5, 4)
    close(
        soft_cap_attention(q, k, v, cap=1e6),
        scaled_dot_product_attention(q, k, v),
        within=1e-10,
    )


def test_flex_attention():
    q, k, v = draw(3, 1, 2, 32, 8, dtype=torch.float32) * 3

    def score_mod(score, b, h, t, s):
        return 5 * torch.tanh(score / 5)

    close(soft_cap_attention(q, k, v, cap=5.0), flex_attention(q, k, v, score_mod=score_mod))


SIZES = {
    "hidden_size": 24,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 6,
    "num_hidden_layers": 1,
    "attn_implementation": "eager",
}


def run(layer):
    """Return queries, keys and values of a layer's heads, its result without turns, its weights."""
    x = draw(2, 7, 24, dtype=torch.float32)
    angles = torch.zeros(1, 7, 6)  # no rotation: cos 1, sin 0
    hidden = torch.full((7, 7), -math.inf).triu(1)
    output, weights = layer(x, (angles.cos(), angles.sin()), hidden)
    q, k, v = (
        f(x).view(2, 7, 4, 6).transpose(1, 2) for f in (layer.q_proj, layer.k_proj, layer.v_proj)
    )
    return q, k, v, output, weights


def test_gemma_2():
    pytest.importorskip("transformers")
    from transformers.models.gemma2 import modeling_gemma2 as theirs

    config = theirs.Gemma2Config(**SIZES, query_pre_attn_scalar=9, attn_logit_softcapping=2.0)
    torch.manual_seed(0)
    layer = theirs.Gemma2Attention(config, 0).eval()
    with torch.no_grad():
        for part in layer.parameters():
            part.mul_(4)  # scores of a few caps
    q, k, v, want, weights = run(layer)
    output, own = soft_cap_attention(
        q, k, v, causal_mask(7), cap=2.0, scale=1 / 3, return_weights=True
    )
    assert ((q @ k.mT).abs() / 3).max() > 4
    close(own, weights, within=1e-5)
    close(layer.o_proj(output.transpose(1, 2).flatten(2)), want, within=1e-5)


def test_qwen_3():
    pytest.importorskip("transformers")
    from transformers.models.qwen3 import modeling_qwen3 as theirs

    torch.manual_seed(0)
    layer = theirs.Qwen3Attention(theirs.Qwen3Config(**SIZES), 0).eval()
    norm = QKNorm(6)
    with torch.no_grad():
        layer.q_norm.weight.copy_(draw(6))
        layer.k_norm.weight.copy_(draw(6, seed=1))
    norm.load_state_dict({"q_scale": layer.q_norm.weight, "k_scale": layer.k_norm.weight})
    q, k, v, want, weights = run(layer)
    output, own = scaled_dot_product_attention(*norm(q, k), v, is_causal=True, return_weights=True)
    close(own, weights, within=1e-5)
    close(layer.o_proj(output.transpose(1, 2).flatten(2)), want, within=1e-5)


def test_refusals():
    x = draw(2, 3, 4)
    with pytest.raises(ValueError, match="head_dim: expected an integer"):
        QKNorm(0)
    with pytest.raises(ValueError, match="k: expected a width of 4, got shape"):
        QKNorm(4)(x, x[..., 1:])
    for cap in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="cap: expected a positive finite number"):
            soft_cap_attention(x, x, x, cap=cap)

"""Sinks: by loops, by FlexAttention's log-sum-exp, and against gpt-oss's attention."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.attention.flex_attention import AuxRequest, flex_attention

from attn_utils import SinkAttention, record_attention, scaled_dot_product_attention
from tests.helpers import close, draw


def make(H, dtype=torch.float64):
    module = SinkAttention(H).to(dtype)
    with torch.no_grad():
        module.sinks.copy_(draw(H, seed=9))
    return module


def test_the_formula_by_loops():
    B, H, T, S, d = 2, 3, 4, 5, 6
    module = make(H)
    q, k, v = draw(B, H, T, d), draw(B, H, S, d, seed=1), draw(B, H, S, d, seed=2)
    output, weights = module(q, k, v, return_weights=True)
    for b in range(B):
        for h in range(H):
            for t in range(T):
                powers = [math.exp(q[b, h, t] @ k[b, h, s] / math.sqrt(d)) for s in range(S)]
                total = math.exp(module.sinks[h].item()) + sum(powers)
                want = torch.tensor([p / total for p in powers], dtype=torch.float64)
                close(weights[b, h, t], want)
                close(output[b, h, t], want @ v[b, h])
    close(module(q, k, v), output)


def test_zero_is_softmax_off_by_one_and_minus_infinity_the_plain_one():
    q, k, v = draw(1, 2, 3, 4), draw(1, 2, 5, 4, seed=1), draw(1, 2, 5, 4, seed=2)
    module = SinkAttention(2).double()
    powers = (q @ k.mT / 2).exp()
    close(module(q, k, v, return_weights=True)[1], powers / (1 + powers.sum(-1, keepdim=True)))
    with torch.no_grad():
        module.sinks.fill_(-1e4)
    close(module(q, k, v), scaled_dot_product_attention(q, k, v))


def test_flex_attention():
    """Its output times the share that the sink leaves, ``sigmoid(logsumexp − b)``."""
    q, k, v = draw(3, 1, 2, 32, 8, dtype=torch.float32)
    module = make(2, torch.float32)
    plain, aux = flex_attention(q, k, v, return_aux=AuxRequest(lse=True))
    want = plain * torch.sigmoid(aux.lse - module.sinks[:, None]).unsqueeze(-1)
    close(module(q, k, v), want)
    close(module(q, k, v, return_weights=True)[0], want)


@pytest.mark.parametrize("return_weights", [False, True])
def test_gpt_oss(return_weights):
    """Its own eager attention, grouped keys and values and a causal mask included."""
    pytest.importorskip("transformers")
    from transformers.models.gpt_oss import modeling_gpt_oss as theirs

    config = theirs.GptOssConfig(
        hidden_size=24, num_attention_heads=4, num_key_value_heads=2, head_dim=6
    )
    layer = theirs.GptOssAttention(config, 0).eval()
    module = SinkAttention(4)
    with torch.no_grad():
        layer.sinks.copy_(draw(4, seed=9))
        module.sinks.copy_(layer.sinks)
    q = draw(2, 4, 7, 6, dtype=torch.float32)
    k, v = draw(2, 2, 2, 7, 6, seed=1, dtype=torch.float32)
    hidden = torch.full((7, 7), -math.inf).triu(1)
    want, weights = theirs.eager_attention_forward(layer, q, k, v, hidden, layer.scaling)
    k, v = (x.repeat_interleave(2, 1) for x in (k, v))
    got = module(q, k, v, is_causal=True, return_weights=return_weights)
    if return_weights:
        got, own = got
        close(own, weights)
    close(got.transpose(1, 2), want)


def test_nothing_allowed_goes_to_the_sink():
    x, mask = draw(1, 2, 3, 4), torch.zeros(3, 3, dtype=torch.bool)
    output, weights = make(2)(x, x, x, mask, return_weights=True)
    assert (weights == 0).all()
    assert (output == 0).all()
    assert (make(2)(x, x, x, mask) == 0).all()


def test_recording():
    module, x = make(2), draw(1, 2, 3, 4)
    with record_attention(module) as recorded:
        output = module(x, x, x)
    want = module(x, x, x, return_weights=True)
    close(output, want[0])
    close(recorded[0], want[1])
    assert (recorded[0].sum(-1) < 1).all()


def test_refusals():
    with pytest.raises(ValueError, match="num_heads: expected an integer"):
        SinkAttention(0)
    for shape in ((2, 3, 4, 5), (2, 3, 4)):
        x = draw(*shape)
        with pytest.raises(ValueError, match=r"q: expected shape \(B, H, T, d\) with H = 2, got"):
            make(2)(x, x, x)

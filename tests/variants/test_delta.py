"""The delta rule: by loops, chunk by chunk, and against Qwen3-Next's two forms of it."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_utils import delta_rule, delta_rule_chunkwise
from tests.helpers import close, draw


def inputs(*leading, T=7, d=4, dv=3, dtype=torch.float64):
    q, k = draw(*leading, T, d, seed=1), F.normalize(draw(*leading, T, d, seed=2), dim=-1)
    v = draw(*leading, T, dv, seed=3)
    beta = draw(*leading, T, seed=4).sigmoid()
    decay = (draw(*leading, T, seed=5) + 2).sigmoid()
    return [x.to(dtype) for x in (q, k, v, beta, decay)]


@pytest.mark.parametrize("gated", [False, True])
def test_the_rule_by_loops(gated):
    q, k, v, beta, decay = inputs()
    decay = decay if gated else torch.ones_like(decay)
    output, states = delta_rule(q, k, v, beta, decay if gated else None)
    S = [[0.0] * 3 for _ in range(4)]
    for t in range(7):
        S = [[decay[t].item() * x for x in row] for row in S]
        answer = [sum(k[t, i].item() * S[i][j] for i in range(4)) for j in range(3)]
        for i in range(4):
            for j in range(3):
                S[i][j] += (beta[t] * k[t, i] * (v[t, j] - answer[j])).item()
        want = torch.tensor(S, dtype=torch.float64)
        close(states[t], want)
        close(output[t], q[t] @ want)


@given(st.integers(1, 12), st.integers(1, 13), st.booleans(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_chunks_are_the_steps(T, chunk_size, gated, continued):
    q, k, v, beta, decay = inputs(2, 3, T=T)
    decay = decay if gated else None
    state = draw(2, 3, 4, 3, seed=6) if continued else None
    output, states = delta_rule(q, k, v, beta, decay, state=state)
    chunked, last = delta_rule_chunkwise(q, k, v, beta, decay, state=state, chunk_size=chunk_size)
    close(chunked, output, scale=4)
    close(last, states[..., -1, :, :], scale=4)


def test_a_text_goes_on_with_the_state():
    q, k, v, beta, decay = inputs(2)
    want, states = delta_rule(q, k, v, beta, decay)
    first = [x[:, :3] for x in (q, k, v, beta, decay)]
    rest = [x[:, 3:] for x in (q, k, v, beta, decay)]
    _, before = delta_rule(*first)
    close(before[:, -1], states[:, 2])
    close(delta_rule(*rest, state=before[:, -1])[0], want[:, 3:])


def test_what_was_written_is_read_and_overwritten():
    _, k, v, _, _ = inputs()
    output, _ = delta_rule(k, k, v, torch.ones(7).double())
    close(output, v)


def test_a_fading_that_underflows():
    """A product of 400 decays is 0 in single precision, differences of logarithms are not."""
    q, k, v, beta, _ = inputs(T=400, dtype=torch.float32)
    decay = torch.full((400,), 0.5)
    want, states = delta_rule(q, k, v, beta, decay)
    got, last = delta_rule_chunkwise(q, k, v, beta, decay, chunk_size=400)
    rounding = 400 * math.log(2) * torch.finfo(torch.float32).eps  # of the sum of the logarithms
    close(got, want, within=rounding * want.abs().max().item())
    close(last, states[-1], within=rounding * want.abs().max().item())


@pytest.mark.parametrize("form", ["recurrent", "chunk"])
def test_qwen_3_next(form):
    pytest.importorskip("transformers")
    from transformers.models.qwen3_next import modeling_qwen3_next as theirs

    q, k, v, beta, decay = inputs(2, 3, T=20, dtype=torch.float32)
    rule = getattr(theirs, f"torch_{form}_gated_delta_rule")
    given = (x.transpose(1, 2) for x in (2 * q, k, v, decay.log(), beta))  # it divides q by √d
    want, state = rule(*given, output_final_state=True)
    output, states = delta_rule(q, k, v, beta, decay)
    chunked, last = delta_rule_chunkwise(q, k, v, beta, decay, chunk_size=8)
    for got in (output, chunked):
        close(got, want.transpose(1, 2), within=1e-5)
    for got in (states[..., -1, :, :], last):
        close(got, state, within=1e-5)


@pytest.mark.parametrize("rule", [delta_rule, delta_rule_chunkwise])
def test_gradients(rule):
    leaves = [x.requires_grad_() for x in inputs(T=3, d=2, dv=2)]
    assert torch.autograd.gradcheck(rule, leaves)


@pytest.mark.parametrize("rule", [delta_rule, delta_rule_chunkwise])
def test_refusals(rule):
    q, k, v, beta, decay = inputs(2)
    for name, wrong in (
        ("k", (q, k[..., 1:], v, beta, decay)),
        ("k", (q, k[:, 1:], v, beta, decay)),
        ("v", (q, k, v[:, 1:], beta, decay)),
        ("beta", (q, k, v, beta[:, 1:], decay)),
        ("decay", (q, k, v, beta, decay.float())),
        ("decay", (q, k, v, beta, 0 * decay)),
        ("decay", (q, k, v, beta, 2 * decay + 1)),
        ("q", (q[:, :0], k[:, :0], v[:, :0], beta[:, :0], decay[:, :0])),
    ):
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            rule(*wrong)
    with pytest.raises(ValueError, match=r"state: expected .* \(2, 4, 3\), got"):
        rule(q, k, v, beta, state=torch.zeros(4, 3).double())


def test_refused_chunks():
    with pytest.raises(ValueError, match="chunk_size: expected an integer"):
        delta_rule_chunkwise(*inputs(), chunk_size=0)

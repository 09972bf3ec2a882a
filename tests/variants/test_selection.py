"""Selection: the mask by sorting, attention over gathered keys, and the indexer by loops."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_utils import Indexer, causal_mask, scaled_dot_product_attention, top_k_mask
from tests.contracts import random_mask
from tests.helpers import close, draw


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 8), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_the_mask_by_sorting(T, S, k, seed):
    scores, mask = draw(2, T, S, seed=seed), random_mask(2, T, S, seed)
    kept = top_k_mask(scores, k, mask)
    for b in range(2):
        for t in range(T):
            allowed = [s for s in range(S) if mask[b, t, s]]
            best = sorted(allowed, key=lambda s: -scores[b, t, s].item())[:k]
            assert {s for s in range(S) if kept[b, t, s]} == set(best)


def test_forbidden_keys_are_never_chosen():
    """Also those with the highest scores, and where all allowed scores are minus infinity."""
    scores = torch.arange(25.0).view(1, 5, 5)
    scores[:, 3] = -math.inf
    for k in (1, 3, 5, 50):
        assert not (top_k_mask(scores, k, causal_mask(5)) & ~causal_mask(5)).any()


def test_all_keys_are_full_attention_and_without_a_mask_all_are_allowed():
    q, k, v = draw(3, 2, 4, 5, 6)
    scores = draw(2, 4, 5, 5, seed=3)
    assert torch.equal(top_k_mask(scores, 9, causal_mask(5)), causal_mask(5).expand(2, 4, 5, 5))
    assert (top_k_mask(scores, 2).sum(-1) == 2).all()
    close(
        scaled_dot_product_attention(q, k, v, top_k_mask(scores, 5)),
        scaled_dot_product_attention(q, k, v),
    )


def test_masked_attention_is_attention_over_the_gathered_keys():
    B, H, T, S, d, few = 2, 3, 4, 9, 5, 3
    q, k, v = draw(B, H, T, d), draw(B, H, S, d, seed=1), draw(B, H, S, d, seed=2)
    scores = draw(B, T, S, seed=3)
    got = scaled_dot_product_attention(q, k, v, top_k_mask(scores, few))
    best = scores.topk(few).indices
    for b in range(B):
        for t in range(T):
            some = best[b, t]
            want = scaled_dot_product_attention(q[b, :, t : t + 1], k[b, :, some], v[b, :, some])
            close(got[b, :, t : t + 1], want)


def test_the_indexer_by_loops():
    torch.manual_seed(0)
    indexer, x = Indexer(6, 3).double(), draw(2, 4, 6)
    scores = indexer(x)
    for b in range(2):
        for t in range(4):
            for s in range(4):
                query, key = indexer.W_q.weight @ x[b, t], indexer.W_k.weight @ x[b, s]
                close(scores[b, t, s], query @ key / math.sqrt(3), scale=1)


def test_refusals():
    scores = draw(2, 3, 4)
    with pytest.raises(ValueError, match="k: expected an integer"):
        top_k_mask(scores, 0)
    with pytest.raises(ValueError, match="mask: expected a shape that fits"):
        top_k_mask(scores, 1, causal_mask(3))
    with pytest.raises(ValueError, match="scores: expected floating-point"):
        top_k_mask(scores.long(), 1)
    with pytest.raises(ValueError, match="x: expected a width of 6"):
        Indexer(6, 3)(scores)
    for name, sizes in (("embed_dim", (0, 1)), ("index_dim", (1, 0))):
        with pytest.raises(ValueError, match=f"{name}: expected an integer"):
            Indexer(*sizes)

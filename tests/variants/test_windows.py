"""Windows: the mask by loops and by FlexAttention, the rolling cache against the full one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from attn_utils import (
    KVCache,
    causal_mask,
    scaled_dot_product_attention,
    window_attention,
    window_mask,
)
from tests.helpers import close, draw

SIZES = st.integers(1, 9)


@given(SIZES, SIZES, SIZES, st.sampled_from(["top-left", "bottom-right"]))
@settings(max_examples=50, deadline=None)
def test_the_mask_by_its_definition(T, S, w, align):
    mask = window_mask(T, S, window=w, align=align)
    shift = S - T if align == "bottom-right" else 0
    for t in range(T):
        for s in range(S):
            assert mask[t, s] == (t + shift - w < s <= t + shift)


def test_a_wide_window_is_the_causal_mask_and_a_narrow_one_the_diagonal():
    assert torch.equal(window_mask(5, window=5), causal_mask(5))
    assert torch.equal(window_mask(5, window=1), torch.eye(5, dtype=torch.bool))


def test_reach_grows_by_a_window_less_one_a_layer():
    layer = window_mask(24, window=5).double()
    reached = torch.eye(24, dtype=torch.float64)
    for want in (5, 9, 13, 17):
        reached = layer @ reached
        assert (reached[-1] > 0).sum() == want


def test_flex_attention():
    q, k, v = draw(3, 1, 2, 64, 8, dtype=torch.float32)
    block_mask = create_block_mask(
        lambda b, h, t, s: (s <= t) & (t - s < 7), 1, 1, 64, 64, device="cpu", BLOCK_SIZE=16
    )
    want = flex_attention(q, k, v, block_mask=block_mask)
    mask = window_mask(64, window=7)
    close(scaled_dot_product_attention(q, k, v, mask), want)
    close(scaled_dot_product_attention(q, k, v, mask, return_weights=True)[0], want)
    close(window_attention(q, k, v, window=7)[0], want)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_the_rolling_cache_is_the_full_one_under_the_mask(pieces, w):
    """However the text is cut into pieces."""
    T = sum(pieces)
    q, k, v = draw(2, 3, T, 4), draw(2, 3, T, 4, seed=1), draw(2, 3, T, 5, seed=2)
    want = scaled_dot_product_attention(q, k, v, window_mask(T, window=w))
    cache, outputs = None, []
    for piece in zip(*(x.split(pieces, dim=2) for x in (q, k, v)), strict=True):
        fused, _ = window_attention(*piece, cache, window=w)
        output, cache, weights = window_attention(*piece, cache, window=w, return_weights=True)
        close(fused, output)
        close(weights.sum(-1), torch.ones_like(weights[..., 0]))
        outputs.append(output)
    close(torch.cat(outputs, 2), want)
    assert torch.equal(cache.keys, k[:, :, -w:])
    assert torch.equal(cache.values, v[:, :, -w:])


def test_memory_is_constant():
    """Also that behind the view: a long prompt leaves nothing."""
    x = draw(1, 1, 1000, 4)
    _, cache = window_attention(x, x, x, window=8)
    sizes = set()
    for token in x[:, :, :50].split(1, dim=2):
        _, cache = window_attention(token, token, token, cache, window=8)
        sizes.add(sum(part.untyped_storage().nbytes() for part in cache))
    assert sizes == {2 * 8 * 4 * 8}


def test_refusals():
    x = draw(2, 3, 4, 5)
    for window in (0, 2.5, True):
        with pytest.raises(ValueError, match="window: expected an integer"):
            window_mask(3, window=window)
    with pytest.raises(ValueError, match="align: expected"):
        window_mask(3, window=2, align="left")
    with pytest.raises(ValueError, match="k: expected one for each of q"):
        window_attention(x[:, :, 1:], x, x, window=2)
    with pytest.raises(ValueError, match=r"cache.keys: expected at most window = 2 .*\(2, 3, 4"):
        window_attention(x, x, x, KVCache(x, x), window=2)
    with pytest.raises(ValueError, match=r"cache.values: expected at most .* width 5, got"):
        window_attention(x, x, x, KVCache(x, x[..., 1:]), window=4)
    with pytest.raises(ValueError, match=r"cache.keys: expected the leading axes"):
        window_attention(x, x, x, KVCache(x[:1], x), window=4)

"""Masks: polarity, rank rules, alignment, and a softmax that survives a row of nothing."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_utils.core.masks import broadcast_mask, causal_mask, length_mask, masked_softmax
from tests.helpers import draw

T_, F_ = True, False
HALF = [torch.float16, torch.bfloat16]

# --- length_mask --------------------------------------------------------------------------------


def test_length_mask_for_each_sequence():
    mask = length_mask(torch.tensor([3, 0, 1]), 3)
    assert mask.shape == (3, 1, 3)
    assert mask.dtype == torch.bool
    assert mask[:, 0].tolist() == [[T_, T_, T_], [F_, F_, F_], [T_, F_, F_]]


def test_length_mask_for_each_query():
    mask = length_mask(torch.tensor([[1, 2], [2, 0]], dtype=torch.int32), 2)
    assert mask.tolist() == [[[T_, F_], [T_, T_]], [[T_, T_], [F_, F_]]]


def test_length_mask_of_the_course():
    """Lengths 3 and 2 of 4 positions."""
    weights = masked_softmax(draw(2, 4, 4), length_mask(torch.tensor([3, 2]), 4))
    assert (weights[0, :, 3:] == 0).all()
    assert (weights[1, :, 2:] == 0).all()
    assert torch.allclose(weights.sum(-1), torch.ones(2, 4).double())


@pytest.mark.parametrize(
    ("lens", "keys", "message"),
    [
        (torch.tensor([5]), 4, r"valid_lens: expected lengths from 0 to 4, got 5"),
        (torch.tensor([-1]), 4, "got -1"),
        (torch.tensor([1.0]), 4, r"valid_lens: expected integers .*float32 of shape \(1,\)"),
        (torch.tensor([True]), 4, "valid_lens: expected integers"),
        (torch.tensor(3), 4, r"got torch.int64 of shape \(\)"),
        (torch.zeros(1, 1, 1).long(), 4, "valid_lens: expected integers"),
        ([3, 2], 4, "valid_lens: expected a tensor, got list"),
        (torch.tensor([0]), 0, "num_keys: expected an integer of at least 1, got 0"),
        (torch.tensor([0]), True, "num_keys: expected an integer"),
    ],
)
def test_length_mask_refuses(lens, keys, message):
    with pytest.raises(ValueError, match=message):
        length_mask(lens, keys)


def test_length_mask_compiles_exports_and_has_no_values_on_meta():
    class Mask(torch.nn.Module):
        def forward(self, lens):
            return length_mask(lens, 5)

    lens = torch.tensor([3, 5])
    want = Mask()(lens)
    assert torch.equal(torch.compile(Mask(), fullgraph=True, backend="eager")(lens), want)
    assert torch.equal(torch.export.export(Mask(), (lens,)).module()(lens), want)
    assert length_mask(lens.to("meta"), 5).shape == (2, 1, 5)


# --- causal_mask --------------------------------------------------------------------------------


def test_causal_mask_is_the_lower_triangle():
    assert causal_mask(3).tolist() == [[T_, F_, F_], [T_, T_, F_], [T_, T_, T_]]


def test_alignments():
    """Top-left as in PyTorch; bottom-right lets the newest query see the newest key."""
    assert causal_mask(2, 4).tolist() == [[T_, F_, F_, F_], [T_, T_, F_, F_]]
    assert causal_mask(2, 4, align="bottom-right").tolist() == [[T_, T_, T_, F_], [T_] * 4]
    assert causal_mask(3, 1).tolist() == [[T_], [T_], [T_]]
    assert causal_mask(3, 1, align="bottom-right").tolist() == [[F_], [F_], [T_]]
    q, k, v = draw(1, 1, 3, 4), draw(1, 1, 5, 4, seed=1), draw(1, 1, 5, 4, seed=2)
    sdpa = torch.nn.functional.scaled_dot_product_attention
    torch.testing.assert_close(
        sdpa(q, k, v, is_causal=True), sdpa(q, k, v, attn_mask=causal_mask(3, 5))
    )


@given(st.integers(0, 7), st.integers(0, 7))
def test_causal_mask_by_its_definition(t, s):
    top, bottom = causal_mask(t, s), causal_mask(t, s, align="bottom-right")
    assert top.shape == bottom.shape == (t, s)
    for i in range(t):
        for j in range(s):
            assert top[i, j] == (j <= i)
            assert bottom[i, j] == (j <= i + s - t)


def test_causal_mask_device_and_refusals():
    assert causal_mask(2, device="meta").is_meta
    with pytest.raises(ValueError, match="align: expected"):
        causal_mask(2, align="bottom_right")
    for bad in (-1, 1.5, True):
        with pytest.raises(ValueError, match="num_queries: expected an integer"):
            causal_mask(bad)
    with pytest.raises(ValueError, match="num_keys: expected an integer"):
        causal_mask(2, -2)


# --- how a mask fits ----------------------------------------------------------------------------


def test_rank_decides_also_where_sizes_would_fit_otherwise():
    """B == H == T == S: every reading fits by size, so that only the number of axes can tell."""
    n = 3
    mask = draw(n, n, n) > 0
    assert torch.equal(broadcast_mask(mask, (n, n, n, n)), mask[:, None])
    assert torch.equal(broadcast_mask(mask, (n, n, n)), mask)
    assert torch.equal(broadcast_mask(mask[0], (n, n, n)), mask[0][None])
    assert torch.equal(broadcast_mask(mask[0], (n, n, n, n)), mask[0][None, None])
    assert torch.equal(broadcast_mask(mask[0, 0], (n, n, n, n)), mask[0, 0][None, None, None])
    heads = draw(1, n, n, n) > 0
    assert broadcast_mask(heads, (n, n, n, n)) is heads


def test_more_leading_axes():
    mask = torch.ones(5, 2, 3, 4, dtype=torch.bool)
    assert broadcast_mask(mask, (5, 2, 7, 3, 4)).shape == (5, 2, 1, 3, 4)
    with pytest.raises(ValueError, match="mask: expected a shape that fits"):
        broadcast_mask(mask[0], (5, 2, 7, 3, 4))  # (2, 3, 4): whose axis is the first?


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.ones(2, 3, 5), "mask: expected a boolean tensor .* got torch.float32"),
        (torch.ones(2, 3, 5).long(), "mask: expected a boolean tensor .* got torch.int64"),
        ([[True]], "mask: expected a boolean tensor .* got list"),
        (torch.ones(2, 5) > 0, r"a \(B, S\) mask needs an axis for the queries"),
        (torch.ones(2, 5, 3) > 0, r"fits scores of shape \(2, 3, 5\), got \(2, 5, 3\)"),
        (torch.ones(4, 3, 5) > 0, r"got \(4, 3, 5\)"),
        (torch.ones(1, 2, 3, 5) > 0, r"got \(1, 2, 3, 5\)"),
        (torch.tensor(True).expand(4), r"got \(4,\)"),
    ],
)
def test_bad_masks(mask, message):
    with pytest.raises(ValueError, match=message):
        masked_softmax(draw(2, 3, 5), mask)


def test_a_mask_does_not_enlarge_the_scores():
    with pytest.raises(ValueError, match="mask: expected a shape"):
        masked_softmax(draw(1, 3, 5), torch.ones(2, 3, 5) > 0)


# --- masked_softmax -----------------------------------------------------------------------------


def test_by_hand():
    scores = torch.tensor([[0.0, math.log(2.0), math.log(5.0)]])
    weights = masked_softmax(scores, torch.tensor([[T_, T_, F_]]))
    torch.testing.assert_close(weights, torch.tensor([[1 / 3, 2 / 3, 0.0]]))
    assert torch.equal(masked_softmax(scores), torch.softmax(scores, -1))


def test_a_row_of_nothing_is_zero_with_gradient_zero():
    """Neither NaN, as from −∞ only, nor 1/S, as from −1e9 only."""
    scores = draw(2, 3).requires_grad_()
    weights = masked_softmax(scores, torch.tensor([[F_, F_, F_], [T_, F_, T_]]))
    assert weights[0].tolist() == [0, 0, 0]
    weights.square().sum().backward()
    assert scores.grad[0].tolist() == [0, 0, 0]
    assert scores.grad.isfinite().all()
    assert scores.grad[1, 1] == 0
    assert scores.grad[1, 0] != 0


@pytest.mark.parametrize("dtype", [*HALF, torch.float32, torch.float64])
@pytest.mark.parametrize("level", [-1e4, -3e4, 3e4])
def test_very_low_scores_do_not_lose_against_the_masked(dtype, level):
    """A finite fill such as −1e4 or −1e6 would let masked entries win; −1e9 overflows float16."""
    scores = torch.full((1, 3), level, dtype=dtype)
    weights = masked_softmax(scores, torch.tensor([T_, F_, T_]))
    assert weights.tolist() == [[0.5, 0, 0.5]]


def test_far_below_minus_a_million():
    weights = masked_softmax(torch.tensor([[-1e8, 5.0, -1e30]]), torch.tensor([T_, F_, T_]))
    assert weights.tolist() == [[1, 0, 0]]


def test_masks_combine():
    """Two masks of the smallest finite number added would overflow to −∞; booleans do not."""
    both = causal_mask(3) & length_mask(torch.tensor([0, 2]), 3)
    weights = masked_softmax(draw(2, 3, 3, dtype=torch.float16), both)
    assert (weights[0] == 0).all()
    assert weights.isfinite().all()
    assert (weights[~both] == 0).all()


@pytest.mark.parametrize("dtype", HALF)
def test_half_precision_is_computed_in_float32(dtype):
    scores = (3 * draw(4, 1000)).to(dtype)
    weights = masked_softmax(scores)
    assert weights.dtype == dtype
    assert torch.equal(weights, torch.softmax(scores.float(), -1).to(dtype))


def test_not_a_number_is_not_hidden():
    scores = draw(2, 3)
    scores[0, 0] = torch.nan
    weights = masked_softmax(scores, torch.tensor([T_, T_, F_]))
    assert weights[0, :2].isnan().all()
    assert weights[0, 2] == 0
    assert weights[1].isfinite().all()
    assert masked_softmax(scores, torch.tensor([F_, T_, T_])).isfinite().all()  # it is masked


def test_scores_are_not_written_to():
    """The mask is not written into the caller's scores."""
    for dtype in (torch.float32, torch.float16):
        scores = draw(2, 3, 4, dtype=dtype)
        kept = scores.clone()
        with torch.no_grad():
            masked_softmax(scores, causal_mask(3, 4))
            masked_softmax(scores)
        assert torch.equal(scores, kept)


@pytest.mark.parametrize("dim", [0, 1, 2, 3, -1, -2, -3, -4])
def test_any_axis(dim):
    scores, mask = draw(2, 3, 4, 5), draw(2, 4, 5, seed=1) > 0
    weights = masked_softmax(scores, mask, dim)
    allowed = mask[:, None].expand_as(scores)
    exp = scores.exp() * allowed
    want = exp / exp.sum(dim, keepdim=True).clamp_min(1e-300)
    torch.testing.assert_close(weights, want)


def test_gradcheck_with_a_dead_row():
    mask = torch.tensor([[T_, F_, T_], [F_, F_, F_]])
    assert torch.autograd.gradcheck(lambda s: masked_softmax(s, mask), draw(2, 3).requires_grad_())
    assert torch.autograd.gradgradcheck(
        lambda s: masked_softmax(s, mask), draw(2, 3).requires_grad_()
    )


@pytest.mark.parametrize(
    ("scores", "dim", "message"),
    [
        (torch.zeros(2, 3).long(), -1, "scores: expected floating-point numbers, got torch.int64"),
        ([1.0], -1, "scores: expected floating-point numbers, got list"),
        (torch.zeros(2, 0), -1, r"scores: expected at least one entry .* got shape \(2, 0\)"),
        (torch.zeros(2, 3), 2, r"dim: expected an axis of scores \(2, 3\), got 2"),
        (torch.tensor(1.0), -1, r"dim: expected an axis of scores \(\)"),
    ],
)
def test_bad_scores(scores, dim, message):
    with pytest.raises(ValueError, match=message):
        masked_softmax(scores, dim=dim)


def test_empty_batch():
    assert masked_softmax(torch.zeros(0, 3, 4), torch.ones(0, 3, 4) > 0).shape == (0, 3, 4)


@settings(max_examples=60)
@given(
    st.integers(1, 3),
    st.integers(0, 3),
    st.integers(1, 4),
    st.integers(1, 6),
    st.integers(0, 2**31),
    st.sampled_from([torch.float64, torch.float32, *HALF]),
    st.booleans(),
)
def test_properties(B, H, T, S, seed, dtype, gradient):
    """Live rows sum to 1, masked weights and dead rows are exactly 0, shape and dtype are kept."""
    scores = (4 * draw(B, *([H] if H else []), T, S, seed=seed)).to(dtype).requires_grad_(gradient)
    mask = torch.rand(B, T, S, generator=torch.Generator().manual_seed(seed)) < 0.5
    weights = masked_softmax(scores, mask)
    assert weights.shape == scores.shape
    assert weights.dtype == dtype
    shown = (mask[:, None] if H else mask).expand_as(scores)
    assert (weights[~shown] == 0).all()
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-6}.get(dtype, 2e-2)
    assert (weights.double().sum(-1) - shown.any(-1).double()).abs().max() <= tolerance
    shifted = masked_softmax(scores.detach().double() + 7, mask)
    torch.testing.assert_close(shifted, masked_softmax(scores.detach().double(), mask))

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from attn_utils import cue_weights, fuzzy_lookup, saliency_map
from attn_utils.cues.cues import _rgb_to_lab
from attn_utils.data import coffee_photo
from tests.helpers import close

METHODS = ("frequency-tuned", "centre-surround")
seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 12)
gains = st.floats(0, 20)


def randn(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# --- cue_weights --------------------------------------------------------------------------------


def test_cue_weights_by_hand():
    weights = cue_weights(
        torch.tensor([0.0, 1.0]), torch.tensor([0.5, 0.0]), salience_gain=2.0, query_gain=2.0
    )
    e = torch.tensor([1.0, 2.0]).exp()
    torch.testing.assert_close(weights, e / e.sum())


@given(seeds, sizes, gains, gains)
def test_cue_weights_are_a_distribution(seed, n, salience_gain, query_gain):
    salience, match = randn(seed, 3, n), randn(seed + 1, 3, n)
    weights = cue_weights(salience, match, salience_gain=salience_gain, query_gain=query_gain)
    assert weights.shape == (3, n)
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, dtype=weights.dtype))


@given(seeds, sizes, gains, gains, st.floats(-5, 5))
def test_only_differences_matter(seed, n, salience_gain, query_gain, shift):
    salience, match = randn(seed, n), randn(seed + 1, n)
    gain = {"salience_gain": salience_gain, "query_gain": query_gain}
    torch.testing.assert_close(
        cue_weights(salience, match, **gain), cue_weights(salience + shift, match - shift, **gain)
    )


@given(seeds, sizes)
def test_without_gain_all_weights_are_equal(seed, n):
    weights = cue_weights(randn(seed, n), randn(seed + 1, n), salience_gain=0, query_gain=0)
    torch.testing.assert_close(weights, torch.full((n,), 1 / n, dtype=weights.dtype))


@given(seeds, st.integers(2, 12))
def test_things_can_be_reordered(seed, n):
    salience, match = randn(seed, n), randn(seed + 1, n)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(
        cue_weights(salience[order], match[order]), cue_weights(salience, match)[order]
    )


def test_cue_weights_one_salience_for_many_queries():
    salience, match = randn(0, 4), randn(1, 2, 3, 4)
    weights = cue_weights(salience, match)
    assert weights.shape == (2, 3, 4)
    torch.testing.assert_close(weights[1, 2], cue_weights(salience, match[1, 2]))


def test_cue_weights_are_differentiable_and_keep_their_inputs():
    salience, match = randn(0, 4).requires_grad_(), randn(1, 4).requires_grad_()
    before = salience.detach().clone()
    assert torch.autograd.gradcheck(cue_weights, (salience, match))
    assert torch.equal(before, salience)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_dtypes_are_kept(dtype):
    weights = cue_weights(torch.ones(3, dtype=dtype), torch.ones(3, dtype=dtype))
    assert weights.dtype == dtype
    blend = fuzzy_lookup(
        torch.ones(2, dtype=dtype), torch.ones(3, 2, dtype=dtype), torch.ones(3, 1, dtype=dtype)
    )
    assert blend.dtype == dtype


@pytest.mark.parametrize(
    ("salience", "match", "gain", "says"),
    [
        (torch.ones(3), torch.ones(4), {}, r"match: expected one entry per thing, 3 .*\(4,\)"),
        (torch.ones(3), torch.ones(1), {}, "match: expected one entry per thing"),
        (torch.ones(2, 3), torch.ones(4, 3), {}, r"broadcasts with salience \(2, 3\)"),
        (torch.ones(()), torch.ones(3), {}, r"salience: expected shape \(\.\.\., n\)"),
        (torch.ones(0), torch.ones(0), {}, "salience: expected shape"),
        (torch.tensor([1.0, float("nan")]), torch.ones(2), {}, "salience: expected finite"),
        (torch.ones(2), torch.tensor([1.0, float("inf")]), {}, "match: expected finite"),
        (torch.ones(2).long(), torch.ones(2), {}, "salience: expected a tensor of floating"),
        ([1.0, 2.0], torch.ones(2), {}, "salience: .* got list"),
        (torch.ones(2), torch.ones(2), {"query_gain": float("nan")}, "query_gain: expected a fin"),
        (torch.ones(2), torch.ones(2), {"salience_gain": float("inf")}, "salience_gain: expected"),
    ],
)
def test_cue_weights_bad_input(salience, match, gain, says):
    with pytest.raises(ValueError, match=says):
        cue_weights(salience, match, **gain)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("gain", [1e5, 1e38, 1e300, -1e300])
def test_large_factors_do_not_overflow(gain, dtype):
    first, second = torch.eye(2, dtype=dtype) * 20
    wanted = torch.eye(2, dtype=dtype)[0 if gain > 0 else 1]
    for cues in ((first, 0 * first), (0 * first, first), (first, first)):
        weights = cue_weights(*cues, salience_gain=gain, query_gain=gain)
        assert torch.equal(weights, wanted)
    even = cue_weights(first, second, salience_gain=gain, query_gain=gain)
    assert torch.equal(even, torch.full_like(even, 0.5))
    if gain > 0:
        looked_up = fuzzy_lookup(first, torch.eye(2, dtype=dtype), wanted[:, None], sharpness=gain)
        assert looked_up.item() == 1


def test_cues_where_values_cannot_be_looked_at():
    image = torch.rand(32, 40, 3, dtype=torch.float64)
    images = torch.stack([image, 1 - image, torch.full_like(image, 0.5)])
    for method in METHODS:
        each = torch.stack([saliency_map(one, method=method) for one in images])
        close(torch.vmap(lambda x, m=method: saliency_map(x, method=m))(images), each)
        assert saliency_map(image.to("meta"), method=method).shape == (32, 40)
        compiled = torch.compile(saliency_map, fullgraph=True, backend="eager")
        close(compiled(image, method=method), each[0])
    cues = torch.rand(2, 5)
    assert cue_weights(*cues.to("meta")).shape == (5,)
    close(torch.vmap(cue_weights)(cues, cues), cue_weights(cues, cues))


# --- fuzzy_lookup -------------------------------------------------------------------------------


def test_lookup_by_hand():
    keys, values = torch.eye(2), torch.tensor([[0.0], [10.0]])
    blend, weights = fuzzy_lookup(torch.tensor([0.0, 1.0]), keys, values, return_weights=True)
    e = torch.tensor(1.0).exp()
    torch.testing.assert_close(weights, torch.stack([1 / (1 + e), e / (1 + e)]))
    torch.testing.assert_close(blend, 10 * weights[1:])


@given(seeds, sizes, sizes, sizes, sizes, gains)
def test_lookup_is_a_weighted_mean(seed, t, s, d, dv, sharpness):
    query, keys, values = randn(seed, t, d), randn(seed + 1, s, d), randn(seed + 2, s, dv)
    blend, weights = fuzzy_lookup(query, keys, values, sharpness=sharpness, return_weights=True)
    assert blend.shape == (t, dv)
    assert weights.shape == (t, s)
    torch.testing.assert_close(weights.sum(-1), torch.ones(t, dtype=weights.dtype))
    assert (blend <= values.amax(0) + 1e-9).all()
    assert (blend >= values.amin(0) - 1e-9).all()
    torch.testing.assert_close(blend, weights @ values)


@given(seeds, sizes, sizes)
def test_lookup_equals_fused_attention(seed, t, s):
    query, keys, values = randn(seed, t, 4), randn(seed + 1, s, 4), randn(seed + 2, s, 3)
    fused = torch.nn.functional.scaled_dot_product_attention(
        query[None], keys[None], values[None], scale=2.5
    )[0]
    torch.testing.assert_close(fuzzy_lookup(query, keys, values, sharpness=2.5), fused)


@given(seeds, sizes)
def test_lookup_without_sharpness_is_the_mean(seed, s):
    values = randn(seed, s, 3)
    blend = fuzzy_lookup(randn(seed + 1, 2), randn(seed + 2, s, 2), values, sharpness=0.0)
    torch.testing.assert_close(blend, values.mean(0))


def test_sharp_lookup_is_an_exact_dictionary():
    values = randn(0, 5, 3)
    blend = fuzzy_lookup(torch.eye(5).double(), torch.eye(5).double(), values, sharpness=100.0)
    torch.testing.assert_close(blend, values)


def test_lookup_is_differentiable():
    inputs = tuple(randn(i, 3, 3).requires_grad_() for i in range(3))
    assert torch.autograd.gradcheck(fuzzy_lookup, inputs)


@pytest.mark.parametrize(
    ("shapes", "says"),
    [
        (((3,), (4, 2), (4, 1)), r"query: expected shape \(\.\.\., 2\).*got \(3,\)"),
        (((), (4, 2), (4, 1)), "query: expected"),
        (((2,), (4,), (4, 1)), r"keys: expected shape \(S, d\)"),
        (((2,), (0, 2), (0, 1)), r"keys: .*got \(0, 2\)"),
        (((2,), (4, 2), (3, 1)), r"values: expected shape \(4, dv\).*got \(3, 1\)"),
        (((2,), (4, 2), (4,)), "values: expected shape"),
    ],
)
def test_lookup_bad_shapes(shapes, says):
    with pytest.raises(ValueError, match=says):
        fuzzy_lookup(*(torch.zeros(shape) for shape in shapes))


@pytest.mark.parametrize("sharpness", [-1.0, float("nan"), float("inf")])
def test_lookup_bad_sharpness(sharpness):
    with pytest.raises(ValueError, match="sharpness: expected a finite number >= 0"):
        fuzzy_lookup(torch.ones(2), torch.ones(3, 2), torch.ones(3, 1), sharpness=sharpness)


def test_lookup_nan():
    with pytest.raises(ValueError, match="values: expected finite"):
        fuzzy_lookup(torch.ones(2), torch.ones(1, 2), torch.tensor([[float("nan")]]))


# --- saliency_map -------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_the_cup_stands_out_on_the_desk(table, method):
    image, boxes = table
    saliency = saliency_map(image, method=method)
    assert saliency.shape == image.shape[:2]
    peaks = {name: saliency[t:b, left:r].max().item() for name, (t, left, b, r) in boxes.items()}
    assert max(peaks, key=peaks.get) == "cup"
    assert peaks["cup"] == 1.0


def test_the_cup_stands_out_on_the_photograph():
    photo, (top, left, bottom, right) = coffee_photo()
    saliency = saliency_map(photo)
    brightest = saliency >= saliency.flatten().quantile(0.95)
    assert brightest[top:bottom, left:right].sum() > 0.95 * brightest.sum()


@pytest.mark.parametrize("method", METHODS)
def test_a_grey_cup_does_not_stand_out(table, method):
    """The colour is what does it: without it the cup loses most of its lead."""
    image, boxes = table
    grey = image.mean(-1, keepdim=True).expand(-1, -1, 3)
    top, left, bottom, right = boxes["cup"]
    coloured, colourless = (saliency_map(i, method=method) for i in (image, grey))
    lead, without = (s[top:bottom, left:right].mean() / s.mean() for s in (coloured, colourless))
    assert lead > 1.2 * without


@settings(max_examples=20)
@given(seeds, st.sampled_from(METHODS), st.integers(32, 70), st.integers(32, 70))
def test_saliency_is_between_0_and_1(seed, method, height, width):
    image = randn(seed, height, width, 3).sigmoid()
    saliency = saliency_map(image, method=method)
    assert saliency.shape == (height, width)
    assert saliency.min() >= 0
    assert saliency.max() <= 1
    assert torch.isfinite(saliency).all()
    assert saliency.dtype == image.dtype


@settings(max_examples=20)
@given(st.lists(st.floats(0, 1), min_size=3, max_size=3), st.sampled_from(METHODS))
def test_one_colour_has_no_saliency(colour, method):
    image = torch.tensor(colour).expand(40, 50, 3)
    assert (saliency_map(image, method=method) == 0).all()


@settings(max_examples=20)
@given(seeds)
def test_frequency_tuned_saliency_turns_with_the_image(seed):
    image = randn(seed, 33, 40, 3).sigmoid()
    turned = saliency_map(image.rot90(), method="frequency-tuned")
    torch.testing.assert_close(turned, saliency_map(image, method="frequency-tuned").rot90())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("place", [(20, 20), (90, 100), (40, 130)])
def test_an_odd_spot_is_found(method, place):
    image = torch.full((128, 160, 3), 0.5)
    y, x = place
    image[y : y + 12, x : x + 12] = torch.tensor([0.8, 0.2, 0.2])
    saliency = saliency_map(image, method=method)
    row, column = divmod(int(saliency.argmax()), 160)
    assert y - 8 <= row < y + 20
    assert x - 8 <= column < x + 20


def test_lab_agrees_with_scikit_image():
    from skimage.color import rgb2lab

    rgb = torch.rand(20, 30, 3, generator=torch.Generator().manual_seed(0)).double()
    rgb[0] *= 0.02  # the dark, linear part of the curve
    ours = _rgb_to_lab(rgb.permute(2, 0, 1)).permute(1, 2, 0)
    close(ours, torch.from_numpy(rgb2lab(rgb.numpy())), within=0.02)


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (torch.zeros(40, 40), r"image: expected shape \(H, W, 3\).*got \(40, 40\)"),
        (torch.zeros(3, 40, 40), "image: expected shape"),
        (torch.zeros(16, 40, 3), "H, W >= 32"),
        (torch.full((40, 40, 3), 255.0), "divide bytes by 255"),
        (torch.full((40, 40, 3), -0.1), "expected values in 0…1"),
        (torch.zeros(40, 40, 3, dtype=torch.uint8), "floating-point"),
        (torch.full((40, 40, 3), float("nan")), "finite"),
    ],
)
def test_saliency_bad_image(image, says):
    with pytest.raises(ValueError, match=says):
        saliency_map(image)


def test_saliency_bad_method():
    with pytest.raises(ValueError, match="method: expected 'frequency-tuned' or"):
        saliency_map(torch.zeros(40, 40, 3), method="magic")

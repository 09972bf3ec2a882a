"""The score lab in Python: what it computes, what it refuses, what it draws."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch

from attn_utils.scoring.widget import (
    DIMENSIONS,
    LARGEST,
    NUM_KEYS,
    NUM_QUERIES,
    RULES,
    SEED,
    random_components,
)
from attn_utils.widgets import ScoringExplorer
from tests.widgets.bench import Bench

W = torch.ones(3, 2)


def test_scores_and_weights_by_hand():
    lab = ScoringExplorer(query=[1.0, 2.0], key_points=[1, 0, 0, 1, 1, 1])
    np.testing.assert_allclose(lab.scores, [1, 2, 3])
    lab.rule = "scaled dot"
    np.testing.assert_allclose(lab.scores, np.array([1, 2, 3]) / math.sqrt(2), rtol=1e-6)
    np.testing.assert_allclose(lab.weights, [0.14, 0.28, 0.58], atol=0.005)
    lab.rule = "cosine"
    np.testing.assert_allclose(lab.scores, [0.4472, 0.8944, 0.9487], atol=1e-4)


def test_rules_equal_torch():
    q, k = torch.tensor([0.7, -1.3]), torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    q, k = q.double(), k.double()
    lab = ScoringExplorer(query=q, key_points=k.flatten())
    expected = {
        "dot": k @ q,
        "scaled dot": k @ q / 2**0.5,
        "cosine": torch.cosine_similarity(k, q[None]),
        "q/k norm": torch.cosine_similarity(k, q[None]) * 2**0.5,
        "soft cap": 2 * torch.tanh(k @ q / 2**1.5),
    }
    for rule, want in expected.items():
        assert torch.allclose(lab.score(rule, k), want, atol=1e-5)


def test_additive_takes_weights():
    g = torch.Generator().manual_seed(1)
    shapes = ((5, 2), (5, 2), (5,), (5,))
    W_q, W_k, b, w_v = (torch.randn(*shape, generator=g) for shape in shapes)
    lab = ScoringExplorer(additive=(W_q, W_k, b, w_v), rule="additive")
    q, k = torch.tensor(lab.query), torch.tensor(lab.key_points).reshape(-1, 2)
    want = torch.tanh(k @ W_k.T + W_q @ q + b) @ w_v
    np.testing.assert_allclose(lab.scores, want, atol=1e-5)


def test_copied_python_keeps_weights_that_were_given(browser):
    own = ([[1.0, 0.5]], [[-0.25, 2.0]], [0.125], [3.0])
    bench = Bench(browser, partial(ScoringExplorer, additive=own))
    bench.open(rule="additive", query=[1.0, -1.0])
    space = {}
    exec(bench.copied("Copy as Python").replace("\nScoring", "\nrebuilt = Scoring"), space)
    for name, want in space["rebuilt"].reference().items():
        np.testing.assert_allclose(bench.numbers()[name], want.flatten(), rtol=1e-6, atol=1e-9)
    assert bench.bad == []
    bench.context.close()


def test_hand_made_weights_prefer_the_near():
    places = [0.2, 0.1, -2.0, -1.5, 2.0, -1.5, 0.0, 2.5]
    for i in range(4):
        lab = ScoringExplorer(query=places[2 * i : 2 * i + 2], key_points=places)
        assert lab.winners[RULES.index("additive")] == i


def test_random_numbers_are_normal_and_repeatable():
    count = (NUM_QUERIES + NUM_KEYS) * LARGEST
    numbers = random_components(count, SEED)
    assert np.array_equal(numbers, random_components(count, SEED))
    assert abs(numbers.mean()) < 0.02
    assert abs(numbers.std() - 1) < 0.02
    assert abs((numbers**4).mean() - 3) < 0.15
    assert abs(np.corrcoef(numbers[1:], numbers[:-1])[0, 1]) < 0.02
    assert not np.array_equal(numbers[:9], random_components(9, SEED + 1))


@pytest.mark.parametrize("d", DIMENSIONS)
def test_deviation_grows_with_the_root_of_d(d):
    plain, _, _, scaled, _, _ = ScoringExplorer(dimension=d).random
    assert plain / math.sqrt(d) == pytest.approx(1, abs=0.05)
    assert scaled == pytest.approx(1, abs=0.05)


def test_saturation():
    lab = ScoringExplorer(dimension=512)
    _, entropy, slope, _, entropy_scaled, slope_scaled = lab.random
    assert entropy < 0.3 < 2 < entropy_scaled < math.log(16)
    assert slope < 0.01 < 0.1 < slope_scaled < 0.25
    stops = len(DIMENSIONS)
    assert lab.entropies[stops - 1] == pytest.approx(entropy)
    assert lab.entropies[-1] == pytest.approx(entropy_scaled)
    assert lab.histogram[:40].sum() == lab.histogram[40:].sum() == NUM_QUERIES * NUM_KEYS


def test_temperature_root_d_is_the_factor():
    undone = ScoringExplorer(dimension=256, temperature=16)
    assert undone.random[1] == pytest.approx(ScoringExplorer(dimension=256).random[4], abs=1e-6)


def test_a_query_of_zero_scores_nothing_but_additive():
    for rule in RULES[:3] + RULES[4:]:
        lab = ScoringExplorer(query=[0, 0], rule=rule)
        assert not lab.scores.any()
        np.testing.assert_allclose(lab.weights, 0.25)
    assert ScoringExplorer(query=[0, 0], rule="additive").scores.any()


def test_keys_as_pairs():
    lab = ScoringExplorer(keys=torch.tensor([[1.0, 2.0], [0.5, -1.0]]))
    assert lab.key_points == [1.0, 2.0, 0.5, -1.0]


def test_results_follow_the_controls():
    lab, seen = ScoringExplorer(), []
    lab.observe(lambda change: seen.append(change.new), names="weights")
    lab.temperature = 50.0
    assert len(seen) == 1
    assert np.ptp(lab.weights) < 0.05
    with lab.hold_trait_notifications():
        lab.key_points = [0, 1, 1, 0]
    assert lab.weights.shape == (2,)


@pytest.mark.parametrize(
    ("controls", "message"),
    [
        ({"rule": "euclid"}, "rule: expected one of dot"),
        ({"temperature": 0}, "temperature: expected a number from 0.05 to 50"),
        ({"temperature": math.nan}, "temperature"),
        ({"dimension": 513}, "dimension: expected a number from 1 to 512"),
        ({"dimension": 2.5}, "dimension: expected an integer"),
        ({"query": [1, 2, 3]}, "query: expected 2 coordinates, got 3"),
        ({"query": [4, 0]}, "query: expected finite numbers from -3 to 3"),
        ({"key_points": [1, 2, 3]}, "key_points: expected 2 to 6 pairs"),
        ({"key_points": [1, 2]}, "key_points: expected 2 to 6 pairs"),
        ({"key_points": [0.0] * 14}, "key_points: expected 2 to 6 pairs"),
        ({"additive": (1, 2)}, "additive: expected four tensors"),
        (
            {"additive": (W, torch.ones(3, 3), torch.ones(3), torch.ones(3))},
            r"W_k of shape \(3, 2\)",
        ),
        ({"additive": (W, W, torch.full((3,), math.nan), torch.ones(3))}, "finite"),
        ({"keys": [1, 2, 3, 4]}, r"keys: expected shape \(n, 2\), got \(4,\)"),
        ({"speed": 1}, "speed: no such control"),
    ],
)
def test_bad_input(controls, message):
    with pytest.raises(ValueError, match=message):
        ScoringExplorer(**controls)


def test_picture_and_text_for_readers_without_javascript():
    lab = ScoringExplorer(title="$$ is no formula", rule="additive", dimension=64)
    data, _ = lab._repr_mimebundle_()
    assert "plane coloured by score" in data["text/plain"]
    assert len(data["image/png"]) > 10_000

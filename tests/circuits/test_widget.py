"""The circuit bench, from Python's side: what it computes, what it refuses, what it ships."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from attn_utils import repeated_patterns, run_heads, stripe_score
from attn_utils.circuits import widget
from attn_utils.circuits.widget import KEYS, load_copier
from attn_utils.widgets import CircuitBench

FIRST, SECOND = 0, 3  # the two heads that the packaged model copies with


def only(*on: int) -> list[float]:
    return [float(i in on) for i in range(8)]


def accuracy(**controls) -> float:
    return float(CircuitBench(**controls).accuracy[0])


def test_it_shows_what_the_model_computes():
    bench = CircuitBench(pattern="quartz")
    model, _ = load_copier()
    tokens = torch.tensor([[ord(letter) - ord("a") for letter in bench.text()]])
    run = run_heads(model, tokens)
    want = run.logits[0].softmax(-1)
    np.testing.assert_allclose(bench.probabilities.reshape(32, 32), want, atol=1e-6)
    weights = bench.weights.reshape(2, 4, 32, 32)
    np.testing.assert_allclose(weights, run.weights[:, :, 0], atol=1e-6)
    assert accuracy(pattern="quartz") == 1.0


def test_the_packaged_model_copies_with_two_heads():
    model, state = load_copier()
    generator = torch.Generator().manual_seed(1)
    tokens, periods = repeated_patterns(200, 32, 32, periods=(3, 16), generator=generator)
    run = run_heads(model, tokens)
    seen = torch.arange(31) >= periods[:, None]
    assert (run.logits[:, :-1].argmax(-1) == tokens[:, 1:])[seen].double().mean() > 0.99
    sizes = run.outputs.norm(dim=-1).mean(dim=(2, 3)).flatten()
    assert (sizes > 0.1).nonzero().flatten().tolist() == [FIRST, 4 + SECOND]
    assert stripe_score(run.weights[..., :17, :17], 1)[0, FIRST] > 0.95
    assert Path(widget.__file__).with_name("copier.npz").stat().st_size < 100_000
    assert len(CircuitBench().get_state()["_floats"]) == 2 * sum(x.numel() for x in state.values())


def test_the_goals_can_be_reached():
    assert accuracy(heads=only(FIRST, 4 + SECOND)) >= 0.9
    assert accuracy(heads=only(4 + SECOND)) < 0.5
    assert accuracy(heads=only(FIRST)) < 0.2
    assert accuracy(key_source="without layer 1") <= 0.3
    assert accuracy(key_source="from other letters") <= 0.3
    for ambiguous in ("banana", "tobeornot"):
        assert accuracy(pattern=ambiguous) < 0.8


def test_keys_from_one_position_earlier_skip_a_letter():
    bench = CircuitBench(key_source=KEYS[3])
    best = bench.probabilities.reshape(32, 32).argmax(1)
    text = [ord(letter) - ord("a") for letter in bench.text()]
    skipped = [best[t] == text[t + 2] for t in range(7, 30)]
    assert np.mean(skipped) > 0.8
    queries = np.arange(12, 32)
    moved = bench.weights.reshape(2, 4, 32, 32)[1, SECOND]
    stripes = sum(moved[q, np.maximum(q - k * 6 + 2, 0)] for q in queries for k in (1, 2))
    assert stripes / len(queries) > 0.5


def test_other_keys_leave_layer_1_alone():
    plain = CircuitBench().weights.reshape(2, 4, 32, 32)
    for key_source in KEYS[1:]:
        other = CircuitBench(key_source=key_source).weights.reshape(2, 4, 32, 32)
        np.testing.assert_array_equal(other[0], plain[0])
        assert np.abs(other[1] - plain[1]).max() > 0.5


def test_a_head_that_is_off_adds_nothing():
    silent = CircuitBench(heads=[0] * 8)
    model, _ = load_copier()
    tokens = torch.tensor([[ord(letter) - ord("a") for letter in silent.text()]])
    want = model.head(model.embed(tokens))[0].softmax(-1).detach()
    np.testing.assert_allclose(silent.probabilities.reshape(32, 32), want, atol=1e-6)


def test_controls_change_the_results_and_are_observed():
    bench, seen = CircuitBench(), []
    bench.observe(lambda change: seen.append(change.new[0]), "accuracy")
    bench.heads = only(FIRST)
    bench.key_source = KEYS[1]
    assert seen[0] < 0.2
    assert bench.text() == "tulipstulipstulipstulipstulipstu"


@pytest.mark.parametrize(
    ("control", "message"),
    [
        ({"pattern": "a"}, "pattern: expected 2 to 16 letters from a to z, got 'a'"),
        ({"pattern": "Tulip"}, "pattern: expected 2 to 16 letters"),
        ({"pattern": "tulip\n"}, "pattern: expected 2 to 16 letters"),
        ({"pattern": "a" * 17}, "pattern: expected 2 to 16 letters"),
        ({"pattern": 7}, "pattern: expected 2 to 16 letters from a to z, got 7"),
        ({"heads": [1] * 7}, "heads: expected 0 or 1 for each of 8 heads"),
        ({"heads": [1] * 7 + [0.5]}, "heads: expected 0 or 1 for each of 8 heads"),
        ({"heads": [2] * 8}, "heads: expected finite numbers from 0 to 1"),
        ({"key_source": "mine"}, "key_source: expected one of as they are, without layer 1"),
        ({"first": 5}, "first: expected a number from 1 to 4"),
        ({"second": 0}, "second: expected a number from 1 to 4"),
        ({"second": 1.5}, "second: expected an integer, got 1.5"),
        ({"third": 1}, "third: no such control"),
    ],
)
def test_controls_refuse(control, message):
    with pytest.raises(ValueError, match="expected") as error:
        CircuitBench(**control)
    assert message in str(error.value)


def test_the_still_picture_and_the_words():
    bench = CircuitBench(heads=only(FIRST), first=2, title="$$ <b>")
    assert len(bench.figure().axes) == 3  # two heads and a colour bar
    data, _ = bench._repr_mimebundle_()
    assert data["text/plain"] == bench.alt

"""The cost calculator in Python: what it computes, what it refuses, what it draws."""

from __future__ import annotations

import math

import numpy as np
import pytest

from attn_utils.cost import attention_peak_bytes, block_flops
from attn_utils.cost.widget import PARTS, last_that
from attn_utils.widgets import CostCalculator

GIB = 2**30


def test_operations_and_bytes_by_hand():
    calculator = CostCalculator(n=1000, width=100, num_heads=10, batch=2)
    want = [2 * 6e7, 2 * 2e8, 2 * 5e7, 2 * 2e8, 2 * 2e7, 2 * 1.6e8]
    np.testing.assert_allclose(calculator.flops, np.array(want) / 1e9, rtol=1e-6)
    tokens, matrix, weights = 2 * 1000 * 100, 2 * 10 * 1000**2, 100**2
    numbers = [
        6 * tokens + 3 * weights,
        2 * tokens + matrix,
        2 * matrix,
        2 * tokens + matrix,
        2 * tokens + weights,
        10 * tokens + 8 * weights,
    ]
    np.testing.assert_allclose(calculator.moved, np.array(numbers) * 4 / 2**20, rtol=1e-6)
    calculator.precision = "bfloat16"
    np.testing.assert_allclose(calculator.moved, np.array(numbers) * 2 / 2**20, rtol=1e-6)
    calculator.kernel = "fused"
    assert calculator.moved[2] == 0
    assert len(calculator.flops) == len(calculator.moved) == len(PARTS)


def test_causal_halves_the_pairs_only():
    full, half = CostCalculator(n=4096), CostCalculator(n=4096, is_causal=True)
    ratio = half.flops / full.flops
    np.testing.assert_allclose(ratio[[0, 4, 5]], 1)
    np.testing.assert_allclose(ratio[[1, 2, 3]], 0.5, atol=2e-4)
    np.testing.assert_allclose(half.peak, full.peak)  # explicit scores are stored all the same


@pytest.mark.parametrize(
    "controls",
    [
        {},
        {"width": 64, "num_heads": 4},
        {"width": 16384, "num_heads": 128, "is_causal": True},
        {"batch": 64, "precision": "float16", "memory": 80},
        {"width": 4096, "num_heads": 1},
    ],
)
def test_crossings_are_where_it_turns(controls):
    calculator = CostCalculator(**controls)
    reference = calculator.reference()["crossings"].tolist()
    projections, mlp, explicit, fused = map(int, reference)
    D, H = int(calculator.width), int(calculator.num_heads)

    def parts(n):
        return block_flops(n, D, num_heads=H, is_causal=calculator.is_causal)

    def pairs_below(n):
        f = parts(n)
        return f["scores"] + f["weighted sum"] < f["projections"] + f["output"]

    def attention_below(n):
        f = parts(n)
        return sum(f.values()) - f["MLP"] <= f["MLP"]

    assert pairs_below(projections - 1)
    assert not pairs_below(projections)
    assert attention_below(mlp - 1)
    assert not attention_below(mlp)
    size = {"float32": 4}.get(calculator.precision, 2)
    for limit, kernel in ((explicit, False), (fused, True)):
        options = {"num_heads": H, "batch": int(calculator.batch), "itemsize": size}
        just, above = (
            attention_peak_bytes(n, D, fused=kernel, **options) for n in (limit, limit + 1)
        )
        assert just <= calculator.memory * GIB < above
    if not calculator.is_causal:
        assert projections == 2 * D


def test_heads_that_do_not_divide():
    odd, even = CostCalculator(width=64, num_heads=12), CostCalculator(width=64, num_heads=8)
    assert odd.heads_in_use == even.heads_in_use == 8
    np.testing.assert_array_equal(odd.moved, even.moved)
    assert CostCalculator(width=17, num_heads=16).heads_in_use == 1
    assert CostCalculator(width=16, num_heads=128).heads_in_use == 16


def test_a_step_of_decoding_reads_the_cache():
    options = {"n": 4096, "width": 4096, "num_heads": 32, "precision": "bfloat16"}
    options |= {"kernel": "fused", "phase": "decode"}
    one, eight = (CostCalculator(**options, num_kv_heads=heads) for heads in (0, 4))
    for calculator, group in ((one, 1), (eight, 8)):
        ratio = calculator.flops[1] * 1e9 / (calculator.moved[1] * 2**20)
        assert ratio == pytest.approx(group, rel=0.01)  # an operation a byte for each head
    assert one.flops[1] == eight.flops[1] == CostCalculator(**{**options, "n": 8192}).flops[1] / 2
    assert one.flops[5] == CostCalculator(**{**options, "n": 8192}).flops[5]  # one token's MLP
    np.testing.assert_allclose(one.moved[4:], eight.moved[4:])


def test_heads_of_keys_that_do_not_divide():
    assert CostCalculator(num_heads=12, num_kv_heads=5).kv_heads_in_use == 4
    assert CostCalculator(num_heads=12, num_kv_heads=128).kv_heads_in_use == 12
    assert CostCalculator(num_heads=12, num_kv_heads=0).kv_heads_in_use == 12
    assert CostCalculator(width=64, num_heads=12, num_kv_heads=6).kv_heads_in_use == 4  # of 8


def test_last_that():
    assert last_that(lambda n: n <= 1000) == 1000
    assert last_that(lambda n: False) == 0
    assert last_that(lambda n: True) == 2**40


def test_results_follow_the_controls():
    calculator, seen = CostCalculator(), []
    calculator.observe(lambda change: seen.append(change.new), names="peak")
    before = calculator.peak.copy()
    calculator.n = 1024
    assert len(seen) == 1
    assert 3.5 < calculator.peak[0] / before[0] < 4
    assert calculator.peak[1] / before[1] == pytest.approx(2)


@pytest.mark.parametrize(
    ("controls", "message"),
    [
        ({"n": 15}, "n: expected a number from 16 to 1048576, got 15"),
        ({"n": 100.5}, "n: expected an integer, got 100.5"),
        ({"n": math.nan}, "n: expected"),
        ({"width": 8}, "width: expected a number from 16"),
        ({"num_heads": 2.5}, "num_heads: expected an integer"),
        ({"batch": 0}, "batch: expected"),
        ({"num_kv_heads": -1}, "num_kv_heads: expected a number from 0 to 128"),
        ({"num_kv_heads": 1.5}, "num_kv_heads: expected an integer"),
        ({"phase": "training"}, "phase: expected one of prefill, decode"),
        ({"memory": 0}, "memory: expected a number from 1 to 1024"),
        ({"precision": "int8"}, "precision: expected one of float32"),
        ({"kernel": "flash"}, "kernel: expected one of explicit, fused"),
        ({"is_causal": 1}, "is_causal: expected True or False"),
        ({"depth": 12}, "depth: no such control"),
    ],
)
def test_bad_input(controls, message):
    with pytest.raises(ValueError, match=message):
        CostCalculator(**controls)


def test_picture_and_text_for_readers_without_javascript():
    data, _ = CostCalculator(kernel="fused", title="$$")._repr_mimebundle_()  # no formula
    assert "Bars of operations and of bytes" in data["text/plain"]
    assert len(data["image/png"]) > 10_000

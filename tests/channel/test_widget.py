"""The gate lab in Python: what it computes, what it refuses, what it draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from attn_utils import ECABlock, SEBlock
from attn_utils.channel.widget import CHANNELS, DIGIT, PIXELS, eca_block, se_block, start_pixels
from attn_utils.widgets import GateExplorer

START = start_pixels()


def test_the_digit_comes_through_and_the_noise_does_not():
    lab = GateExplorer()
    assert lab.gates.argmax() == lab.means.argmax() == 2
    assert lab.gates[2] > 0.95
    assert np.delete(lab.gates, 2).max() < 0.05
    output = lab.output.reshape(CHANNELS, PIXELS)
    digit = np.array([int(figure, 16) for figure in DIGIT]) / 15
    np.testing.assert_allclose(output[2], digit * lab.gates[2], atol=1e-6)


@pytest.mark.parametrize("where", range(1, 9))
def test_the_wide_block_finds_the_digit_everywhere(where):
    lab = GateExplorer(where=where)
    assert lab.gates.argmax() == where - 1
    assert lab.means[where - 1] == pytest.approx(np.mean([int(f, 16) for f in DIGIT]) / 15)


def test_results_by_hand():
    lab = GateExplorer(block="ECA", kernel="3")
    w = eca_block(3).conv.weight.detach().numpy().ravel()
    z = np.pad(lab.means.astype(float), 1)
    want = [1 / (1 + math.exp(-(w @ z[c : c + 3]))) for c in range(8)]
    np.testing.assert_allclose(lab.gates, want, atol=1e-5)
    lab = GateExplorer(reduction="2")
    block = se_block(2)
    first, second = (layer.weight.detach().numpy() for layer in (block.fc1, block.fc2))
    hidden = np.maximum(0, first @ lab.means)
    np.testing.assert_allclose(lab.hidden, hidden, atol=1e-5)
    np.testing.assert_allclose(lab.gates, 1 / (1 + np.exp(-second @ hidden)), atol=1e-5)


@pytest.mark.parametrize(
    ("controls", "kind", "hidden"),
    [
        ({}, SEBlock, 8),
        ({"reduction": "4"}, SEBlock, 2),
        ({"reduction": "8"}, SEBlock, 1),
        ({"block": "ECA", "kernel": "7"}, ECABlock, 0),
        ({"block": "none"}, type(None), 0),
    ],
)
def test_blocks(controls, kind, hidden):
    lab = GateExplorer(**controls)
    assert isinstance(lab.module(), kind)
    assert lab.hidden.shape == (hidden,)
    if kind is type(None):
        assert (lab.gates == 1).all()
    else:
        count = sum(p.numel() for p in lab.module().parameters())
        assert count == (2 * 8 * hidden if hidden else 7)
        want = lab.module().gate(lab.image()).flatten().detach()
        np.testing.assert_allclose(lab.gates, want, atol=1e-6)


def test_volumes_and_pixels():
    lab = GateExplorer(volumes=[0, 2, *[1] * 6])
    plain = GateExplorer()
    assert lab.means[0] == 0
    assert lab.means[1] == pytest.approx(2 * plain.means[1])
    scrambled = "".join(sorted(DIGIT)) + START[PIXELS:]
    np.testing.assert_allclose(GateExplorer(pixels=scrambled).gates, plain.gates, atol=1e-6)
    empty = GateExplorer(pixels="0" * PIXELS + START[PIXELS:])
    assert empty.means[2] == 0
    assert GateExplorer(pixels="f" * 512).output.max() <= 1


def test_the_narrowest_bottleneck_cannot_tell_channels_apart():
    gates = [GateExplorer(reduction="8", where=w).gates for w in range(1, 9)]
    assert np.ptp(gates) < 0.05


def test_results_follow_the_controls():
    lab, seen = GateExplorer(), []
    lab.observe(lambda change: seen.append(change.new), names="gates")
    lab.where = 5
    assert len(seen) == 1
    assert lab.gates.argmax() == 4


@pytest.mark.parametrize(
    ("controls", "message"),
    [
        ({"block": "CBAM"}, "block: expected one of SE, ECA, none"),
        ({"reduction": "16"}, "reduction: expected one of 1, 2, 4, 8"),
        ({"kernel": "4"}, "kernel: expected one of 1, 3, 5, 7"),
        ({"where": 9}, "where: expected a number from 1 to 8"),
        ({"where": 2.5}, "where: expected an integer, got 2.5"),
        ({"brush": math.nan}, "brush: expected a number"),
        ({"volumes": [1, 1]}, "volumes: expected 8 numbers, got 2"),
        ({"volumes": [3] * 8}, "volumes: expected finite numbers from 0 to 2"),
        ({"pixels": "0f"}, "pixels: expected 512 figures from 0 to f, got 2 characters"),
        ({"pixels": "g" * 512}, "pixels: expected 512 figures"),
        ({"pixels": 7}, "pixels: expected 512 figures from 0 to f, got 7"),
        ({"digit": 3}, "digit: no such control"),
    ],
)
def test_bad_input(controls, message):
    with pytest.raises(ValueError, match=message):
        GateExplorer(**controls)


def test_weights_travel_as_they_are():
    lab = GateExplorer()
    for reduction, (first, second) in lab._se:
        block = se_block(int(reduction))
        np.testing.assert_allclose(torch.tensor(first), block.fc1.weight.detach().flatten())
        np.testing.assert_allclose(torch.tensor(second), block.fc2.weight.detach().T.flatten())
    for kernel, weights in lab._eca:
        assert weights == eca_block(int(kernel)).conv.weight.flatten().tolist()


def test_picture_and_text_for_readers_without_javascript():
    data, _ = GateExplorer(block="ECA", title="$$")._repr_mimebundle_()  # no formula
    assert "can be painted on" in data["text/plain"]
    assert len(data["image/png"]) > 10_000

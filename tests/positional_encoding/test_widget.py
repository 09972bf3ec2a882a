"""The Python side of the position explorer: what it computes and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from attn_utils.widgets import PositionExplorer

ENCODINGS = ("sinusoidal", "learned", "rotary")


def scores(widget: PositionExplorer) -> np.ndarray:
    return widget.scores.reshape(64, 64)


def test_the_numbers_by_hand():
    widget = PositionExplorer(width=4, position=1)
    assert widget.vector == pytest.approx([0.841471, 0.540302, 0.010000, 0.999950], abs=1e-6)


def test_the_matrix_is_the_packages():
    module = pytest.importorskip("attn_utils.positional_encoding")
    table = module.SinusoidalPositionalEncoding(32).P[0, :96]
    matrix = torch.from_numpy(PositionExplorer().matrix.reshape(96, 32).copy())
    assert torch.allclose(matrix, table, atol=1e-5)


@pytest.mark.parametrize("encoding", ["sinusoidal", "rotary"])
@pytest.mark.parametrize("look_back", [0, 8])
def test_scores_depend_on_the_offset_only(encoding, look_back):
    widget = PositionExplorer(encoding=encoding, look_back=look_back, width=24, base=300)
    for offset in range(-63, 64):
        assert np.ptp(np.diagonal(scores(widget), -offset)) < 1e-5
        assert widget.curve[offset + 63] == pytest.approx(
            np.diagonal(scores(widget), -offset)[0], abs=1e-5
        )
    assert (scores(widget)[look_back:].argmax(1) == np.arange(64 - look_back)).all()


def test_learned_scores_do_not():
    widget = PositionExplorer(encoding="learned")
    assert np.ptp(np.diagonal(scores(widget))) > 0.1
    assert widget.curve.argmax() == 63  # but near positions are alike
    before = widget.scores.copy()
    widget.look_back = 8
    np.testing.assert_array_equal(widget.scores, before)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_random_numbers_are_drawn(encoding):
    before = torch.get_rng_state()
    PositionExplorer(encoding=encoding, positions_on=True, look_back=2)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_learned_table_ends():
    widget = PositionExplorer(encoding="learned", position=63)
    assert np.abs(widget.vector).max() > 0.1
    widget.position = 64
    assert np.abs(widget.vector).max() == 0
    widget.encoding = "sinusoidal"
    assert np.linalg.norm(widget.vector) == pytest.approx(4.0)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_shuffled_words(encoding):
    order = [3, 1, 2, 0, 4]
    widget = PositionExplorer(encoding=encoding, order=order)
    straight = PositionExplorer(encoding=encoding).outputs.reshape(5, 8)
    np.testing.assert_allclose(widget.outputs.reshape(5, 8), straight[order], atol=1e-6)
    assert widget.changes.max() < 1e-6
    widget.positions_on = True
    assert widget.changes.max() > 0.1
    straight = PositionExplorer(encoding=encoding, positions_on=True).outputs.reshape(5, 8)
    changed = np.abs(widget.outputs.reshape(5, 8) - straight[order]).max(axis=1)
    np.testing.assert_allclose(widget.changes[order], changed, atol=1e-6)


def test_the_fastest_hand_is_back_at_44():
    assert abs(44 - 14 * math.pi) < 0.05
    assert not any(
        abs(i - 2 * math.pi * round(i / (2 * math.pi))) < 0.05 for i in range(1, 64) if i != 44
    )


@pytest.mark.parametrize(
    ("controls", "says"),
    [
        ({"width": 5}, "width: expected an even number, got 5"),
        ({"width": 66}, "width: expected a number from 4 to 64"),
        ({"position": 1.5}, "position: expected a whole number, got 1.5"),
        ({"position": 96}, "position: expected a number from 0 to 95"),
        ({"base": float("nan")}, "base: expected a number from 10 to 100000"),
        ({"look_back": -1}, "look_back: expected a number from 0 to 20"),
        ({"encoding": "binary"}, "encoding: expected one of sinusoidal, learned, rotary"),
        ({"order": [0, 1, 2, 3]}, "order: expected a permutation of 0 to 4"),
        ({"order": [0, 1, 2, 3, 3]}, "order: expected a permutation of 0 to 4"),
        ({"length": 3}, "length: no such control"),
    ],
)
def test_wrong_controls_are_refused(controls, says):
    with pytest.raises(ValueError, match=says):
        PositionExplorer(**controls)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_still_picture(encoding):
    figure = PositionExplorer(encoding=encoding, position=20, width=64, title="$$").figure()
    figure.canvas.draw()
    assert len(figure.axes) == 6
    assert encoding in figure.axes[0].get_title()


def test_weight_in_the_page():
    state = PositionExplorer(width=64).get_state()
    buffers = sum(len(v) for v in state.values() if isinstance(v, bytes))
    assert buffers <= 300_000

"""Draw a digit, from Python's side: what it computes, what it refuses, what it ships."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from attn_utils import VisionTransformer, attention_rollout, record_attention
from attn_utils.explain import widget
from attn_utils.explain.widget import SIDE, bitmap_of, counts_of, fitted, pack, ready_made, unpack
from attn_utils.widgets import DigitReader

BLANK = np.zeros((SIDE, SIDE), dtype=bool)


def small_model(**changes):
    sizes = {
        "img_size": 8,
        "patch_size": 2,
        "in_channels": 1,
        "num_classes": 10,
        "embed_dim": 16,
        "depth": 2,
        "num_heads": 2,
        "mlp_ratio": 2.0,
    }
    torch.manual_seed(0)
    model = VisionTransformer(**(sizes | changes))
    for parameter in model.parameters():  # the initial ones are all but zero
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def test_what_it_shows_is_what_the_model_computes():
    model = small_model().eval()
    reader = DigitReader(model)
    model.half().float()  # the parameters travel in half precision
    image = torch.tensor(reader.seen).view(1, 1, 8, 8) / 16
    with torch.no_grad(), record_attention(model) as weights:
        logits = model(image)
    torch.testing.assert_close(torch.tensor(reader.logits), logits[0])
    torch.testing.assert_close(torch.tensor(reader.probabilities), logits[0].softmax(-1))
    torch.testing.assert_close(torch.tensor(reader.weights).view(2, 2, 17, 17), torch.cat(weights))
    torch.testing.assert_close(
        torch.tensor(reader.rollout).view(17, 17), attention_rollout(weights)[0]
    )


def test_it_keeps_a_copy_of_the_model():
    model = small_model()
    reader = DigitReader(model)
    before = reader.logits.copy()
    torch.nn.init.zeros_(model.head.weight)
    reader.fit = True
    reader.fit = False
    np.testing.assert_array_equal(reader.logits, before)
    assert model.training


def test_the_shown_map():
    reader = DigitReader(small_model(), query=5)
    weights = torch.tensor(reader.weights).view(2, 2, 17, 17)
    rollout = torch.tensor(reader.rollout).view(17, 17)
    torch.testing.assert_close(reader.shown(), rollout[5])
    reader.layer = 2
    torch.testing.assert_close(reader.shown(), weights[1, :, 5].mean(0))
    reader.head = 1
    torch.testing.assert_close(reader.shown(), weights[1, 0, 5])


def test_the_packaged_model_reads_its_examples():
    model, (images, labels) = ready_made()
    with torch.no_grad():
        answers = model(images).argmax(-1)
    assert labels[:10].tolist() == list(range(10))
    assert answers[:10].tolist() == list(range(10))
    assert (answers != labels).any()  # at least one that it gets wrong
    assert Path(widget.__file__).with_name("digit_reader.npz").stat().st_size < 200_000
    state = DigitReader().get_state()
    count = sum(p.numel() for p in model.parameters())
    assert len(state["_floats"]) == 2 * count <= 300_000


def test_the_packaged_model_reads_digits_it_has_not_seen():
    digits = pytest.importorskip("sklearn.datasets").load_digits()
    order = torch.randperm(len(digits.target), generator=torch.Generator().manual_seed(13))
    test = order[-400:]
    images = torch.tensor(digits.images[test], dtype=torch.float32)[:, None] / 16
    model, _ = ready_made()
    with torch.no_grad():
        right = model(images).argmax(-1) == torch.tensor(digits.target[test])
    assert right.float().mean() >= 0.97


def test_ink_packs_and_unpacks():
    bitmap = np.random.default_rng(0).random((SIDE, SIDE)) < 0.4
    assert len(pack(bitmap)) == 256
    np.testing.assert_array_equal(unpack(pack(bitmap)), bitmap)


def test_an_invented_bitmap_has_the_counts():
    counts = np.random.default_rng(0).integers(0, 17, (8, 8))
    np.testing.assert_array_equal(counts_of(bitmap_of(counts)), counts)
    _, (images, _) = ready_made()
    reader = DigitReader(examples=(images[3:5], [3, 4]))
    torch.testing.assert_close(torch.tensor(reader.seen).view(8, 8), 16 * images[3, 0])
    assert reader.fit is False


@pytest.mark.parametrize(
    ("rows", "columns", "height", "width"),
    [
        ((3, 8), (20, 24), 32, 26),
        ((0, 32), (2, 6), 32, 4),
        ((10, 11), (4, 8), 8, 32),
        ((5, 6), (7, 8), 32, 32),
        ((31, 32), (0, 32), 1, 32),
    ],
)
def test_ink_is_enlarged_and_centred(rows, columns, height, width):
    bitmap = BLANK.copy()
    bitmap[slice(*rows), slice(*columns)] = True
    ink = fitted(bitmap)
    i, j = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    assert (len(i), len(j)) == (height, width)
    assert ink.sum() == height * width
    for places in (i, j):
        assert abs((places[0] + places[-1]) - (SIDE - 1)) <= 1


def test_enlarging_keeps_the_shape():
    bitmap = BLANK.copy()
    bitmap[4:12, 6:10] = True
    bitmap[4:8, 8:10] = False  # an L
    enlarged = fitted(bitmap)
    expected = BLANK.copy()
    expected[:, 8:24] = True
    expected[:16, 16:24] = False
    np.testing.assert_array_equal(enlarged, expected)
    np.testing.assert_array_equal(fitted(enlarged), enlarged)  # nothing left to do
    np.testing.assert_array_equal(fitted(BLANK), BLANK)


def test_a_shift_of_the_drawing_changes_nothing_when_fitted():
    _, (images, _) = ready_made()
    large = bitmap_of((16 * images[5, 0]).numpy())
    small = np.pad(large[::2, ::2], ((3, 13), (2, 14)))
    shifted = np.roll(small, (9, 11), axis=(0, 1))
    a, b = DigitReader(drawing=small), DigitReader(drawing=shifted)
    np.testing.assert_array_equal(a.logits, b.logits)
    assert a.fit
    a.fit = b.fit = False
    assert not np.array_equal(a.logits, b.logits)


def test_controls_change_the_results_and_are_observed():
    reader, seen = DigitReader(), []
    reader.observe(lambda change: seen.append(change.new), "probabilities")
    reader.drawing = BLANK
    assert len(seen) == 1
    assert reader.seen.sum() == 0
    assert not np.array_equal(seen[0], DigitReader().probabilities)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (torch.nn.Linear(2, 2), "model: expected a VisionTransformer, got Linear"),
        (small_model(img_size=16), "got one for (1, 16, 16)"),
        (small_model(in_channels=3), "got one for (3, 8, 8)"),
        (small_model(num_classes=11), "at most 10 classes"),
        (small_model(num_classes=0), "at most 10 classes"),
        (small_model(distilled=True), "no distillation token"),
        (small_model(representation_size=8), "no representation layer"),
        (small_model(embed_dim=128), "at most 150,000 parameters"),
    ],
)
def test_models_that_do_not_fit(model, message):
    with pytest.raises(ValueError, match=r"^model: ") as error:
        DigitReader(model)
    assert message in str(error.value)


def test_parameters_too_large_for_half_precision():
    model = small_model()
    torch.nn.init.constant_(model.head.bias, 1e5)
    with pytest.raises(ValueError, match="half precision"):
        DigitReader(model)


@pytest.mark.parametrize(
    "changes", [{"patch_size": 1}, {"patch_size": (4, 2)}, {"qkv_bias": False}, {"num_classes": 3}]
)
def test_other_models_fit(changes):
    model = small_model(**changes)
    reader = DigitReader(model, layer=2, head=2, query=len(model.pos_embed[0]) - 1)
    assert len(reader.logits) == model.head.out_features
    reader.figure()


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        (7, "expected a pair"),
        ((torch.zeros(2, 1, 9, 9), [1, 2]), "got (2, 1, 9, 9)"),
        ((torch.zeros(2, 1, 8, 8), [1]), "got (1,) labels and 2 images"),
        ((torch.zeros(13, 1, 8, 8), [1] * 13), "1 to 12 images"),
        ((torch.full((1, 1, 8, 8), 16.0), [1]), "multiples of 1/16"),
        ((torch.full((1, 1, 8, 8), 0.3), [1]), "multiples of 1/16"),
        ((torch.zeros(0, 1, 8, 8), []), "got (0, 1, 8, 8)"),
    ],
)
def test_examples_that_do_not_fit(examples, message):
    with pytest.raises(ValueError, match=r"^examples: ") as error:
        DigitReader(examples=examples)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("control", "message"),
    [
        ({"drawing": "0"}, "drawing: expected 256 hexadecimal digits, got 1 characters"),
        ({"drawing": "g" * 256}, "hexadecimal"),
        ({"drawing": np.zeros((8, 8))}, "drawing: expected 32 × 32 zeros and ones, got shape"),
        ({"drawing": np.full((32, 32), 2)}, "zeros and ones"),
        ({"layer": 4}, "layer: expected a number from 0 to 3"),
        ({"head": 5}, "head: expected a number from 0 to 4"),
        ({"query": 17}, "query: expected a number from 0 to 16"),
        ({"layer": 1.5}, "layer: expected an integer"),
        ({"fit": 1}, "fit: expected True or False"),
        ({"ink": 1}, "ink: no such control"),
    ],
)
def test_controls_refuse(control, message):
    with pytest.raises(ValueError, match=message.split(":")[0]) as error:
        DigitReader(**control)
    assert message in str(error.value)


def test_the_still_picture_and_the_words():
    reader = DigitReader(layer=1, head=2, title="$$ <b>")
    figure = reader.figure()
    assert len(figure.axes) == 4  # paper, image, colour bar, bars
    data, _ = reader._repr_mimebundle_()
    assert data["text/plain"] == reader.alt

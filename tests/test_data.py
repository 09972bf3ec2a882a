from __future__ import annotations

import itertools
import socket

import pytest
import torch

from attn_utils import data

# --- chapter 1: the desk and the photograph -----------------------------------------------------


def test_table_scene_holds_five_things_in_separate_boxes(table):
    image, boxes = table
    assert image.shape == (360, 480, 3)
    assert image.dtype == torch.float32
    assert 0 <= image.min() < image.max() <= 1
    assert list(boxes) == ["newspaper", "paper", "cup", "notebook", "book"]
    for top, left, bottom, right in boxes.values():
        assert 0 <= top < bottom <= 360
        assert 0 <= left < right <= 480
    for (_, a), (_, b) in itertools.combinations(boxes.items(), 2):
        apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        assert apart, (a, b)


def test_table_scene_is_the_same_each_time():
    first, second = data.table_scene(192)[0], data.table_scene(192)[0]
    assert torch.equal(first, second)


def test_only_the_cup_has_a_colour(table):
    image, boxes = table
    colourful = image.amax(-1) - image.amin(-1) > 0.01
    top, left, bottom, right = boxes["cup"]
    inside = colourful[top:bottom, left:right]
    assert inside.sum() == colourful.sum() > 1000
    red = image[top:bottom, left:right][inside]
    assert (red[:, 0] >= red[:, 1]).all()
    assert (red[:, 0] >= red[:, 2]).all()


def test_boxes_hold_their_things(table):
    """Inside each box the picture varies more than the bare desk does."""
    image, boxes = table
    desk = image[340:, :340].std()
    for name, (top, left, bottom, right) in boxes.items():
        assert image[top:bottom, left:right].std() > 4 * desk, name


@pytest.mark.parametrize("width", [96, 240, 1000])
def test_table_scene_in_other_sizes(table, width):
    image, boxes = data.table_scene(width)
    assert image.shape == (width * 3 // 4, width, 3)
    _, reference = table
    for name, box in boxes.items():
        scaled = torch.tensor(reference[name]) * width / 480
        assert (torch.tensor(box) - scaled).abs().max() <= 2 + width / 480


@pytest.mark.parametrize("width", [0, 50, 95, 481])
def test_table_scene_bad_width(width):
    with pytest.raises(ValueError, match=f"width: expected a multiple of 4 .*got {width}"):
        data.table_scene(width)


def test_coffee_photo_needs_no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    photo, (top, left, bottom, right) = data.coffee_photo()
    assert photo.shape == (400, 600, 3)
    assert photo.dtype == torch.float32
    assert 0 <= photo.min() < photo.max() <= 1
    assert 0 <= top < bottom <= 400
    assert 0 <= left < right <= 600


# --- chapter 2: samples for kernel regression ---------------------------------------------------


def test_kernel_regression_data():
    sample = data.kernel_regression_data()
    x_train, y_train, x_test, y_true = sample
    assert x_train.shape == y_train.shape == x_test.shape == y_true.shape == (50,)
    assert x_train is sample.x_train
    assert (x_train.diff() >= 0).all()
    assert 0 <= x_train.min() < x_train.max() < 5
    torch.testing.assert_close(x_test, torch.linspace(0, 4.9, 50))
    torch.testing.assert_close(y_true, 2 * torch.sin(x_test) + x_test**0.8)


def test_kernel_regression_data_is_what_the_seed_leads_to():
    torch.manual_seed(7)
    x = torch.sort(torch.rand(20) * 5).values
    y = 2 * torch.sin(x) + x**0.8 + 0.3 * torch.randn(20)
    before = torch.get_rng_state()
    sample = data.kernel_regression_data(20, noise=0.3, seed=7)
    assert torch.equal(sample.x_train, x)
    assert torch.equal(sample.y_train, y)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(data.kernel_regression_data(20, seed=8).x_train, x)


def test_kernel_regression_noise():
    clean = data.kernel_regression_data(1000, noise=0)
    truth = 2 * torch.sin(clean.x_train) + clean.x_train**0.8
    assert torch.equal(clean.y_train, truth)
    noisy = data.kernel_regression_data(20_000)
    error = noisy.y_train - 2 * torch.sin(noisy.x_train) - noisy.x_train**0.8
    assert abs(error.mean()) < 0.02
    assert abs(error.std() - 0.5) < 0.02


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_train": 0}, "num_train: expected at least 1, got 0"),
        ({"noise": -0.1}, "noise: expected a finite number >= 0, got -0.1"),
        ({"noise": float("nan")}, "noise: expected a finite number >= 0, got nan"),
    ],
)
def test_kernel_regression_data_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        data.kernel_regression_data(**arguments)


def test_diabetes_bmi(monkeypatch):
    monkeypatch.setattr(socket, "socket", None)  # no network
    bmi, progression = data.diabetes_bmi()
    assert bmi.shape == progression.shape == (442,)
    assert bmi.dtype == progression.dtype == torch.float32
    assert (bmi.diff() >= 0).all()
    assert (bmi.min(), bmi.max()) == (18, pytest.approx(42.2))
    assert (progression.min(), progression.max()) == (25, 346)
    correlation = torch.corrcoef(torch.stack([bmi, progression]))[0, 1]
    assert float(correlation) == pytest.approx(0.586, abs=1e-3)  # pairs stayed together
    for given, column in zip(data.diabetes_bmi(standardize=True), (bmi, progression), strict=True):
        expected = (column - column.mean()) / column.std(correction=0)
        torch.testing.assert_close(given, expected, rtol=1e-4, atol=1e-4)

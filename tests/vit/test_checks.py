from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from attn_utils import DropPath
from attn_utils.checks import check
from attn_utils.vit import resize_position_embedding

SHAPES = {
    "patches": 96,
    "numbers in a patch": 192,
    "tokens": (16, 97, 384),
    "weights": (16, 6, 97, 97),
    "queries": (16, 6, 97, 64),
    "logits": (16, 10),
}


def unpatchify(x, p, C, h, w):
    x = x.reshape(len(x), h // p, w // p, C, p, p).permute(0, 3, 1, 4, 2, 5)
    return x.reshape(len(x), C, h, w)


def by_fold(x, p, C, h, w):
    return F.fold(x.transpose(1, 2), (h, w), p, stride=p)


def permuted(*order):
    def wrong(x, p, C, h, w):
        x = x.reshape(len(x), h // p, w // p, C, p, p).permute(*order)
        return x.reshape(len(x), C, h, w)

    return wrong


def channels_last(x, p, C, h, w):
    x = x.reshape(len(x), h // p, w // p, p, p, C).permute(0, 5, 1, 3, 2, 4)
    return x.reshape(len(x), C, h, w)


def column_by_column(x, p, C, h, w):
    x = x.reshape(len(x), w // p, h // p, C, p, p).permute(0, 3, 2, 4, 1, 5)
    return x.reshape(len(x), C, h, w)


def count(img, p, C, D, L, classes, distilled, *, norms=4, biases=9, heads=True):
    e = int(distilled)
    total = p * p * C * D + D + (1 + e) * D + ((img // p) ** 2 + 1 + e) * D
    total += L * (12 * D * D + (norms + biases) * D) + 2 * D
    return total + (1 + (e if heads else 0)) * (D * classes + classes)


def drop_path(x, p, training):
    return DropPath(p).train(training)(x)


def make_drop(draw, factor=lambda p: 1 / (1 - p)):
    def wrong(x, p, training):
        if not training or p == 0:
            return x
        return x * (draw(x, p)).to(x.dtype) * (factor(p) if p < 1 else 0)

    return wrong


def per_image(x, p):
    return (torch.rand(len(x)) >= p).view(-1, *[1] * (x.ndim - 1))


def resize(pos, new, prefix):
    return resize_position_embedding(pos, new, num_prefix_tokens=prefix)


def resize_with(mode="bicubic", cut=None, reshape=False, swap=False, **options):
    def wrong(pos, new, prefix):
        k = prefix if cut is None else cut
        grid = pos[:, prefix:]
        side = math.isqrt(grid.shape[1])
        picture = (grid if reshape else grid.mT).reshape(1, -1, side, side)
        picture = F.interpolate(picture, size=new[::-1] if swap else new, mode=mode, **options)
        return torch.cat([pos[:, :k], picture.flatten(2).mT], dim=1)

    return wrong


def by_factor(pos, new, prefix):
    grid = pos[:, prefix:]
    side = math.isqrt(grid.shape[1])
    picture = F.interpolate(
        grid.mT.unflatten(2, (side, side)),
        scale_factor=(new[0] / side, new[1] / side),
        mode="bicubic",
        antialias=True,
    )
    return torch.cat([pos[:, :prefix], picture.flatten(2).mT], dim=1)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("shapes", SHAPES),
        ("shapes", SHAPES | {"tokens": torch.Size([16, 97, 384]), "patches": 96.0}),
        ("unpatchify", unpatchify),
        ("unpatchify", by_fold),
        ("count_parameters", count),
        ("count_parameters", lambda *a: float(count(*a))),
        ("count_parameters", lambda *a: np.int64(count(*a))),
        ("drop_path", drop_path),
        ("resize_positions", resize),
    ],
)
def test_right_answers_pass(name, answer):
    result = check(f"vit.{name}", answer)
    assert result, result.message


WRONG = [
    ("shapes", dict.fromkeys(SHAPES, ...), "no answer yet for 'patches' (6 to go)"),
    ("shapes", 96, "should be a dictionary"),
    ("shapes", SHAPES | {"patches": 97}, "class token is none of them"),
    ("shapes", SHAPES | {"patches": 144}, "not square"),
    ("shapes", SHAPES | {"numbers in a patch": 64}, "three colours"),
    ("shapes", SHAPES | {"tokens": (16, 96, 384)}, "class token is missing"),
    ("shapes", SHAPES | {"tokens": (16, 97, 192)}, "as wide as the model"),
    ("shapes", SHAPES | {"weights": (16, 97, 97)}, "matrix of its own"),
    ("shapes", SHAPES | {"weights": (16, 6, 97)}, "a tuple of 4 numbers"),
    ("shapes", SHAPES | {"queries": (16, 6, 97, 384)}, "share the width"),
    ("shapes", SHAPES | {"queries": (16, 97, 6, 64)}, "heads come before"),
    ("shapes", SHAPES | {"logits": (16, 97, 10)}, "class token only"),
    ("shapes", SHAPES | {"logits": (1, 1)}, "is not right"),
    ("unpatchify", lambda *a: None, "nothing has been computed"),
    ("unpatchify", lambda x, p, C, h, w: x.reshape(len(x), C, h, w), "only given another shape"),
    ("unpatchify", permuted(0, 3, 1, 2, 4, 5), "beside its pixel row"),
    ("unpatchify", permuted(0, 3, 4, 1, 5, 2), "before the pixel's row"),
    ("unpatchify", permuted(0, 3, 1, 5, 2, 4), "rows and columns are swapped"),
    ("unpatchify", channels_last, "channels of a patch"),
    ("unpatchify", column_by_column, "column by column"),
    ("unpatchify", lambda *a: unpatchify(*a).permute(0, 2, 3, 1), "channels come first"),
    ("unpatchify", lambda *a: unpatchify(*a)[0], "have shape"),
    ("count_parameters", lambda *a: ..., "nothing has been computed"),
    ("count_parameters", lambda *a: count(*a[:-1], False), "`distilled` is not used"),
    ("count_parameters", lambda *a: count(*a, heads=False), "a head of its own"),
    ("count_parameters", lambda *a: count(*a) - a[-1] * 2 * a[3], "and its position are missing"),
    ("count_parameters", lambda *a: count(*a) - a[-1] * a[3], "position as well"),
    ("count_parameters", lambda *a: count(*a, norms=0), "norms of the blocks"),
    ("count_parameters", lambda *a: count(*a, biases=0), "biases of the blocks"),
    ("count_parameters", lambda *a: count(*a) - 2 * a[3], "last norm"),
    ("count_parameters", lambda *a: count(*a) - a[3], "D is missing"),
    ("count_parameters", lambda *a: count(*a) + 1, "differs"),
    ("count_parameters", lambda *a: count(a[0], a[1], 3, *a[3:]), "use C"),
    ("drop_path", lambda x, p, t: None, "nothing has been computed"),
    ("drop_path", lambda x, p, t: F.dropout(x, p, t), "not for each number"),
    ("drop_path", lambda x, p, t: x, "no image was dropped"),
    ("drop_path", make_drop(lambda x, p: torch.rand(1) >= p), "share one draw"),
    ("drop_path", make_drop(per_image, lambda p: 1.0), "the mean stays"),
    ("drop_path", make_drop(per_image, lambda p: 1 / p), "divided by p"),
    ("drop_path", make_drop(per_image, lambda p: 1 - p), "multiplied by 1 - p"),
    ("drop_path", make_drop(lambda x, p: per_image(x, 1 - p)), "not of keeping"),
    ("drop_path", lambda x, p, t: drop_path(x, p, True), "outside training"),
    (
        "drop_path",
        lambda x, p, t: x * per_image(x, p) / torch.tensor(1 - p) if t and p else x,
        "p = 1 gives NaN",
    ),
    (
        "drop_path",
        lambda x, p, t: drop_path(x, p, t) if x.ndim == 3 else x[:, None],
        "any number of axes",
    ),
    ("drop_path", lambda x, p, t: drop_path(x, p, t)[0], "has shape"),
    ("drop_path", lambda x, p, t: x.mul_(per_image(x, p) / (1 - p)), "changed the caller's x"),
    ("drop_path", lambda x, p, t: x * 0, "every image was dropped"),
    ("resize_positions", lambda *a: ..., "nothing has been computed"),
    (
        "resize_positions",
        lambda pos, new, k: F.interpolate(pos.mT, size=k + new[0] * new[1]).mT,
        "as one line",
    ),
    (
        "resize_positions",
        lambda pos, new, k: F.interpolate(pos.mT, size=k + new[0] * new[1], mode="linear").mT,
        "as one line",
    ),
    ("resize_positions", lambda p, n, k: resize(p, n, k)[:, k:], "prefix is lost"),
    ("resize_positions", lambda p, n, k: resize(p, n, k).roll(-k, dims=1), "put behind"),
    ("resize_positions", by_factor, "37 becomes 38"),
    ("resize_positions", resize_with("bilinear", antialias=True), "bilinear"),
    ("resize_positions", resize_with("nearest"), "nearest"),
    ("resize_positions", resize_with(align_corners=True), "align_corners"),
    ("resize_positions", resize_with(), "antialias=True is missing"),
    ("resize_positions", resize_with(reshape=True, antialias=True), "are mixed"),
    ("resize_positions", resize_with(swap=True, antialias=True), "swapped"),
    ("resize_positions", resize_with(cut=1, antialias=True), "may be two tokens"),
    ("resize_positions", lambda pos, new, k: resize(pos, new, 1), "your code stopped"),
]


@pytest.mark.parametrize(("name", "answer", "message"), WRONG)
def test_wrong_answers_are_named(name, answer, message):
    result = check(f"vit.{name}", answer)
    assert not result
    assert message in " ".join(result.message.split()), result.message


def test_the_reader_s_random_numbers_go_on():
    torch.manual_seed(3)
    want = torch.rand(2)
    torch.manual_seed(3)
    check("vit.drop_path", drop_path)
    assert torch.equal(torch.rand(2), want)

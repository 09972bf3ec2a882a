from __future__ import annotations

import math

import pytest
import torch

from attn_utils import attention_rollout
from attn_utils.checks import check

RIGHT = {
    "length of the list": 6,
    "shape of an entry": (5, 3, 65, 65),
    "sum of all its numbers": 975,
    "shape of the rollout": (5, 65, 65),
    "grid of the class token's map": (8, 8),
}


def effective(w):
    return torch.special.entr(w[:, :, 0]).sum(-1).exp()


def rollout(weights, r, *, mixed=None, product=lambda A, R: A @ R):
    eye = torch.eye(weights[0].shape[-1])
    mixed = mixed or (lambda w: (1 - r) * w.mean(1) + r * eye)
    R = mixed(weights[0])
    for w in weights[1:]:
        R = product(mixed(w), R)
    return R


def eye(w):
    return torch.eye(w.shape[-1])


def spread(grid):
    return grid.view(-1, 1, 4, 4).repeat_interleave(2, 2).repeat_interleave(2, 3)


def places(ranking):
    return ranking.argsort(1, descending=True).argsort(1)


def keep(x, ranking, count, fill):
    return torch.where(spread(places(ranking) < count), x, fill)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("recording", RIGHT),
        ("recording", RIGHT | {"shape of an entry": torch.Size([5, 3, 65, 65])}),
        ("recording", RIGHT | {"sum of all its numbers": 975.0}),
        ("effective", effective),
        (
            "effective",
            lambda w: 2 ** -(w[:, :, 0] * w[:, :, 0].clamp_min(1e-12).log2()).sum(-1),
        ),
        ("rollout", rollout),
        ("keep", keep),
        (
            "keep",
            lambda x, r, c, f: (
                x * spread((places(r) < c).float()) + f * (1 - spread((places(r) < c).float()))
            ),
        ),
    ],
)
def test_right_answers_pass(name, answer):
    result = check(f"explain.{name}", answer)
    assert result, result.message


WRONG = [
    ("recording", dict.fromkeys(RIGHT, ...), "no answer yet for 'length of the list' (5 to go)"),
    ("recording", RIGHT | {"length of the list": 18}, "one tensor for each layer"),
    ("recording", RIGHT | {"shape of an entry": (5, 3, 64, 64)}, "class token is missing"),
    ("recording", RIGHT | {"shape of an entry": (3, 5, 65, 65)}, "batch comes first"),
    ("recording", RIGHT | {"sum of all its numbers": 15}, "each row sums to 1"),
    ("recording", RIGHT | {"sum of all its numbers": 960}, "class token has a row"),
    ("recording", RIGHT | {"shape of the rollout": (5, 3, 65, 65)}, "heads are fused"),
    ("recording", RIGHT | {"grid of the class token's map": (4, 4)}, "how many fit"),
    ("recording", RIGHT | {"grid of the class token's map": 8}, "a tuple of"),
    ("recording", [6, 5], "should be a dictionary"),
    ("effective", lambda w: None, "nothing has been computed"),
    ("effective", lambda w: -(w * w.log2()).sum(-1), "every row"),
    ("effective", lambda w: 2 ** -(w * w.log2()).sum(-1)[:, :, 0], "0 · log 0"),
    ("effective", lambda w: -(w * w.clamp_min(1e-9).log2()).sum(-1)[:, :, 0], "in bits"),
    ("effective", lambda w: effective(w).log(), "that is the entropy;"),
    ("effective", lambda w: 2 ** effective(w).log(), "go with exp"),
    ("effective", lambda w: (effective(w).log() / math.log(2)).exp(), "not with exp"),
    ("effective", lambda w: 1 / effective(w), "sign"),
    ("effective", lambda w: torch.special.entr(w).sum(-1).exp(), "every row's number"),
    ("effective", lambda w: torch.special.entr(w).sum(-1).mean(-1).exp(), "average over all rows"),
    ("effective", lambda w: effective(w.mT), "column 0"),
    ("effective", lambda w: torch.special.entr(w[:, :, 0, 1:]).sum(-1).exp(), "token too"),
    ("effective", lambda w: effective(w.mean(1, True)).expand(-1, 2), "blurs"),
    ("rollout", lambda w, r: ..., "nothing has been computed"),
    ("rollout", lambda w, r: w[-1].mean(1), "last layer only"),
    ("rollout", lambda w, r: attention_rollout(w), "residual is not used"),
    ("rollout", lambda w, r: rollout(w, 1 - r), "exchanged"),
    ("rollout", lambda w, r: rollout(w, 0.0), "identity is missing"),
    ("rollout", lambda w, r: rollout(w, r, product=lambda A, R: R @ A), "wrong order"),
    ("rollout", lambda w, r: rollout(w, r, mixed=lambda w: w.mean(1) + r * eye(w)), "whole"),
    (
        "rollout",
        lambda w, r: rollout(w, r, mixed=lambda w: (1 - r) * w.sum(1) + r * eye(w)),
        "summed",
    ),
    (
        "rollout",
        lambda w, r: rollout(w, r, mixed=lambda w: (1 - r) * w.amax(1) + r * eye(w)),
        "maximum",
    ),
    (
        "rollout",
        lambda w, r: rollout(w, r, mixed=lambda w: (1 - r) * w + r * eye(w)).mean(1),
        "separately",
    ),
    ("rollout", lambda w, r: rollout(w, r).mT, "transposed"),
    ("rollout", lambda w, r: rollout(w, r)[:, 0], "all rows are asked for"),
    ("keep", lambda x, r, c, f: None, "nothing has been computed"),
    ("keep", lambda x, r, c, f: torch.where(spread(places(r) >= c), x, f), "that is deletion"),
    ("keep", lambda x, r, c, f: torch.where(spread(places(-r) < c), x, f), "descending"),
    ("keep", lambda x, r, c, f: torch.where(spread((-r).argsort(1) < c), x, f), "argsort once"),
    ("keep", lambda x, r, c, f: torch.where(spread(places(r) <= c), x, f), "one patch too many"),
    ("keep", lambda x, r, c, f: x * spread(places(r) < c), "not be 0"),
    (
        "keep",
        lambda x, r, c, f: torch.where((places(r) < c).view(-1, 1, 4, 4).repeat(1, 1, 2, 2), x, f),
        "tiled",
    ),
    (
        "keep",
        lambda x, r, c, f: keep(x, r.view(-1, 4, 4).mT.reshape(-1, 16), c, f),
        "rows and columns",
    ),
    ("keep", lambda x, r, c, f: keep(x, r[:1].expand(3, 16), c, f), "rank each image"),
    ("keep", lambda x, r, c, f: x, "nothing is replaced"),
]


@pytest.mark.parametrize(("name", "answer", "message"), WRONG)
def test_wrong_answers_fail_and_are_named(name, answer, message):
    result = check(f"explain.{name}", answer)
    assert not result
    assert message in result.message

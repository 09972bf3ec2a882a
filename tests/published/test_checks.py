from __future__ import annotations

import numpy as np
import pytest
import torch

from attn_utils.checks import check

RIGHT = {
    "atoms of the product": 13,
    "atoms that leave": 4,
    "rings of the product": 1,
    "equal to the first atom": 1,
    "shape of a pass's weights": (1, 8, 53, 53),
}


def point(weights, sources, product):
    columns = weights[:, 1:-1, 1:-1][:, product][:, :, sources].argmax(-1)
    return torch.tensor(sources)[columns]


def one_to_one(weights, crossed=-1.0):
    left, columns = weights.clone(), [0] * len(weights)
    for _ in range(len(weights)):
        row, column = divmod(left.argmax().item(), left.shape[1])
        columns[row] = column
        left[row], left[:, column] = crossed, crossed
    return columns


def by_loops(weights):
    columns = np.full(len(weights), -1)
    entries = sorted(
        ((-w.item(), i, j) for i, row in enumerate(weights) for j, w in enumerate(row)),
    )
    for _, i, j in entries:
        if columns[i] < 0 and j not in columns:
            columns[i] = j
    return columns


def in_rows(weights, order):
    taken, columns = set(), [0] * len(weights)
    for i in order:
        columns[i] = max(set(range(weights.shape[1])) - taken, key=lambda j: weights[i, j])
        taken.add(columns[i])
    return columns


def spoiling(weights):
    for _ in range(len(weights)):
        weights[0, 0] = -1
    return one_to_one(weights)


def parameters(V, T, E, D, F, blocks, **less):
    parts = {
        "tokens": V * E,
        "positions": T * E,
        "norm": 2 * E,
        "widen": E * D,
        "widen bias": D,
        "attention": blocks * 4 * D * D,
        "attention bias": blocks * 4 * D,
        "norms": blocks * 4 * D,
        "mlp": blocks * 2 * D * F,
        "mlp bias": blocks * (F + D),
    }
    return sum(count for name, count in parts.items() if name not in less.get("without", ()))


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("reading", RIGHT),
        ("reading", RIGHT | {"shape of a pass's weights": torch.Size([1, 8, 53, 53])}),
        ("reading", RIGHT | {"atoms of the product": np.int64(13), "atoms that leave": 4.0}),
        ("point", point),
        ("point", lambda w, s, p: point(w, s, p).tolist()),
        (
            "point",
            lambda w, s, p: torch.stack(
                [torch.tensor([max(s, key=lambda j: h[i + 1, j + 1]) for i in p]) for h in w]
            ),
        ),
        ("one_to_one", one_to_one),
        ("one_to_one", lambda w: torch.tensor(one_to_one(w))),
        ("one_to_one", by_loops),
        ("parameters", parameters),
        ("parameters", lambda *sizes: np.int64(parameters(*sizes))),
        ("parameters", lambda *sizes: float(parameters(*sizes))),
    ],
)
def test_right_answers_pass(name, answer):
    result = check(f"published.{name}", answer)
    assert result, result.message


WRONG = [
    ("reading", dict.fromkeys(RIGHT, ...), "no answer yet for 'atoms of the product' (5 to go)"),
    ("reading", RIGHT | {"atoms of the product": 21}, "only letters are atoms"),
    ("reading", RIGHT | {"atoms of the product": 9}, "oxygen counts too"),
    ("reading", RIGHT | {"atoms of the product": 17}, "before the arrow"),
    ("reading", RIGHT | {"atoms that leave": 3}, "count the atoms on both sides"),
    ("reading", RIGHT | {"atoms that leave": 7}, "half of the first molecule"),
    ("reading", RIGHT | {"rings of the product": 2}, "two equal digits close one ring"),
    ("reading", RIGHT | {"equal to the first atom": 2}, "how many *others*"),
    ("reading", RIGHT | {"equal to the first atom": 0}, "turn the first molecule round"),
    ("reading", RIGHT | {"shape of a pass's weights": (1, 8, 51, 51)}, "[CLS] and [SEP]"),
    ("reading", RIGHT | {"shape of a pass's weights": (8, 53, 53)}, "the batch comes first"),
    ("reading", RIGHT | {"shape of a pass's weights": (12, 8, 53, 53)}, "all twelve passes"),
    ("reading", [13, 4, 1, 1], "should be a dictionary"),
    ("point", lambda w, s, p: w[:, p].argmax(-1), "over all tokens"),
    ("point", lambda w, s, p: w[:, 1:-1, 1:-1][:, p].argmax(-1), "over all symbols"),
    (
        "point",
        lambda w, s, p: w[:, 1:-1, 1:-1][:, p][:, :, s].argmax(-1),
        "the column among the sources",
    ),
    ("point", lambda w, s, p: point(w, s, p) + 1, "those are tokens"),
    (
        "point",
        lambda w, s, p: torch.tensor(s)[w[:, p][:, :, s].argmax(-1)],
        "have to be cut off",
    ),
    (
        "point",
        lambda w, s, p: torch.tensor(s)[w[:, 1:][:, p][:, :, s].argmax(-1)],
        "the columns are shifted",
    ),
    (
        "point",
        lambda w, s, p: torch.tensor(s)[w[:, :, 1:][:, p][:, :, s].argmax(-1)],
        "the rows are shifted",
    ),
    ("point", lambda w, s, p: point(1 - w, s, p), "least attended"),
    ("point", lambda w, s, p: point(w.mT, s, p), "the other way round"),
    ("point", lambda w, s, p: point(w, p, s), "which atom of the product"),
    ("point", lambda w, s, p: point(w.mean(0, keepdim=True), s, p)[0], "heads are averaged"),
    ("point", lambda w, s, p: point(w, s, p)[0], "the first head"),
    ("point", lambda w, s, p: point(w, s, p).T, "axes are exchanged"),
    ("point", lambda w, s, p: w[:, 1:-1, 1:-1][:, p][:, :, s].amax(-1), "those are the weights"),
    ("point", lambda w, s, p: None, "nothing has been computed"),
    ("one_to_one", lambda w: w.argmax(-1), "two rows share a column"),
    ("one_to_one", lambda w: in_rows(w, range(len(w))), "the rows choose in their order"),
    ("one_to_one", lambda w: in_rows(w, reversed(range(len(w)))), "from the last to the first"),
    (
        "one_to_one",
        lambda w: in_rows(w, w.amax(-1).argsort(descending=True).tolist()),
        "look for the largest again",
    ),
    ("one_to_one", lambda w: one_to_one(w, crossed=0.0), "crossed out with 0"),
    ("one_to_one", lambda w: one_to_one(1 - w), "the smallest weight"),
    (
        "one_to_one",
        lambda w: [row * w.shape[1] + j for row, j in enumerate(one_to_one(w))],
        "flattened matrix",
    ),
    (
        "one_to_one",
        lambda w: sorted(one_to_one(w), key=lambda j: -w[one_to_one(w).index(j), j]),
        "in which they were chosen",
    ),
    (
        "one_to_one",
        lambda w: [w[row, j].item() for row, j in enumerate(one_to_one(w))],
        "those are the weights",
    ),
    ("one_to_one", spoiling, "changed the caller's weights"),
    ("one_to_one", lambda w: one_to_one(w)[:-1], "have shape"),
    ("one_to_one", lambda w: ..., "nothing has been computed"),
    ("parameters", lambda V, T, E, D, F, b: V * E + b * (4 * D**2 + 2 * D * F), "is not right"),
    (
        "parameters",
        lambda *s: parameters(*s, without=("widen bias", "attention bias", "mlp bias")),
        "the biases are missing",
    ),
    ("parameters", lambda *s: parameters(*s, without=("attention bias",)), "four projections"),
    ("parameters", lambda *s: parameters(*s, without=("mlp bias",)), "biases of the MLP"),
    ("parameters", lambda *s: parameters(*s, without=("widen bias",)), "has a bias as well"),
    ("parameters", lambda *s: parameters(*s, without=("norms",)), "or the two norms"),
    ("parameters", lambda *s: parameters(*s, without=("norm",)), "norm of the embedding"),
    ("parameters", lambda *s: parameters(*s, without=("positions",)), "have vectors too"),
    (
        "parameters",
        lambda *s: parameters(*s, without=("widen", "widen bias")),
        "matrix from E to D is missing",
    ),
    (
        "parameters",
        lambda V, T, E, D, F, b: parameters(V, T, D, D, F, b) - D * D - D,
        "the embedding is factorised",
    ),
    (
        "parameters",
        lambda V, T, E, D, F, b: parameters(V, T, E, D, F, 12 if b == 1 else b),
        "stored once",
    ),
    ("parameters", lambda V, T, E, D, F, b: parameters(V, T, E, D, F, 1), "different blocks"),
    (
        "parameters",
        lambda V, T, E, D, F, b: parameters(V, T, E, D, F, b) + D * E + 3 * E + V,
        "predict is not asked for",
    ),
    ("parameters", lambda *s: "many", "should be a number"),
]


@pytest.mark.parametrize(("name", "answer", "message"), WRONG)
def test_wrong_answers_are_refused_and_told(name, answer, message):
    result = check(f"published.{name}", answer)
    assert not result
    assert message in result.message


def test_there_are_eight_wrong_answers_for_each():
    for name in ("reading", "point", "one_to_one", "parameters"):
        assert sum(known == name for known, *_ in WRONG) >= 8

from __future__ import annotations

import math

import pytest
import torch

from attn_utils.checks import check


def encode(position, d, exponent=lambda c, d: 2 * (c // 2) / d, swap=False):
    c = torch.arange(d)
    angles = position / 10000 ** exponent(c, d)
    return torch.where((c % 2 == 0) != swap, angles.sin(), angles.cos())


def encode_by_pairs(position, d):
    pairs = [(position / 10000 ** (2 * j / d)) for j in range((d + 1) // 2)]
    return [f for a in pairs for f in (math.sin(a), math.cos(a))][:d]


def halves(position, d):
    angles = position / 10000 ** (torch.arange(0, d, 2) / d)
    return torch.cat([angles.sin(), angles.cos()])[:d]


def shift(k, d, sign=1, frequency=lambda j, d: 10000 ** (-2 * j / d), blocks=None):
    M = torch.eye(d)
    for j in range(d // 2 if blocks is None else blocks):
        a = k * frequency(j, d)
        c, s = math.cos(a), sign * math.sin(a)
        M[2 * j : 2 * j + 2, 2 * j : 2 * j + 2] = torch.tensor([[c, s], [-s, c]])
    return M


def shift_in_halves(k, d):
    c = torch.diag(torch.cos(k * 10000 ** (-torch.arange(0, d, 2) / d)))
    s = torch.diag(torch.sin(k * 10000 ** (-torch.arange(0, d, 2) / d)))
    return torch.cat([torch.cat([c, s], 1), torch.cat([-s, c], 1)])


def same_sign(k, d):
    M = shift(k, d)
    return M.abs().where(torch.eye(d) == 0, M)


def turn(x, places, sign=1, exponent=lambda d: torch.arange(0, d, 2) / d):
    angles = sign * torch.outer(places.double(), 10000 ** -exponent(x.shape[1]).double())
    a, b = x[:, 0::2], x[:, 1::2]
    pair = [a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()]
    return torch.stack(pair, -1).flatten(1)


def rotate(x, start, **options):
    return turn(x, torch.arange(start, start + len(x)), **options)


def rotate_halves(x, start):
    half = x.shape[1] // 2
    mixed = torch.stack([x[:, :half], x[:, half:]], -1).flatten(1)
    turned = rotate(mixed, start)
    return torch.cat([turned[:, 0::2], turned[:, 1::2]], 1)


def rotate_overwriting(x, start):
    x = x.clone().double()
    angles = torch.outer(
        torch.arange(start, start + len(x)).double(),
        10000.0 ** (-torch.arange(0, x.shape[1], 2).double() / x.shape[1]),
    )
    x[:, 0::2] = x[:, 0::2] * angles.cos() - x[:, 1::2] * angles.sin()
    x[:, 1::2] = x[:, 0::2] * angles.sin() + x[:, 1::2] * angles.cos()
    return x


def table(length, d):
    return torch.stack([encode(i, d) for i in range(length)])


def rotate_in_place(x, start):
    x.copy_(rotate(x, start))
    return x


def add_encoding(x, start):
    return x + table(start + len(x), x.shape[1])[start:]


def grid(rows, columns, d, interleave_rows=True, interleave_columns=False):
    def spread(t, other, interleave):
        return t.repeat_interleave(other, 0) if interleave else t.repeat(other, 1)

    r = spread(table(rows, d // 2), columns, interleave_rows)
    return torch.cat([r, spread(table(columns, d // 2), rows, interleave_columns)], 1)


def swapped_grid(rows, columns, d):
    return grid(rows, columns, d).roll(d // 2, dims=1)


def added_grid(rows, columns, d):
    return table(rows, d).repeat_interleave(columns, 0) + table(columns, d).repeat(rows, 1)


def wide_grid(rows, columns, d):
    return grid(rows, columns, 2 * d)


def cut_grid(rows, columns, d):
    wide = grid(rows, columns, 2 * d)
    return torch.cat([wide[:, : d // 2], wide[:, d + d // 2 :]], 1)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("encode", encode),
        ("encode", encode_by_pairs),
        ("shift", shift),
        ("shift", lambda k, d: shift(k, d).tolist()),
        ("rotate", rotate),
        ("rotate", lambda x, s: rotate_in_place(x.clone(), s)),
        ("grid", grid),
    ],
)
def test_right_answers_pass(name, answer):
    result = check(f"positional_encoding.{name}", answer)
    assert result, result.message


WRONG = [
    ("encode", lambda i, d: ..., "nothing has been computed"),
    ("encode", lambda i, d: torch.sin(i / 10000 ** (torch.arange(d) / d)), "of its own"),
    ("encode", lambda i, d: (i / 10000 ** (2 * (torch.arange(d) // 2) / d)).sin(), "all columns"),
    ("encode", lambda i, d: encode(i, d, swap=True), "swapped"),
    ("encode", lambda i, d: encode(i, d, lambda c, d: c / d), "different frequencies"),
    ("encode", lambda i, d: encode(i, d, lambda c, d: 2 * c / d), "counts twice"),
    ("encode", lambda i, d: encode(i, d, lambda c, d: (c // 2) / d), "the 2 is missing"),
    ("encode", lambda i, d: encode(i, d, lambda c, d: -2 * (c // 2) / d), "frequencies grow"),
    ("encode", halves, "should alternate"),
    ("encode", lambda i, d: encode(i, d + d % 2)[:d], "divide by the true d"),
    ("encode", lambda i, d: encode(i, d // 2 * 2), "has shape (6,), expected (7,)"),
    ("shift", lambda k, d: torch.eye(d), "identity"),
    ("shift", lambda k, d: shift(-k, d), "backwards"),
    ("shift", lambda k, d: shift(k, d, frequency=lambda j, d: 1), "same pace"),
    ("shift", lambda k, d: shift(k, d, blocks=1), "only the first pair"),
    ("shift", shift_in_halves, "first half"),
    ("shift", same_sign, "no rotation"),
    ("shift", lambda k, d: shift(1, d), "k is not used"),
    ("shift", lambda k, d: None, "nothing has been computed"),
    ("shift", lambda k, d: shift(k, d, frequency=lambda j, d: 10000 ** (-j / d)), "2 is missing"),
    ("shift", lambda k, d: shift(k, d, frequency=lambda j, d: 10000 ** (-4 * j / d)), "twice"),
    ("shift", lambda k, d: shift(abs(k), d), "its sign counts"),
    ("shift", lambda k, d: shift(k, d, frequency=lambda j, d: 10000 ** (-2 * j / 6)), "width 6"),
    ("shift", lambda k, d: shift(k, 6), "has shape (6, 6), expected (8, 8)"),
    ("rotate", lambda x, s: ..., "nothing has been computed"),
    ("rotate", lambda x, s: x, "nothing is turned"),
    ("rotate", lambda x, s: rotate(x, s, sign=-1), "wrong way round"),
    ("rotate", rotate_halves, "neighbours"),
    ("rotate", rotate_overwriting, "keep the old value"),
    ("rotate", add_encoding, "is added"),
    ("rotate", lambda x, s: x * (add_encoding(x, s) - x), "multiplied in"),
    ("rotate", lambda x, s: rotate(x, s, exponent=lambda d: torch.arange(d // 2) / d), "the 2 is"),
    ("rotate", lambda x, s: rotate(x, 0), "start is not used"),
    ("rotate", lambda x, s: turn(x, torch.full((len(x),), s) if s else torch.arange(5)), "alike"),
    ("rotate", lambda x, s: rotate(x, s + 1), "counts from 1"),
    ("rotate", lambda x, s: x.copy_(rotate(x, s)), "changed the caller's x"),
    ("grid", lambda r, c, d: table(r * c, d), "numbered through"),
    ("grid", swapped_grid, "halves are swapped"),
    ("grid", lambda r, c, d: grid(r, c, d, False, True), "repeat and repeat_interleave"),
    ("grid", lambda r, c, d: grid(r, c, d, False, False), "all patches of a line"),
    ("grid", added_grid, "side by side"),
    ("grid", wide_grid, "twice too wide"),
    ("grid", cut_grid, "cut in halves"),
    ("grid", lambda r, c, d: grid(2, 3, 8), "grid(3, 2, 4)"),
]


@pytest.mark.parametrize(("name", "answer", "says"), WRONG)
def test_wrong_answers_are_named(name, answer, says):
    result = check(f"positional_encoding.{name}", answer)
    assert not result
    assert says in result.message

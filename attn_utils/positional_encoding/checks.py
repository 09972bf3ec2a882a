"""Self-checks of chapter 6, Positional encoding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attn_utils.checks import compare, exercise


def _angles(positions: Tensor, d: int) -> Tensor:
    frequencies = 10000.0 ** (-torch.arange(0, d, 2).double() / d)  # (ceil(d / 2),)
    return torch.outer(positions.double(), frequencies)


def _sinusoidal(length: int, d: int) -> Tensor:
    angles = _angles(torch.arange(length), d)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :d]  # (T, d)


def _alternating(angles: Tensor, first: Callable[[Tensor], Tensor] = torch.sin) -> Tensor:
    """Sines in the even columns and cosines in the odd ones, or the reverse."""
    other = torch.cos if first is torch.sin else torch.sin
    return torch.where(torch.arange(len(angles)) % 2 == 0, first(angles), other(angles))


@exercise("positional_encoding.encode")
def _check_encode(encode: Callable[[int, int], Any]) -> None:
    """Exercise 6.1: the encoding of one position, for any width."""
    for position, d in ((1, 6), (3, 7)):
        columns = torch.arange(d).double()
        pairs = columns // 2
        want = _sinusoidal(position + 1, d)[position]

        angles = position / 10000.0 ** (2 * pairs / d)
        mistakes = {
            "all columns are sines: the odd ones should be cosines": angles.sin(),
            "all columns are sines, each with a frequency of its own: two neighbours share one, "
            "and the odd columns are cosines": (position / 10000.0 ** (columns / d)).sin(),
            "sine and cosine are swapped: even columns are sines": (
                _alternating(angles, first=torch.cos)
            ),
            "sine and cosine of a pair have different frequencies: the exponent is 2j/d with "
            "j = c // 2 for column c": _alternating(position / 10000.0 ** (columns / d)),
            "the exponent counts twice: 2j/d with the pair j, not 2c/d with the column c": (
                _alternating(position / 10000.0 ** (2 * columns / d))
            ),
            "the 2 is missing: the exponent is 2j/d": (
                _alternating(position / 10000.0 ** (pairs / d))
            ),
            "the frequencies grow: the angle is divided by 10000^(2j/d)": (
                _alternating(position * 10000.0 ** (2 * pairs / d))
            ),
            "first all sines, then all cosines: they should alternate": (
                torch.cat([angles[0::2].sin(), angles[: d // 2 * 2 : 2].cos()])
            ),
        }
        if d % 2:
            mistakes["an odd d is rounded up in the exponent: divide by the true d"] = _sinusoidal(
                position + 1, d + 1
            )[position, :d]
        compare(encode(position, d), want, f"encode({position}, {d})", mistakes)


@exercise("positional_encoding.shift")
def _check_shift(shift: Callable[[int, int], Any]) -> None:
    """Exercise 6.2: the matrix that moves the encoding by k positions."""
    for k, d in ((1, 6), (4, 6), (-3, 8), (0, 2)):
        eye = torch.eye(d)
        angles = _angles(torch.tensor([k]), d)[0]
        pairs = torch.arange(d // 2).double()
        want = _blocks(angles)
        only_first = eye.double().clone()
        only_first[:2, :2] = want[:2, :2]
        halves = torch.cat([torch.arange(0, d, 2), torch.arange(1, d, 2)]).argsort().argsort()
        compare(
            shift(k, d),
            want,
            f"shift_matrix({k}, {d})",
            {
                "nothing is shifted yet: this is the identity": eye,
                "the 2 is missing: the frequency is 10000^(-2j/d) for pair j": (
                    _blocks(k * 10000.0 ** (-pairs / d))
                ),
                "the exponent counts twice: pair j has the frequency 10000^(-2j/d)": (
                    _blocks(k * 10000.0 ** (-4 * pairs / d))
                ),
                "a negative k shifts backwards: its sign counts": _blocks(angles.abs()),
                "the frequencies are those of width 6, whatever d is": (
                    _blocks(k * 10000.0 ** (-2 * pairs / 6))
                ),
                "it shifts backwards: the signs of the two sines are swapped": want.T,
                "every pair turns at the same pace: pair j has its own frequency 10000^(-2j/d)": (
                    _blocks(angles[:1].expand(d // 2))
                ),
                "only the first pair turns: the matrix has d/2 blocks": only_first,
                "the sines stand in the first half and the cosines in the second: a block acts on "
                "neighbouring columns": want[halves][:, halves],
                "both sines have the same sign: that is no rotation": (
                    want.abs().where(torch.eye(d) == 0, want)
                ),
                "k is not used: this is the shift by 1": _blocks(_angles(torch.tensor([1]), d)[0]),
            },
        )


def _blocks(angles: Tensor) -> Tensor:
    """Put the clockwise rotations by the angles (d/2,) along the diagonal of a (d, d) matrix."""
    matrix = torch.diag(angles.cos().repeat_interleave(2))
    for j, sine in enumerate(angles.sin()):
        matrix[2 * j, 2 * j + 1], matrix[2 * j + 1, 2 * j] = sine, -sine
    return matrix


@exercise("positional_encoding.rotate")
def _check_rotate(rotate: Callable[[Tensor, int], Any]) -> None:
    """Exercise 6.3: rotary with a starting position."""
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(6))
    for start in (0, 7):
        positions = torch.arange(start, start + 5)

        def turned(angles: Tensor) -> Tensor:
            a, b = x[:, 0::2].double(), x[:, 1::2].double()
            cos, sin = angles.cos(), angles.sin()
            return torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1).flatten(1)

        angles = _angles(positions, 6)
        a, b = x[:, 0::2].double(), x[:, 1::2].double()
        first = a * angles.cos() - b * angles.sin()
        overwritten = torch.stack([first, first * angles.sin() + b * angles.cos()], -1).flatten(1)
        a, b = x[:, :3].double(), x[:, 3:].double()
        split = torch.cat(
            [a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()], dim=1
        )
        encoded = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
        mistakes = {
            "nothing is turned yet": x,
            "it counts from 1: the first row stands at position start": (
                turned(_angles(positions + 1, 6))
            ),
            "it turns the wrong way round: the minus belongs to the first coordinate": (
                turned(-angles)
            ),
            "the pairs are coordinate j and j + d/2 (some libraries do that): here they are "
            "neighbours, 2j and 2j + 1": split,
            "the second coordinate is computed from the new first one: keep the old value": (
                overwritten
            ),
            "the encoding is added: rotary positions turn the vector": x + encoded,
            "the encoding is multiplied in: rotary positions turn pairs": x * encoded,
            "the 2 is missing: the frequency is 10000^(-2j/d) for pair j": (
                turned(torch.outer(positions.double(), 10000.0 ** (-torch.arange(3).double() / 6)))
            ),
        }
        if start:
            mistakes["start is not used: the first row stands at position start"] = turned(
                _angles(torch.arange(5), 6)
            )
            mistakes["all rows are turned alike, by start: row t stands at start + t"] = turned(
                _angles(torch.full((5,), start), 6)
            )
        compare(rotate(x, start), turned(angles), f"rotate(x, {start})", mistakes)


@exercise("positional_encoding.grid")
def _check_grid(grid: Callable[[int, int, int], Any]) -> None:
    """Exercise 6.4: the row and the column of each patch."""
    rows, columns, d = 2, 3, 8
    row, column = _sinusoidal(rows, d // 2), _sinusoidal(columns, d // 2)
    of_row, of_column = row.repeat_interleave(columns, 0), column.repeat(rows, 1)
    wide_row = _sinusoidal(rows, d).repeat_interleave(columns, 0)
    wide_column = _sinusoidal(columns, d).repeat(rows, 1)
    compare(
        grid(rows, columns, d),
        torch.cat([of_row, of_column], dim=1),
        "the grid",
        {
            "the patches are numbered through: patches above each other share half a vector": (
                _sinusoidal(rows * columns, d)
            ),
            "the halves are swapped: first the row, then the column": (
                torch.cat([of_column, of_row], dim=1)
            ),
            "repeat and repeat_interleave are swapped: the patches go line by line, so the column "
            "changes fastest": (
                torch.cat([row.repeat(columns, 1), column.repeat_interleave(rows, 0)], dim=1)
            ),
            "the row is repeated the wrong way: all patches of a line share it "
            "(repeat_interleave)": torch.cat([row.repeat(columns, 1), of_column], dim=1),
            "row and column are added: they should stand side by side, half the width each": (
                wide_row + wide_column
            ),
            "the result is twice too wide: each half has width d/2": (
                torch.cat([wide_row, wide_column], dim=1)
            ),
            "a wide encoding is cut in halves: encode rows and columns with width d/2": (
                torch.cat([wide_row[:, : d // 2], wide_column[:, d // 2 :]], dim=1)
            ),
        },
    )
    shape = (3, 2, 4)
    of_row = _sinusoidal(3, 2).repeat_interleave(2, 0)
    want = torch.cat([of_row, _sinusoidal(2, 2).repeat(3, 1)], dim=1)
    compare(grid(*shape), want, f"grid{shape}")

"""Self-checks of chapter 17, A published model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attn_utils.checks import Mistake, compare, compare_entries, exercise, number

# CC(=O)OC(C)=O.O=C(O)c1ccccc1O>>CC(=O)Oc1ccccc1C(=O)O
_READING: dict[str, Any] = {
    "atoms of the product": 13,
    "atoms that leave": 4,
    "rings of the product": 1,
    "equal to the first atom": 1,
    "shape of a pass's weights": (1, 8, 53, 53),
}
_READING_MISTAKES: dict[str, dict[Any, str]] = {
    "atoms of the product": {
        21: "atoms of the product: only letters are atoms, not '=', brackets and digits",
        14: "atoms of the product: that is one too many; did you count a digit?",
        12: "atoms of the product: an O in brackets is an atom as well",
        9: "atoms of the product: that is its carbons; oxygen counts too",
        17: "atoms of the product: those are the atoms before the arrow",
        30: "atoms of the product: those are the atoms of both sides",
    },
    "atoms that leave": {
        3: "atoms that leave: count the atoms on both sides; one O more stays behind",
        7: "atoms that leave: half of the first molecule becomes part of the product",
        0: "atoms that leave: there are more atoms before the arrow than behind it",
        17: "atoms that leave: those are all atoms of the reactants; most of them stay",
    },
    "rings of the product": {
        2: "rings of the product: two equal digits close one ring",
        0: "rings of the product: the two 1s close a ring",
        6: "rings of the product: that is the number of atoms in it",
        3: "rings of the product: double bonds make no rings",
    },
    "equal to the first atom": {
        2: "equal to the first atom: how many *others*? It is not one of them",
        0: "equal to the first atom: turn the first molecule round and read it from the other end",
        3: "equal to the first atom: all its C, but two of them are bound to oxygen",
        4: "equal to the first atom: the same element is not enough, neighbours count",
    },
    "shape of a pass's weights": {
        (1, 8, 51, 51): "shape of a pass's weights: [CLS] and [SEP] are tokens as well",
        (1, 8, 52, 52): "shape of a pass's weights: [CLS] and [SEP] are two tokens",
        (8, 53, 53): "shape of a pass's weights: the batch comes first, here of one reaction",
        (12, 8, 53, 53): "shape of a pass's weights: that is all twelve passes",
        (1, 12, 53, 53): "shape of a pass's weights: 12 passes, but 8 heads",
        (1, 53, 53): "shape of a pass's weights: each head has a matrix of its own",
        (1, 8, 13, 17): "shape of a pass's weights: all tokens ask and are asked, not only atoms",
        (1, 8, 32, 32): "shape of a pass's weights: atoms alone; brackets and digits count too",
        (1, 8, 53, 32): "shape of a pass's weights: each token asks each, the width is not in it",
    },
}


@exercise("published.reading")
def _check_reading(answers: Any) -> None:
    """Exercise 17.1: atoms, rings and tokens of a written reaction."""
    compare_entries(answers, _READING, _READING_MISTAKES, "count the symbols once more")


def _weights(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(*shape, generator=generator)).softmax(-1)


@exercise("published.point")
def _check_point(point: Callable[[Tensor, list[int], list[int]], Any]) -> None:
    """Exercise 17.2: the reactants' atom that each atom of the product attends to most."""
    for seed, heads, sources, product in (
        (1, 3, [0, 2, 3, 5], [8, 9, 11]),
        (4, 1, [1, 4], [7]),
        (5, 4, [0, 1, 3, 4, 6], [8, 9, 10, 12, 13]),
    ):
        weights = _weights(seed, heads, product[-1] + 4, product[-1] + 4)
        places, inner = torch.tensor(sources), weights[:, 1:-1, 1:-1]
        columns = inner[:, product][:, :, sources].argmax(-1)
        want = places[columns]
        mistakes = {
            "that is the column among the sources; places[column] is asked for": columns,
            "those are tokens; a symbol's place is one less, since [CLS] comes first": want + 1,
            "[CLS] and [SEP] have to be cut off before you select rows and columns": (
                places[weights[:, product][:, :, sources].argmax(-1)]
            ),
            "the rows are shifted by one: symbol i asks in row i + 1": (
                places[weights[:, product][:, :, places + 1].argmax(-1)]
            ),
            "the columns are shifted by one: symbol j is asked in column j + 1": (
                places[weights[:, torch.tensor(product) + 1][:, :, sources].argmax(-1)]
            ),
            "the maximum is taken over all symbols; only the reactants' atoms can be answers": (
                inner[:, product].argmax(-1)
            ),
            "the maximum is taken over all tokens; only the reactants' atoms can be answers": (
                weights[:, product].argmax(-1)
            ),
            "that is the least attended atom": places[inner[:, product][:, :, sources].argmin(-1)],
            "rows ask and columns are asked: you read it the other way round": (
                places[inner[:, sources][:, :, product].argmax(1)]
            ),
            "for each atom of the reactants, which atom of the product? It is the other way "
            "round": torch.tensor(product)[inner[:, sources][:, :, product].argmax(-1)],
            "the heads are averaged: each head points for itself": (
                places[inner.mean(0)[product][:, sources].argmax(-1)]
            ),
            "that is the first head; all heads are asked for": want[0],
            "the axes are exchanged: heads first, then atoms of the product": want.T,
            "those are the weights, not where they are": (
                inner[:, product][:, :, sources].amax(-1)
            ),
        }
        telling = {m: x for m, x in mistakes.items() if not torch.equal(x, want)}
        compare(point(weights.clone(), [*sources], [*product]), want, "the places", telling)


def _one_to_one(weights: Tensor, crossed: float = -1.0, columns_too: bool = True) -> Tensor:
    left = weights.clone()
    columns = torch.zeros(len(weights), dtype=torch.long)
    for _ in range(len(weights)):
        row, column = divmod(int(left.argmax()), left.shape[1])
        columns[row] = column
        left[row] = crossed
        if columns_too:
            left[:, column] = crossed
    return columns


def _row_by_row(weights: Tensor, order: list[int]) -> Tensor:
    columns = torch.zeros(len(weights), dtype=torch.long)
    left = weights.clone()
    for row in order:
        columns[row] = left[row].argmax()
        left[:, columns[row]] = -1
    return columns


@exercise("published.one_to_one")
def _check_one_to_one(one_to_one: Callable[[Tensor], Any]) -> None:
    """Exercise 17.3: the largest weight first, each row and column once."""
    zeros = torch.tensor(
        [[0.9, 0.1, 0.0, 0.0], [0.8, 0.0, 0.0, 0.0], [0.7, 0.6, 0.0, 0.0], [0.0, 0.0, 0.5, 0.0]]
    )
    clash = torch.tensor([[0.6, 0.3, 0.1, 0.0], [0.7, 0.2, 0.05, 0.05], [0.5, 0.4, 0.0, 0.1]])
    for weights in (clash, zeros, _weights(3, 4, 4), _weights(8, 5, 7), torch.tensor([[0.2, 0.8]])):
        want = _one_to_one(weights)
        strength = weights.amax(-1).argsort(descending=True).tolist()
        rows = [*range(len(weights))]
        mistakes = {
            "each row takes its largest weight, so that two rows share a column": (
                weights.argmax(-1)
            ),
            "the rows choose in their order; the largest weight of all comes first": (
                _row_by_row(weights, rows)
            ),
            "the rows choose from the last to the first; the largest weight of all comes first": (
                _row_by_row(weights, rows[::-1])
            ),
            "the order of the rows is fixed by their largest weights; look for the largest again "
            "after each choice": _row_by_row(weights, strength),
            "the smallest weight of all is chosen first": _one_to_one(1 - weights),
            "the column has to be crossed out as well": _one_to_one(weights, columns_too=False),
            "crossed out with 0: weights can be 0 themselves, use something smaller": (
                _one_to_one(weights, crossed=0.0)
            ),
            "those are places in the flattened matrix; divmod gives row and column": (
                want + torch.arange(len(weights)) * weights.shape[1]
            ),
            "the columns are in the order in which they were chosen; give them in the order of "
            "the rows": want[weights[rows, want].argsort(descending=True)],
            "those are the weights that were chosen, not their columns": weights[rows, want],
        }
        telling = {m: x for m, x in mistakes.items() if not torch.equal(x, want)}
        compare(one_to_one(weights), want, "the columns", telling)


def _count(V: int, T: int, E: int, D: int, F: int, blocks: int) -> dict[str, int]:
    """The parts of the count, by name."""
    return {
        "tokens": V * E,
        "positions": T * E,
        "norm": 2 * E,
        "widening": E * D + D,
        "attention": blocks * 4 * (D * D + D),
        "norms": blocks * 4 * D,
        "mlp": blocks * (2 * D * F + F + D),
    }


@exercise("published.parameters")
def _check_parameters(parameters: Callable[..., Any]) -> None:
    """Exercise 17.4: how many numbers an encoder has that shares one block."""
    for sizes in ((11, 9, 4, 7, 10, 2), (591, 512, 128, 256, 512, 1), (9, 9, 3, 5, 8, 12)):
        V, T, E, D, F, blocks = sizes
        got = number(parameters(*sizes), "the number of parameters")
        parts = _count(*sizes)
        want = sum(parts.values())
        biases = blocks * (4 * D + F + D) + D
        mistakes: dict[float, str] = {
            want - biases: "the biases are missing",
            want - blocks * 4 * D: (
                "4 D per block are missing: the biases of the four projections, or the two norms"
            ),
            want - blocks * (F + D): "the biases of the MLP are missing",
            want - D: "the matrix from E to D has a bias as well",
            want - blocks * 2 * D: "a block has two norms, with a scale and a bias each",
            want - parts["norm"]: "the norm of the embedding is missing",
            want - E - blocks * 2 * D: "a norm has a scale and a bias: two numbers per width",
            want - parts["positions"]: "the positions have vectors too",
            want - parts["widening"]: "the matrix from E to D is missing",
            want
            - blocks * (D * D + D): "there are four projections: queries, keys, values, output",
            want - parts["widening"] + (V + T) * (D - E) + 2 * (D - E): (
                "the embedding is factorised: V · E and E · D, not V · D"
            ),
            want + D * E + 3 * E + V: "predict is not asked for",
        }
        if blocks > 1:
            block = parts["attention"] + parts["norms"] + parts["mlp"]
            mistakes[want - block + block // blocks] = (
                "`blocks` is how many different blocks there are"
            )
        else:
            block = want - sum(parts[name] for name in ("tokens", "positions", "norm", "widening"))
            mistakes[want + 11 * block] = "one block that is passed 12 times is stored once"
        if got != want:
            named = mistakes.get(got, f"{got:,} is not right")
            raise Mistake(f"{named} (for V, T, E, D, F, blocks = {sizes})")

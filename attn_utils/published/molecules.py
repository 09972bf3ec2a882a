"""The molecules behind the symbols: which atoms are joined, and which are the same by symmetry."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from .smiles import atom_element

__all__ = ["Bond", "reaction_bonds"]

ORDERS = {"-": 1.0, "/": 1.0, "\\": 1.0, "=": 2.0, "#": 3.0}
END = "the end"


class Bond(NamedTuple):
    """A bond between the atoms at two places of a list of symbols, the earlier one first."""

    first: int
    second: int
    order: float  # 1, 2 or 3; 1.5 if aromatic


def reaction_bonds(symbols: Sequence[str]) -> list[Bond]:
    """Find the bonds in written molecules: which atoms are joined.

    An atom is joined to the one before it. A branch in parentheses goes back to where it began,
    two equal digits close a ring, a dot or ">>" begins a new molecule. Hydrogen is not written.

    Args:
        symbols: as :func:`~attn_utils.published.reaction_symbols` returns them.

    Example:
        >>> from attn_utils import reaction_bonds, reaction_symbols
        >>> [tuple(bond) for bond in reaction_bonds(reaction_symbols("C=O>>CO"))]
        [(0, 2, 2.0), (4, 5, 1.0)]
    """
    bonds: list[Bond] = []
    rings: dict[str, tuple[int, float | None, int]] = {}  # digit: atom, bond, place of the digit
    branches: list[tuple[int, int]] = []  # the atom to go back to, and the place of the bracket
    last: int | None = None  # the atom that the next one is joined to
    order: float | None = None  # of a bond that is written and waits for its atom
    starts = [*accumulate((len(symbol) for symbol in symbols), initial=1)]

    def wrong(expected: str, place: int) -> ValueError:
        got = repr(symbols[place]) if place < len(symbols) else END
        return ValueError(f"reaction: expected {expected}, got {got} at character {starts[place]}")

    def join(first: int, second: int, order: float | None) -> None:
        aromatic = all(symbols[i].strip("[")[0].islower() for i in (first, second))
        bonds.append(Bond(first, second, order or (1.5 if aromatic else 1.0)))

    for place, symbol in enumerate([*symbols, END]):
        if atom_element(symbol):
            if last is not None:
                join(last, place, order)
            last, order = place, None
        elif last is None or (order is not None and not symbol[-1].isdigit()):
            raise wrong("an atom", place)
        elif symbol in ORDERS:
            order = ORDERS[symbol]
        elif symbol == "(":
            branches.append((last, place))
        elif symbol == ")":
            if not branches or symbols[place - 1] == "(":
                raise wrong("an atom in a bracket that was opened", place)
            last = branches.pop()[0]
        elif symbol[-1].isdigit():
            if symbol not in rings:
                rings[symbol] = (last, order, place)
            else:
                opened, before, _ = rings.pop(symbol)
                if opened == last or any((b.first, b.second) == (opened, last) for b in bonds):
                    raise wrong("a ring of at least three atoms", place)
                join(opened, last, order or before)
            order = None
        else:  # a dot, the arrow or the end: the molecule is complete
            if branches:
                raise wrong("a ')' for every '('", branches[-1][1])
            if rings and symbol in (">>", END):
                raise wrong("each ring's digit twice", next(iter(rings.values()))[2])
            last = None
    return bonds

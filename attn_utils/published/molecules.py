"""The molecules behind the symbols: which atoms are joined, and which are the same by symmetry."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from .smiles import atom_element

__all__ = ["Bond", "equal_atoms", "reaction_bonds"]

ORDERS = {"-": 1.0, "/": 1.0, "\\": 1.0, "=": 2.0, "#": 3.0}
END = "the end"


class Bond(NamedTuple):
    """A bond between the atoms at two places of a list of symbols, the earlier one first.

    Example:
        >>> from attn_utils import reaction_bonds, reaction_symbols
        >>> reaction_bonds(reaction_symbols("C#N>>C"))
        [Bond(first=0, second=2, order=3.0)]
    """

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


def equal_atoms(symbols: Sequence[str], bonds: Sequence[Bond]) -> dict[int, int]:
    """Sort atoms into classes of those that no look at the molecules tells apart.

    Each atom starts with its symbol as class. Then, again and again, its class becomes its own and
    those of its neighbours, until no class splits any more (Weisfeiler and Leman's refinement). Two
    oxygens count as equal if a charge could be written at either, as in a nitro group. Atoms of
    equal molecules are equal, except across ">>".

    Args:
        symbols: as :func:`~attn_utils.published.reaction_symbols` returns them.
        bonds: as :func:`reaction_bonds` returns them.

    Returns:
        The class of each atom, by its place in ``symbols``.

    Example:
        >>> from attn_utils import equal_atoms, reaction_bonds, reaction_symbols
        >>> symbols = reaction_symbols("CC(C)O>>CC(C)=O")
        >>> classes = equal_atoms(symbols, reaction_bonds(symbols))
        >>> classes[0] == classes[3], classes[0] == classes[1], classes[0] == classes[7]
        (True, False, False)
    """
    arrow = [*symbols, ">>"].index(">>")
    around: dict[int, list[tuple[float, int]]] = {
        place: [] for place, symbol in enumerate(symbols) if atom_element(symbol)
    }
    for first, second, order in bonds:
        around[first].append((order, second))
        around[second].append((order, first))
    shared = _shared_charges(symbols, around)
    names = {place: ("O", 1.5) if place in shared else (symbols[place], 0.0) for place in around}
    classes = _numbered({place: (place < arrow, names[place]) for place in around})
    while True:
        seen = {
            place: (
                classes[place],
                sorted(
                    (1.5 if {place, other} & shared else order, classes[other])
                    for order, other in around[place]
                ),
            )
            for place in around
        }
        finer = _numbered(seen)
        if len({*finer.values()}) == len({*classes.values()}):
            return finer
        classes = finer


def _shared_charges(symbols: Sequence[str], around: dict[int, list[tuple[float, int]]]) -> set[int]:
    """Find the oxygens that share a charge: [O-] and =O, bound to one atom and to no other."""
    pair, shared = {("[O-]", 1.0), ("O", 2.0)}, set()
    for bonds in around.values():
        ends = {other: (symbols[other], order) for order, other in bonds if len(around[other]) == 1}
        if pair <= set(ends.values()):
            shared |= {other for other, end in ends.items() if end in pair}
    return shared


def _numbered(names: dict[int, Any]) -> dict[int, int]:
    """Give equal names equal numbers."""
    numbers: dict[str, int] = {}
    return {place: numbers.setdefault(repr(name), len(numbers)) for place, name in names.items()}

"""The same molecule in another writing: SMILES begins at any atom and takes branches in any order.

A control: who compares texts is misled by it, and who looks at molecules is not.
"""

from __future__ import annotations

from collections.abc import Iterator

from .mapping import MappedReaction
from .molecules import reaction_bonds
from .smiles import reaction_symbols

__all__ = ["rewritten"]


def rewritten(reaction: MappedReaction, start: int) -> MappedReaction:
    """Write the product of a reaction anew, beginning at another of its atoms.

    Args:
        reaction: one whose product is a single molecule, written without marks of geometry.
        start: which atom of the product to begin with, counted from 0; modulo their number.

    Returns:
        The same reaction with the same map; neighbours are visited in the reverse of their order.

    Example:
        >>> from attn_utils import mapped_reactions, rewritten
        >>> reaction = mapped_reactions()[0]
        >>> reaction.text, rewritten(reaction, 2).text
        ('O=C(O)c1ccccc1.CCO>>CCOC(=O)c1ccccc1', 'O=C(O)c1ccccc1.CCO>>O(C(c1ccccc1)=O)CC')
    """
    symbols, arrow = reaction.symbols, reaction.symbols.index(">>")
    product = symbols[arrow + 1 :]
    if "." in product or set("@/\\~") & {*"".join(product)}:
        raise ValueError(
            f"reaction: expected a single product without '@', '/' and '\\', got {''.join(product)}"
        )
    atoms = [*reaction.origins]
    around: dict[int, dict[int, float]] = {place: {} for place in atoms}
    for first, second, order in reversed(reaction_bonds(symbols)):
        if first > arrow:
            around[first][second] = around[second][first] = order
    written = list(_write(symbols, around, atoms[start % len(atoms)]))
    new = reaction_symbols("".join([*symbols[: arrow + 1], *(symbol for symbol, _ in written)]))
    places = [place for _, place in written]
    origins = {
        arrow + 1 + i: reaction.origins[place]
        for i, place in enumerate(places)
        if place is not None
    }
    return MappedReaction(reaction.name, new, origins, reaction.why)


def _write(
    symbols: list[str], around: dict[int, dict[int, float]], start: int
) -> Iterator[tuple[str, int | None]]:
    """Yield the symbols of one molecule; those of atoms with their old place."""
    children: dict[int, list[int]] = {}
    rings: dict[int, list[str]] = {place: [] for place in around}
    closed: set[frozenset[int]] = set()

    def bond(first: int, second: int) -> str:
        order = around[first][second]
        aromatic = all(symbols[place].strip("[")[0].islower() for place in (first, second))
        return {1.0: "-" if aromatic else "", 2.0: "=", 3.0: "#"}.get(order, "")

    def grow(place: int, parent: int) -> None:
        children[place] = []
        for other in around[place]:
            if other not in children:
                children[place].append(other)
                grow(other, place)
            elif other != parent and frozenset((place, other)) not in closed:
                closed.add(frozenset((place, other)))
                digit = str(len(closed))
                rings[other] += [digit]
                rings[place] += [*bond(place, other), digit]

    def tell(place: int) -> Iterator[tuple[str, int | None]]:
        yield symbols[place], place
        yield from ((symbol, None) for symbol in rings[place])
        for child in children[place]:
            branch = child != children[place][-1]
            yield from ((symbol, None) for symbol in ["("] * branch + [*bond(place, child)])
            yield from tell(child)
            yield from ((symbol, None) for symbol in [")"] * branch)

    grow(start, start)
    yield from tell(start)

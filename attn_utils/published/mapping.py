"""Judging attention as an atom map: does an atom of the product look at where it came from?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from .model import ReactionReader
from .molecules import equal_atoms, reaction_bonds
from .reactions import MAPPED
from .smiles import SYMBOL, atom_element, reaction_symbols, reaction_tokens

__all__ = ["MappedReaction", "mapped_reactions", "mapping_accuracy", "read_mapped"]

NUMBERED = re.compile(r"\[(.+):([0-9]+)]")
#: what is written without brackets, once its number and its hydrogens are left out
BARE = re.compile(r"(Br|Cl|[BCNOSPFI]|[bcosp]|n(?!H))(H[0-9]?)?")


class MappedReaction(NamedTuple):
    """A reaction, and where each atom of its product comes from.

    ``origins`` has, for the place of each atom of the product, places in ``symbols``: the atom that
    it was, then those that are equal to it by symmetry.

    Example:
        >>> from attn_utils import MappedReaction
        >>> reaction = MappedReaction("", ["C", "O", ">>", "C"], {3: (0,)}, "")
        >>> reaction.text, reaction.sources
        ('CO>>C', [0, 1])
    """

    name: str
    symbols: list[str]
    origins: dict[int, tuple[int, ...]]
    why: str

    @property
    def text(self) -> str:
        """The reaction in SMILES, without numbers."""
        return "".join(self.symbols)

    @property
    def sources(self) -> list[int]:
        """The places of all atoms of the reactants."""
        arrow = self.symbols.index(">>")
        return [place for place in range(arrow) if atom_element(self.symbols[place])]


def read_mapped(mapped: str, name: str = "", why: str = "") -> MappedReaction:
    """Read a reaction whose atoms carry numbers, equal ones on both sides: [CH3:1]O>>[CH3:1]Cl.

    Symmetric atoms count as one another: if two atoms of a reactant are equal, an atom may come
    from either, and so it may if two atoms of the product are.

    Example:
        >>> from attn_utils import read_mapped
        >>> reaction = read_mapped("[CH3:1][CH2:2]O.[Cl:3]>>[CH3:1][CH2:2][Cl:3]")
        >>> reaction.text, reaction.origins
        ('CCO.Cl>>CCCl', {6: (0,), 7: (1,), 8: (4,)})
    """
    written = SYMBOL.findall(mapped)
    if "".join(written) != mapped:
        raise ValueError(f"mapped: expected symbols of SMILES, got {mapped!r}")
    found = [NUMBERED.fullmatch(symbol) for symbol in written]
    symbols = reaction_symbols(
        "".join(_plain(match[1]) if match else s for match, s in zip(found, written, strict=True))
    )
    numbers = [match[2] if match else None for match in found]
    arrow = symbols.index(">>")
    origin: dict[int, int] = {}
    for place in range(arrow + 1, len(symbols)):
        if element := atom_element(symbols[place]):
            same = [i for i in range(arrow) if numbers[i] == numbers[place] is not None]
            if [atom_element(symbols[i]) for i in same] != [element]:
                raise ValueError(
                    f"mapped: expected one {element} of the reactants for {written[place]} of the "
                    f"product, got {', '.join(written[i] for i in same) or 'none'}"
                )
            origin[place] = same[0]
    classes = equal_atoms(symbols, reaction_bonds(symbols))
    origins = {}
    for place, direct in origin.items():
        twins = [twin for twin in origin if classes[twin] == classes[place]]
        good = {classes[origin[twin]] for twin in twins}
        equal = [i for i in range(arrow) if classes.get(i) in good and i != direct]
        origins[place] = (direct, *equal)
    return MappedReaction(name, symbols, origins, why)


def _plain(numbered: str) -> str:
    """Write an atom without its number, and without brackets where it needs none."""
    bare = BARE.fullmatch(numbered)
    return bare[1] if bare else f"[{numbered}]"


@cache
def mapped_reactions() -> tuple[MappedReaction, ...]:
    """Return 29 reactions of organic chemistry that were mapped by hand, 342 atoms in all.

    Example:
        >>> from attn_utils import mapped_reactions
        >>> reaction = mapped_reactions()[0]
        >>> reaction.name, reaction.text
        ('Fischer esterification', 'O=C(O)c1ccccc1.CCO>>CCOC(=O)c1ccccc1')
    """
    return tuple(read_mapped(mapped, name, why) for name, mapped, why in MAPPED)


def mapping_accuracy(
    model: ReactionReader, reactions: Sequence[MappedReaction] | None = None
) -> Tensor:
    """Let each atom of the product point at the reactants' atom that it attends to most.

    Args:
        model: the reader.
        reactions: whose maps are known; by default :func:`mapped_reactions`.

    Returns:
        (depth, H), the share of atoms that point at where they come from, by pass and head.

    Example:
        >>> from attn_utils import load_reaction_reader, mapping_accuracy
        >>> accuracy = mapping_accuracy(load_reaction_reader())
        >>> accuracy.shape, int(accuracy[5].argmax()) + 1  # the best head in pass 6
        (torch.Size([12, 8]), 6)
    """
    right, atoms = torch.zeros(()), 0
    for reaction in mapped_reactions() if reactions is None else reactions:
        with torch.no_grad():
            _, kept = model(reaction_tokens(reaction.text)[None], return_weights=True)
        weights = torch.cat(kept)[:, :, 1:-1, 1:-1]  # (depth, H, T, T), symbols only
        sources = torch.tensor(reaction.sources)
        for place, origins in reaction.origins.items():
            best = sources[weights[:, :, place, sources].argmax(-1)]  # (depth, H)
            right = right + torch.isin(best, torch.tensor([*origins])).float()
            atoms += 1
    return right / atoms

"""Written reactions: from SMILES to symbols, and to the model's tokens and back.

SMILES (Weininger, 1988) writes molecules as a line; "reactants>>product" joins two of these.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from attn_utils.core.arguments import check_range

__all__ = [
    "atom_element",
    "reaction_symbols",
    "reaction_text",
    "reaction_tokens",
]

#: what one symbol may look like, as published with the model
SYMBOL = re.compile(
    r"\[[^\]]+]|Br?|Cl?|N|O|S|P|F|I|b|c|n|o|s|p|\(|\)|\.|=|#|-|\+|\\|\/|:|~|@|\?|>>?|\*|\$"
    r"|\%[0-9]{2}|[0-9]"
)
#: an atom, in brackets with its mass number, chirality, hydrogens and charge
ATOM = re.compile(r"\[?[0-9]*([A-Z][a-z]?|[a-z]{1,2}|\*)@{0,2}(H[0-9]?)?([+-][0-9]?)?]?")
LONGEST = 512  # tokens, [CLS] and [SEP] among them
CLS, SEP, MASK, FIRST_SYMBOL = 12, 13, 14, 15  # below FIRST_SYMBOL are no symbols of SMILES


@cache
def vocabulary() -> tuple[str, ...]:
    """Return the model's 591 tokens in their order."""
    return tuple(Path(__file__).with_name("vocab.txt").read_text(encoding="utf-8").split())


@cache
def _numbers() -> dict[str, int]:
    return {token: i for i, token in enumerate(vocabulary()) if i >= FIRST_SYMBOL}


def reaction_symbols(reaction: str) -> list[str]:
    """Split a reaction "reactants>>product" into its symbols, each of which the model knows.

    Args:
        reaction: SMILES of all reactants, joined by dots, ">>", and SMILES of the product.

    Returns:
        The symbols; ``"".join`` gives the reaction back.

    Example:
        >>> from attn_utils import reaction_symbols
        >>> reaction_symbols("CCl.[OH-]>>CO")
        ['C', 'Cl', '.', '[OH-]', '>>', 'C', 'O']
    """
    if not isinstance(reaction, str):
        raise ValueError(f"reaction: expected a string, got {type(reaction).__name__}")
    symbols, place = [], 0
    while place < len(reaction):
        match = SYMBOL.match(reaction, place)
        found = match[0] if match else reaction[place]
        if found not in _numbers() and found != ">":
            known = "a symbol that the model knows" if match else "a symbol of SMILES"
            raise ValueError(f"reaction: expected {known}, got {found!r} at character {place + 1}")
        symbols.append(found)
        place += len(found)
    if ">" in symbols or symbols.count(">>") != 1:
        got = " and ".join(repr(s) for s in symbols if s.startswith(">")) or "none"
        raise ValueError(f"reaction: expected one '>>' between reactants and product, got {got}")
    arrow = symbols.index(">>")
    for side, part in {"before": symbols[:arrow], "after": symbols[arrow + 1 :]}.items():
        if not any(atom_element(symbol) for symbol in part):
            raise ValueError(f"reaction: expected at least one atom {side} '>>', got none")
    if len(symbols) + 2 > LONGEST:
        raise ValueError(f"reaction: expected at most {LONGEST - 2} symbols, got {len(symbols)}")
    return symbols


def reaction_tokens(reaction: str) -> Tensor:
    """Return the numbers of the model's tokens: [CLS], a reaction's symbols, [SEP].

    Args:
        reaction: as in :func:`reaction_symbols`.

    Returns:
        (T,), integers. Symbol ``i`` is token ``i + 1``.

    Example:
        >>> from attn_utils import reaction_tokens
        >>> reaction_tokens("CCl.[OH-]>>CO").tolist()
        [12, 16, 28, 24, 59, 29, 16, 19, 13]
    """
    numbers = _numbers()
    return torch.tensor([CLS, *(numbers[s] for s in reaction_symbols(reaction)), SEP])


def reaction_text(tokens: Tensor) -> str:
    """Write tokens (T,) as text, without [CLS] at the beginning and [SEP] at the end.

    Example:
        >>> from attn_utils import reaction_text, reaction_tokens
        >>> reaction_text(reaction_tokens("CCl.[OH-]>>CO"))
        'CCl.[OH-]>>CO'
    """
    if not isinstance(tokens, Tensor) or tokens.ndim != 1 or tokens.is_floating_point():
        got = tuple(tokens.shape) if isinstance(tokens, Tensor) else type(tokens).__name__
        raise ValueError(f"tokens: expected integers of shape (T,), got {got}")
    check_range("tokens", tokens, "token numbers", 0, len(vocabulary()) - 1)
    written = tokens.tolist()
    written = written[written[:1] == [CLS] :]
    written = written[: len(written) - (written[-1:] == [SEP])]
    return "".join(vocabulary()[number] for number in written)


def atom_element(symbol: str) -> str | None:
    """Return the element of a symbol that stands for an atom, and None for brackets, bonds, digits.

    Example:
        >>> from attn_utils import atom_element
        >>> [atom_element(symbol) for symbol in ("Cl", "n", "[nH]", "[O-]", "=", "1")]
        ['Cl', 'N', 'N', 'O', None, None]
    """
    match = ATOM.fullmatch(symbol)
    return match[1].capitalize() if match else None

"""A published model: the encoder that reads chemical reactions, one head of which maps atoms.

:func:`load_reaction_reader` loads the weights of Schwaller et al. (2021) into a
:class:`ReactionReader`, built from this package's own parts. :func:`reaction_tokens` turns a
reaction, written in SMILES, into its tokens.

Shapes: B batch, T tokens, H heads, D = embed_dim, V = vocab_size.
"""

from .model import ReactionReader, load_reaction_reader
from .molecules import Bond, reaction_bonds
from .smiles import atom_element, reaction_symbols, reaction_text, reaction_tokens

__all__ = [
    "Bond",
    "ReactionReader",
    "atom_element",
    "load_reaction_reader",
    "reaction_bonds",
    "reaction_symbols",
    "reaction_text",
    "reaction_tokens",
]

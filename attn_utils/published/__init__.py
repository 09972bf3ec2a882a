"""A published model: the encoder that reads chemical reactions, one head of which maps atoms.

:func:`load_reaction_reader` loads the weights of Schwaller et al. (2021) into a
:class:`ReactionReader`, built from this package's own parts. :func:`reaction_tokens` turns a
reaction, written in SMILES, into its tokens. :func:`mapped_reactions` are reactions whose atoms
were mapped by hand, and :func:`mapping_accuracy` compares attention with these maps.
:func:`rewritten` writes a product in another order.

Shapes: B batch, T tokens, H heads, D = embed_dim, V = vocab_size.
"""

from .mapping import MappedReaction, mapped_reactions, mapping_accuracy, read_mapped
from .model import ReactionReader, load_reaction_reader
from .molecules import Bond, equal_atoms, reaction_bonds
from .rewriting import rewritten
from .smiles import atom_element, reaction_symbols, reaction_text, reaction_tokens

__all__ = [
    "Bond",
    "MappedReaction",
    "ReactionReader",
    "atom_element",
    "equal_atoms",
    "load_reaction_reader",
    "mapped_reactions",
    "mapping_accuracy",
    "reaction_bonds",
    "reaction_symbols",
    "reaction_text",
    "reaction_tokens",
    "read_mapped",
    "rewritten",
]

"""The reaction explorer, from Python's side: what it computes, what it refuses, what it ships."""

from __future__ import annotations

import pytest
import torch

from attn_utils import load_reaction_reader, mapped_reactions, reaction_tokens
from attn_utils.published.smiles import atom_element
from attn_utils.widgets import ReactionExplorer

ESTER = "CC(=O)O.OCC>>CC(=O)OCC"


def test_its_weights_are_those_of_the_model():
    explorer = ReactionExplorer(reaction=ESTER, layer=3, head=6)
    with torch.no_grad():
        _, kept = load_reaction_reader()(reaction_tokens(ESTER)[None], return_weights=True)
    for layer, head in ((3, 6), (12, 8), (1, 1)):
        explorer.layer, explorer.head = layer, head
        torch.testing.assert_close(
            torch.tensor(explorer.weights).view(23, 23), kept[layer - 1][0, head - 1]
        )


def test_its_examples_are_the_mapped_reactions():
    explorer = ReactionExplorer()
    assert len(explorer._examples) == len(mapped_reactions())
    assert explorer.reaction in [text for _, text, _ in explorer._examples]
    for (name, text, truth), reaction in zip(explorer._examples, mapped_reactions(), strict=True):
        assert (name, text) == (reaction.name, reaction.text)
        places = [place for place, symbol in enumerate(reaction.symbols) if atom_element(symbol)]
        product = places[len(reaction.sources) :]
        # counted again: the origins of each atom of the product, as places in the text
        wanted = [{reaction.sources[k] for k in atoms} for atoms in truth]
        assert wanted == [set(reaction.origins[place]) for place in product], name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reaction": 7}, "reaction: expected a string, got int"),
        ({"reaction": "CCO"}, "reaction: expected one '>>'"),
        ({"reaction": "CCO>>C[Xx]"}, "got '[Xx]' at character 7"),
        ({"reaction": "CC(O>>CCO"}, "at character 3"),
        ({"reaction": "C" * 509 + ">>C"}, "reaction: expected at most 510 symbols, got 511"),
        ({"reaction": "[CH3]" * 200 + ">>C"}, "reaction: expected at most 900 characters"),
        ({"layer": 0}, "layer: expected a number from 1 to 12"),
        ({"layer": 1.5}, "layer: expected an integer"),
        ({"head": 9}, "head: expected a number from 1 to 8"),
        ({"atom": -1}, "atom: expected a number from 0 to"),
        ({"pass": 3}, "pass: no such control"),
    ],
)
def test_wrong_controls_are_refused(change, message):
    with pytest.raises(ValueError, match="expected") as refused:
        ReactionExplorer(**change)
    assert message in str(refused.value)


def test_the_page_gets_the_file_and_no_weights_of_the_model():
    (read,) = ReactionExplorer.files.values()
    assert len(read()) <= 1_700_000
    assert len(ReactionExplorer().weights) == 35**2


def test_its_still_picture_shows_symbols_as_they_are():
    figure = ReactionExplorer(reaction=ESTER).figure()
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert "".join(labels) == ESTER.split(">>")[0]

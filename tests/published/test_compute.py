"""The reaction explorer's arithmetic in JavaScript: the model's maps, molecules, faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from attn_utils import (
    load_reaction_reader,
    mapped_reactions,
    reaction_bonds,
    reaction_symbols,
    reaction_tokens,
)
from attn_utils.published.smiles import FIRST_SYMBOL, LONGEST, atom_element, vocabulary
from tests.conftest import JavaScript

CASES = Path(__file__).with_name("cases.js")
TEXTS = [reaction.text for reaction in mapped_reactions()]
SIDES = [side for text in TEXTS for side in text.split(">>")]
BRIDGED = {"C1CC2CCC1C2", "CN1CCC23C4C1CC5=C2C(=C(C=C5)O)OC3C(C=C4)O"}  # the latter: morphine
CURIOUS = [
    *sorted(BRIDGED),
    "CC12CCC3C(CCC4=CC(=O)CCC34C)C1CCC2O",  # four rings that share sides
    "C1CCC2(CC1)OCCO2",  # one atom in two rings
    "CC(C)(C)C(C)(C)C(C)(C)C",
    "c1ccccc1c1ccccc1",
    "C%10CC%10.[Na+].[OH-]",
    "C" * 60,
    "C(" * 20 + "C" + ")" * 20,
]


def words(numbers: list[float]) -> str:
    return "".join(chr(int(number)) for number in numbers)


def call(javascript: JavaScript, name: str, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return javascript(CASES, [{"call": name, **state} for state in calls])


# ---- the model


def random_runs() -> list[dict[str, Any]]:
    """Written reactions, and tokens in any order: one, a few, and as many as the model has.

    Of each, three of the 96 maps.
    """
    random = np.random.default_rng(17)
    lengths = [1, 2, LONGEST, *random.integers(3, 26, 38)]
    tokens = [random.integers(0, len(vocabulary()), length).tolist() for length in lengths]
    tokens += [reaction_tokens(text).tolist() for text in TEXTS]
    maps = [(layer, head) for layer in range(1, 13) for head in range(1, 9)]
    return [{"ids": ids, "maps": random.permutation(maps)[:3].tolist()} for ids in tokens]


@torch.no_grad()
def test_the_maps_are_those_of_the_model(javascript: JavaScript) -> None:
    model = load_reaction_reader().double()
    tensors = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    runs = random_runs()
    chosen = [(layer, head) for run in runs for layer, head in run["maps"]]
    assert len(chosen) > 200
    assert len(set(chosen)) > 75
    (found,) = call(javascript, "maps", [{"tensors": tensors, "runs": runs}])
    for k, run in enumerate(runs):
        _, kept = model(torch.tensor([run["ids"]]), return_weights=True)
        wanted = torch.cat([kept[layer - 1][0, head - 1].flatten() for layer, head in run["maps"]])
        # kept as float32: half a unit in the last place of a weight, which is at most 1
        np.testing.assert_allclose(found[str(k)], wanted, rtol=0, atol=1e-7, err_msg=str(run))


# ---- molecules

GRAPHS = [
    # text, atoms, tokens, bonds, rings
    ("C", "C", [0], [], []),
    ("CO", "C O", [0, 1], [(0, 1, 1)], []),
    ("C=C#N", "C C N", [0, 2, 4], [(0, 1, 2), (1, 2, 3)], []),
    ("CC(=O)O", "C C O O", [0, 1, 4, 6], [(0, 1, 1), (1, 2, 2), (1, 3, 1)], []),
    (
        "N(C(F)Cl)Br",
        "N C F Cl Br",
        [0, 2, 4, 6, 8],
        [(0, 1, 1), (1, 2, 1), (1, 3, 1), (0, 4, 1)],
        [],
    ),
    ("C1CC1", "C C C", [0, 2, 3], [(0, 1, 1), (1, 2, 1), (0, 2, 1)], [3]),
    ("C=1CC1", "C C C", [0, 3, 4], [(0, 1, 1), (1, 2, 1), (0, 2, 2)], [3]),
    ("C1CC=1", "C C C", [0, 2, 3], [(0, 1, 1), (1, 2, 1), (0, 2, 2)], [3]),
    ("C%12CC%12", "C C C", [0, 2, 3], [(0, 1, 1), (1, 2, 1), (0, 2, 1)], [3]),
    (
        "c1cc[nH]c1",
        "C C C NH C",
        [0, 2, 3, 4, 5],
        [(0, 1, 1.5), (1, 2, 1.5), (2, 3, 1.5), (3, 4, 1.5), (0, 4, 1.5)],
        [5],
    ),
    ("[NH4+].[O-2].[13CH3-].[Fe+3]", "NH₄⁺ O²⁻ ¹³CH₃⁻ Fe³⁺", [0, 2, 4, 6], [], []),
    (r"C[C@H](F)/C=C/[C@@]", "C CH F C C C", [0, 1, 3, 6, 8, 10], None, []),
    ("C1CC2CCC1C2", "C C C C C C C", None, None, [5, 5]),
    ("C1CC2CCC1CC2", None, None, None, [6, 6]),
    ("c1ccc2ccccc2c1", None, None, None, [6, 6]),
    ("C1CCC2(CC1)OCCO2", None, None, None, [5, 6]),
]


@pytest.mark.parametrize(("text", "labels", "tokens", "bonds", "rings"), GRAPHS)
def test_molecules_are_read_as_written(
    javascript: JavaScript, text: str, labels: Any, tokens: Any, bonds: Any, rings: Any
) -> None:
    (found,) = call(javascript, "graph", [{"text": text}])
    assert labels is None or words(found["labels"]) == labels
    assert tokens is None or found["tokens"] == tokens
    assert bonds is None or found["bonds"] == [number for bond in bonds for number in bond]
    assert found["rings"] == rings


def test_two_rings_that_are_joined_are_not_one(javascript: JavaScript) -> None:
    """The bond between two aromatic rings is single, the bond that they share is aromatic."""
    texts = ["c1ccccc1c1ccccc1", "c1ccc2ccccc2c1", "C1c2ccccc2-c2ccccc21"]
    for text, aromatic in zip(texts, (12, 11, 12), strict=True):
        (found,) = call(javascript, "graph", [{"text": text}])
        assert found["bonds"][2::3].count(1.5) == aromatic, text


def test_bonds_are_those_of_the_package(javascript: JavaScript) -> None:
    for side, found in zip(
        SIDES, call(javascript, "graph", [{"text": side} for side in SIDES]), strict=True
    ):
        symbols = reaction_symbols(f"{side}>>C")[:-2]
        wanted = set(reaction_bonds(symbols))
        tokens = [int(token) for token in found["tokens"]]
        assert tokens == [k for k, symbol in enumerate(symbols) if atom_element(symbol)]
        numbers = np.reshape(found["bonds"], (-1, 3))
        got = {(tokens[int(a)], tokens[int(b)], order) for a, b, order in numbers}
        assert got == wanted, side


def test_drawn_molecules_are_tidy(javascript: JavaScript) -> None:
    """Bonds of one length, and no atom upon another; all inside."""
    calls = [{"text": text, "width": 9} for text in (*SIDES, *CURIOUS)]
    bent = set()
    for state, found in zip(calls, call(javascript, "places", calls), strict=True):
        text = state["text"]
        places = np.reshape(found["places"], (-1, 2))
        bonds = np.reshape(found["bonds"], (-1, 2)).astype(int)
        length = np.linalg.norm(places[bonds[:, 0]] - places[bonds[:, 1]], axis=-1)
        if not np.allclose(length, 1, rtol=0, atol=1e-6):
            bent.add(text)
        far = np.linalg.norm(places[:, None] - places[None], axis=-1)
        far[np.diag_indices(len(places))] = np.inf
        assert far.min() > 0.5, text
        np.testing.assert_allclose(length, 1, rtol=0, atol=0.25, err_msg=text)
        assert places.min() > -1e-9, text
        assert (places <= np.array(found["size"]) + 1e-9).all(), text
    assert bent == BRIDGED  # no flat picture of these has bonds of one length


# ---- what cannot be read

FAULTS = [
    ("CCO", "with one “>>”; here are 0."),
    ("CCO>>C>>C", "with one “>>”; here are 2."),
    ("CCO>O>CC=O", "here are 0."),
    ("CCO>>CÄ", "“Ä” at place 7 is no symbol of SMILES."),
    ("CC O>>C", "“ ” at place 3 is no symbol of SMILES."),
    ("CC[Xx]>>C", "The model does not know “[Xx]” at place 3."),
    ("[CH3:1]O>>[CH3:1]", "“[CH3:1]” at place 1. It was trained without the numbers behind"),
    ("CC>O>>C", "The model does not know “>” at place 3. Write the helpers"),
    ("C" * 509 + ">>C", "at most 512 tokens, with [CLS] and [SEP]; this reaction has 513."),
    (">>C", "There is no atom before “>>”."),
    ("C>>", "There is no atom behind “>>”."),
    ("CC(C>>C", "“(” at place 3 is not closed"),
    ("CC)C>>C", "“)” at place 3 closes nothing."),
    ("CC()C>>C", "“)” at place 4 closes a branch without an atom."),
    ("CC.>>C", "There is no molecule behind “.” at place 3."),
    ("(C)C>>C", "“(” at place 1 needs an atom before it."),
    ("C1CC>>C", "The ring that “1” at place 2 opens is not closed."),
    ("C11>>C", "“1” at place 3 closes a ring of fewer than three atoms."),
    ("C1C1>>C", "“1” at place 4 closes a ring of fewer than three atoms."),
    ("1CC1>>C", "“1” at place 1 needs an atom before it."),
    ("CC=>>C", "“=” at place 3 needs an atom behind it."),
    ("C(C=)C>>C", "“=” at place 4 needs an atom behind it."),
    ("C==C>>C", "“=” at place 3 follows a bond; an atom should."),
    ("=C>>C", "“=” at place 1 needs an atom before it."),
    ("C(.C)>>C", "“(” at place 2 is not closed"),
    (".C>>C", "There is no molecule before “.” at place 1."),
    ("C@C>>C", "“@” at place 2"),
]


@pytest.mark.parametrize(("text", "sentence"), FAULTS, ids=[text[:12] for text, _ in FAULTS])
def test_faults_are_named_with_their_place(
    javascript: JavaScript, text: str, sentence: str
) -> None:
    (found,) = call(javascript, "fault", [{"text": text, "vocabulary": vocabulary()}])
    assert sentence in words(found["message"])


def test_what_python_reads_the_page_reads_too(javascript: JavaScript) -> None:
    """Symbols in any order: the page refuses no reaction that Python takes, and no other."""
    random = np.random.default_rng(3)
    symbols = [*"CCCNOcn()()12=#.", "[O-]", "Cl", "[Xx]"]
    texts = [
        "".join(random.choice(symbols, random.integers(1, 7))) + random.choice([">>C", ">>CO", ""])
        for _ in range(600)
    ]
    calls = [{"text": text, "vocabulary": vocabulary()} for text in texts]
    refused = {True: 0, False: 0}
    for text, found in zip(texts, call(javascript, "fault", calls), strict=True):
        try:
            reaction_bonds(reaction_symbols(text))
            readable = True
        except ValueError:
            readable = False
        message = words(found["message"])
        assert readable == (message == ""), f"{text}: {message}"
        refused[readable] += 1
    assert min(refused.values()) > 40


def test_every_token_that_is_an_atom_can_be_drawn(javascript: JavaScript) -> None:
    atoms = [symbol for symbol in vocabulary()[FIRST_SYMBOL:] if atom_element(symbol)]
    assert len(atoms) > 500
    (found,) = call(javascript, "graph", [{"text": ".".join(atoms)}])
    assert len(found["tokens"]) == len(atoms)
    labels = words(found["labels"]).split(" ")
    assert [label for label in labels if not label.strip("₀₁₂₃₄₅₆₇₈₉⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻")] == []


# ---- maps


def origins(javascript: JavaScript, text: str, columns: list[int]) -> dict[str, Any]:
    """Where the atoms of the product come from if each looks at the column that is given."""
    count = sum(bool(atom_element(s)) for s in reaction_symbols(text.split(">>")[0] + ">>C")[:-2])
    weights = np.eye(count)[columns]
    state = {"text": text, "vocabulary": vocabulary(), "weights": weights}
    return call(javascript, "origins", [state])[0]


def test_contradictions(javascript: JavaScript) -> None:
    right = origins(javascript, "CCO.Cl>>CCCl", [0, 1, 3])
    assert right == {"atoms": [0, 1, 3], "strange": [], "doubled": [], "balanced": [1]}
    wrong = origins(javascript, "CCO.Cl>>CCCl", [0, 0, 2])
    assert wrong == {"atoms": [0, 0, 2], "strange": [2], "doubled": [1], "balanced": [1]}
    assert origins(javascript, "CCO>>CCCl", [0, 1, 2])["balanced"] == [0]
    assert origins(javascript, "CO>>CCO", [0, 0, 1])["balanced"] == [0]

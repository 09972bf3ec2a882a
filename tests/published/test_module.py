"""Written reactions, molecules, the hand-made maps, and the head that finds them."""

from __future__ import annotations

import itertools
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_utils import (
    ReactionReader,
    atom_element,
    equal_atoms,
    load_reaction_reader,
    mapped_reactions,
    mapping_accuracy,
    reaction_bonds,
    reaction_symbols,
    reaction_text,
    reaction_tokens,
    read_mapped,
    record_attention,
    rewritten,
)
from attn_utils.published.reactions import MAPPED
from attn_utils.published.smiles import FIRST_SYMBOL, SYMBOL, vocabulary
from tests.contracts import MODULE, Module, under


class Filling(ReactionReader):
    """Also predicts, so that each of its layers is used."""

    def forward(self, tokens, *, return_weights=False):
        return self.predict(super().forward(tokens))


MODULES = [
    Module(
        ReactionReader,
        (7, 8, 2, 3, 16),
        lambda B, n: torch.randint(7, (B, n)),
        {"embedding_dim": 4, "num_positions": 24},
        build=Filling,
    ),
]

test_life = under(MODULE, MODULES)

EXAMPLE = "CC(C)S.CN(C)C=O.Fc1cccnc1F.O=C([O-])[O-].[K+].[K+]>>CC(C)Sc1ncccc1F"
ASPIRIN = "CC(=O)OC(C)=O.O=C(O)c1ccccc1O>>CC(=O)Oc1ccccc1C(=O)O"
WRITTEN = [*(symbol for symbol in vocabulary()[FIRST_SYMBOL:] if symbol != ">>")]


def test_symbols_of_a_reaction():
    assert reaction_symbols("BrCCl.[13CH3][O-]>>C%12CC%12")[:6] == [
        "Br",
        "C",
        "Cl",
        ".",
        "[13CH3]",
        "[O-]",
    ]
    symbols = reaction_symbols(EXAMPLE)
    assert len(symbols) == 54
    assert reaction_tokens(EXAMPLE).shape == (56,)


@given(
    st.lists(st.sampled_from(WRITTEN), max_size=20), st.lists(st.sampled_from(WRITTEN), max_size=20)
)
@settings(max_examples=100, deadline=None)
def test_tokens_give_the_text_back(left, right):
    text = "".join([*left, "C", ">>", "C", *right])
    assert "".join(reaction_symbols(text)) == text
    tokens = reaction_tokens(text)
    assert reaction_text(tokens) == reaction_text(tokens[1:-1]) == text
    assert [vocabulary()[i] for i in tokens[1:-1]] == reaction_symbols(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (5, "reaction: expected a string, got int"),
        ("CC>>CJ", "reaction: expected a symbol of SMILES, got 'J' at character 6"),
        ("CC >>C", "reaction: expected a symbol of SMILES, got ' ' at character 3"),
        ("[CC>>C", "reaction: expected a symbol of SMILES, got '[' at character 1"),
        ("C[Xx]>>C", "reaction: expected a symbol that the model knows, got '[Xx]' at character 2"),
        (
            "[CLS]C>>C",
            "reaction: expected a symbol that the model knows, got '[CLS]' at character 1",
        ),
        ("C:C>>C", "reaction: expected a symbol that the model knows, got ':' at character 2"),
        ("CCO", "reaction: expected one '>>' between reactants and product, got none"),
        ("", "reaction: expected one '>>' between reactants and product, got none"),
        ("C>O>C", "reaction: expected one '>>' between reactants and product, got '>' and '>'"),
        ("C>>C>>C", "reaction: expected one '>>' between reactants and product, got '>>' and '>>'"),
        (">>C", "reaction: expected at least one atom before '>>', got none"),
        ("C>>", "reaction: expected at least one atom after '>>', got none"),
        ("C" * 509 + ">>C", "reaction: expected at most 510 symbols, got 511"),
    ],
)
def test_what_is_no_reaction_is_told_with_its_place(text, message):
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        reaction_tokens(text)


def test_the_longest_reaction_fits():
    assert reaction_tokens("C" * 508 + ">>C").shape == (512,)


def test_tokens_that_are_none():
    with pytest.raises(
        ValueError, match=r"tokens: expected integers of shape \(T,\), got \(1, 2\)"
    ):
        reaction_text(torch.zeros(1, 2, dtype=torch.long))
    with pytest.raises(ValueError, match="tokens: expected token numbers from 0 to 590, got 591"):
        reaction_text(torch.tensor([591]))
    with pytest.raises(ValueError, match="tokens: expected token numbers from 0 to 590, got 700"):
        load_reaction_reader()(torch.tensor([[700]]))


def test_elements_of_the_whole_vocabulary():
    none = {token for token in vocabulary() if not atom_element(token)}
    written = set("()=.~-#/\\") | {">>"} | {str(i) for i in range(1, 10)}
    written |= {f"%{i}" for i in range(10, 25)}
    assert none == written | set(vocabulary()[:FIRST_SYMBOL])
    assert [atom_element(s) for s in ("[13cH]", "[se]", "[Si@@H]", "[NH3+2]", "*", "[Cl-]")] == [
        "C",
        "Se",
        "Si",
        "N",
        "*",
        "Cl",
    ]
    assert all(SYMBOL.fullmatch(token) for token in vocabulary()[FIRST_SYMBOL:])


def bonds_of(molecule):
    return [tuple(bond) for bond in reaction_bonds(reaction_symbols(f"{molecule}>>C"))]


def test_bonds():
    assert bonds_of("C") == []
    assert bonds_of("CC(=O)N") == [(0, 1, 1), (1, 4, 2), (1, 6, 1)]
    assert bonds_of("C1CC1") == [(0, 2, 1), (2, 3, 1), (0, 3, 1)]
    assert bonds_of("c1cn1-c") == [(0, 2, 1.5), (2, 3, 1.5), (0, 3, 1.5), (3, 6, 1)]
    assert bonds_of("C=1CC1") == [(0, 3, 1), (3, 4, 1), (0, 4, 2)]
    assert bonds_of("C1CC=1") == [(0, 2, 1), (2, 3, 1), (0, 3, 2)]
    assert bonds_of("C#N.C~C") == [(0, 2, 3)]
    assert bonds_of("C(C(C)C)/C=C\\C")[-1] == (11, 13, 1)
    assert len(bonds_of("C1CC1C1CC1")) == 7
    assert bonds_of("C%10CC%10") == [(0, 2, 1), (2, 3, 1), (0, 3, 1)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("CC(>>C", "a ')' for every '(', got '(' at character 3"),
        ("CC(C>>C", "a ')' for every '(', got '(' at character 3"),
        ("CC)>>C", "an atom in a bracket that was opened, got ')' at character 3"),
        ("C()>>C", "an atom in a bracket that was opened, got ')' at character 3"),
        ("C1CC>>C1", "each ring's digit twice, got '1' at character 2"),
        ("C>>ClCC2", "each ring's digit twice, got '2' at character 8"),
        ("C11>>C", "a ring of at least three atoms, got '1' at character 3"),
        ("C1C1>>C", "a ring of at least three atoms, got '1' at character 4"),
        ("=C>>C", "an atom, got '=' at character 1"),
        ("C=>>C", "an atom, got '>>' at character 3"),
        ("C==C>>C", "an atom, got '=' at character 3"),
        ("C..C>>C", "an atom, got '.' at character 3"),
        ("(C)>>C", "an atom, got '(' at character 1"),
        ("C>>C.", "an atom, got the end at character 6"),
        ("C(=)C>>C", "an atom, got ')' at character 4"),
    ],
)
def test_molecules_that_are_none_are_told_with_their_place(text, message):
    with pytest.raises(ValueError, match=f"^reaction: expected {re.escape(message)}$"):
        reaction_bonds(reaction_symbols(text))


def test_equal_atoms():
    symbols = reaction_symbols(ASPIRIN)
    classes = equal_atoms(symbols, reaction_bonds(symbols))
    assert classes[0] == classes[9]  # the two methyl groups of the anhydride
    assert classes[0] != classes[1]
    first_of_product = symbols.index(">>") + 1
    assert classes[0] != classes[first_of_product]
    nitro = reaction_symbols("C[N+](=O)[O-].C[N+](=O)[O-]>>CC(=O)[O-].CC(=O)O")
    shared = equal_atoms(nitro, reaction_bonds(nitro))
    assert shared[4] == shared[6] == shared[12] == shared[14]
    assert shared[20] == shared[22]  # of the acetate
    assert shared[28] != shared[30]  # of the acid


def graph_of(symbols, places):
    """A molecule as a graph whose nodes have their symbols; a shared charge is at both ends."""
    networkx = pytest.importorskip("networkx")
    graph = networkx.Graph()
    graph.add_nodes_from((i, {"name": symbols[i]}) for i in places)
    graph.add_edges_from(
        (b.first, b.second, {"order": b.order})
        for b in reaction_bonds(symbols)
        if b.first in places
    )
    for i in places:
        pair = {("O", 2), ("[O-]", 1)}
        ends = {j: (symbols[j], graph[i][j]["order"]) for j in graph[i] if graph.degree(j) == 1}
        if pair <= set(ends.values()):
            for j in (j for j, end in ends.items() if end in pair):
                graph.nodes[j]["name"], graph[i][j]["order"] = "shared", 0
    return graph


def test_refinement_finds_the_true_symmetries_of_all_molecules_of_the_set():
    networkx = pytest.importorskip("networkx")
    for reaction in mapped_reactions():
        symbols = reaction.symbols
        classes = equal_atoms(symbols, reaction_bonds(symbols))
        for places in (set(reaction.sources), set(reaction.origins)):
            graph = graph_of(symbols, places)
            pieces = [graph.subgraph(piece) for piece in networkx.connected_components(graph)]
            true: dict[int, set[int]] = {i: set() for i in places}
            for one, other in itertools.product(pieces, pieces):
                matcher = networkx.algorithms.isomorphism.GraphMatcher(
                    one,
                    other,
                    node_match=lambda a, b: a["name"] == b["name"],
                    edge_match=lambda a, b: a["order"] == b["order"],
                )
                for mapping in matcher.isomorphisms_iter():
                    for i, j in mapping.items():
                        true[i].add(j)
            for i in places:
                assert true[i] == {j for j in places if classes[j] == classes[i]}, reaction.name


def test_the_set_is_large_and_each_reaction_has_its_reason():
    reactions = mapped_reactions()
    assert len(reactions) >= 20
    assert sum(len(r.origins) for r in reactions) >= 150
    assert len({r.name for r in reactions}) == len({r.text for r in reactions}) == len(reactions)
    assert all(len(r.why) > 40 and r.why.endswith(".") for r in reactions)


@pytest.mark.parametrize("index", range(len(MAPPED)), ids=[name for name, *_ in MAPPED])
def test_each_map_is_complete_and_keeps_the_elements(index):
    reaction = mapped_reactions()[index]
    symbols, arrow = reaction.symbols, reaction.symbols.index(">>")
    product = [i for i, s in enumerate(symbols) if i > arrow and atom_element(s)]
    assert [*reaction.origins] == product
    for place, (direct, *equal) in reaction.origins.items():
        assert {direct, *equal} <= set(reaction.sources)
        assert {atom_element(symbols[i]) for i in (direct, *equal)} == {
            atom_element(symbols[place])
        }
    firsts = [origins[0] for origins in reaction.origins.values()]
    assert len(set(firsts)) == len(firsts)  # no atom becomes two


VALENCES = {"C": 4, "N": 3, "O": 2, "S": 6, "P": 5, "B": 3, "F": 1, "Cl": 1, "Br": 1, "I": 1}
AROMATIC = {"c": 3, "n": 3}  # neighbours


@pytest.mark.parametrize("index", range(len(MAPPED)), ids=[name for name, *_ in MAPPED])
def test_no_atom_has_more_bonds_than_its_element_allows(index):
    symbols = mapped_reactions()[index].symbols
    bonds: dict[int, list[float]] = {i: [] for i, s in enumerate(symbols) if atom_element(s)}
    for first, second, order in reaction_bonds(symbols):
        bonds[first].append(order)
        bonds[second].append(order)
    for place, orders in bonds.items():
        symbol = symbols[place]
        if symbol in AROMATIC:
            assert 2 <= len(orders) <= AROMATIC[symbol]
            assert orders.count(1.5) >= 2
        elif not symbol.startswith("["):
            assert sum(orders) <= VALENCES[symbol], (place, symbol)


def test_few_bonds_change():
    """What a map says of bonds: those between mapped atoms that are made or broken are few."""
    for reaction in mapped_reactions():
        origin = {place: origins[0] for place, origins in reaction.origins.items()}
        bonds = reaction_bonds(reaction.symbols)
        before = {frozenset(b[:2]) for b in bonds if b.first in reaction.sources}
        after = {frozenset(origin[i] for i in b[:2]) for b in bonds if b.first in origin}
        kept = {b for b in before if b <= set(origin.values())}
        assert len(after - kept) <= 2, reaction.name
        assert len(kept - after) <= 1, reaction.name


def test_mapped_reactions_are_read_and_refused():
    swapped = read_mapped("[CH3:1][C:2](=[O:3])[CH3:4]>>[CH3:4][CH:2]([OH:3])[CH3:1]")
    assert swapped.text == "CC(=O)C>>CC(O)C"
    assert swapped.origins == {8: (6, 0), 9: (1,), 11: (4,), 13: (0, 6)}
    ether = read_mapped("[CH3:1][O-:2].Br[CH3:3]>>[CH3:1][O:2][CH3:3]")  # the product is symmetric
    assert ether.origins == {6: (0, 4), 7: (1,), 8: (4, 0)}
    assert read_mapped(
        "[nH:1]1[cH:2][cH:3][cH:4][cH:5]1>>[nH:1]1[cH:2][cH:3][cH:4][cH:5]1"
    ).text == ("[nH]1cccc1>>[nH]1cccc1")
    for wrong, told in {
        "[CH3:1]O>>[CH3:1]Cl": "expected one Cl of the reactants for Cl of the product, got none",
        "[CH3:1]O>>[NH2:1]": r"one N of the reactants for \[NH2:1\] of the product, got \[CH3:1\]",
        "[CH3:1][CH3:1]>>[CH3:1]": r"got \[CH3:1\], \[CH3:1\]",
        "[CH3:1]O>>[CH3:1]&": "mapped: expected symbols of SMILES",
    }.items():
        with pytest.raises(ValueError, match=told):
            read_mapped(wrong)


def test_a_rewritten_product_is_the_same_molecule_with_the_same_map():
    networkx = pytest.importorskip("networkx")
    for reaction in mapped_reactions():
        for start in range(len(reaction.origins)):
            other = rewritten(reaction, start)
            assert (
                other.symbols[: other.symbols.index(">>")]
                == (reaction.symbols[: reaction.symbols.index(">>")])
            )
            old, new = (
                {place: origins[0] for place, origins in r.origins.items()}
                for r in (reaction, other)
            )
            assert sorted(old.values()) == sorted(new.values())
            graphs = [
                networkx.relabel_nodes(graph_of(r.symbols, set(r.origins)), origin)
                for r, origin in ((reaction, old), (other, new))
            ]
            assert networkx.utils.graphs_equal(*graphs), other.text
        first = next(iter(rewritten(reaction, 3).origins.values()))
        assert first == [*reaction.origins.values()][3]
    assert rewritten(mapped_reactions()[0], 1).text != mapped_reactions()[0].text


def test_products_that_cannot_be_rewritten_are_refused():
    for product in ("[CH3:1]/[CH:2]=[CH:3]/[CH3:4]", "[CH3:1].[CH3:2][CH2:3][CH3:4]"):
        reaction = read_mapped(f"[CH3:1][CH2:2][CH2:3][CH3:4]>>{product}")
        with pytest.raises(ValueError, match="reaction: expected a single product without"):
            rewritten(reaction, 0)


def test_padded_rows_do_not_change_a_reaction():
    model = load_reaction_reader()
    short, long = reaction_tokens("CC(=O)O.OCC>>CC(=O)OCC"), reaction_tokens(EXAMPLE)
    batch = torch.zeros(2, len(long), dtype=torch.long)
    batch[0, : len(short)], batch[1] = short, long
    with torch.no_grad():
        states = model(batch, valid_lens=torch.tensor([len(short), len(long)]))
        alone = model(short[None])[0]
    assert (states[0, : len(short)] - alone).abs().max() < 1e-4 * alone.abs().max()


def test_every_pass_is_recorded():
    model = load_reaction_reader()
    with torch.no_grad(), record_attention(model) as recorded:
        model(reaction_tokens("C>>C")[None])
    assert [tuple(w.shape) for w in recorded] == 12 * [(1, 8, 5, 5)]


def test_sizes_that_are_none():
    with pytest.raises(ValueError, match="depth: expected"):
        ReactionReader(depth=0)
    model = load_reaction_reader()
    for tokens, told in (
        (
            torch.zeros(1, 3),
            r"tokens: expected integers of shape \(B, T\) with T from 1 to 512, got torch.float32",
        ),
        (torch.zeros(3, dtype=torch.long), r"got \(3,\)"),
        (torch.zeros(1, 0, dtype=torch.long), r"got \(1, 0\)"),
        (torch.zeros(1, 513, dtype=torch.long), r"got \(1, 513\)"),
        ([[1]], "got list"),
    ):
        with pytest.raises(ValueError, match=told):
            model(tokens)


def test_head_six_maps_atoms_and_no_other_does():
    accuracy = mapping_accuracy(load_reaction_reader())
    assert accuracy.shape == (12, 8)
    assert accuracy[2:, 5].min() >= 0.75
    others = accuracy[:, [h for h in range(8) if h != 5]]
    assert others.max() < 0.65
    assert accuracy[0].max() < 0.45


@pytest.mark.parametrize("seed", range(3))
def test_random_weights_map_by_chance(seed):
    torch.manual_seed(seed)
    accuracy = mapping_accuracy(ReactionReader().eval(), mapped_reactions()[::2])
    assert accuracy.mean() < 0.15
    assert accuracy.max() < 0.5

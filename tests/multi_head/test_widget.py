"""The head explorer from Python's side: what it computes, what it is made of, what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from attn_utils import MultiHeadAttention
from attn_utils.multi_head.wedding import contributions_of, wedding
from attn_utils.widgets import HeadExplorer


def data(N=5, H=3, T=4, S=4, C=3, **changes):
    """Random data that fit together."""
    torch.manual_seed(N)
    fitting = {
        "tokens": [[f"t{s}" for s in range(S)] for _ in range(N)],
        "weights": torch.rand(N, H, T, S).softmax(dim=-1),
        "contributions": torch.randn(N, H, C),
        "bias": torch.randn(C),
        "labels": torch.randint(C, (N,)),
        "classes": [f"c{c}" for c in range(C)],
    }
    return fitting | changes


def test_the_built_in_heads_look_where_they_say():
    explorer = HeadExplorer()
    N, H, T, S, C = explorer._shape
    assert (H, T, S, C) == (4, 6, 6, 7)
    weights = torch.tensor(explorer._weights).view(N, H, T, S)
    torch.testing.assert_close(weights.sum(-1), torch.ones(N, H, T))
    assert (weights.diagonal(dim1=-2, dim2=-1) == 0).all()  # nobody looks at himself
    for n, names in enumerate(explorer._tokens):
        for i, name in enumerate(names):
            family, ring, _ = name.split()
            kin = next(j for j, o in enumerate(names) if j != i and o.startswith(family))
            mate = next(j for j, o in enumerate(names) if j != i and ring in o)
            assert weights[n, 0, i].argmax() == kin
            assert weights[n, 1, i].argmax() == mate
            assert weights[n, 3, i].argmax() == (i + 1) % 6
            if i == explorer._asked[n]:
                years = int(names[kin][-2:]) - int(names[mate][-2:])
                assert explorer._labels[n] == years + 3


def test_two_of_the_built_in_heads_are_needed():
    explorer = HeadExplorer()
    assert explorer.accuracy == 1
    for muted, low in ((0, True), (1, True), (2, False), (3, False)):
        explorer.faders = [float(h != muted) for h in range(4)]
        assert (explorer.accuracy < 0.5) == low
        assert (explorer.accuracy == 1) != low
    assert len(set(explorer._labels)) == 7  # all answers occur


def test_the_built_in_case_is_the_same_every_time():
    one, other = wedding(), wedding()
    assert torch.equal(one["weights"], other["weights"])
    assert one["tokens"] == other["tokens"]


def test_results_are_the_formula():
    given = data()
    explorer = HeadExplorer(**given, faders=[0.5, 0, 2])
    parts = given["contributions"]
    logits = given["bias"] + 0.5 * parts[:, 0] + 2 * parts[:, 2]
    np.testing.assert_allclose(explorer.logits, logits.flatten(), atol=1e-6)
    assert explorer.predicted.tolist() == logits.argmax(-1).tolist()
    share = (logits.argmax(-1) == given["labels"]).float().mean()
    assert explorer.accuracy.item() == pytest.approx(share.item())
    seen = []
    explorer.observe(lambda change: seen.append(change.new), names="logits")
    explorer.faders = np.zeros(3)
    assert len(seen) == 1
    np.testing.assert_allclose(explorer.logits.reshape(5, 3), given["bias"].expand(5, 3))


def test_the_first_of_equal_logits_is_the_answer():
    given = data(contributions=torch.zeros(5, 3, 3), bias=torch.zeros(3))
    assert HeadExplorer(**given).predicted.tolist() == [0] * 5


def model(H, bias):
    torch.manual_seed(H)
    layer = MultiHeadAttention(8, H, query_size=5, key_size=5, value_size=5, bias=bias)
    if bias:
        for part in (layer.W_v, layer.W_o):
            nn.init.normal_(part.bias)
    return layer, nn.Linear(8, 3, bias=bias)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("H", [1, 2, 4])
def test_contributions_sum_to_the_models_logits(H, bias):
    layer, readout = model(H, bias)
    x, mask = torch.randn(6, 4, 5), ~torch.eye(4, dtype=torch.bool)
    weights, parts, rest = contributions_of(layer, readout, x, mask)
    assert weights.shape == (6, H, 4, 4)
    assert parts.shape == (6, H, 4, 3)
    expected = readout(layer(x, mask=mask))
    torch.testing.assert_close(rest + parts.sum(dim=1), expected, atol=1e-5, rtol=0)
    assert (weights.diagonal(dim1=-2, dim2=-1) == 0).all()
    # a head's contribution is what the model loses with its slice of W_o
    with torch.no_grad():
        layer.W_o.weight[:, : 8 // H] = 0
    without = readout(layer(x, mask=mask))
    torch.testing.assert_close(expected - without, parts[:, 0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("asked", [None, [0, 3, 1, 2, 0, 1]])
def test_an_explorer_of_a_model_answers_as_the_model(asked):
    layer, readout = model(2, True)
    x = torch.randn(6, 4, 5)
    names = [[f"t{s}" for s in range(4)] for _ in range(6)]
    with torch.no_grad():
        outputs = readout(layer(x))  # (6, 4, 3)
        logits = outputs.mean(1) if asked is None else outputs[torch.arange(6), asked]
    labels = logits.argmax(-1)
    explorer = HeadExplorer.from_model(
        layer,
        readout,
        x,
        tokens=names,
        labels=labels,
        classes=["a", "b", "c"],
        asked=None if asked is None else torch.tensor(asked),
        heads=["x", "y"],
        example=2,
    )
    np.testing.assert_allclose(explorer.logits, logits.flatten(), atol=1e-5)
    assert explorer.accuracy == 1
    assert explorer._heads == ["x", "y"]
    assert explorer.example == 2
    assert all(p.grad is None for p in layer.parameters())


def test_cross_attention_has_names_for_queries():
    names = [["q0", "q1"]] * 5
    explorer = HeadExplorer(**data(T=2, query_tokens=names))
    assert explorer._query_tokens == names
    with pytest.raises(ValueError, match="query_tokens: expected names of 2 queries, got None"):
        HeadExplorer(**data(T=2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bias": None}, "bias: expected beside tokens, got None"),
        (
            {"weights": torch.rand(5, 4, 4)},
            r"weights: expected shape \(N, H, T, S\), got \(5, 4, 4\)",
        ),
        ({"weights": "none"}, "weights: expected numbers"),
        ({"weights": -torch.ones(5, 3, 4, 4)}, "from 0 to 1"),
        ({"weights": torch.full((5, 3, 4, 4), torch.nan)}, "NaN"),
        ({"weights": torch.zeros(5, 9, 4, 4)}, "up to 8 heads, got 9"),
        ({"weights": torch.zeros(200, 3, 8, 8)}, "contributions: expected shape"),
        ({"contributions": torch.zeros(5, 3, 2)}, r"contributions: expected shape \(5, 3, 3\)"),
        ({"bias": torch.zeros(1, 3)}, r"bias: expected shape \(C,\)"),
        ({"labels": [0, 1]}, "labels: expected 5 integers from 0 to 2, got 2"),
        ({"labels": [0, 1, 2, 3, 0]}, "labels: expected 5 integers"),
        ({"labels": torch.zeros(5)}, "labels: expected 5 integers"),
        ({"asked": [4] * 5}, "asked: expected 5 integers from 0 to 3"),
        ({"tokens": [["a"] * 4] * 4}, "tokens: expected a list for each of 5 examples, got 4"),
        ({"tokens": [["a"] * 3] * 5}, "tokens: expected 4 strings, got 3"),
        ({"tokens": ["abcd"] * 5}, "tokens: expected lists of strings"),
        ({"classes": ["a", "b"]}, "classes: expected 3 strings, got 2"),
        ({"heads": ["a"]}, "heads: expected 3 strings, got 1"),
    ],
)
def test_data_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        HeadExplorer(**data(**changes))


def test_too_much_for_a_page_is_refused():
    with pytest.raises(ValueError, match=r"expected up to 30720 numbers.*fewer than 120 examples"):
        HeadExplorer(**data(N=120, H=8, T=6, S=6))
    HeadExplorer(**data(N=100, H=8, T=6, S=6, C=2))  # what the chapters need


@pytest.mark.parametrize(
    ("controls", "message"),
    [
        ({"example": 40}, "example: expected a number from 0 to 39"),
        ({"example": 0.5}, "example: expected an integer"),
        ({"query": 6}, "query: expected a number from -1 to 5"),
        ({"faders": [1, 1]}, "faders: expected 4 numbers, one for each head, got 2"),
        ({"faders": [1, 1, 1, 2.1]}, "faders: expected finite numbers from 0 to 2"),
        ({"shown": [1, 1, 1, 0.5]}, "shown: expected 0 or 1"),
        ({"guessing": 1}, "guessing: expected True or False"),
        ({"loud": 1}, "loud: no such control"),
    ],
)
def test_controls_out_of_range_are_refused(controls, message):
    with pytest.raises(ValueError, match=message):
        HeadExplorer(**controls)


def test_the_picture_shows_names_as_text():
    names = [["$$", "<b>", "a_b", "^"]] * 5
    explorer = HeadExplorer(
        **data(tokens=names, heads=["$", "b", "c"], classes=["$x", "y", "z"]),
        shown=[1, 0, 1],
        title="$$",
    )
    explorer.figure().canvas.draw()
    bundle, _ = explorer._repr_mimebundle_()
    assert bundle["text/plain"].startswith("Names in two rows")

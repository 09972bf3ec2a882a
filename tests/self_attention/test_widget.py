"""The mask studio from Python's side: what it computes, what it refuses."""

from __future__ import annotations

import math

import pytest
import torch

from attn_utils import masked_softmax
from attn_utils.self_attention.widget import MOST, embed, embedding_of, tokens_of
from attn_utils.widgets import SelfAttentionExplorer


def square(numbers, n):
    return torch.tensor(numbers).view(n, n)


def test_it_opens_with_the_worked_example():
    explorer = SelfAttentionExplorer()
    third = 1 / (1 + math.exp(1 / math.sqrt(2)))
    expected = torch.tensor([[third, 1 - third], [0.5, 0.5]])
    torch.testing.assert_close(square(explorer.weights, 2), expected)
    torch.testing.assert_close(square(explorer.output, 2), expected)  # the values are unit vectors
    root = 1 / math.sqrt(2)
    torch.testing.assert_close(
        square(explorer.scores, 2), torch.tensor([[root, 2 * root], [root, root]])
    )
    _, q, k, v = explorer.matrices()
    assert q.tolist() == [[1, 2], [1, 1]]
    assert k.tolist() == v.tolist() == [[1, 0], [0, 1]]


def test_scale_off():
    explorer = SelfAttentionExplorer(scaled=False)
    assert explorer.scores.tolist() == [1, 2, 1, 1]


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        ({"mask": "none"}, torch.ones(5, 5)),
        ({"mask": "causal"}, torch.ones(5, 5).tril()),
        ({"mask": "padding", "valid": 3}, torch.ones(5, 1) * torch.tensor([1, 1, 1, 0, 0])),
        ({"mask": "window", "reach": 1}, torch.ones(5, 5).tril(1).triu(-1)),
        ({"mask": "my own", "cells": [0] * 64}, torch.zeros(5, 5)),
    ],
)
def test_masks(mask, expected):
    explorer = SelfAttentionExplorer(words="a b c d e", way="package", **mask)
    assert torch.equal(explorer.permitted(), expected.bool())
    scores = square(explorer.scores, 5)
    torch.testing.assert_close(
        square(explorer.weights, 5), masked_softmax(scores, expected.bool()), atol=1e-6, rtol=0
    )


def test_the_ways_of_masking_differ_as_the_chapter_says():
    found = {}
    for way in ("-inf", "-1e9", "zero after softmax", "package"):
        explorer = SelfAttentionExplorer(mask="padding", valid=1, way=way)
        found[way] = square(explorer.weights, 2), explorer.row_sums, explorer.leaked
    for way in ("-inf", "-1e9", "package"):
        assert found[way][0].tolist() == [[1, 0], [1, 0]]
        assert found[way][2].max() == 0
    weights, sums, leaked = found["zero after softmax"]
    assert weights[:, 1].max() == 0
    assert sums + leaked == pytest.approx(1.0)
    assert leaked == pytest.approx([0.6698, 0.5], abs=1e-3)

    dead = {
        way: SelfAttentionExplorer(mask="padding", valid=0, way=way)
        for way in ("-inf", "-1e9", "zero after softmax", "package")
    }
    assert torch.tensor(dead["-inf"].weights).isnan().all()
    assert torch.tensor(dead["-inf"].output).isnan().all()
    assert dead["-1e9"].weights.tolist() == [0.5] * 4
    assert dead["-1e9"].leaked.tolist() == [1, 1]
    assert dead["package"].weights.tolist() == [0] * 4
    assert dead["package"].output.tolist() == [0] * 4
    assert dead["package"].leaked.tolist() == [0, 0]


def test_words_bring_their_vectors():
    explorer = SelfAttentionExplorer(words="the cat saw the cat")
    assert explorer.inputs[:2] == explorer.inputs[6:8]  # the same word, the same vector
    assert len(explorer.inputs) == 2 * MOST
    explorer.words = "a1 a2"
    assert explorer.inputs[:4] == [1, 1, 1, 0]
    assert len(explorer.weights) == 4
    assert SelfAttentionExplorer(words="x y", inputs=[1, 2, 3, 4]).inputs == [1, 2, 3, 4] + [0] * 12
    assert all(-2 <= number <= 2 for number in embed("naïve 注意力 🙂 <b>"))
    assert len({embedding_of(f"word{i}") for i in range(300)}) > 200  # hardly any collisions
    assert tokens_of("  one\ttwo \n three ") == ["one", "two", "three"]


def test_equal_words_give_equal_rows_until_a_mask_tells_them_apart():
    explorer = SelfAttentionExplorer(words="the cat saw the cat")
    out = torch.tensor(explorer.output).view(5, 2)
    torch.testing.assert_close(out[0], out[3])
    explorer.mask = "causal"
    out = torch.tensor(explorer.output).view(5, 2)
    assert not torch.allclose(out[0], out[3])


@pytest.mark.parametrize(
    ("controls", "message"),
    [
        ({"words": ""}, "words: expected 1 to 8 words"),
        ({"words": "a b c d e f g h i"}, "got 9 of them"),
        ({"words": 3}, "words: expected 1 to 8 words, got 3"),
        ({"inputs": [1, 2, 3]}, "inputs: expected 2 numbers for each token"),
        ({"inputs": [9, 9]}, "inputs: expected finite numbers from -5 to 5"),
        ({"inputs": [math.nan, 0]}, "inputs: expected finite numbers"),
        ({"w_q": [1, 0, 0]}, "w_q: expected 4 numbers"),
        ({"w_k": [[1, 0], [0, 1]]}, "w_k: expected a list of numbers, got shape"),
        ({"mask": "diagonal"}, "mask: expected one of"),
        ({"way": "nan"}, "way: expected one of"),
        ({"cells": [1, 0]}, "cells: expected 64 numbers"),
        ({"cells": [0.5] * 64}, "cells: expected 64 numbers that are 0 or 1"),
        ({"valid": 1.5}, "valid: expected an integer"),
        ({"shown": 0}, "shown: expected a number from 1"),
        ({"heads": 2}, "heads: no such control"),
    ],
)
def test_what_it_refuses(controls, message):
    with pytest.raises(ValueError, match=message):
        SelfAttentionExplorer(**controls)


@pytest.mark.parametrize("words", ["a1 a2", "the $x^ <b>cat</b> $$ sat on a mat"])
def test_still_picture(words):
    explorer = SelfAttentionExplorer(words=words, title=words, mask="padding", valid=0)
    data, _ = explorer._repr_mimebundle_()
    assert data["text/plain"] == explorer.alt
    assert len(data["image/png"]) > 5000

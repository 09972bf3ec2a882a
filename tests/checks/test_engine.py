"""What the engine of the self-checks accepts, and how it speaks."""

from __future__ import annotations

import linecache

import numpy as np
import pytest
import torch

from attn_utils.checks import Mistake, check, compare, compare_entries, exercise, number

ONES = torch.ones(2)


@pytest.fixture
def doubled(monkeypatch):
    """An exercise of our own, "toy.doubled"."""
    monkeypatch.setattr("attn_utils.checks._exercises", {})

    @exercise("toy.doubled")
    def judge(answer):
        for size in (1, 2):
            x = torch.ones(size)
            compare(answer(x), 2 * x, "the result")


def said(got, want=ONES, what="the scores", **options):
    with pytest.raises(Mistake) as caught:
        compare(got, want, what, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("what", "verb"),
    [
        ("the scores", "have"),
        ("the mask", "has"),
        ("the bias", "has"),
        ("the images with 5 patches kept", "have"),
        ("the block's output", "has"),
        ("what the decoder reads", "has"),
        ("the output for 2 sequences", "has"),
        ("dial(…, 0), which should be the weights,", "has"),
    ],
)
def test_the_verb_agrees_with_what_is_compared(what, verb):
    assert said(torch.ones(3), what=what) == f"{what} {verb} shape (3,), expected (2,)"


def test_messages_in_the_plural():
    assert said(None) == "the scores are None: nothing has been computed yet"
    assert said(ONES + torch.nan) == "the scores contain NaN"
    assert said(2 * ONES) == "the scores differ from the right ones by up to 1"
    assert said("text") == "the scores should be tensors or numbers, not str"


@pytest.mark.parametrize(
    "got",
    [[1.0, 1], (1, 1), np.ones(2), [torch.tensor(1.0), torch.tensor(1)], torch.ones(2).double()],
)
def test_the_type_of_a_right_answer_does_not_matter(got):
    compare(got, ONES)


def test_python_numbers_are_compared_as_exactly_as_they_are():
    exact = torch.tensor(632_045_801)
    for got in (632_045_801, 632_045_801.0, np.int64(632_045_801), np.float64(632_045_801)):
        compare(got, exact)
    assert "by up to 1" in said(632_045_800.0, exact, "the number")


def test_a_right_answer_is_right_even_where_a_mistake_leads_to_it():
    compare(ONES, ONES, mistakes={"never said": ONES})


@pytest.mark.parametrize(
    "got", [3, 3.0, np.int64(3), np.int32(3), np.float32(3), np.array(3), torch.tensor(3.0)]
)
def test_integers_of_every_kind_are_numbers(got):
    plain = number(got, "the size")
    assert plain == 3
    assert type(plain) is int


@pytest.mark.parametrize("got", [True, np.True_, "3", [3], 3j])
def test_other_things_are_no_numbers(got):
    with pytest.raises(Mistake, match="the size should be a number, not"):
        number(got, "the size")


@pytest.mark.parametrize(
    "shape", [(2, 3), [2, 3], torch.Size([2, 3]), np.array([2, 3]), torch.tensor([2, 3]), (2.0, 3)]
)
@pytest.mark.parametrize("size", [1, 1.0, np.int64(1), torch.tensor(1)])
def test_entries_of_every_kind(shape, size):
    right = {"shape": (2, 3), "size": 1}
    compare_entries({"shape": shape, "size": size}, right, {"shape": {}, "size": {}}, "advice")


@pytest.mark.parametrize("size", [2, np.int64(2), np.array(2)])
def test_a_mistake_in_an_entry_is_named(size):
    with pytest.raises(Mistake, match="one too many"):
        compare_entries({"size": size}, {"size": 1}, {"size": {2: "one too many"}}, "advice")


@pytest.mark.parametrize("size", [True, np.array([1, 2]), "1"])
def test_a_wrong_entry_is_refused(size):
    with pytest.raises(Mistake, match="is not right"):
        compare_entries({"size": size}, {"size": 1}, {"size": {}}, "advice")


@pytest.mark.usefixtures("doubled")
def test_a_change_of_an_argument_is_said_before_anything_else():
    def in_place(scores):
        scores *= 3
        return scores

    def own_copy(scores):
        scores = scores.clone()
        scores *= 2
        return scores

    assert "changed the caller's scores" in check("toy.doubled", in_place).message
    assert "changed the caller's x" in check("toy.doubled", lambda x: 2 * x.unsqueeze_(0)).message
    assert check("toy.doubled", own_copy)


def test_an_answer_that_stops_is_told_where(doubled):
    cell = "def helper(x):\n    return {}['key']\n\ndef answer(x):\n    return helper(x) + 1\n"
    name = "/tmp/ipykernel_1/2.py"  # as IPython names a cell, with its text at hand
    linecache.cache[name] = (len(cell), None, cell.splitlines(True), name)
    scope = {}
    exec(compile(cell, name, "exec"), scope)
    message = check("toy.doubled", scope["answer"]).message
    assert message.startswith("✗ toy.doubled: your code stopped with KeyError: 'key'")
    assert message.endswith(" (line 2 of your cell: return {}['key'])")


def test_an_answer_that_is_called_wrongly_has_no_line(doubled):
    message = check("toy.doubled", lambda: 1).message
    assert "stopped with TypeError" in message
    assert "of your cell" not in message

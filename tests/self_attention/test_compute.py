"""The mask studio's arithmetic in the browser, against the package, in random states."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from attn_utils.self_attention import widget
from attn_utils.self_attention.widget import MASKS, MOST, WAYS, SelfAttentionExplorer, embed
from tests.conftest import JavaScript
from tests.widgets.computing import equal_references

COMPUTE = Path(widget.__file__).with_name("compute.js")
EMBEDDING = Path(__file__).with_name("embedding_cases.js")
STATE = (
    "words",
    "inputs",
    "w_q",
    "w_k",
    "w_v",
    "scaled",
    "mask",
    "valid",
    "reach",
    "cells",
    "way",
)
TOKENS = ("a1", "a2", "the", "cat", "naïve", "注意力", "🙂", "<b>cat</b>", "$x^", "\ud800")


def random_words(draw: random.Random) -> str:
    tokens = draw.choices(TOKENS, k=draw.randint(1, MOST))
    return draw.choice((" ", "\n", " \t ")).join(tokens)


def random_studio(draw: random.Random, mask: str, way: str) -> SelfAttentionExplorer:
    """Any tokens and matrices; masks close whole rows now and then."""
    size = draw.choice((0.5, 2, 5))

    def numbers(count: int) -> list[float]:
        return [round(draw.uniform(-size, size), 2) for _ in range(count)]

    words = random_words(draw)
    vectors = {} if draw.random() < 0.3 else {"inputs": numbers(2 * MOST)}
    return SelfAttentionExplorer(
        words=words,
        **vectors,
        w_q=numbers(4),
        w_k=numbers(4),
        w_v=numbers(4),
        scaled=draw.random() < 0.5,
        mask=mask,
        valid=draw.randint(0, MOST),
        reach=draw.randint(0, MOST - 1),
        cells=[float(draw.random() < 0.4) for _ in range(MOST**2)],
        way=way,
    )


@pytest.mark.parametrize("way", WAYS)
def test_random_states_equal_the_package(javascript: JavaScript, way: str) -> None:
    draw = random.Random(WAYS.index(way))
    studios = [random_studio(draw, mask, way) for mask in MASKS for _ in range(40)]
    equal_references(javascript, COMPUTE, studios, STATE)


def test_words_bring_the_same_vectors(javascript: JavaScript) -> None:
    draw = random.Random(5)
    worked = SelfAttentionExplorer()._worked
    words = [random_words(draw) for _ in range(200)]
    found = javascript(EMBEDDING, [{"words": text, "_worked": worked} for text in words])
    assert [result["inputs"] for result in found] == [embed(text) for text in words]

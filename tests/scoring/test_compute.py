"""The score lab's arithmetic in the browser, against the package, in random states."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from attn_utils.scoring import widget
from attn_utils.scoring.widget import BOUND, DIMENSIONS, LARGEST, RULES, ScoringExplorer
from tests.conftest import JavaScript
from tests.widgets.computing import equal_references

COMPUTE = Path(widget.__file__).with_name("compute.js")
STATE = (
    "rule",
    "temperature",
    "query",
    "key_points",
    "dimension",
    "_additive",
    "_dial",
    "_sizes",
)


def random_lab(draw: random.Random, rule: str) -> ScoringExplorer:
    """Any state; now and then the query is 0 or stands in a corner, or the weights are others."""

    def numbers(count: int, most: float = BOUND) -> list[float]:
        return [round(draw.uniform(-most, most), 2) for _ in range(count)]

    hidden = draw.randint(1, 12)
    own = ([numbers(2) for _ in range(hidden)], [numbers(2) for _ in range(hidden)])
    return ScoringExplorer(
        additive=draw.choice((None, (*own, numbers(hidden), numbers(hidden)))),
        rule=rule,
        temperature=draw.choice((0.05, 1.0, 50.0, round(draw.uniform(0.05, 50), 2))),
        query=draw.choice(([0.0, 0.0], [BOUND, -BOUND], numbers(2), numbers(2), numbers(2))),
        key_points=numbers(2 * draw.randint(2, 6)),
        dimension=draw.choice((draw.choice(DIMENSIONS), draw.randint(1, LARGEST))),
    )


@pytest.mark.parametrize("rule", RULES)
def test_random_states_equal_the_package(javascript: JavaScript, rule: str) -> None:
    draw = random.Random(RULES.index(rule))
    labs = [random_lab(draw, rule) for _ in range(60)]
    # p log p and p (1 − p) of a weight near 1, which is rounded to a part of 1
    equal_references(javascript, COMPUTE, labs, STATE, terms={"spread": 1.0})

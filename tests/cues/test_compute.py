"""The cue explorer's arithmetic in the browser, against the package, in random states."""

from __future__ import annotations

import random
from pathlib import Path

from attn_utils.cues import widget
from attn_utils.cues.widget import COLOURS, SHAPES, THINGS, USES, CueExplorer
from tests.conftest import JavaScript
from tests.widgets.computing import SINGLE, equal_references

COMPUTE = Path(widget.__file__).with_name("compute.js")
STATE = ("use", "colour", "shape", "salience_gain", "query_gain", "salience", "_things")


def random_explorer(draw: random.Random) -> CueExplorer:
    """Any query; gains and saliences often stand at the ends of their ranges."""
    return CueExplorer(
        use=draw.choice(("any", *USES)),
        colour=draw.choice(("any", *COLOURS)),
        shape=draw.choice(("any", *SHAPES)),
        salience_gain=draw.choice((0.0, 6.0, draw.uniform(0, 6))),
        query_gain=draw.choice((0.0, 6.0, draw.uniform(0, 6))),
        salience=[draw.choice((0.0, 1.0, draw.random())) for _ in THINGS],
    )


def test_random_states_equal_the_package(javascript: JavaScript) -> None:
    draw = random.Random(1)
    explorers = [CueExplorer(), *(random_explorer(draw) for _ in range(300))]
    equal_references(javascript, COMPUTE, explorers, STATE, within=SINGLE)

"""The gate lab's arithmetic in the browser, against the package's modules, in random states."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from attn_utils.channel import widget
from attn_utils.channel.widget import CHANNELS, LEVELS, PIXELS, GateExplorer
from tests.conftest import JavaScript

COMPUTE = Path(widget.__file__).with_name("compute.js")
STATE = ("block", "reduction", "kernel", "where", "volumes", "pixels", "_se", "_eca")


def random_lab(random: np.random.Generator) -> GateExplorer:
    """Any block over any picture; now and then a channel is black or turned off."""
    levels = random.integers(0, 16, (CHANNELS, PIXELS)) * random.integers(0, 2, (CHANNELS, 1))
    return GateExplorer(
        block=str(random.choice(["SE", "SE", "ECA", "ECA", "none"])),
        reduction=str(random.choice(["1", "2", "4", "8"])),
        kernel=str(random.choice(["1", "3", "5", "7"])),
        where=int(random.integers(1, 9)),
        volumes=(random.uniform(0, 2, CHANNELS) * random.integers(0, 4, CHANNELS).clip(max=1)),
        pixels="".join(LEVELS[level] for level in levels.ravel()),
    )


def test_random_states_equal_the_modules(javascript: JavaScript) -> None:
    random = np.random.default_rng(10)
    labs = [random_lab(random) for _ in range(300)]
    states = [{name: getattr(lab, name) for name in STATE} for lab in labs]
    for lab, found in zip(labs, javascript(COMPUTE, states), strict=True):
        expected = lab.reference()
        assert found.keys() == expected.keys()
        for name, want in expected.items():
            limit = 1e-12 * max([1e-3, *want.abs().tolist()])  # float64 on both sides
            np.testing.assert_allclose(found[name], want, rtol=0, atol=limit, err_msg=name)

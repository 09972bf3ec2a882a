"""The patch explorer's arithmetic in the browser, against the package, in random states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from attn_utils.vit import widget
from attn_utils.vit.widget import PATCHES, VIEWS, PatchExplorer
from tests.conftest import JavaScript

COMPUTE = Path(widget.__file__).with_name("compute.js")
STATE = (
    *("picture", "patch", "down", "across", "asking", "layer", "head", "view", "sharpness"),
    *("_shape", "_model", "_heads", "_layers", "_weights"),
)


def random_choices(random: np.random.Generator, **most: int) -> dict[str, Any]:
    return {
        "down": float(random.choice([0, 1, random.random()])),
        "across": float(random.choice([0, 1, random.random()])),
        "view": str(random.choice(VIEWS)),
        **{name: int(random.integers(name != "picture", top + 1)) for name, top in most.items()},
    }


def explorer_of_a_model(random: np.random.Generator) -> PatchExplorer:
    """Stored weights of a model of any form; some heads look at one token only."""
    M, L, H, P, size, C = (int(random.integers(1, most)) for most in (4, 4, 5, 3, 4, 3))
    rows, columns = random.integers(1, 6, 2)
    T = P + rows * columns
    scores = random.normal(0, random.choice([0.1, 1, 30]), (M, L, H, T, T))
    return PatchExplorer(
        torch.rand(M, C if C == 1 else 3, rows * size, columns * size),
        torch.tensor(scores).softmax(dim=-1),
        patch_size=size,
        embed_dim=8,
        num_prefix_tokens=P,
        asking=str(random.choice(["patch", "class token"])),
        **random_choices(random, picture=M - 1, layer=L, head=H),
    )


def explorer_of_a_photograph(random: np.random.Generator) -> PatchExplorer:
    """Blots of colour on noise, or an even grey."""
    photo = torch.tensor(random.integers(0, 256, (1, 3, 7, 7))).repeat_interleave(16, 2)
    photo = photo.repeat_interleave(16, 3) + torch.tensor(random.integers(0, 9, (1, 1, 112, 112)))
    if random.integers(10) == 0:
        photo = torch.full_like(photo, 100)
    return PatchExplorer(
        photo.clamp(0, 255).to(torch.uint8),
        patch=str(random.choice(PATCHES)),
        sharpness=float(random.choice([0, 0.35, 1, 4])),
        **random_choices(random, picture=0, layer=3, head=4),
    )


def test_random_states_equal_the_package(javascript: JavaScript) -> None:
    random = np.random.default_rng(12)
    explorers = [explorer_of_a_model(random) for _ in range(180)]
    explorers += [explorer_of_a_photograph(random) for _ in range(40)]
    states = []
    for explorer in explorers:
        pixels = np.frombuffer(explorer._pixels, np.uint8)
        # a model's pixels are not computed with
        states.append({name: getattr(explorer, name) for name in STATE})
        states[-1]["_pixels"] = pixels[: 0 if explorer._model else None]
    for explorer, found in zip(explorers, javascript(COMPUTE, states), strict=True):
        expected = explorer.reference()
        assert found.keys() == expected.keys()
        for name, want in expected.items():
            # float64 on both sides; a photograph of one colour is divided by its spread, which is
            # rounding only
            limit = (1e-12 if explorer._model else 1e-9) * float(want.max())
            np.testing.assert_allclose(
                found[name], want.flatten(), rtol=0, atol=limit, err_msg=name
            )

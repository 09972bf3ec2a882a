"""The patch explorer in Python: controls, results, bad input, the still picture."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser

from attn_utils import VisionTransformer, attention_rollout, record_attention
from attn_utils.vit.hand_made import hand_made_attention, hand_made_tokens
from attn_utils.widgets import PatchExplorer
from tests.widgets.bench import Bench


@pytest.fixture(scope="module")
def model() -> VisionTransformer:
    torch.manual_seed(12)
    vit = VisionTransformer(8, 2, 1, 10, 24, 3, 2)
    for p in vit.parameters():
        torch.nn.init.normal_(p, std=0.5)  # far from even attention
    return vit.eval()


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def test_tokens_of_a_photograph() -> None:
    pixels = PatchExplorer().pixels()
    assert pixels.shape == (112, 112, 3)
    tokens = hand_made_tokens(pixels, 14)
    assert tokens.shape == (196, 5)
    patch = pixels[5 * 8 : 6 * 8, 3 * 8 : 4 * 8].double() / 255
    np.testing.assert_allclose(tokens[5 * 14 + 3, :3], patch.mean(dim=(0, 1)))
    np.testing.assert_allclose(tokens[5 * 14 + 3, 3:], [5.5 / 14, 3.5 / 14])


def test_what_the_heads_set_by_hand_do() -> None:
    """Each head on tokens of three colours, by what its name promises."""
    red, wall = [1.0, 0, 0], [0.5, 0.5, 0.5]
    tokens = torch.tensor(
        [[*(red if c in (0, 15) else wall), c // 4, c % 4] for c in range(16)],
        dtype=torch.float64,
    )
    colour, near, both, salience = hand_made_attention(tokens)[0]
    for weights in (colour, near, both, salience):
        np.testing.assert_allclose(weights.sum(dim=1), 1)
    assert colour[0, 15] == pytest.approx(0.5)  # the other red one, wherever it is
    assert near[5, 6] > 3 * near[5, 7]
    np.testing.assert_allclose(near[5, 6], near[5, 9])
    assert both[1, 2] > both[1, 14] > both[1, 0]
    assert torch.equal(salience[0], salience[9])  # it does not ask
    assert salience[0, 15] > 2 * salience[0, 1]


def test_one_eye_of_the_cat_finds_the_other() -> None:
    """As the chapter says: look from the iris on the left, then from its pupil."""
    iris = PatchExplorer(picture=1, down=4.5 / 14, across=4.5 / 14).row.reshape(14, 14)
    assert iris[:, 7:].max() == pytest.approx(iris[6, 11])  # in the eye on the right
    assert iris[6, 11] > np.sort(iris[:, 7:], axis=None)[-2] * 10
    pupil = PatchExplorer(picture=1, down=5.5 / 14, across=4.5 / 14)
    assert pupil.row[5 * 14 + 4] > 0.99


def test_rollout_is_exactly_what_the_hand_made_layers_do() -> None:
    start = hand_made_tokens(PatchExplorer().pixels(), 7)
    weights = hand_made_attention(start, 0.7)
    end = start
    for mixed in weights.mean(dim=1):
        end = (end + mixed @ end) / 2
    rollout = attention_rollout([layer[None] for layer in weights])[0]
    np.testing.assert_allclose(rollout @ start, end, atol=1e-6)
    shown = PatchExplorer(patch="32", sharpness=0.7, view="rollout", layer=3)
    np.testing.assert_allclose(shown.row, rollout[shown.query()], atol=1e-6)


@pytest.mark.parametrize("asking", ["patch", "class token"])
def test_results_are_those_of_the_model(
    model: VisionTransformer, images: torch.Tensor, asking: str
) -> None:
    with torch.no_grad(), record_attention(model) as recorded:
        model(images)
    w = PatchExplorer.from_model(model, images, asking=asking, picture=1, layer=2, head=2)
    query = 0 if asking == "class token" else 1 + 3 * 4 + 1  # 0.77 down, 0.35 across
    assert w.query() == query
    np.testing.assert_allclose(w.row, recorded[1][1, 1, query], atol=1e-6)
    small = torch.stack([layer[1, :, query] for layer in recorded])
    np.testing.assert_allclose(w.small, small.flatten(), atol=1e-6)
    w.view = "mean of heads"
    np.testing.assert_allclose(w.row, recorded[1][1].mean(dim=0)[query], atol=1e-6)
    for layers in (1, 2, 3):
        w.view, w.layer = "rollout", layers
        rollout = attention_rollout(recorded[:layers])
        np.testing.assert_allclose(w.row, rollout[1, query], atol=1e-6)
    np.testing.assert_allclose(w.patches_used, np.exp(-(w.row * np.log(w.row)).sum()), rtol=1e-4)


def test_counts_are_those_of_a_model(model: VisionTransformer, images: torch.Tensor) -> None:
    embedding = sum(p.numel() for p in model.patch_embed.parameters())
    w = PatchExplorer.from_model(model, images)
    assert w.counts.tolist() == [17, 4, embedding, model.pos_embed.numel(), 17**2]
    for patch in ("14", "16", "28", "32", "56", "112"):
        with torch.device("meta"):
            vit = VisionTransformer(patch_size=int(patch), depth=1)
        w = PatchExplorer(patch=patch)
        want = [
            vit.pos_embed.shape[1],
            3 * int(patch) ** 2,
            sum(p.numel() for p in vit.patch_embed.parameters()),
            vit.pos_embed.numel(),
            vit.pos_embed.shape[1] ** 2,
        ]
        assert w.counts.tolist() == want
        assert w.row.sum() == pytest.approx(1, abs=1e-5)


def test_a_distilled_model_has_two_tokens_in_front(images: torch.Tensor) -> None:
    model = VisionTransformer(8, 4, 1, 10, 24, 2, 2, distilled=True).eval()
    w = PatchExplorer.from_model(model, images, down=0, across=0)
    assert w.counts[0] == len(w.row) == 6
    assert w.query() == 2


def test_a_photograph_of_ones_own() -> None:
    photo = torch.zeros(3, 200, 300)
    photo[:, :, 150:] = 1  # the right half is white
    w = PatchExplorer(photo, down=0.5, across=0.9, names=["halves"])
    assert w.pixels()[50, 20].tolist() == [0, 0, 0]
    assert w.pixels()[50, 90].tolist() == [255, 255, 255]
    row = w.row.reshape(14, 14)
    assert row[:, 7:].sum() > 0.999  # "same colour" stays in the white half
    grey = PatchExplorer(np.random.default_rng(1).integers(0, 255, (2, 1, 64, 64), dtype=np.uint8))
    assert grey._shape == [2, 112, 112]


@pytest.mark.parametrize(("down", "across", "want"), [(0, 0, 0), (1, 1, 195), (0.5, 0.0, 98)])
def test_the_point_that_asks(down: float, across: float, want: int) -> None:
    assert PatchExplorer(down=down, across=across).query() == want


WEIGHTS = torch.full((2, 1, 1, 5, 5), 0.2)
PAIR = torch.zeros(2, 1, 4, 4)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"patch": "15"}, "patch: expected one of 14, 16"),
        ({"patch": 16}, "patch: expected one of"),
        ({"layer": 4}, "layer: expected a number from 1 to 3, got 4"),
        ({"head": 1.5}, "head: expected an integer, got 1.5"),
        ({"head": 5}, "head: expected a number from 1 to 4"),
        ({"picture": 2}, "picture: expected a number from 0 to 1"),
        ({"down": 1.1}, "down: expected a number from 0"),
        ({"view": "flow"}, "view: expected one of"),
        ({"colour": 1}, "colour: no such control"),
        ({"images": torch.zeros(2, 3)}, r"images: expected shape \(M, C, .* got \(2, 3\)"),
        ({"images": torch.zeros(1, 2, 8, 8)}, "images: expected shape"),
        ({"images": torch.full((1, 1, 4, 4), float("nan"))}, "images: expected finite numbers"),
        ({"images": PAIR, "names": ["one"]}, "names: expected 2, one for each image, got 1"),
        ({"weights": WEIGHTS}, "images: expected beside weights, got None"),
        (
            {"images": PAIR, "weights": WEIGHTS, "patch_size": 2},
            "embed_dim: expected beside weights",
        ),
        (
            {"images": PAIR, "weights": WEIGHTS, "patch_size": 3, "embed_dim": 8},
            "patch_size: expected a divisor of 4 and 4, got 3",
        ),
        (
            {"images": PAIR, "weights": WEIGHTS[:1], "patch_size": 2, "embed_dim": 8},
            r"weights: expected shape \(2, L, H, 5, 5\), got \(1, 1, 1, 5, 5\)",
        ),
        (
            {
                "images": PAIR,
                "weights": torch.zeros(2, 40, 40, 5, 5),
                "patch_size": 2,
                "embed_dim": 8,
            },
            "images: expected at most 245760 bytes with weights, got 320",
        ),
    ],
)
def test_bad_input(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PatchExplorer(**given)


def test_python_observes_what_the_browser_sends() -> None:
    w = PatchExplorer(patch="112")
    seen: list[float] = []
    w.observe(lambda change: seen.append(float(change["new"][0])), "row")
    row = np.array([0.25, 0.25, 0.5, 0.0], "<f4")
    w.set_state({"down": 0.1, "row": memoryview(row.tobytes())})
    assert seen == [0.25]
    assert w.down == 0.1


@pytest.mark.parametrize("view", ["one head", "mean of heads", "rollout"])
def test_still_picture(view: str, model: VisionTransformer, images: torch.Tensor) -> None:
    assert len(PatchExplorer(view=view).figure().axes) == 3
    w = PatchExplorer.from_model(model, images, view=view, asking="class token")
    assert len(w.figure().axes) == 3
    assert "0x" not in w._repr_mimebundle_()[0]["text/plain"]


PHOTO = torch.rand(1, 3, 20, 20, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("own", ["model", "photograph"])
def test_python_that_is_copied_moves_the_explorer_of_ones_own_images(
    own: str, model: VisionTransformer, images: torch.Tensor, browser: Browser
) -> None:
    """Neither images nor weights fit into a line; a new explorer would show the astronaut."""
    made: Any = partial(PatchExplorer, PHOTO, patch="28", sharpness=3.0)
    state: dict[str, Any] = {"patch": "16", "sharpness": 1.0, "view": "rollout", "layer": 3}
    if own == "model":
        made = partial(PatchExplorer.from_model, model, images, asking="class token")
        state = {"asking": "patch", "picture": 2, "layer": 3, "view": "mean of heads"}
    bench = Bench(browser, made)
    bench.open(**state)
    text = bench.copied("Copy as Python")
    assert text.splitlines()[0].endswith("which are not in here")
    space = {"explorer": made()}
    exec(text, space)
    for name, want in space["explorer"].reference().items():
        within = 1e-9 * want.abs().max().item()
        np.testing.assert_allclose(bench.numbers()[name], want.flatten(), rtol=0, atol=within)
    bench.context.close()
    assert bench.bad == []

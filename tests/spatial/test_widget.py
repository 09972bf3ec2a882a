"""The spatial mask from Python's side: what it computes, what it refuses."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from attn_utils import CBAM
from attn_utils.widgets import SpatialMaskExplorer
from tests.widgets.bench import Bench

ROOM = 100 / 900  # the box's part of the scene


def stem(channels: int = 6) -> nn.Sequential:
    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, channels, 5, padding=2, stride=2, bias=False),
        nn.BatchNorm2d(channels),
    )
    with torch.no_grad():
        made(torch.randn(8, 1, 30, 30))  # running statistics other than 0 and 1
        for part in made:
            if isinstance(part, nn.BatchNorm2d):
                part.weight.uniform_(0.5, 2)
                part.bias.normal_()
    return made.eval()


def test_it_opens_with_a_mask_on_the_object():
    explorer = SpatialMaskExplorer()
    assert explorer.share[0] > 0.9
    assert explorer.gate.shape == (15 * 15,)
    assert SpatialMaskExplorer(kernel="3").share[0] < explorer.share[0] / 2
    assert (SpatialMaskExplorer(channel=False).channel_gate == 1).all()


@pytest.mark.parametrize("seed", range(5))
def test_the_mask_follows_the_object(seed):
    explorer = SpatialMaskExplorer()
    cells = torch.randperm(9, generator=torch.Generator().manual_seed(seed))[:5]
    with explorer.hold_trait_notifications():
        explorer.left = 10 * (cells % 3).double()
        explorer.top = 10 * (cells // 3).double()
    assert explorer.share[0] > 0.7


def test_a_trained_net_computes_what_torch_does():
    net, cbam = stem(), CBAM(6, 2)
    explorer = SpatialMaskExplorer(stem=net, cbam=cbam)
    with torch.no_grad():
        features = net(explorer.scene().float()[None, None])
        channel = cbam.channel.gate(features)
        gate = cbam.spatial.gate(features * channel)[0, 0]
    np.testing.assert_allclose(explorer.gate, gate.flatten(), atol=1e-5)
    np.testing.assert_allclose(explorer.channel_gate, channel.flatten(), atol=1e-5)
    spread = gate.repeat_interleave(2, 0).repeat_interleave(2, 1)
    top, left = int(explorer.top[0]), int(explorer.left[0])
    share = spread[top : top + 10, left : left + 10].sum() / spread.sum()
    assert explorer.share[0] == pytest.approx(share.item(), abs=1e-5)


def test_an_even_gate_has_the_share_of_the_area():
    cbam = CBAM(6, 2)
    nn.init.zeros_(cbam.spatial.conv.weight)
    explorer = SpatialMaskExplorer(stem=stem(), cbam=cbam)
    assert (explorer.gate == 0.5).all()
    assert explorer.share[0] == pytest.approx(ROOM)


def test_it_copies_the_net():
    net, cbam = stem(), CBAM(6, 2)
    explorer = SpatialMaskExplorer(stem=net, cbam=cbam)
    before = explorer.gate
    nn.init.zeros_(cbam.spatial.conv.weight)
    nn.init.zeros_(net[0].weight)
    explorer.channel = False
    explorer.channel = True
    np.testing.assert_array_equal(explorer.gate, before)
    assert cbam.channel.fc1.weight.dtype == torch.float32


def test_other_objects():
    explorer = SpatialMaskExplorer(objects=torch.rand(3, 10, 10))
    assert len(explorer.left) == 3
    explorer.left = [2.4, 0, 20]
    assert explorer.left == [2, 0, 20]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stem": stem()}, r"cbam: expected together with the other one"),
        ({"cbam": CBAM(6)}, r"stem: expected together with the other one"),
        ({"stem": stem(), "cbam": CBAM(5)}, r"cbam: expected a CBAM for the stem's 6 channels"),
        ({"stem": stem(), "cbam": nn.Identity()}, r"cbam: expected a CBAM .* got Identity"),
        ({"stem": stem(), "cbam": CBAM(6, 2, 3)}, r"cbam: expected .* kernel of 7 × 7, got 3"),
        ({"stem": stem(), "cbam": CBAM(6, 2, bias=True)}, r"cbam: expected one without biases"),
        ({"stem": stem(), "cbam": CBAM(6, 2, batch_norm=True)}, r"cbam: expected .* BatchNorm"),
        ({"stem": nn.Sequential(nn.Tanh()), "cbam": CBAM(6)}, r"stem: expected .* got Tanh"),
        ({"stem": nn.Sequential(nn.Conv2d(3, 6, 1)), "cbam": CBAM(6)}, r"one input channel"),
        ({"stem": nn.Sequential(nn.Conv2d(1, 6, 3)), "cbam": CBAM(6)}, r"stem: expected odd"),
        ({"objects": torch.rand(2, 8, 8)}, r"objects: expected shape \(n, 10, 10\) .* \(2, 8, 8\)"),
        ({"objects": torch.rand(10, 10, 10)}, r"objects: .* up to 9, got \(10, 10, 10\)"),
        ({"kernel": "5"}, r"kernel: expected one of 7, 3, got '5'"),
        ({"left": [0, 1]}, r"left: expected 5 numbers, got 2"),
        ({"top": [0, 0, 0, 0, 21]}, r"top: expected finite numbers from 0 to 20"),
        ({"reduction": 4}, r"reduction: no such control"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        SpatialMaskExplorer(**options)


def test_the_picture_and_its_words():
    explorer = SpatialMaskExplorer()
    data, _ = explorer._repr_mimebundle_()
    assert data["text/plain"] == explorer.alt
    assert len(data["image/png"]) < 60_000


def test_python_that_is_copied_moves_the_explorer_of_a_net_of_ones_own(browser):
    """The net does not fit into a line; a new explorer would show the ready-made one."""
    made = partial(
        SpatialMaskExplorer,
        stem=stem(),
        cbam=CBAM(6, 2),
        objects=torch.rand(2, 10, 10),
        channel=False,
    )
    bench = Bench(browser, made)
    bench.open(kernel="3", channel=True, left=[3, 0], top=[20, 1])
    text = bench.copied("Copy as Python")
    assert text.splitlines()[0].endswith("which are not in here")
    space = {"explorer": made()}
    exec(text, space)
    for name, want in space["explorer"].reference().items():
        within = 1e-9 * want.abs().max().item()
        np.testing.assert_allclose(bench.numbers()[name], want.flatten(), rtol=0, atol=within)
    bench.context.close()
    assert bench.bad == []

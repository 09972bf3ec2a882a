"""SE and ECA: references written from the papers, counts, layouts, properties, bad input."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import attn_utils
from attn_utils.channel import ECABlock, SEBlock, eca_kernel_size
from tests.contracts import GATE, MODULE, Gate, Module, under
from tests.contracts.gate import SHAPES
from tests.helpers import close, draw

DTYPES = (torch.float64, torch.float32)


def blocks(channels, dtype=torch.float64):
    """One of each kind, with weights large enough to move the gates."""
    torch.manual_seed(0)
    made = [
        SEBlock(channels, 4),
        SEBlock(channels, 1),
        SEBlock(channels, 1000),
        ECABlock(channels),
        ECABlock(channels, kernel_size=5),
    ]
    with torch.no_grad():
        for block in made:
            for parameter in block.parameters():
                parameter.normal_()
    return [block.to(dtype) for block in made]


# --- references ---------------------------------------------------------------------------------


def squeeze_by_hand(x):
    """Equation 2 of Hu et al.: the mean over the positions, one channel at a time."""
    B, C, height, width = x.shape
    z = torch.zeros(B, C, dtype=x.dtype)
    for i in range(height):
        for j in range(width):
            z += x[:, :, i, j]
    return z / (height * width)


def se_of_the_paper(x, w1, w2):
    """Equations 2 to 4 of Hu et al. (2018), item by item: s = σ(W2 δ(W1 z)), x̃_c = s_c x_c."""
    out = torch.empty_like(x)
    for n, z in enumerate(squeeze_by_hand(x)):
        s = 1 / (1 + torch.exp(-(w2 @ torch.clamp(w1 @ z, min=0))))
        for c in range(x.shape[1]):
            out[n, c] = s[c] * x[n, c]
    return out


def eca_of_the_paper(x, w):
    """Wang et al. (2020), equations 5 to 7: ω_i = σ(Σ_j w_j y_{i+j}) over the k neighbours."""
    out = torch.empty_like(x)
    half = len(w) // 2
    for n, y in enumerate(squeeze_by_hand(x)):
        for c in range(x.shape[1]):
            near = [w[j] * y[c + j - half] for j in range(len(w)) if 0 <= c + j - half < len(y)]
            out[n, c] = x[n, c] / (1 + torch.exp(-sum(near)))
    return out


class SqueezeExcitation(nn.Module):
    """The layout of torchvision and timm: pooling that keeps the axes, two 1×1 convolutions."""

    def __init__(self, channels, hidden):
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.fc2 = nn.Conv2d(hidden, channels, 1)

    def forward(self, x):
        return x * self.fc2(self.fc1(self.avgpool(x)).relu()).sigmoid()


class EcaModule(nn.Module):
    """timm's layout: the squeezed vector becomes a sequence of one feature."""

    def __init__(self, kernel_size):
        super().__init__()
        self.conv = nn.Conv1d(1, 1, kernel_size, padding=(kernel_size - 1) // 2, bias=False)

    def forward(self, x):
        y = self.conv(x.mean((2, 3)).view(x.shape[0], 1, -1)).view(x.shape[0], -1, 1, 1).sigmoid()
        return x * y.expand_as(x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_equal_to_the_papers(shape, dtype):
    x = draw(*shape, dtype=dtype)
    for block in blocks(shape[1], dtype):
        if isinstance(block, SEBlock):
            want = se_of_the_paper(x, block.fc1.weight, block.fc2.weight)
        else:
            want = eca_of_the_paper(x, block.conv.weight.flatten())
        close(block(x), want)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_weights_move_between_layouts(shape, dtype):
    """As documented: 1×1 convolutions hold the same weights with two axes more."""
    x = draw(*shape, dtype=dtype)
    for block in blocks(shape[1], dtype):
        if isinstance(block, SEBlock):
            hidden = block.fc1.out_features
            block = SEBlock(shape[1], shape[1] // hidden, bias=True).to(dtype)
            theirs = SqueezeExcitation(shape[1], hidden).to(dtype)
            for part in theirs.parameters():
                nn.init.normal_(part)
            block.load_state_dict(
                {n: x.flatten(1) if x.ndim == 4 else x for n, x in theirs.state_dict().items()}
            )
        else:
            theirs = EcaModule(block.conv.kernel_size[0]).to(dtype)
            block.load_state_dict(theirs.state_dict())
        close(block(x), theirs(x))


def test_worked_example_of_the_1d_convolution():
    """x = 1 … 10 and weights (1, -1, 0.5); the block pads with zeros, the example does not."""
    block = ECABlock(10, kernel_size=3).double()
    with torch.no_grad():
        block.conv.weight.copy_(torch.tensor([[[1.0, -1.0, 0.5]]]))
    x = torch.arange(1.0, 11).double().view(1, 10, 1, 1)
    logits = block.gate(x).logit().flatten()
    close(logits[1:-1], torch.arange(0.5, 4.5, 0.5).double())
    close(logits[[0, -1]], torch.tensor([0.0, -1.0]).double())


# --- numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channels", "count"), [(64, 512), (128, 2048), (256, 8192), (512, 32768), (3, 6), (1, 2)]
)
def test_number_of_parameters_of_se(channels, count):
    block = SEBlock(channels)
    assert sum(p.numel() for p in block.parameters()) == count
    assert {name: tuple(t.shape) for name, t in block.state_dict().items()} == {
        "fc1.weight": (max(1, channels // 16), channels),
        "fc2.weight": (channels, max(1, channels // 16)),
    }


def test_kernel_sizes():
    for channels, want in {64: 3, 128: 5, 256: 5, 512: 5, 1024: 5, 2048: 7}.items():
        assert eca_kernel_size(channels) == want
    table = [*[(c, 1) for c in range(1, 8)], *[(c, 3) for c in range(8, 128)]]
    table += [*[(c, 5) for c in range(128, 2048)], (2048, 7)]
    assert [eca_kernel_size(c) for c, _ in table] == [k for _, k in table]


@pytest.mark.parametrize(("gamma", "b", "want"), [(1, 0, 7), (2, 0, 3), (-2, 1, 3), (2, -8.5, 1)])
def test_gamma_and_b_of_the_kernel_size(gamma, b, want):
    assert eca_kernel_size(64, gamma, b) == want
    block = ECABlock(64, gamma, b)
    assert {n: tuple(t.shape) for n, t in block.state_dict().items()} == {
        "conv.weight": (1, 1, want)
    }


def test_few_channels_keep_a_hidden_unit():
    """C // r == 0 would leave no weights and gates of 1/2 whatever the input is."""
    block = SEBlock(4, 16)
    assert block.fc1.out_features == 1
    assert SEBlock(24).fc1.out_features == 1  # rounded down, as everybody else does
    with torch.no_grad():
        block.fc1.weight.fill_(1.0)
        block.fc2.weight.fill_(3.0)
    gates = block.gate(torch.ones(1, 4, 2, 2))
    assert gates.min() > 0.99


# --- what a gate is -----------------------------------------------------------------------------


def test_eca_sees_neighbours_only_and_se_sees_all():
    x = draw(1, 16, 3, 3)
    other = x.clone()
    other[:, 4] += 1
    for kernel_size in (1, 3, 5, 7):
        block = ECABlock(16, kernel_size=kernel_size).double()
        moved = (block.gate(x) != block.gate(other)).flatten().nonzero().flatten().tolist()
        half = kernel_size // 2
        assert moved == list(range(4 - half, 4 + half + 1))
    block = blocks(16)[1]
    assert (block.gate(x) != block.gate(other)).all()


def test_eca_does_not_know_which_channel_is_which():
    """The same k weights for all: shifted channels have shifted gates (away from the borders)."""
    x = draw(1, 12, 2, 2)
    for kernel_size in (1, 3, 5):
        block = ECABlock(12, kernel_size=kernel_size).double()
        shifted = block.gate(x.roll(1, dims=1))
        close(shifted[:, 4:-3], block.gate(x)[:, 3:-4])


def test_a_kernel_wider_than_the_channels():
    x = draw(2, 3, 2, 2)
    block = ECABlock(3, kernel_size=9).double()
    close(block(x), eca_of_the_paper(x, block.conv.weight.flatten()))


def test_names_are_public():
    for name in ("SEBlock", "ECABlock", "eca_kernel_size"):
        assert getattr(attn_utils, name) is globals()[name]


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SEBlock(0), r"channels: expected an integer of at least 1, got 0"),
        (lambda: SEBlock(8, 0), r"reduction: expected an integer of at least 1, got 0"),
        (lambda: SEBlock(8, 2.0), r"reduction: expected an integer .* got 2.0"),
        (lambda: SEBlock("8"), r"channels: expected an integer .* got '8'"),
        (lambda: ECABlock(0), r"channels: expected an integer of at least 1, got 0"),
        (lambda: ECABlock(8.0), r"channels: expected an integer of at least 1, got 8.0"),
        (lambda: ECABlock(True), r"channels: expected an integer of at least 1, got True"),
        (lambda: ECABlock(8, 0), r"gamma: expected a finite number other than 0, got 0"),
        (lambda: ECABlock(8, math.inf), r"gamma: expected a finite number .* got inf"),
        (lambda: ECABlock(8, 2, math.nan), r"b: expected a finite number, got nan"),
        (lambda: ECABlock(8, kernel_size=4), r"kernel_size: expected an odd number, got 4"),
        (lambda: ECABlock(8, kernel_size=0), r"kernel_size: expected an integer .* got 0"),
        (lambda: ECABlock(0, kernel_size=3), r"channels: expected an integer .* got 0"),
        (lambda: eca_kernel_size(-4), r"channels: expected an integer .* got -4"),
        (lambda: eca_kernel_size(8, math.nan), r"gamma: expected a finite number .* got nan"),
    ],
)
def test_bad_sizes(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (draw(2, 7, 3, 3), r"x: expected shape \(B, C, Height, Width\) with C = 8, got \(2, 7, 3"),
        (draw(2, 3, 3, 8), r"x: expected shape .* with C = 8, got \(2, 3, 3, 8\)"),
        (draw(8, 3, 3), r"x: expected shape .* got \(8, 3, 3\)"),
        (draw(2, 8), r"x: expected shape .* got \(2, 8\)"),
        (draw(1, 2, 8, 3, 3), r"x: expected shape .* got \(1, 2, 8, 3, 3\)"),
        (draw(2, 8, 0, 3), r"x: expected at least one pixel, got shape \(2, 8, 0, 3\)"),
        (torch.ones(2, 8, 3, 3).long(), r"x: expected floating-point numbers, got torch.int64"),
        ([1.0], r"x: expected a tensor, got list"),
    ],
)
def test_bad_images(x, message):
    for block in blocks(8):
        for call in (block, block.gate):
            with pytest.raises(ValueError, match=message):
                call(x)


# --- the contracts ------------------------------------------------------------------------------

test_gate = under(
    GATE,
    [
        Gate("SE", lambda C: SEBlock(C, 4), (1,)),
        Gate("SE, one hidden unit", lambda C: SEBlock(C, 1000), (1,)),
        Gate("ECA", ECABlock, (1,)),
        Gate("ECA, wide", lambda C: ECABlock(C, kernel_size=5), (1,)),
    ],
)

MODULES = [
    Module(SEBlock, (8, 4), lambda B, n: torch.randn(B, 8, n, n - 1)),
    Module(SEBlock, (8, 4), lambda B, n: torch.randn(B, 8, n, n - 1), {"bias": True}),
    Module(ECABlock, (8,), lambda B, n: torch.randn(B, 8, n, n - 1)),
]

test_life = under(MODULE, MODULES)

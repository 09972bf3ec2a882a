"""CBAM and its two halves: references written from the paper, counts, layouts, bad input."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import attn_utils
from attn_utils.spatial import CBAM, ChannelAttention, SpatialAttention
from tests.contracts import GATE, MODULE, Gate, Module, under
from tests.contracts.gate import SHAPES
from tests.helpers import close, draw

DTYPES = (torch.float64, torch.float32)


def modules(channels, dtype=torch.float64):
    """One of each kind, with weights large enough to move the gates."""
    torch.manual_seed(0)
    made = [
        ChannelAttention(channels, 4),
        SpatialAttention(7),
        SpatialAttention(1),
        CBAM(channels, 4, 3),
        CBAM(channels, 1000, 5),
    ]
    with torch.no_grad():
        for module in made:
            for parameter in module.parameters():
                parameter.normal_()
    return [module.to(dtype) for module in made]


# --- references ---------------------------------------------------------------------------------


def channel_gate_of_the_paper(image, w1, w2):
    """Equation 2 of Woo et al. (2018), one channel of one image (C, H, W) at a time."""
    positions = [(i, j) for i in range(image.shape[1]) for j in range(image.shape[2])]
    average = torch.stack([sum(c[i, j] for i, j in positions) / len(positions) for c in image])
    most = torch.stack([max(c[i, j] for i, j in positions) for c in image])
    scores = sum(w2 @ torch.clamp(w1 @ descriptor, min=0) for descriptor in (average, most))
    return 1 / (1 + torch.exp(-scores))


def spatial_gate_of_the_paper(image, kernel):
    """Equation 3, one position of one image at a time; the kernel (2, k, k) is for [mean, max]."""
    _, height, width = image.shape
    half = kernel.shape[-1] // 2
    gate = torch.zeros(height, width, dtype=image.dtype)
    for i in range(height):
        for j in range(width):
            for u in range(max(0, i - half), min(height, i + half + 1)):
                for v in range(max(0, j - half), min(width, j + half + 1)):
                    mean_weight, max_weight = kernel[:, u - i + half, v - j + half]
                    column = image[:, u, v]
                    gate[i, j] += mean_weight * sum(column) / len(column)
                    gate[i, j] += max_weight * max(column)
    return 1 / (1 + torch.exp(-gate))


def paper(module, x):
    """What the paper says that the module computes."""
    out = x.detach().clone()
    for image in out:
        if isinstance(module, (ChannelAttention, CBAM)):
            part = module.channel if isinstance(module, CBAM) else module
            gate = channel_gate_of_the_paper(image, part.fc1.weight, part.fc2.weight)
            image *= gate[:, None, None]
        if isinstance(module, (SpatialAttention, CBAM)):
            part = module.spatial if isinstance(module, CBAM) else module
            image *= spatial_gate_of_the_paper(image, part.conv.weight[0])
    return out


class OtherCBAM(nn.Module):
    """As it is often written: 1×1 convolutions, pooling that keeps the axes, amax."""

    def __init__(self, channels, hidden, kernel_size):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, hidden, 1, bias=False)
        self.fc2 = nn.Conv2d(hidden, channels, 1, bias=False)
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=(kernel_size - 1) // 2, bias=False)

    def forward(self, x):
        average = self.fc2(self.fc1(x.mean((2, 3), keepdim=True)).relu())
        most = self.fc2(self.fc1(x.amax((2, 3), keepdim=True)).relu())
        x = x * (average + most).sigmoid()
        maps = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)
        return x * self.conv(maps).sigmoid()


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@torch.no_grad()
def test_equal_to_the_paper(shape, dtype, grad):
    x = draw(*shape, dtype=dtype)
    for module in modules(shape[1], dtype):
        want = paper(module, x)
        with torch.set_grad_enabled(grad):
            close(module(x), want)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_equal_to_another_layout_with_its_gradients(shape, dtype):
    ours, theirs = CBAM(shape[1], 4).to(dtype), OtherCBAM(shape[1], max(1, shape[1] // 4), 7)
    theirs.to(dtype)
    with torch.no_grad():
        ours.channel.fc1.weight.copy_(theirs.fc1.weight.flatten(1))
        ours.channel.fc2.weight.copy_(theirs.fc2.weight.flatten(1))
        ours.spatial.conv.weight.copy_(theirs.conv.weight)
    x, y = (draw(*shape, dtype=dtype).requires_grad_() for _ in range(2))
    close(ours(x), theirs(y))
    weight = draw(*shape, seed=7, dtype=dtype)
    ours(x).backward(weight)
    theirs(y).backward(weight)
    close(x.grad, y.grad)
    close(ours.spatial.conv.weight.grad, theirs.conv.weight.grad)
    close(ours.channel.fc1.weight.grad, theirs.fc1.weight.grad.flatten(1))


class TimmsCBAM(OtherCBAM):
    """timm's layout: as above, and a BatchNorm behind the convolution."""

    def __init__(self, channels, hidden, kernel_size):
        super().__init__(channels, hidden, kernel_size)
        self.conv = nn.Sequential(OrderedDict(conv=self.conv, bn=nn.BatchNorm2d(1)))


class AuthorsCBAM(nn.Module):
    """The authors' layout: layers with biases, [max, mean], a BatchNorm behind the convolution."""

    def __init__(self, channels, hidden):
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Flatten(), nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels)
        )
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)
        self.bn = nn.BatchNorm2d(1, eps=1e-5, momentum=0.01)

    def forward(self, x):
        size = x.shape[2:]
        scores = self.mlp(F.avg_pool2d(x, size)) + self.mlp(F.max_pool2d(x, size))
        x = x * scores.sigmoid()[:, :, None, None].expand_as(x)
        maps = torch.cat([x.max(1)[0].unsqueeze(1), x.mean(1).unsqueeze(1)], dim=1)
        return x * self.bn(self.conv(maps)).sigmoid()


def published(module):
    """With numbers in every place in which a trained module has some."""
    torch.manual_seed(0)
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            tensor.normal_(std=0.3)
        if name.endswith("running_var"):
            tensor.square_()
    return module.double()


@torch.no_grad()
def take_over(ours, fc1, fc2, kernel, bn):
    """As documented."""
    for mine, theirs in ((ours.channel.fc1, fc1), (ours.channel.fc2, fc2)):
        mine.weight.copy_(theirs.weight.flatten(1))
        if theirs.bias is not None:
            mine.bias.copy_(theirs.bias)
    ours.spatial.conv.weight.copy_(kernel)
    ours.spatial.norm.load_state_dict(bn.state_dict())


@pytest.mark.parametrize("whose", ["timm", "the authors"])
def test_published_weights_can_be_taken_over(whose):
    """Also for more training: outputs, gradients and running statistics agree."""
    x, y = (draw(4, 8, 6, 7).requires_grad_() for _ in range(2))
    if whose == "timm":
        theirs = published(TimmsCBAM(8, 2, 7))
        ours = CBAM(8, 4, batch_norm=True).double()
        take_over(ours, theirs.fc1, theirs.fc2, theirs.conv.conv.weight, theirs.conv.bn)
        bn = theirs.conv.bn
        ours.spatial.norm.momentum = bn.momentum
    else:
        theirs = published(AuthorsCBAM(8, 2))
        ours = CBAM(8, 4, bias=True, batch_norm=True).double()
        kernel, bn = theirs.conv.weight.flip(1), theirs.bn
        take_over(ours, theirs.mlp[1], theirs.mlp[3], kernel, bn)
        with torch.no_grad():
            ours.spatial.conv.weight.copy_(theirs.conv.weight)
            assert (ours.eval()(x) - theirs.eval()(x)).abs().max() > 1e-3  # the flip is needed
            ours.spatial.conv.weight.copy_(kernel)
    for training in (False, True):
        close(ours.train(training)(x), theirs.train(training)(y))
        with torch.no_grad():
            close(ours(x), theirs(y))
    close(ours.spatial.norm.running_var, bn.running_var)
    weight = draw(4, 8, 6, 7, seed=7)
    ours(x).backward(weight)
    theirs(y).backward(weight)
    close(x.grad, y.grad)


# --- hooks, other parts, traced graphs ----------------------------------------------------------


def test_another_part_does_not_get_the_callers_tensor_changed():
    for name in ("channel", "spatial"):
        module, x = CBAM(8, 4).double(), draw(2, 8, 5, 4)
        setattr(module, name, nn.Identity())
        kept = x.clone()
        with torch.no_grad():
            close(module(x), (module.channel if name == "spatial" else module.spatial)(x))
        assert torch.equal(x, kept)


def test_what_a_hook_keeps_is_not_overwritten():
    module, x, seen = CBAM(8, 4).double(), draw(2, 8, 5, 4), []
    want = module.channel(x).detach()
    for part in (module.channel, module.spatial):
        part.register_forward_hook(lambda m, inputs, output: seen.append(output))
    with torch.no_grad():
        output = module(x)
    assert len(seen) == 2
    assert torch.equal(seen[0], want)
    assert torch.equal(seen[1], output)


# --- numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channels", "count"), [(64, 610), (128, 2146), (256, 8290), (512, 32866), (3, 104)]
)
def test_number_of_parameters(channels, count):
    module = CBAM(channels)
    assert sum(p.numel() for p in module.parameters()) == count
    assert {name: tuple(t.shape) for name, t in module.state_dict().items()} == {
        "channel.fc1.weight": (max(1, channels // 16), channels),
        "channel.fc2.weight": (channels, max(1, channels // 16)),
        "spatial.conv.weight": (1, 2, 7, 7),
    }
    assert sum(p.numel() for p in SpatialAttention(3).parameters()) == 18


def test_few_channels_keep_a_hidden_unit():
    module = ChannelAttention(4, 16)
    assert module.fc1.out_features == 1
    assert ChannelAttention(24).fc1.out_features == 1  # rounded down
    with torch.no_grad():
        module.fc1.weight.fill_(1.0)
        module.fc2.weight.fill_(3.0)
    assert module.gate(torch.ones(1, 4, 2, 2)).min() > 0.99


def test_the_spatial_gate_sees_what_the_channel_gate_let_through():
    """A channel that is shut out cannot draw attention to its bright position."""
    x = torch.zeros(1, 2, 5, 5)
    x[0, 0, 1, 1], x[0, 1, 3, 3] = 5.0, 4.0
    module = CBAM(2, 1, 3)
    with torch.no_grad():
        module.channel.fc1.weight.copy_(torch.eye(2))
        module.channel.fc2.weight.copy_(torch.tensor([[-9.0, 0.0], [0.0, 9.0]]))
        module.spatial.conv.weight.zero_()
        module.spatial.conv.weight[0, 1, 1, 1] = 1.0
    seen = module.spatial.gate(x * module.channel.gate(x))[0, 0]
    assert seen.argmax() == 3 * 5 + 3
    assert module.spatial.gate(x)[0, 0].argmax() == 1 * 5 + 1


# --- what a gate is -----------------------------------------------------------------------------


def test_the_map_moves_with_the_image():
    x = torch.zeros(1, 3, 20, 20).double()
    x[:, :, 8:11, 9:12] = draw(1, 3, 3, 3)
    for module in (m for m in modules(3) if isinstance(m, SpatialAttention)):
        moved = module.gate(x.roll((2, -3), dims=(2, 3)))
        close(moved, module.gate(x).roll((2, -3), dims=(2, 3)))


def test_reach_of_the_kernel():
    x = draw(1, 2, 15, 15)
    other = x.clone()
    other[:, :, 7, 7] += 1
    for size in (1, 3, 7):
        module = SpatialAttention(size).double()
        changed = (module.gate(x) != module.gate(other))[0, 0].nonzero()
        half = size // 2
        assert changed.min() == 7 - half
        assert changed.max() == 7 + half


def test_equal_maxima_give_their_gradient_to_one_entry():
    x = torch.ones(1, 4, 1, 1).double().requires_grad_()
    module = SpatialAttention(1).double()
    with torch.no_grad():
        module.conv.weight.fill_(1.0)
    module.gate(x).backward(torch.ones(1, 1, 1, 1))
    least, *rest = x.grad.flatten().sort().values.tolist()
    assert rest[:2] == [least, least]  # of the mean
    assert rest[2] == pytest.approx(5 * least)  # of the mean, a fourth, and of the maximum


def test_names_are_public():
    for name in ("ChannelAttention", "SpatialAttention", "CBAM"):
        assert getattr(attn_utils, name) is globals()[name]


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CBAM(0), r"channels: expected an integer of at least 1, got 0"),
        (lambda: CBAM(8, 0), r"reduction: expected an integer of at least 1, got 0"),
        (lambda: CBAM(8, 2, 4), r"kernel_size: expected an odd number, got 4"),
        (lambda: ChannelAttention(8, 2.0), r"reduction: expected an integer .* got 2.0"),
        (lambda: ChannelAttention("8"), r"channels: expected an integer .* got '8'"),
        (lambda: SpatialAttention(0), r"kernel_size: expected an integer .* got 0"),
        (lambda: SpatialAttention(2), r"kernel_size: expected an odd number, got 2"),
        (lambda: SpatialAttention(7.0), r"kernel_size: expected an integer .* got 7.0"),
    ],
)
def test_bad_sizes(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("call", ["forward", "gate"])
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (draw(2, 7, 3, 3), r"x: expected shape \(B, C, Height, Width\) with C = 8, got \(2, 7, 3"),
        (draw(8, 3, 3), r"x: expected shape \(B, C, Height, Width\) with C = 8, got \(8, 3, 3\)"),
        (draw(8, 5, 5), r"x: expected shape .* got \(8, 5, 5\)"),
        (draw(2, 8, 0, 3), r"x: expected at least one pixel, got shape \(2, 8, 0, 3\)"),
        (torch.ones(2, 8, 3, 3).long(), r"x: expected floating-point numbers, got torch.int64"),
        ([1.0], r"x: expected a tensor, got list"),
    ],
)
def test_bad_input(x, message, call):
    for module in (ChannelAttention(8), CBAM(8)):
        for grad in (True, False):
            with torch.set_grad_enabled(grad), pytest.raises(ValueError, match=message):
                getattr(module.double(), call)(x)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (draw(2, 3, 3), r"x: expected shape \(B, C, Height, Width\) with C ≥ 1, got \(2, 3, 3\)"),
        (draw(2, 0, 3, 3), r"x: expected shape .* with C ≥ 1, got \(2, 0, 3, 3\)"),
        (draw(2, 8, 3, 0), r"x: expected at least one pixel"),
        (torch.ones(2, 8, 3, 3).long(), r"x: expected floating-point numbers, got torch.int64"),
    ],
)
def test_bad_input_of_spatial_attention(x, message):
    with pytest.raises(ValueError, match=message):
        SpatialAttention(3)(x)


# --- the contracts ------------------------------------------------------------------------------

test_gate = under(
    GATE,
    [
        Gate("channel", lambda C: ChannelAttention(C, 4), (1,)),
        Gate("spatial", lambda C: SpatialAttention(3), (2, 3)),
        Gate("both", lambda C: CBAM(C, 4, 3), (1, 2, 3)),
    ],
)

MODULES = [
    Module(ChannelAttention, (8, 4), lambda B, n: torch.randn(B, 8, n, n - 1)),
    Module(SpatialAttention, (3,), lambda B, n: torch.randn(B, 8, n, n - 1)),
    Module(CBAM, (8, 4, 3), lambda B, n: torch.randn(B, 8, n, n - 1)),
    Module(
        CBAM,
        (8, 4, 3),
        lambda B, n: torch.randn(B, 8, n, n - 1),
        {"bias": True},
    ),
    Module(
        CBAM,
        (8, 4, 3),
        lambda B, n: torch.randn(B, 8, n, n - 1),
        {"batch_norm": True},
        faults={"keeps_nothing": "running statistics are what a BatchNorm keeps"},
    ),
]

test_life = under(MODULE, MODULES)

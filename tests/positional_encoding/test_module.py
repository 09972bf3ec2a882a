"""Positional encoding: numbers, geometry, dtypes, what happens beyond the table."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from attn_utils.positional_encoding import (
    LearnedPositionalEmbedding,
    RotaryEmbedding,
    SinusoidalPositionalEncoding,
)
from tests.contracts import MODULE, Module, under
from tests.contracts.faults import ROTARY
from tests.helpers import UNITS, close, draw

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


def added(d, n, **options):
    return SinusoidalPositionalEncoding(d, **options).eval()(torch.zeros(1, n, d))[0]


BUILT = {
    "sinusoidal": lambda: SinusoidalPositionalEncoding(6, max_len=12),
    "sinusoidal, odd": lambda: SinusoidalPositionalEncoding(5, max_len=12),
    "learned": lambda: LearnedPositionalEmbedding(12, 6),
    "rotary": lambda: RotaryEmbedding(6),
}


@pytest.fixture(params=BUILT)
def make(request):
    return BUILT[request.param]


def width(module):
    """Width of the module's input."""
    if isinstance(module, RotaryEmbedding):
        return module.head_dim
    table = module.P if isinstance(module, SinusoidalPositionalEncoding) else module.weight
    return table.shape[-1]


# --- all of them --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cast", [False, True])
def test_dtype_and_shape_are_kept(make, dtype, cast):
    """Half-precision input does not come out as float32, whatever the module's dtype."""
    module = make().eval()
    if cast:
        module = module.to(dtype)
    for shape in ((2, 7), (0, 7), (1, 1), (2, 12)):
        x = draw(*shape, width(module), dtype=dtype)
        got = module(x)
        assert got.dtype == dtype
        assert got.shape == x.shape
    want = make().eval().double()
    if isinstance(module, LearnedPositionalEmbedding):
        want.load_state_dict(module.state_dict())
    close(got, want(x.double()))


def test_gradcheck(make):
    module = make().eval().double()
    assert torch.autograd.gradcheck(module, draw(2, 3, width(module)).requires_grad_())


@pytest.mark.parametrize("beyond", [13, 100])
def test_positions_beyond_the_table_are_an_error(make, beyond):
    module = make().eval()
    x = torch.zeros(1, beyond, width(module))
    if isinstance(module, RotaryEmbedding):
        assert module(x).shape == x.shape  # a formula has no end
        return
    with pytest.raises(ValueError, match=rf"X: expected at most \w+ = 12 positions, got {beyond}"):
        module(x)


def test_a_table_of_one_does_not_broadcast():
    for module in (SinusoidalPositionalEncoding(4, max_len=1), LearnedPositionalEmbedding(1, 4)):
        module(torch.zeros(2, 1, 4))
        with pytest.raises(ValueError, match="at most"):
            module(torch.zeros(2, 3, 4))


def test_bad_input(make):
    module = make()
    d = width(module)
    with pytest.raises(ValueError, match=rf"[Xx]: expected a width of {d}, got shape \(2, 3, 1\)"):
        module(torch.zeros(2, 3, 1))
    with pytest.raises(ValueError, match=r"[Xx]: expected floating-point numbers"):
        module(torch.zeros(2, 3, d).long())
    with pytest.raises(ValueError, match=r"[Xx]: expected floating-point numbers of shape"):
        module(torch.zeros(d))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: SinusoidalPositionalEncoding(0), "num_hiddens: expected an integer"),
        (lambda: SinusoidalPositionalEncoding(4, max_len=0), "max_len: expected an integer"),
        (lambda: SinusoidalPositionalEncoding(4, 1.5), "dropout: expected a probability"),
        (lambda: SinusoidalPositionalEncoding(4, base=0.0), "base: expected a positive finite"),
        (lambda: LearnedPositionalEmbedding(0, 4), "num_positions: expected an integer"),
        (lambda: LearnedPositionalEmbedding(4, 0), "num_hiddens: expected an integer"),
        (lambda: RotaryEmbedding(5), "head_dim: expected an even number, got 5"),
        (lambda: RotaryEmbedding(0), "head_dim: expected an integer"),
        (lambda: RotaryEmbedding(4, 0.0), "base: expected a positive finite number"),
        (lambda: RotaryEmbedding(4, math.inf), "base: expected a positive finite number"),
    ],
)
def test_bad_arguments(build, message):
    with pytest.raises(ValueError, match=message):
        build()


# --- sinusoidal ---------------------------------------------------------------------------------


def test_sinusoidal_numbers():
    """d = 4, position 1."""
    close(added(4, 2)[1], torch.tensor([0.841471, 0.540302, 0.010000, 0.999950]), within=5e-7)
    assert added(4, 1)[0].tolist() == [0, 1, 0, 1]


@settings(max_examples=40)
@given(st.integers(1, 33), st.integers(1, 40))
def test_sinusoidal_formula(d, n):
    table = added(d, n, max_len=n).double()
    for i in {0, n // 2, n - 1}:
        for column in range(d):
            angle = i / 10000 ** (2 * (column // 2) / d)
            want = math.cos(angle) if column % 2 else math.sin(angle)
            assert abs(table[i, column] - want) < 1e-6


@pytest.mark.parametrize("base", [10.0, 300, 1e6])
def test_sinusoidal_with_another_base(base):
    rows = torch.zeros(1, 40, 8, dtype=torch.float64)
    rows[..., 1::2] = 1  # hands at 12 o'clock; sine and cosine turn clockwise
    turned = RotaryEmbedding(8, base)(rows, -torch.arange(40))
    assert torch.allclose(SinusoidalPositionalEncoding(8, base=base).P[:, :40].double(), turned)


def test_sinusoidal_is_exact_far_out():
    """Angles in float32 would be off by 1e-4 at position 1000 and by 1e-2 at 100,000."""
    table = SinusoidalPositionalEncoding(16, max_len=100_001).P[0, -1]
    want = [f(100_000 / 10000 ** (2 * j / 16)) for j in range(8) for f in (math.sin, math.cos)]
    close(table, torch.tensor(want, dtype=torch.float64))


def test_sinusoidal_buffer():
    module = SinusoidalPositionalEncoding(6)
    assert module.P.shape == (1, 1000, 6)
    assert dict(module.named_buffers()).keys() == {"P"}
    assert not module.state_dict()
    assert not list(module.parameters())
    assert module.half().P.dtype == torch.float16
    assert SinusoidalPositionalEncoding(6).to("meta").P.is_meta


def test_odd_width_is_the_even_one_without_its_last_column():
    d = 5
    table = added(d, 9)
    angles = torch.outer(
        torch.arange(9).double(), torch.tensor([10000 ** (-2 * j / d) for j in range(3)]).double()
    )
    close(table[:, 0::2], angles.sin())
    close(table[:, 1::2], angles[:, :2].cos())


def test_relative_position_is_a_rotation():
    """P[i + k] is P[i] turned, pair by pair, by an angle that does not depend on i."""
    d, k = 8, 5
    P = SinusoidalPositionalEncoding(d).P[0]
    for j in range(d // 2):
        angle = k / 10000 ** (2 * j / d)
        turn = torch.tensor(
            [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]],
            dtype=torch.float64,
        )
        pair = P[:, 2 * j : 2 * j + 2]
        close(pair[k:], pair[:-k].double() @ turn.T)


def test_sinusoidal_adds_to_each_batch_item_then_drops():
    module = SinusoidalPositionalEncoding(6, dropout=0.5, max_len=50)
    x = draw(2, 50, 6, dtype=torch.float32)
    want = x + module.P[0]
    close(module.eval()(x), want)
    torch.manual_seed(0)
    dropped = module.train()(x)
    gone = dropped == 0
    assert 0.4 < gone.float().mean() < 0.6
    close(dropped[~gone], 2 * want[~gone])


# --- learned ------------------------------------------------------------------------------------


def test_learned():
    torch.manual_seed(0)
    module = LearnedPositionalEmbedding(200, 50)
    assert {name: tuple(p.shape) for name, p in module.named_parameters()} == {"weight": (200, 50)}
    assert 0.018 < module.weight.std() < 0.022
    x = draw(2, 7, 50, dtype=torch.float32)
    assert torch.equal(module(x), x + module.weight[:7])
    module(x).sum().backward()
    assert (module.weight.grad[:7] == 2).all()
    assert (module.weight.grad[7:] == 0).all()


# --- rotary -------------------------------------------------------------------------------------


def test_rotary_by_hand():
    """Pairs are neighbours: position i turns (1, 0) to (cos i, sin i) in the fastest pair."""
    x = torch.tensor([1.0, 0.0, 0.0, 1.0]).expand(1, 4, 4)
    got = RotaryEmbedding(4)(x)[0]
    for i in range(4):
        want = [math.cos(i), math.sin(i), -math.sin(i / 100), math.cos(i / 100)]
        close(got[i], torch.tensor(want))


def test_rotary_halves_are_the_same_after_reordering():
    """The other convention pairs x[j] with x[j + d/2]."""
    d, n = 8, 6
    x = draw(n, d)
    angles = torch.outer(torch.arange(n).double(), 10000 ** (-torch.arange(0, d, 2).double() / d))
    cos, sin = angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)
    halves = x * cos + torch.cat([-x[:, d // 2 :], x[:, : d // 2]], -1) * sin
    order = torch.arange(d).view(2, -1).T.flatten()  # 0, 4, 1, 5, …: halves to neighbours
    close(RotaryEmbedding(d)(x[:, order]), halves[:, order])


@settings(max_examples=40)
@given(st.integers(1, 6), st.integers(0, 500), st.integers(0, 500), st.integers(0, 500))
@example(6, 363, 381, 425)
def test_rotary_products_depend_on_the_difference_only(half, i, j, shift):
    rope = RotaryEmbedding(2 * half, base=500.0)
    q, k = draw(1, 2 * half), draw(1, 2 * half, seed=1)

    def product(a, b):
        return (rope(q, torch.tensor([a])) * rope(k, torch.tensor([b]))).sum()

    # terms of both signs may nearly cancel, and each angle is rounded in relation to its own size
    terms, angles = (q.norm() * k.norm()).item(), i + j + shift
    within = torch.finfo(q.dtype).eps * terms * (UNITS[q.dtype] + angles)
    close(product(i, j), product(i + shift, j + shift), within=within)
    close(rope(q, torch.tensor([i])).norm(), q.norm())


def test_rotary_default_positions_and_cache():
    """Queries with cached keys start later."""
    rope = RotaryEmbedding(6)
    x = draw(2, 3, 9, 6)
    whole = rope(x)
    assert torch.equal(rope(x, torch.arange(9)), whole)
    close(rope(x[..., 7:, :], torch.arange(7, 9)), whole[..., 7:, :])
    assert torch.equal(whole[..., 0, :], x[..., 0, :])
    assert not list(rope.buffers())
    assert "head_dim=6" in repr(rope)


@pytest.mark.parametrize("batch", [0, 1, 2])
def test_rotary_takes_a_view_that_begins_anywhere(batch):
    """Complex numbers have to begin at an even position of their storage."""
    rope = RotaryEmbedding(6)
    view = draw(1 + batch * 3 * 6)[1:].view(batch, 3, 6)
    assert view.is_contiguous()
    assert view.storage_offset() % 2 == 1
    close(rope(view), rope(view.clone()))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rotary_angles_are_not_rounded_in_half_precision(dtype):
    """bfloat16 rounds position 1001 to 1000; in a module cast as a whole nothing may change."""
    rope = RotaryEmbedding(8).to(dtype)
    x = torch.ones(1, 1, 8, dtype=dtype)
    got = rope(x, torch.tensor([1001]))
    want = rope(x.double(), torch.tensor([1001])).to(dtype)
    close(got, want)


def test_rotary_bad_positions():
    rope, x = RotaryEmbedding(4), torch.zeros(2, 3, 4)
    for bad in (torch.arange(4), torch.zeros(1, 3), torch.tensor(1)):
        with pytest.raises(ValueError, match=r"positions: expected shape \(T,\) = \(3,\)"):
            rope(x, bad)
    with pytest.raises(ValueError, match="positions: expected shape"):
        rope(x, [0, 1, 2])


# --- the life of a module ----------------------------------------------------------------------

MODULES = [
    Module(
        SinusoidalPositionalEncoding,
        (6,),
        lambda B, n: torch.randn(B, n, 6),
        {"max_len": 24},
    ),
    Module(LearnedPositionalEmbedding, (24, 6), lambda B, n: torch.randn(B, n, 6)),
    Module(RotaryEmbedding, (6,), lambda B, n: torch.randn(B, n, 6), faults=ROTARY),
]

test_life = under(MODULE, MODULES)

"""Self-attention: the contract, the worked example, permutations, cost."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_utils.core.attend import scaled_dot_product_attention
from attn_utils.core.masks import causal_mask, length_mask
from attn_utils.self_attention import SelfAttention
from tests.contracts import ATTENTION, MODULE, Attention, Module, under
from tests.helpers import close, draw


def make(dim=4, dk=3, dv=3, seed=0, dtype=torch.float64, **options):
    torch.manual_seed(seed)
    return SelfAttention(dim, dk, dv, **options).to(dtype)


def call(module, q, k, v, mask, return_weights):
    return module(q, mask, return_weights=return_weights)


KINDS = [
    Attention("dv != dk", lambda: SelfAttention(4, 3, 2), call, (4, 4, 4), from_one=True),
    Attention("dv == dk", lambda: SelfAttention(4, 3, 3), call, (4, 4, 4), from_one=True),
    Attention(
        "no bias", lambda: SelfAttention(4, 3, 3, bias=False), call, (4, 4, 4), from_one=True
    ),
]


test_contract = under(ATTENTION, KINDS)


def test_worked_example():
    """a1 = (1, 1), a2 = (1, 0); q = a W_q with W_q = [[1, 1], [0, 1]]; k and v are unit vectors."""
    a = torch.tensor([[[1.0, 1.0], [1.0, 0.0]]])
    module = SelfAttention(2, 2, 2, bias=False)
    with torch.no_grad():
        module.W_q.weight.copy_(torch.tensor([[1.0, 1.0], [0.0, 1.0]]).T)
        # W_k = W_v maps a1 to (1, 0) and a2 to (0, 1): the inverse of the matrix of a1 and a2
        for layer in (module.W_k, module.W_v):
            layer.weight.copy_(torch.linalg.inv(a[0]).T)
    assert module.W_q(a)[0].tolist() == [[1, 2], [1, 1]]
    output, weights = module(a, return_weights=True)
    want = torch.tensor([[[0.33, 0.67], [0.50, 0.50]]])
    close(weights, want, within=5e-3)
    close(output, want, within=5e-3)


def test_shapes_of_the_course():
    module = SelfAttention(2, 2, 3)
    output, weights = module(torch.rand(1, 4, 2), return_weights=True)
    assert output.shape == (1, 4, 3)
    assert weights.shape == (1, 4, 4)


@given(st.integers(1, 8), st.integers(1, 8), st.integers(1, 8), st.booleans())
@settings(max_examples=20)
def test_parameters(dim, dk, dv, bias):
    module = SelfAttention(dim, dk, dv, bias=bias)
    assert sum(p.numel() for p in module.parameters()) == (dim + bias) * (2 * dk + dv)
    assert module(torch.zeros(2, 3, dim)).shape == (2, 3, dv)


def test_is_the_one_function_on_three_images_of_x():
    module, x = make(dv=2), draw(2, 5, 4)
    for mask in (None, causal_mask(5), length_mask(torch.tensor([0, 3]), 5)):
        want = scaled_dot_product_attention(
            module.W_q(x), module.W_k(x), module.W_v(x), mask, return_weights=True
        )
        torch.testing.assert_close(module(x, mask, return_weights=True), want)
        close(module(x, mask), want[0])


def test_padding_does_not_leak():
    module, x = make(), draw(2, 6, 4)
    lens = torch.tensor([4, 2])
    want = module(x, length_mask(lens, 6))
    other = x.clone()
    other[0, 4:], other[1, 2:] = 100.0, -100.0
    got = module(other, length_mask(lens, 6))
    close(got[0, :4], want[0, :4])
    close(got[1, :2], want[1, :2])
    close(module(x[:1, :4])[0], want[0, :4])


def test_unbatched():
    module, x = make(), draw(5, 4)
    close(module(x), module(x[None])[0])


def test_the_weights_are_n_squared():
    module = make(dtype=torch.float32)
    for n in (1, 10, 40):
        assert module(draw(1, n, 4, dtype=torch.float32), return_weights=True)[1].numel() == n * n


def test_refusals():
    module = make()
    with pytest.raises(ValueError, match=r"x: expected a width of 4, got shape \(2, 3, 5\)"):
        module(draw(2, 3, 5))
    with pytest.raises(ValueError, match=r"x: expected at least one position, got .*\(2, 0, 4\)"):
        module(draw(2, 0, 4))
    with pytest.raises(ValueError, match=r"x: expected floating-point numbers"):
        module(torch.zeros(2, 3, 4).long())
    for name, sizes in (("dim", (0, 1, 1)), ("dk", (1, -1, 1)), ("dv", (1, 1, 2.5))):
        with pytest.raises(ValueError, match=f"{name}: expected an integer"):
            SelfAttention(*sizes)


# --- the life of a module ----------------------------------------------------------------------

MODULES = [
    Module(SelfAttention, (6, 4, 5), lambda B, n: torch.randn(B, n, 6)),
]

test_life = under(MODULE, MODULES)

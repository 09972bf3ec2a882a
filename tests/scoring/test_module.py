"""Scoring functions: the contract, numbers, the two paths, dropout, bad input."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from attn_utils.core.attend import scaled_dot_product_attention
from attn_utils.core.masks import causal_mask, length_mask
from attn_utils.scoring import AdditiveAttention, Attn, DotProductAttention, LocationAttention
from tests.contracts import ATTENTION, MODULE, Attention, Module, random_mask, under
from tests.helpers import close, draw

HALF = [torch.float16, torch.bfloat16]
BACKENDS = [SDPBackend.MATH, SDPBackend.FLASH_ATTENTION]


def qkv_of(*lead, T=3, S=5, d=8, dv=8, dtype=torch.float64, seed=0):
    shapes = [(T, d), (S, d), (S, dv)]
    return [draw(*lead, *s, seed=seed + i, dtype=dtype) for i, s in enumerate(shapes)]


def plain(q, k, v, mask=None, scale=None):
    """The formula, in float64 and with a loop over nothing: what all must agree with."""
    q, k, v = q.double(), k.double(), v.double()
    scores = q @ k.transpose(-2, -1) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    exp = (scores - scores.amax(-1, keepdim=True)).exp()
    if mask is not None:
        exp = exp * mask
    weights = exp / exp.sum(-1, keepdim=True).clamp_min(1e-300)
    return weights @ v, weights


def call(module, q, k, v, mask, return_weights):
    return module(q, k, v, mask, return_weights=return_weights)


def causally(module, q, k, v, mask, return_weights):
    return module(q, k, v, mask, is_causal=True, return_weights=return_weights)


class Heads(nn.Module):
    """scaled_dot_product_attention on (B, H, T, d), to put it under the contract with heads."""

    def __init__(self, num_heads):
        super().__init__()
        self.num_heads = num_heads

    def forward(self, q, k, v, mask, **options):
        for name, x in (("q", q), ("k", k), ("v", v)):
            if x.shape[-1] % self.num_heads:
                raise ValueError(f"{name}: expected whole heads, got {tuple(x.shape)}")
        q, k, v = (x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for x in (q, k, v))
        result = scaled_dot_product_attention(q, k, v, mask, **options)
        if isinstance(result, tuple):
            return result[0].transpose(1, 2).flatten(2), result[1]
        return result.transpose(1, 2).flatten(2)


KINDS = [
    Attention("dot", DotProductAttention, call, (4, 4, 3)),
    Attention("dot, fused kernel", DotProductAttention, call, (4, 4, 4)),
    Attention("dot, unscaled", lambda: DotProductAttention(scaled=False), call, (4, 4, 3)),
    Attention("two heads", lambda: Heads(2), call, (8, 8, 8), heads=2, causally=causally),
    Attention("three heads", lambda: Heads(3), call, (12, 12, 6), heads=3),
    Attention("additive", lambda: AdditiveAttention(4, 6, 5), call, (4, 6, 3)),
    Attention("location", lambda: LocationAttention(4, 6, 5), call, (4, 6, 3), slots=5),
    Attention("location, T slots", lambda: LocationAttention(4, 6, 3), call, (4, 6, 3), slots=3),
]


test_contract = under(ATTENTION, KINDS)


# --- scaled dot product: numbers and the two paths ----------------------------------------------


def test_by_hand():
    """The book's worked example: q1 = (1, 2), q2 = (1, 1), unit keys and values."""
    q = torch.tensor([[1.0, 2.0], [1.0, 1.0]])
    output, weights = scaled_dot_product_attention(
        q, torch.eye(2), torch.eye(2), return_weights=True
    )
    want = torch.tensor([[0.3302, 0.6698], [0.5, 0.5]])
    close(weights, want, within=5e-5)
    close(output, want, within=5e-5)


def test_scale_is_one_over_the_root_of_the_width_of_a_query():
    """Not of the model's width: one large entry shows the factor."""
    q, k, v = qkv_of(2, 4, d=16)
    q, k = 3 * q, 3 * k
    for scale in (None, 1.0, 0.5, 0.0, -1.0):
        want, weights = plain(q, k, v, scale=scale)
        output, got = scaled_dot_product_attention(q, k, v, scale=scale, return_weights=True)
        close(got, weights)
        close(output, want)
        close(scaled_dot_product_attention(q, k, v, scale=scale), want)


def test_variance_of_scores():
    """Var(q · k) = d for unit variance; 1 after dividing by √d."""
    q, k = draw(4000, 64), draw(4000, 64, seed=1)
    assert 58 < (q * k).sum(-1).var() < 70
    assert 0.9 < ((q * k).sum(-1) / 8).var() < 1.1


MASKS = {
    "none": lambda B, H, T, S: None,
    "(T, S)": lambda B, H, T, S: random_mask(1, T, S)[0],
    "(B, T, S)": lambda B, H, T, S: random_mask(B, T, S),
    "(B, 1, S)": lambda B, H, T, S: length_mask(torch.arange(B) % (S + 1), S),
    "(B, T, 1)": lambda B, H, T, S: random_mask(B, T, 1),
    "(1, H, T, S)": lambda B, H, T, S: random_mask(H, T, S)[None],
    "(B, H, T, S)": lambda B, H, T, S: random_mask(B * H, T, S).unflatten(0, (B, H)),
    "(S,)": lambda B, H, T, S: torch.arange(S) < 1,
    "nothing": lambda B, H, T, S: torch.zeros(T, S, dtype=torch.bool),
    "causal, bottom-right": lambda B, H, T, S: causal_mask(T, S, align="bottom-right"),
}
# B, H, T, S: T != S, B == H, B == T, all equal, one of everything, S beyond a kernel's block
SIZES = [(2, 3, 4, 5), (3, 3, 2, 4), (4, 2, 4, 3), (3, 3, 3, 3), (1, 1, 1, 1), (2, 2, 17, 600)]


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda b: b.name)
@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, *HALF])
def test_paths_agree_with_the_formula(mask, is_causal, dtype, backend):
    for B, H, T, S in SIZES:
        q, k, v = qkv_of(B, H, T=T, S=S, dtype=dtype)
        given_mask = MASKS[mask](B, H, T, S)
        allowed = torch.ones(B, H, T, S, dtype=torch.bool)
        if given_mask is not None:
            by_rank = given_mask[:, None] if given_mask.ndim == 3 else given_mask
            allowed = allowed & by_rank
        if is_causal:
            allowed = allowed & causal_mask(T, S)
        want, want_weights = plain(q, k, v, allowed)
        with sdpa_kernel(backend):
            fused = scaled_dot_product_attention(q, k, v, given_mask, is_causal=is_causal)
        output, weights = scaled_dot_product_attention(
            q, k, v, given_mask, is_causal=is_causal, return_weights=True
        )
        what, size = (B, H, T, S), v.abs().max().item()  # many values average out
        close(fused, want, f"fused, {what}", scale=size)
        close(output, want, f"explicit, {what}", scale=size)
        close(output, fused, f"paths, {what}", scale=size)
        # what a score, up to 4 here, is off by, its weight is off by as a part of itself
        close(weights, want_weights, f"weights, {what}", scale=4 * want_weights.max().item())
        assert (weights[~allowed] == 0).all()
        dead = ~allowed.any(-1)
        assert (output[dead] == 0).all()
        assert (fused[dead] == 0).all()


@pytest.mark.parametrize("lead", [(), (2,), (2, 3), (2, 3, 2), (1, 2, 1, 2)])
def test_leading_axes(lead):
    q, k, v = qkv_of(*lead)
    mask = causal_mask(3, 5)
    want, _ = plain(q, k, v, mask)
    for options in ({"mask": mask}, {"is_causal": True}):
        close(scaled_dot_product_attention(q, k, v, **options), want)
        output, weights = scaled_dot_product_attention(q, k, v, return_weights=True, **options)
        close(output, want)
        assert weights.shape == (*lead, 3, 5)


def test_causal_alone_builds_no_mask(kernel_calls, monkeypatch):
    """PyTorch's kernel leaves half of the work out only if it gets is_causal and no mask."""
    monkeypatch.setattr("attn_utils.core.attend.causal_mask", lambda *a, **k: pytest.fail("a mask"))
    scaled_dot_product_attention(*qkv_of(2, T=20, S=20), is_causal=True)
    ((_, options),) = kernel_calls
    assert options["is_causal"]
    assert options.get("attn_mask") is None


def test_the_kernel_does_without_the_scores():
    """Without weights, 3-D inputs reach the fused kernel as well: no T × S matrix is made."""
    q, k, v = qkv_of(1, T=2048, S=2048, d=16, dv=16, dtype=torch.float32)
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.no_grad(), torch.profiler.profile(activities=activities, profile_memory=True) as p:
        scaled_dot_product_attention(q, k, v, is_causal=True)
    largest = max(e.self_cpu_memory_usage for e in p.events())
    assert largest < 2048 * 2048  # a quarter of a score matrix


def test_half_precision_scales_before_the_product():
    """q · k = 90,000 overflows float16; scaled first it is 11,250."""
    q = torch.full((1, 1, 2, 64), 37.5, dtype=torch.float16)
    k = q.clone()
    k[..., 1, :] = -37.5
    output, weights = scaled_dot_product_attention(q, k, k, return_weights=True)
    assert weights.tolist() == [[[[1, 0], [1, 0]]]]
    assert (output == 37.5).all()
    assert (scaled_dot_product_attention(q, k, k) == 37.5).all()


@pytest.mark.parametrize("dtype", HALF)
def test_half_precision_softmax_in_float32(dtype):
    q, k, v = qkv_of(2, 2, T=4, S=300, dtype=dtype)
    _, weights = scaled_dot_product_attention(q, k, v, return_weights=True)
    scores = (q * (1 / math.sqrt(8))) @ k.transpose(-2, -1)
    assert torch.equal(weights, torch.softmax(scores.float(), -1).to(dtype))


def test_inputs_are_left_alone():
    q, k, v = qkv_of(2, 2)
    mask = random_mask(2, 3, 5)
    kept = [x.clone() for x in (q, k, v, mask)]
    for return_weights in (False, True):
        for is_causal in (False, True):
            scaled_dot_product_attention(
                q, k, v, mask, is_causal=is_causal, return_weights=return_weights
            )
    for x, y in zip((q, k, v, mask), kept, strict=True):
        assert torch.equal(x, y)


def test_function_transforms():
    """The in-place softmax of inference works under vmap, and yields to gradients of any kind."""
    q, k, v = qkv_of(4)
    q = 1e3 * q  # overflows exp: the maximum has to be taken off here as well

    def f(q, k, v):
        return scaled_dot_product_attention(q, k, v, return_weights=True)[0]

    want, _ = plain(q, k, v)
    close(torch.func.vmap(f)(q, k, v), want)
    backward = torch.func.jacrev(f)(q[0], k[0], v[0])
    forward = torch.func.jacfwd(f)(q[0], k[0], v[0])
    close(forward, backward, scale=1e3)  # the scores' size, hence that of their rounding


# --- dropout ------------------------------------------------------------------------------------


def test_weights_are_those_before_dropout():
    q, k, v = qkv_of(2, 2, T=6, S=50)
    torch.manual_seed(0)
    output, weights = scaled_dot_product_attention(q, k, v, dropout_p=0.5, return_weights=True)
    close(weights.sum(-1), torch.ones(2, 2, 6).double())
    close(weights, plain(q, k, v)[1])
    assert not torch.allclose(output, weights @ v)


@pytest.mark.parametrize("return_weights", [False, True])
def test_dropout_keeps_the_mean(return_weights):
    q, k, v = qkv_of(1, T=1, S=20, dtype=torch.float32)
    many = [x.expand(4000, -1, -1) for x in (q, k, v)]
    torch.manual_seed(0)
    result = scaled_dot_product_attention(*many, dropout_p=0.3, return_weights=return_weights)
    output = result[0] if return_weights else result
    assert output.std(0).max() > 0.05
    close(output.mean(0), plain(q, k, v)[0][0], within=0.05)
    all_gone = scaled_dot_product_attention(*many, dropout_p=1.0, return_weights=return_weights)
    assert ((all_gone[0] if return_weights else all_gone) == 0).all()


@pytest.mark.parametrize(
    "make", [lambda p: DotProductAttention(p), lambda p: AdditiveAttention(8, 8, 6, p)]
)
def test_modules_drop_in_training_only(make):
    q, k, v = qkv_of(2, S=40, dtype=torch.float32)
    module = make(0.5)
    torch.manual_seed(0)
    trained, weights = module.train()(q, k, v, return_weights=True)
    close(weights.sum(-1), torch.ones(2, 3))
    module.eval()
    assert torch.equal(module(q, k, v), module(q, k, v))
    assert not torch.allclose(trained, module(q, k, v))
    assert not torch.allclose(module.train()(q, k, v), module.eval()(q, k, v))


# --- refusals -----------------------------------------------------------------------------------

GOOD = qkv_of(2, 3, dtype=torch.float32)
Q, K, V = GOOD


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((Q, K[..., :7], V), r"k: expected a width of 8, got shape \(2, 3, 5, 7\)"),
        ((Q, K, V[..., :4, :]), r"v: expected one for each of k .* got shape \(2, 3, 4, 8\)"),
        ((Q, K[:1], V[:1]), r"k: expected the leading axes of q \(2, 3, 3, 8\)"),
        ((Q, K[0], V[0]), r"k: expected the leading axes of q .* got shape \(3, 5, 8\)"),
        ((Q, K, V.double()), r"v: expected torch.float32 on cpu like q, got torch.float64"),
        ((Q, K.to("meta"), V), r"k: expected torch.float32 on cpu like q, got .* on meta"),
        ((Q.long(), K, V), r"q: expected floating-point numbers .* got torch.int64"),
        ((Q[0, 0, 0], K, V), r"q: expected floating-point numbers of shape .* got .*\(8,\)"),
        ((Q, K[..., :0, :], V[..., :0, :]), r"k: expected at least one, got shape \(2, 3, 0, 8\)"),
        ((Q[..., :0], K[..., :0], V), r"q: expected a width of at least 1"),
        (([1.0], K, V), "q: expected a tensor, got list"),
        ((Q, K, V, torch.zeros(3, 5)), "mask: expected a boolean tensor"),
    ],
)
def test_bad_input(arguments, message):
    for options in ({}, {"return_weights": True}, {"is_causal": True}):
        with pytest.raises(ValueError, match=message):
            scaled_dot_product_attention(*arguments, **options)


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_bad_dropout(p):
    with pytest.raises(ValueError, match="dropout_p: expected a probability"):
        scaled_dot_product_attention(*GOOD, dropout_p=p)
    for make in (DotProductAttention, lambda dropout: AdditiveAttention(2, 2, 2, dropout)):
        with pytest.raises(ValueError, match="dropout: expected a probability"):
            make(p)


def test_no_queries():
    for return_weights in (False, True):
        result = scaled_dot_product_attention(Q[..., :0, :], K, V, return_weights=return_weights)
        assert (result[0] if return_weights else result).shape == (2, 3, 0, 8)


def test_error_names_are_those_of_the_module():
    with pytest.raises(ValueError, match="keys: expected a width of 8"):
        DotProductAttention()(Q, K[..., :4], V)
    with pytest.raises(ValueError, match="queries: expected a width of 4"):
        AdditiveAttention(4, 8, 3)(Q, K, V)
    with pytest.raises(ValueError, match="keys: expected a width of 4"):
        AdditiveAttention(8, 4, 3)(Q, K, V)
    with pytest.raises(ValueError, match=r"values: expected num_values = 6 of them"):
        LocationAttention(8, 8, 6)(Q, K[..., :3, :], V)
    with pytest.raises(ValueError, match=r"keys: expected 1 or T = 3"):
        LocationAttention(8, 8, 5)(Q, K, V)


def test_queries_and_keys_are_not_confused_where_their_widths_add_up():
    """7 + 9 = 8 + 8: the sum of the widths is right, each of them wrong."""
    with pytest.raises(ValueError, match="queries"):
        LocationAttention(8, 8, 5)(Q[..., :7], torch.zeros(2, 3, 1, 9), V)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda n: LocationAttention(n, 2, 2), "query_size"),
        (lambda n: LocationAttention(2, n, 2), "key_size"),
        (lambda n: LocationAttention(2, 2, n), "num_values"),
        (lambda n: AdditiveAttention(n, 2, 2), "query_size"),
        (lambda n: AdditiveAttention(2, 2, n), "num_hiddens"),
        (lambda n: Attn(2, 2, n, 2, 2), "value_size1"),
        (lambda n: Attn(2, 2, 2, 2, n), "output_size"),
    ],
)
def test_sizes(make, name):
    for bad in (0, -1, 2.0, True):
        with pytest.raises(ValueError, match=f"{name}: expected an integer of at least 1"):
            make(bad)


# --- the three rules ----------------------------------------------------------------------------


def test_location_by_definition():
    module = LocationAttention(4, 6, 5).double()
    q, k, v = draw(2, 3, 4), draw(2, 3, 6, seed=1), draw(2, 5, 7, seed=2)
    output, weights = module(q, k, v, return_weights=True)
    for b in range(2):
        for t in range(3):
            scores = module.score.weight @ torch.cat([q[b, t], k[b, t]]) + module.score.bias
            close(weights[b, t], torch.softmax(scores, 0))
            close(output[b, t], torch.softmax(scores, 0) @ v[b])
    shared, _ = module(q, k[:, :1], v, return_weights=True)
    close(shared, module(q, k[:, :1].expand(-1, 3, -1), v))


def test_location_never_looks_at_the_values():
    module = LocationAttention(4, 6, 5).double()
    q, k = draw(2, 3, 4), draw(2, 3, 6)
    a, b = (module(q, k, draw(2, 5, 7, seed=s), return_weights=True)[1] for s in (1, 2))
    assert torch.equal(a, b)


def test_additive_by_definition():
    """w · tanh(W [q; k]) with W = [W_q W_k], pair by pair."""
    module = AdditiveAttention(4, 6, 5).double()
    q, k, v = draw(2, 3, 4), draw(2, 7, 6, seed=1), draw(2, 7, 2, seed=2)
    _, weights = module(q, k, v, return_weights=True)
    W = torch.cat([module.W_q.weight, module.W_k.weight], 1)
    scores = torch.tensor(
        [
            [
                [(module.w_v.weight[0] @ torch.tanh(W @ torch.cat([a, b]))).item() for b in keys]
                for a in queries
            ]
            for queries, keys in zip(q, k, strict=True)
        ],
        dtype=torch.float64,
    )
    close(weights, torch.softmax(scores, -1))
    assert sum(p.numel() for p in module.parameters()) == (4 + 6 + 1) * 5


def test_scaled_and_unscaled_dot_product():
    q, k, v = qkv_of(2)
    close(DotProductAttention()(q, k, v), plain(q, k, v)[0])
    close(DotProductAttention(scaled=False)(q, k, v), plain(q, k, v, scale=1.0)[0])


def test_without_the_factor_the_gradient_vanishes():
    """The measured √d argument: with d, the unscaled softmax saturates and its gradient dies."""

    def gradient(d, scaled):
        q, k = draw(200, 1, d), draw(200, 10, d, seed=1)
        scores = ((q @ k.mT) / (math.sqrt(d) if scaled else 1)).requires_grad_()
        torch.softmax(scores, -1)[..., 0].sum().backward()
        return scores.grad.abs().mean()

    assert gradient(512, scaled=False) < 0.3 * gradient(4, scaled=False)
    assert gradient(512, scaled=True) > 0.8 * gradient(4, scaled=True)


# --- Attn ---------------------------------------------------------------------------------------


def test_attn_of_the_course():
    module = Attn(32, 32, 32, 64, 64)
    assert sum(p.numel() for p in module.parameters()) == 8288
    for B in (1, 2, 5, 0):
        output, weights = module(torch.rand(B, 1, 32), torch.rand(B, 1, 32), torch.rand(B, 32, 64))
        assert output.shape == (B, 1, 64)
        assert weights.shape == (B, 32)
        close(weights.sum(-1), torch.ones(B))


@settings(max_examples=20)
@given(*[st.integers(1, 9)] * 5)
def test_attn_parameters(dq, dk, n, dv, o):
    module = Attn(dq, dk, n, dv, o)
    count = sum(p.numel() for p in module.parameters())
    assert count == (dq + dk) * n + n + (dq + dv) * o + o


def test_attn_looks_at_each_batch_item():
    """Commonly copied code weighs all items by the first."""
    module = Attn(4, 5, 6, 3, 2).double()
    Q, K, V = draw(3, 1, 4), draw(3, 1, 5, seed=1), draw(3, 6, 3, seed=2)
    output, weights = module(Q, K, V)
    for b in range(3):
        one_output, one_weights = module(Q[b : b + 1], K[b : b + 1], V[b : b + 1])
        close(output[b], one_output[0])
        close(weights[b], one_weights[0])
    attended = torch.einsum("bn,bnv->bv", weights, V)
    close(output[:, 0], module.output(torch.cat([Q[:, 0], attended], -1)))


def test_attn_gradients():
    module = Attn(3, 2, 4, 2, 3).double()
    inputs = tuple(draw(2, n, d, seed=i) for i, (n, d) in enumerate([(1, 3), (1, 2), (4, 2)]))
    assert torch.autograd.gradcheck(module, [x.requires_grad_() for x in inputs])


@pytest.mark.parametrize("position", [0, 1, 2])
def test_attn_refuses(position):
    good = [torch.zeros(2, 1, 4), torch.zeros(2, 1, 5), torch.zeros(2, 6, 3)]
    module = Attn(4, 5, 6, 3, 2)
    module(*good)
    for bad in (
        good[position][..., 1:],
        good[position][:1],
        torch.zeros(2, 2, good[position].shape[-1]),
    ):
        arguments = [*good[:position], bad, *good[position + 1 :]]
        with pytest.raises(ValueError, match=r"expected .*\("):
            module(*arguments)


# --- properties ---------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    st.integers(0, 3),
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(1, 20),
    st.integers(1, 9),
    st.integers(0, 2**31),
    st.sampled_from([torch.float64, torch.float32, *HALF]),
    st.booleans(),
)
def test_properties(B, H, T, S, d, seed, dtype, is_causal):
    """Any shape: dtype and shape kept, rows sum to 1 or 0, hidden is 0, both paths agree."""
    seed %= 2**31
    q, k, v = qkv_of(B, H, T=T, S=S, d=d, dv=d, dtype=dtype, seed=seed)
    mask = torch.rand(B, T, S, generator=torch.Generator().manual_seed(seed)) < 0.7
    output, weights = scaled_dot_product_attention(
        q, k, v, mask, is_causal=is_causal, return_weights=True
    )
    fused = scaled_dot_product_attention(q, k, v, mask, is_causal=is_causal)
    allowed = mask & causal_mask(T, S) if is_causal else mask
    allowed = allowed[:, None].expand(B, H, T, S)
    assert output.shape == fused.shape == (B, H, T, d)
    assert weights.shape == (B, H, T, S)
    assert output.dtype == fused.dtype == weights.dtype == dtype
    assert output.device == fused.device == q.device
    assert (weights[~allowed] == 0).all()
    if B:
        sums = weights.double().sum(-1).to(dtype)
        close(sums, allowed.any(-1).to(dtype))
        close(output, fused)


# --- the life of a module ----------------------------------------------------------------------

MODULES = [
    Module(
        LocationAttention,
        (4, 5, 6),
        lambda B, n: (torch.randn(B, n, 4), torch.randn(B, n, 5), torch.randn(B, 6, 3)),
    ),
    Module(
        AdditiveAttention,
        (4, 5, 6),
        lambda B, n: (torch.randn(B, n, 4), torch.randn(B, n + 1, 5), torch.randn(B, n + 1, 3)),
    ),
    Module(
        DotProductAttention,
        (),
        lambda B, n: (torch.randn(B, n, 4), torch.randn(B, n + 1, 4), torch.randn(B, n + 1, 3)),
    ),
    Module(
        Attn,
        (4, 5, 6, 3, 2),
        lambda B, n: (torch.randn(B, 1, 4), torch.randn(B, 1, 5), torch.randn(B, 6, 3)),
    ),
]

test_life = under(MODULE, MODULES)

"""The cost of attention: formulas against PyTorch's counters, attention without the n² scores."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from attn_utils.core.attend import scaled_dot_product_attention
from attn_utils.core.masks import causal_mask
from attn_utils.cost import (
    attention_bytes,
    attention_flops,
    attention_peak_bytes,
    block_flops,
    blockwise_attention,
    kv_cache_bytes,
    linear_attention,
    mlp_flops,
    peak_bytes,
)
from tests.contracts import ATTENTION, Attention, under
from tests.helpers import close, draw

HALF = [torch.float16, torch.bfloat16]
DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def qkv_of(*lead, T=3, S=5, d=8, dv=8, dtype=torch.float64, seed=0):
    shapes = [(T, d), (S, d), (S, dv)]
    return [draw(*lead, *s, seed=seed + i, dtype=dtype) for i, s in enumerate(shapes)]


def counted(run):
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def matmuls(parts):
    return sum(count for part, count in parts.items() if part != "softmax")


# --- operations ---------------------------------------------------------------------------------


def test_parts_by_hand():
    """n = 3 tokens of width 4 and 2 heads: 3 · 4 · 4 products for each projection."""
    parts = block_flops(3, 4, num_heads=2)
    assert parts == {
        "projections": 3 * 2 * 48,
        "scores": 2 * 36,
        "softmax": 5 * 18,
        "weighted sum": 2 * 36,
        "output": 2 * 48,
        "MLP": 2 * 2 * 192,
    }
    assert list(parts)[:5] == list(attention_flops(3, 4)) == list(attention_bytes(3, 4))


@pytest.mark.parametrize(
    ("B", "T", "S", "D", "H", "kv"),
    [
        (1, 5, 5, 8, 1, 1),
        (2, 7, 3, 12, 3, 3),
        (3, 4, 9, 16, 4, 2),
        (2, 6, 6, 16, 8, 1),
    ],
)
def test_attention_flops_are_what_pytorch_counts(B, T, S, D, H, kv):
    d = D // H
    W_q, W_k, W_v, W_o = (nn.Linear(D, w, bias=False) for w in (D, kv * d, kv * d, D))
    x, y = torch.randn(B, T, D), torch.randn(B, S, D)
    found = {}
    found["projections"] = counted(lambda: (W_q(x), W_k(y), W_v(y)))
    q = W_q(x).unflatten(-1, (H, d)).transpose(1, 2)
    k, v = (
        W(y).unflatten(-1, (kv, d)).transpose(1, 2).repeat_interleave(H // kv, 1)
        for W in (W_k, W_v)
    )
    found["scores"] = counted(lambda: q @ k.transpose(-2, -1))
    weights = (q @ k.transpose(-2, -1)).softmax(-1)
    found["softmax"] = counted(lambda: (q @ k.transpose(-2, -1)).softmax(-1)) - found["scores"]
    found["weighted sum"] = counted(lambda: weights @ v)
    found["output"] = counted(lambda: W_o((weights @ v).transpose(1, 2).flatten(2)))
    found["output"] -= found["weighted sum"]
    want = attention_flops(T, D, num_heads=H, num_kv_heads=kv, num_keys=S, batch=B)
    assert found.pop("softmax") == 0  # the counter leaves it out
    assert want.pop("softmax") == 5 * B * H * T * S
    assert found == want


@pytest.mark.parametrize(("B", "n", "D", "H", "r"), [(1, 16, 8, 2, 4), (3, 9, 24, 3, 2)])
def test_block_flops_are_those_of_a_transformer_layer(B, n, D, H, r):
    layer = nn.TransformerEncoderLayer(D, H, r * D, batch_first=True).train()
    with sdpa_kernel(SDPBackend.MATH):
        total = counted(lambda: layer(torch.randn(B, n, D)))
    assert total == matmuls(block_flops(n, D, num_heads=H, mlp_ratio=r, batch=B))
    assert mlp_flops(n, D, mlp_ratio=r, batch=B) == 4 * r * B * n * D * D


def test_the_fused_kernel_costs_the_same_operations():
    """Through its mathematical definition, the counter sees 4 B H n² d."""
    q = torch.randn(2, 3, 16, 8)
    with sdpa_kernel(SDPBackend.MATH):
        total = counted(lambda: F.scaled_dot_product_attention(q, q, q))
    parts = attention_flops(16, 24, num_heads=3, batch=2)
    assert total == parts["scores"] + parts["weighted sum"] == 4 * 2 * 3 * 16 * 16 * 8


@pytest.mark.parametrize(("T", "S"), [(1, 1), (5, 5), (3, 7), (7, 3), (6, 1)])
def test_causal_counts_the_pairs_of_the_mask(T, S):
    pairs = int(causal_mask(T, S).sum())
    parts = attention_flops(T, 8, num_heads=2, num_keys=S, is_causal=True)
    assert parts["scores"] == parts["weighted sum"] == 2 * pairs * 8
    assert parts["softmax"] == 5 * 2 * pairs
    full = attention_flops(T, 8, num_heads=2, num_keys=S)
    assert {k: parts[k] for k in ("projections", "output")} == {
        k: full[k] for k in ("projections", "output")
    }


def test_heads_change_the_softmax_only():
    one, many = attention_flops(10, 64), attention_flops(10, 64, num_heads=16)
    assert many["softmax"] == 16 * one["softmax"]
    assert matmuls(one) == matmuls(many)


def test_where_attention_meets_the_projections_and_the_mlp():
    parts = block_flops(2 * 96, 96)
    assert parts["scores"] + parts["weighted sum"] == parts["projections"] + parts["output"]
    parts = block_flops(4 * 96, 96)
    assert parts["scores"] + parts["weighted sum"] == parts["MLP"]


# --- bytes and memory ---------------------------------------------------------------------------


def moved(operation, *inputs):
    """Bytes of the inputs of an operation and of its result."""
    return sum(x.nbytes for x in inputs) + operation(*inputs).nbytes


@pytest.mark.parametrize(("B", "T", "S", "D", "H", "kv"), [(1, 6, 6, 8, 2, 2), (3, 5, 7, 16, 4, 2)])
def test_bytes_are_those_of_the_tensors(B, T, S, D, H, kv):
    d = D // H
    x, y = torch.randn(B, T, D), torch.randn(B, S, D)
    W, W_k = torch.randn(D, D), torch.randn(D, kv * d)
    q, k = torch.randn(B, H, T, d), torch.randn(B, kv, S, d)
    scores = torch.randn(B, H, T, S)
    options = {"num_heads": H, "num_kv_heads": kv, "num_keys": S, "batch": B}
    assert attention_bytes(T, D, **options) == {
        "projections": moved(torch.matmul, x, W) + 2 * moved(torch.matmul, y, W_k),
        "scores": q.nbytes + k.nbytes + scores.nbytes,
        "softmax": moved(lambda s: s.softmax(-1), scores),
        "weighted sum": scores.nbytes + k.nbytes + q.nbytes,
        "output": moved(torch.matmul, x, W),
    }
    fused = attention_bytes(T, D, **options, fused=True)
    assert fused["softmax"] == 0
    assert fused["scores"] == fused["weighted sum"] == q.nbytes + k.nbytes
    half = attention_bytes(T, D, **options, itemsize=2)
    assert [2 * x for x in half.values()] == list(attention_bytes(T, D, **options).values())


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize(("B", "T", "C", "D", "H", "kv"), [(1, 1, 6, 8, 2, 2), (3, 4, 5, 16, 4, 1)])
def test_with_cached_keys_only_the_new_tokens_are_projected(B, T, C, D, H, kv, is_causal):
    options = {"num_heads": H, "num_kv_heads": kv, "batch": B}
    new = attention_flops(T, D, **options)
    found = attention_flops(T, D, num_cached=C, is_causal=is_causal, **options)
    pairs = int(causal_mask(T, T + C, align="bottom-right").sum()) if is_causal else T * (T + C)
    assert found["scores"] == found["weighted sum"] == 2 * B * pairs * D
    assert found["softmax"] == 5 * B * H * pairs
    assert [found[part] - new[part] for part in ("projections", "output")] == [0, 0]
    moved_new = attention_bytes(T, D, **options)
    moved_found = attention_bytes(T, D, num_cached=C, **options)
    cache, matrix = B * C * (D // H * kv) * 4, B * H * T * C * 4
    more = {part: moved_found[part] - moved_new[part] for part in moved_new}
    assert more == {
        "projections": 0,
        "scores": cache + matrix,
        "softmax": 2 * matrix,
        "weighted sum": cache + matrix,
        "output": 0,
    }


def test_heads_of_keys_under_their_older_name():
    assert attention_flops(4, 8, num_heads=4, kv_heads=2) == attention_flops(
        4, 8, num_heads=4, num_kv_heads=2
    )
    old = kv_cache_bytes(4, depth=1, kv_heads=2, head_dim=8)
    assert old == kv_cache_bytes(4, depth=1, num_kv_heads=2, head_dim=8)
    with pytest.raises(TypeError, match="kv_heads"):
        attention_bytes(4, 8, kv_heads=1, num_kv_heads=1)


def plain(q, k, v):
    return torch.softmax(q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]), -1) @ v


@pytest.mark.parametrize("n", [4, 64, 300])
@pytest.mark.parametrize("fused", [False, True])
def test_peak_is_what_is_measured(n, fused):
    """Also where the output is larger than the scores, n = 4."""
    q, k, v = qkv_of(2, 3, T=n, S=n, d=16, dv=16, dtype=torch.float32)
    attend = F.scaled_dot_product_attention if fused else plain
    measured = sum(x.nbytes for x in (q, k, v)) + peak_bytes(lambda: attend(q, k, v))
    assert measured == attention_peak_bytes(n, 48, num_heads=3, batch=2, fused=fused)


def test_peak_bytes_counts_what_lives():
    x = torch.ones(256, 1024)  # 1 MiB
    size = x.nbytes
    assert peak_bytes(lambda: None) == 0
    assert peak_bytes(lambda: (x.T, x[3:], x.view(-1), x.add_(1))) == 0  # views, in place
    assert peak_bytes(lambda: x + 1) == size
    assert peak_bytes(lambda: x + 1 + 1 + 1) == 2 * size  # the first is freed
    assert peak_bytes(lambda: [x + i for i in range(5)]) == 5 * size
    assert peak_bytes(lambda: (x + 1).T.contiguous()) == 2 * size
    leaf = x.clone().requires_grad_()
    assert peak_bytes(lambda: leaf.exp().exp().exp()) == 3 * size  # kept for the backward pass
    with torch.no_grad():
        assert peak_bytes(lambda: leaf.exp().exp().exp()) == 2 * size


def test_peak_bytes_agrees_with_the_profiler():
    q, k, v = qkv_of(2, T=128, S=128, dtype=torch.float32)
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        plain(q, k, v)
    events = profile.profiler.kineto_results.events()
    held = peak = 0
    for _, change in sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]"):
        held += change
        peak = max(peak, held)
    assert peak_bytes(lambda: plain(q, k, v)) == pytest.approx(peak, rel=0.05)


def test_kv_cache_of_published_sizes():
    """80 layers, 8 heads of 128 for keys and values, 2 bytes: 320 KiB a token."""
    assert kv_cache_bytes(1, depth=80, num_kv_heads=8, head_dim=128) == 320 * 2**10
    cache = kv_cache_bytes(2**17, depth=80, num_kv_heads=8, head_dim=128)
    assert cache == 40 * 2**30
    assert kv_cache_bytes(2**17, depth=80, num_kv_heads=64, head_dim=128) == 8 * cache
    k = torch.zeros(3, 4, 10, 16)  # B, heads, n, d of one layer
    assert (
        kv_cache_bytes(10, depth=5, num_kv_heads=4, head_dim=16, batch=3, itemsize=4)
        == 5 * 2 * k.nbytes
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: attention_flops(0, 8), "num_queries: expected an integer of at least 1, got 0"),
        (lambda: attention_flops(4, 8.0), "embed_dim"),
        (
            lambda: attention_flops(4, 8, num_heads=3),
            "embed_dim: expected a multiple of num_heads = 3",
        ),
        (
            lambda: attention_flops(4, 8, num_heads=4, num_kv_heads=3),
            "num_kv_heads: expected a divisor",
        ),
        (
            lambda: attention_flops(4, 8, num_heads=4, num_kv_heads=8),
            "num_kv_heads: expected a divisor",
        ),
        (lambda: attention_flops(4, 8, num_keys=0), "num_keys"),
        (
            lambda: attention_flops(4, 8, num_cached=-1),
            "num_cached: expected an integer of at least 0",
        ),
        (lambda: attention_bytes(4, 8, num_cached=1.5), "num_cached"),
        (lambda: attention_bytes(4, 8, itemsize=0), "itemsize"),
        (lambda: attention_peak_bytes(4, 8, batch=-1), "batch"),
        (lambda: block_flops(4, 8, mlp_ratio=0), "mlp_ratio"),
        (lambda: mlp_flops(True, 8), "num_tokens"),
        (lambda: kv_cache_bytes(4, depth=0, num_kv_heads=1, head_dim=1), "depth"),
    ],
)
def test_bad_sizes(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- blockwise attention ------------------------------------------------------------------------


class Blockwise(nn.Module):
    """Blocks without weights, the formula with them: the contract compares the two."""

    def __init__(self, block_size, num_heads=0):
        super().__init__()
        self.block_size, self.num_heads = block_size, num_heads

    def forward(self, q, k, v, mask, return_weights, is_causal=False):
        heads = self.num_heads
        if heads:
            for name, x in (("q", q), ("k", k), ("v", v)):
                if x.shape[-1] % heads:
                    raise ValueError(f"{name}: expected whole heads, got {tuple(x.shape)}")
            q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
        weights = None
        if return_weights:
            output, weights = scaled_dot_product_attention(
                q, k, v, mask, is_causal=is_causal, return_weights=True
            )
        else:
            output = blockwise_attention(
                q, k, v, mask, is_causal=is_causal, block_size=self.block_size
            )
        output = output.transpose(1, 2).flatten(2) if heads else output
        return (output, weights) if return_weights else output


def call(module, q, k, v, mask, return_weights):
    return module(q, k, v, mask, return_weights)


def causally(module, q, k, v, mask, return_weights):
    return module(q, k, v, mask, return_weights, is_causal=True)


KINDS = [
    Attention("blocks of 2", lambda: Blockwise(2), call, (4, 4, 3), causally=causally),
    Attention(
        "blocks of 3, two heads",
        lambda: Blockwise(3, 2),
        call,
        (8, 8, 6),
        heads=2,
        causally=causally,
    ),
    Attention("one block", lambda: Blockwise(256), call, (4, 4, 4)),
]


test_contract = under(ATTENTION, KINDS)


@settings(max_examples=80)
@given(
    st.integers(0, 3),
    st.integers(1, 3),
    st.integers(1, 13),
    st.integers(1, 20),
    st.integers(1, 9),
    st.integers(1, 24),
    st.integers(0, 2**31 - 1),
    st.sampled_from(DTYPES),
    st.booleans(),
    st.booleans(),
)
def test_any_block_size(B, H, T, S, d, block_size, seed, dtype, is_causal, masked):
    q, k, v = qkv_of(B, H, T=T, S=S, d=d, dv=5, dtype=dtype, seed=seed % 1000)
    mask = None
    if masked:
        mask = torch.rand(B, T, S, generator=torch.Generator().manual_seed(seed)) < 0.4
    want, weights = scaled_dot_product_attention(
        q, k, v, mask, is_causal=is_causal, return_weights=True
    )
    got = blockwise_attention(q, k, v, mask, is_causal=is_causal, block_size=block_size)
    assert got.dtype == dtype
    close(got, want)
    assert (got[(weights == 0).all(-1)] == 0).all()


def test_large_scores_do_not_overflow():
    q = torch.tensor([[300.0], [-300.0]])
    k = torch.tensor([[-300.0], [0.0], [299.0], [300.0]])
    v = torch.eye(4)
    for block_size in (1, 3, 4):
        got = blockwise_attention(q, k, v, block_size=block_size)
        assert torch.equal(got, torch.tensor([[0.0, 0, 0, 1], [1, 0, 0, 0]]))


def test_first_blocks_fully_masked():
    """Nothing seen yet means m = −∞, and −∞ − (−∞) is NaN: the third block must still count."""
    q, k, v = qkv_of(T=4, S=6)
    mask = torch.zeros(4, 6, dtype=torch.bool)
    mask[:3, 4:] = True
    got = blockwise_attention(q, k, v, mask, block_size=2)
    close(got[:3], plain(q[:3], k[4:], v[4:]))
    assert (got[3] == 0).all()


def test_blocks_of_the_future_are_not_computed():
    q, k, v = qkv_of(2, T=64, S=64, dtype=torch.float32)
    full, half = (
        counted(lambda c=c: blockwise_attention(q, k, v, is_causal=c, block_size=4))
        for c in (False, True)
    )
    assert full == 4 * 2 * 64 * 64 * 8
    assert half == full * (16 * 17 // 2) / 16**2


def test_memory_is_linear_in_inference_and_not_in_training():
    ratio = {}
    for grad in (False, True):
        peaks = []
        for n in (512, 1024):
            qkv = [x.requires_grad_(grad) for x in qkv_of(T=n, S=n, dtype=torch.float32)]

            def run(qkv=qkv, grad=grad):
                out = blockwise_attention(*qkv, block_size=64)
                if grad:
                    out.sum().backward()

            peaks.append(peak_bytes(run))
        ratio[grad] = peaks[1] / peaks[0]
    assert ratio[False] < 2.1
    assert ratio[True] > 3.5


def test_function_transforms():
    q, k, v = qkv_of(4)
    want = blockwise_attention(q, k, v, block_size=2)
    close(torch.func.vmap(lambda *x: blockwise_attention(*x, block_size=2))(q, k, v), want)
    _, tangent = torch.func.jvp(lambda q: blockwise_attention(q, k, v, block_size=2), (q,), (q,))
    _, expected = torch.func.jvp(lambda q: plain(q, k, v), (q,), (q,))
    close(tangent, expected)


@pytest.mark.parametrize("attend", [blockwise_attention, linear_attention])
@pytest.mark.parametrize(
    ("place", "bad", "message"),
    [
        (0, torch.zeros(2, 3, 8, dtype=torch.long), "q: expected floating-point numbers"),
        (
            0,
            torch.zeros(2, 3, 7, dtype=torch.float64),
            r"k: expected a width of 7, got shape \(2, 5",
        ),
        (1, torch.zeros(2, 0, 8, dtype=torch.float64), "k: expected at least one"),
        (
            2,
            torch.zeros(2, 4, 8, dtype=torch.float64),
            r"v: expected one for each of k \(2, 5, 8\)",
        ),
        (2, torch.zeros(3, 5, 8, dtype=torch.float64), "v: expected the leading axes of q"),
        (1, torch.zeros(2, 5, 8), "k: expected torch.float64"),
        (1, "keys", "k: expected a tensor, got str"),
    ],
)
def test_bad_input(attend, place, bad, message):
    qkv = qkv_of(2)
    qkv[place] = bad
    with pytest.raises(ValueError, match=message):
        attend(*qkv)


def test_bad_block_size_and_width():
    for size in (0, -1, 2.0, True):
        with pytest.raises(ValueError, match="block_size: expected an integer of at least 1"):
            blockwise_attention(*qkv_of(2), block_size=size)
    for attend in (blockwise_attention, linear_attention):
        with pytest.raises(ValueError, match="q: expected a width of at least 1"):
            attend(*qkv_of(2, d=0))


# --- linear attention ---------------------------------------------------------------------------


def linear_by_definition(q, k, v, is_causal=False):
    """All weights written out, in float64."""
    q, k, v = q.double(), k.double(), v.double()
    weights = (F.elu(q) + 1) @ (F.elu(k) + 1).transpose(-2, -1)
    if is_causal:
        weights = weights * causal_mask(q.shape[-2], k.shape[-2])
    return weights / weights.sum(-1, keepdim=True) @ v


@settings(max_examples=60)
@given(
    st.integers(0, 3),
    st.integers(0, 150),
    st.integers(1, 150),
    st.integers(1, 9),
    st.integers(1, 4),
    st.integers(0, 1000),
    st.sampled_from(DTYPES),
    st.booleans(),
)
def test_linear_attention_by_definition(B, T, S, d, dv, seed, dtype, is_causal):
    q, k, v = qkv_of(B, 2, T=T, S=S, d=d, dv=dv, dtype=dtype, seed=seed)
    got = linear_attention(q, k, v, is_causal=is_causal)
    assert got.dtype == dtype
    assert got.shape == (B, 2, T, dv)
    want = linear_by_definition(q, k, v, is_causal)
    close(got, want)


def test_linear_attention_gradients():
    for T, S in ((4, 4), (3, 5), (5, 3)):
        for is_causal in (False, True):
            qkv = [x.requires_grad_() for x in qkv_of(2, T=T, S=S, d=3, dv=2)]
            assert torch.autograd.gradcheck(
                lambda *x, c=is_causal: linear_attention(*x, is_causal=c), qkv
            )


def test_linear_attention_is_causal_to_the_bit():
    q, k, v = qkv_of(2, T=150, S=150, dtype=torch.float32)
    other = [x.clone() for x in (q, k, v)]
    for x, value in zip(other, (-7.0, 9.0, 1e20), strict=True):
        x[:, 100:] = value
    a, b = (linear_attention(*x, is_causal=True) for x in ((q, k, v), other))
    assert torch.equal(a[:, :100], b[:, :100])
    assert not torch.equal(a[:, 100:], b[:, 100:])


def test_linear_attention_has_finite_gradients_far_from_zero():
    """exp(x) is computed where x > 0 as well, and then left out: it must not overflow there."""
    q, k, v = (x.requires_grad_() for x in (torch.full((1, 2, 4), 100.0) for _ in range(3)))
    linear_attention(q, k, v).sum().backward()
    for x in (q, k, v):
        assert x.grad.isfinite().all()


@pytest.mark.parametrize("dtype", HALF)
def test_half_precision_is_summed_in_single_precision(dtype):
    """Summed over many blocks in half precision, small shares are lost beside the sum."""
    q, k = torch.zeros(1, 2, 8, dtype=dtype), torch.zeros(1, 8192, 8, dtype=dtype)
    v = torch.zeros(1, 8192, 4, dtype=dtype)
    v[:, 4096:] = 1
    for got in (blockwise_attention(q, k, v, block_size=2), linear_attention(q, k, v)):
        assert (got == 0.5).all()


@pytest.mark.parametrize("dtype", HALF)
def test_autocast_leaves_the_sums_in_single_precision(dtype):
    q, k, v = qkv_of(T=1024, S=1024, d=64, dv=64, dtype=torch.float32)
    for attend in (linear_attention, blockwise_attention):
        for is_causal in (False, True):
            want = attend(q, k, v, is_causal=is_causal)
            ones = torch.ones_like(v)
            with torch.autocast("cpu", dtype):
                assert torch.equal(attend(q, k, v, is_causal=is_causal), want)
                close(attend(q, k, ones, is_causal=is_causal), ones)
                assert attend(q.to(dtype), k, v.to(dtype)).dtype == torch.float32


def test_linear_attention_far_from_zero():
    """elu + 1 in two steps would round the features away and divide 0 by 0."""
    q, k, v = qkv_of(T=4, S=4, dtype=torch.float32)
    got = linear_attention(q - 30, k - 30, v)
    weights = (q.double() - 30).exp() @ (k.double() - 30).exp().T
    close(got, weights / weights.sum(-1, keepdim=True) @ v.double())
    assert (linear_attention(q - 500, k, v) == 0).all()  # no feature is left
    q[1] = torch.nan
    got = linear_attention(q, k, v)
    assert got[1].isnan().all()
    assert got[[0, 2, 3]].isfinite().all()


def test_linear_attention_weights_have_a_small_rank():
    q, k, _ = qkv_of(T=20, S=20, d=4)
    weights = linear_attention(q, k, torch.eye(20, dtype=torch.float64))
    close(weights.sum(-1), torch.ones(20, dtype=torch.float64))
    singular = torch.linalg.svdvals(weights)
    assert singular[3] > 1e-3
    assert singular[4] < 1e-12
    assert weights.trace() <= 4  # of any such matrix of rank 4


def test_linear_attention_memory_and_operations_are_linear():
    for is_causal in (False, True):
        peaks, flops = [], []
        for n in (512, 1024):
            q, k, v = qkv_of(T=n, S=n, dtype=torch.float32)
            run = lambda x=(q, k, v), c=is_causal: linear_attention(*x, is_causal=c)  # noqa: E731
            peaks.append(peak_bytes(run))
            flops.append(counted(run))
        assert peaks[1] < 2.1 * peaks[0]
        assert flops[1] == 2 * flops[0] > 0


def test_inputs_are_left_alone():
    for attend in (blockwise_attention, linear_attention):
        qkv = qkv_of(2)
        kept = [x.clone() for x in qkv]
        attend(*qkv, is_causal=True)
        for x, y in zip(qkv, kept, strict=True):
            assert torch.equal(x, y)

"""Grouped heads: a loop over the heads, PyTorch's own groups, weights to and from all heads."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attn_utils.core import attend as core
from attn_utils.core.attend import join_heads, repeat_heads, split_heads
from attn_utils.cost import peak_bytes
from attn_utils.explain import record_attention
from attn_utils.multi_head import MultiHeadAttention, with_kv_heads
from tests.contracts import ATTENTION, MODULE, Attention, Module, random_mask, under
from tests.helpers import close, draw

GROUPS = [(4, 1), (4, 2), (6, 3), (6, 2), (4, 4)]  # H, G


def make(heads=4, kv_heads=2, width=4, *, seed=0, dtype=torch.float64, **options):
    torch.manual_seed(seed)
    module = MultiHeadAttention(heads * width, heads, num_kv_heads=kv_heads, **options)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.5)  # a bias of 0 would hide that it is missing
    return module.to(dtype).eval()


def one_query_at_a_time(module, q, k, v, mask):
    """The definition in plain loops: head h reads the keys and values of group h // (H / G)."""
    H, G = module.num_heads, module.num_kv_heads
    d = module.embed_dim // H
    (B, T), S = q.shape[:2], k.shape[1]
    queries, keys, values = module.W_q(q), module.W_k(k), module.W_v(v)
    heads, weights = torch.zeros(B, T, H * d).double(), torch.zeros(B, H, T, S).double()
    for b in range(B):
        for h in range(H):
            own, shared = slice(h * d, h * d + d), slice(h // (H // G) * d, h // (H // G) * d + d)
            for t in range(T):
                seen = [s for s in range(S) if mask[b, t, s]]
                raised = [
                    math.exp(queries[b, t, own] @ keys[b, s, shared] / math.sqrt(d)) for s in seen
                ]
                for s, e in zip(seen, raised, strict=True):
                    weights[b, h, t, s] = e / sum(raised)
                    heads[b, t, own] += weights[b, h, t, s] * values[b, s, shared]
    return module.W_o(heads), weights


@pytest.mark.parametrize(("H", "G"), GROUPS)
@pytest.mark.parametrize("bias", [False, True])
def test_a_loop_over_queries_and_heads(H, G, bias):
    module = make(H, G, query_size=7, key_size=5, value_size=6, bias=bias)
    q, k, v = draw(2, 3, 7), draw(2, 5, 5, seed=1), draw(2, 5, 6, seed=2)
    mask = random_mask(2, 3, 5)
    past = mask & torch.ones(3, 5).tril().bool()
    for options, allowed in (
        ({}, torch.ones(2, 3, 5)),
        ({"mask": mask}, mask),
        ({"mask": mask, "is_causal": True}, past),
    ):
        with torch.no_grad():
            want, weights = one_query_at_a_time(module, q, k, v, allowed)
        output, got = module(q, k, v, return_weights=True, **options)
        assert got.shape == (2, H, 3, 5)
        close(got, weights)
        close(output, want)
        close(module(q, k, v, **options), want)


@pytest.mark.parametrize(("H", "G"), GROUPS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("is_causal", [False, True])
def test_what_torch_means_by_groups(H, G, dtype, is_causal):
    module = make(H, G, dtype=dtype)
    x = draw(2, 40, H * 4, dtype=dtype)
    q = split_heads(module.W_q(x), H)
    k, v = split_heads(module.W_k(x), G), split_heads(module.W_v(x), G)
    with torch.no_grad():
        heads = F.scaled_dot_product_attention(q, k, v, is_causal=is_causal, enable_gqa=True)
        close(module(x, is_causal=is_causal), module.W_o(join_heads(heads)))
        k, v = (y.repeat_interleave(H // G, 1) for y in (k, v))
        heads = F.scaled_dot_product_attention(q, k, v, is_causal=is_causal)
        close(module(x, is_causal=is_causal), module.W_o(join_heads(heads)))


def test_repeat_in_place_of_repeat_interleave_is_far_off():
    q, k, v = draw(2, 4, 9, 8), draw(2, 2, 9, 8, seed=1), draw(2, 2, 9, 8, seed=2)
    want = F.scaled_dot_product_attention(q, *(x.repeat_interleave(2, 1) for x in (k, v)))
    wrong = F.scaled_dot_product_attention(q, *(x.repeat(1, 2, 1, 1) for x in (k, v)))
    assert torch.equal(repeat_heads(k, 2), k.repeat_interleave(2, 1))
    close(core.attend(q, k, v, group=2)[0], want)
    assert wrong.shape == want.shape
    assert (wrong - want).abs().max() > 1


@pytest.mark.parametrize("in_kernel", [True, False])
def test_gradients_are_those_of_all_heads(in_kernel, monkeypatch):
    monkeypatch.setattr(core, "_CPU_KERNEL_GROUPS", in_kernel)
    module = make(6, 2, bias=True)
    full = with_kv_heads(module, 6)
    x, y = draw(2, 40, 24).requires_grad_(), draw(2, 50, 24, seed=1).requires_grad_()
    got = torch.autograd.grad(module(x, y).sin().sum(), [x, y, module.W_k.weight])
    want = torch.autograd.grad(full(x, y).sin().sum(), [x, y, full.W_k.weight])
    close(got[0], want[0])
    close(got[1], want[1])
    close(got[2], want[2].view(2, 3, 4, 24).sum(1).flatten(0, 1))  # a group's share adds up


def test_the_kernel_gets_the_groups_as_they_are(kernel_calls, monkeypatch):
    module, x = make(4, 2), draw(2, 20, 16)
    for in_kernel, heads in ((True, 2), (False, 4)):
        monkeypatch.setattr(core, "_CPU_KERNEL_GROUPS", in_kernel)
        for options in ({"is_causal": True}, {"mask": random_mask(2, 20, 20)}):
            close(module(x, **options), module(x, return_weights=True, **options)[0])
            args, called = kernel_calls[-1]
            assert [y.shape[1] for y in args] == [4, heads, heads]
            assert called["enable_gqa"] is in_kernel
    make(4, None)(x)
    assert kernel_calls[-1][1]["enable_gqa"] is False


@pytest.mark.parametrize("in_kernel", [True, False])
def test_without_weights_there_is_no_matrix_of_them(in_kernel, monkeypatch):
    if in_kernel and not core._CPU_KERNEL_GROUPS:
        pytest.skip("this release's kernel takes no groups")
    monkeypatch.setattr(core, "_CPU_KERNEL_GROUPS", in_kernel)
    module, x = make(4, 2, dtype=torch.float32), draw(1, 512, 16, dtype=torch.float32)
    with torch.no_grad():
        assert peak_bytes(lambda: module(x, is_causal=True)) < 4 * 512 * 512
        assert peak_bytes(lambda: module(x, return_weights=True)) > 4 * 4 * 512 * 512


def test_its_weights_are_recorded_for_each_head():
    module, x = make(6, 2), draw(2, 5, 24)
    with record_attention(module) as weights:
        module(x)
    assert torch.equal(weights[0], module(x, return_weights=True)[1])
    assert weights[0].shape == (2, 6, 5, 5)


@pytest.mark.parametrize(("H", "G"), GROUPS)
@pytest.mark.parametrize("bias", [False, True])
def test_number_of_parameters(H, G, bias):
    module = MultiHeadAttention(
        4 * H, H, num_kv_heads=G, query_size=7, key_size=5, value_size=6, bias=bias
    )
    D, d = 4 * H, 4
    number = D * (7 + D) + G * d * (5 + 6) + bias * (2 * D + 2 * G * d)
    assert sum(p.numel() for p in module.parameters()) == number


def test_as_many_as_heads_is_the_default():
    plain, given = make(4, None, bias=True), make(4, 4, bias=True)
    assert plain.num_kv_heads == 4
    given.load_state_dict(plain.state_dict(), strict=True)
    x = draw(2, 5, 16)
    assert torch.equal(given(x), plain(x))


# --- weights from and to all heads --------------------------------------------------------------


@pytest.mark.parametrize(("H", "G"), [*GROUPS, (14, 2), (11, 1)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_to_all_heads_nothing_changes_and_back_it_is_exact(H, G, dtype):
    module, x = make(H, G, dtype=dtype, bias=True), draw(2, 5, 4 * H, dtype=dtype)
    full = with_kv_heads(module, H)
    for a, b in zip(full(x, return_weights=True), module(x, return_weights=True), strict=True):
        close(a, b)
    back = with_kv_heads(full, G).state_dict()
    assert list(back) == list(module.state_dict())
    for name, value in module.state_dict().items():
        assert torch.equal(back[name], value), name


def test_to_fewer_heads_each_is_the_mean_of_its_group():
    module = make(6, 6, bias=True)
    grouped = with_kv_heads(module, 2)
    assert grouped.num_kv_heads == 2
    assert (grouped.W_k.out_features, grouped.W_v.out_features) == (8, 8)
    for ours, theirs in ((grouped.W_k, module.W_k), (grouped.W_v, module.W_v)):
        for row in range(8):
            g, i = divmod(row, 4)
            rows = [4 * h + i for h in range(3 * g, 3 * g + 3)]  # three heads in a row
            close(ours.weight[row], sum(theirs.weight[r] for r in rows) / 3)
            close(ours.bias[row], sum(theirs.bias[r] for r in rows) / 3)
    for name in ("W_q", "W_o"):
        assert torch.equal(getattr(grouped, name).weight, getattr(module, name).weight)
    single = with_kv_heads(module, 1)
    close(single.W_k.weight, with_kv_heads(grouped, 1).W_k.weight)


def test_a_conversion_is_a_copy_like_its_source():
    module = make(4, 4, bias=True, dtype=torch.bfloat16).train()
    module.W_k.weight.requires_grad_(False)
    before = module.W_k.weight.clone()
    grouped = with_kv_heads(module, np.int64(2))
    assert grouped.training
    assert type(grouped.num_kv_heads) is int
    assert {x.dtype for x in grouped.parameters()} == {torch.bfloat16}
    assert [n for n, x in grouped.named_parameters() if not x.requires_grad] == ["W_k.weight"]
    same = with_kv_heads(module, 4)
    with torch.no_grad():
        for x in (*grouped.parameters(), *same.parameters()):
            x.zero_()
    assert torch.equal(module.W_k.weight, before)
    assert module.num_kv_heads == 4


def test_every_attention_of_a_model_is_converted():
    model = nn.Sequential(make(4, 4), make(4, 4, seed=1))
    x = draw(2, 5, 16)
    grouped = with_kv_heads(model, 2)
    assert [part.num_kv_heads for part in grouped] == [2, 2]
    close(with_kv_heads(grouped, 4)(x), grouped(x))


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (3, r"num_kv_heads: expected a divisor of num_heads = 4, got 3"),
        (8, r"num_kv_heads: expected a divisor of num_heads = 4, got 8"),
        (0, r"num_kv_heads: expected an integer of at least 1, got 0"),
        (-2, r"num_kv_heads: expected an integer of at least 1, got -2"),
        (True, r"num_kv_heads: expected an integer of at least 1, got True"),
        (2.0, r"num_kv_heads: expected an integer of at least 1, got 2.0"),
        ("2", r"num_kv_heads: expected an integer of at least 1, got '2'"),
    ],
)
def test_bad_numbers_of_heads(number, message):
    with pytest.raises(ValueError, match=message):
        MultiHeadAttention(8, 4, num_kv_heads=number)
    with pytest.raises(ValueError, match=message):
        with_kv_heads(make(4, 4), number)


def test_conversions_that_cannot_be():
    with pytest.raises(ValueError, match=r"num_kv_heads: .* multiple of the 2 that .* got 3"):
        with_kv_heads(make(6, 2), 3)
    with pytest.raises(ValueError, match=r"model: expected attention .* got Linear"):
        with_kv_heads(nn.Linear(2, 2), 1)
    with pytest.raises(ValueError, match=r"num_kv_heads: expected num_heads = 4, got 2"):
        make(4, 2).to_torch()


# --- the contracts ------------------------------------------------------------------------------


def attend(module, q, k, v, mask, return_weights):
    return module(q, k, v, mask=mask, return_weights=return_weights)


def causally(module, q, k, v, mask, return_weights):
    return module(q, k, v, mask=mask, is_causal=True, return_weights=return_weights)


ATTENTIONS = [
    Attention(
        f"{G} of {H} heads",
        lambda H=H, G=G: MultiHeadAttention(8, H, num_kv_heads=G, key_size=5, bias=True),
        attend,
        (8, 5, 8),
        heads=H,
        causally=causally,
        nothing=lambda module: module.W_o.bias,
    )
    for H, G in ((4, 2), (2, 1))
]

test_contract = under(ATTENTION, ATTENTIONS)

MODULES = [
    Module(
        MultiHeadAttention,
        (8, 4),
        lambda B, n: (torch.randn(B, n, 8), torch.randn(B, n + 1, 6), torch.randn(B, n + 1, 4)),
        {"num_kv_heads": 2, "key_size": 6, "value_size": 4, "bias": True},
    ),
]

test_life = under(MODULE, MODULES)

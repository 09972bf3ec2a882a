"""Multi-head attention: PyTorch's own module, a loop over small heads, properties, bad input."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attn_utils.core.masks import causal_mask, length_mask
from attn_utils.multi_head import MultiHeadAttention
from tests.contracts import ATTENTION, MODULE, Attention, Module, under
from tests.helpers import close, draw

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
FINE = [torch.float64, torch.float32]
# B == H, B == T, T == S and all of them different: a wrong axis shows in one of them.
SIZES = [(2, 2, 3, 5), (3, 3, 3, 3), (4, 2, 4, 6), (1, 4, 7, 2), (2, 3, 1, 1), (3, 1, 5, 3)]


def make(dim=12, heads=3, *, seed=0, dtype=torch.float64, **options):
    torch.manual_seed(seed)
    module = MultiHeadAttention(dim, heads, **options).to(dtype).eval()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.endswith("bias"):
                parameter.normal_()  # a bias of 0 would hide that it is missing
    return module


def random_mask(*shape, seed=2):
    """Allow about half; each row keeps an entry, so that PyTorch's module has no NaN."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(*shape, generator=generator) < 0.5
    mask[..., 0] |= ~mask.any(-1)
    return mask


def one_head_at_a_time(module, q, k, v, mask=None):
    """The definition: a small attention for each head, with its rows of the matrices."""
    H, d = module.num_heads, module.embed_dim // module.num_heads
    B, T, S = q.shape[0], q.shape[1], k.shape[1]
    allowed = torch.ones(B, H, T, S, dtype=torch.bool) if mask is None else mask.expand(B, H, T, S)
    heads, weights = [], []
    for h in range(H):
        rows = slice(h * d, (h + 1) * d)

        def small(layer, x, rows=rows):
            return F.linear(x, layer.weight[rows], None if layer.bias is None else layer.bias[rows])

        scores = small(module.W_q, q) @ small(module.W_k, k).mT / math.sqrt(d)
        exponentials = scores.exp() * allowed[:, h]
        w = exponentials / exponentials.sum(-1, keepdim=True).clamp_min(1e-300)
        heads.append(w @ small(module.W_v, v))
        weights.append(w)
    return module.W_o(torch.cat(heads, -1)), torch.stack(weights, 1)


# --- the contract of every attention ------------------------------------------------------------


def attend(module, q, k, v, mask, return_weights):
    return module(q, k, v, mask=mask, return_weights=return_weights)


def to_itself(module, q, k, v, mask, return_weights):
    return module(q, mask=mask, return_weights=return_weights)


def causally(module, q, k, v, mask, return_weights):
    return module(q, k, v, mask=mask, is_causal=True, return_weights=return_weights)


def three_widths():
    return MultiHeadAttention(8, 2, query_size=6, key_size=5, value_size=4, bias=True)


ATTENTIONS = [
    Attention(
        "multi-head",
        lambda: MultiHeadAttention(8, 2),
        attend,
        (8, 8, 8),
        heads=2,
        causally=causally,
    ),
    Attention(
        "three widths",
        three_widths,
        attend,
        (6, 5, 4),
        heads=2,
        causally=causally,
        nothing=lambda module: module.W_o.bias,
    ),
    Attention("four heads", lambda: MultiHeadAttention(8, 4), attend, (8, 8, 8), heads=4),
    Attention("one head", lambda: MultiHeadAttention(8, 1), attend, (8, 8, 8), heads=1),
    Attention(
        "self-attention",
        lambda: MultiHeadAttention(8, 2),
        to_itself,
        (8, 8, 8),
        heads=2,
        from_one=True,
    ),
]


test_contract = under(ATTENTION, ATTENTIONS)


# --- numbers ------------------------------------------------------------------------------------


def test_shapes_of_the_book():
    module = make(128, 8, dtype=torch.float32)
    output, weights = module(draw(2, 10, 128, dtype=torch.float32), return_weights=True)
    assert output.shape == (2, 10, 128)
    assert weights.shape == (2, 8, 10, 10)
    module = make(100, 5, dropout=0.2, dtype=torch.float32).train()
    x = draw(2, 4, 100, dtype=torch.float32)
    assert module(x, valid_lens=torch.tensor([3, 2])).shape == (2, 4, 100)


@pytest.mark.parametrize("bias", [False, True])
def test_number_of_parameters(bias):
    module = MultiHeadAttention(12, 3, query_size=7, key_size=5, value_size=4, bias=bias)
    assert sum(p.numel() for p in module.parameters()) == 12 * (7 + 5 + 4 + 12) + bias * 4 * 12
    names = {"W_q.weight", "W_k.weight", "W_v.weight", "W_o.weight"}
    if bias:
        names |= {"W_q.bias", "W_k.bias", "W_v.bias", "W_o.bias"}
    assert set(module.state_dict()) == names


def test_two_heads_by_hand():
    """Identity projections: head 1 sees the first half of the vectors, head 2 the second."""
    module = make(4, 2)
    with torch.no_grad():
        for layer in (module.W_q, module.W_k, module.W_v, module.W_o):
            layer.weight.copy_(torch.eye(4))
    a = math.sqrt(2) * math.log(3)  # the score a/√2 of the right key against 0 gives 3 : 1
    q = torch.tensor([[[a, 0.0, 0.0, a]]], dtype=torch.float64)
    k = torch.tensor([[[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]]]).double()
    output, weights = module(q, k, return_weights=True)
    close(weights, torch.tensor([[[[0.75, 0.25]], [[0.25, 0.75]]]]).double())
    close(output, torch.tensor([[[0.75, 0.25, 0.25, 0.75]]]).double())


@pytest.mark.parametrize(("B", "H", "T", "S"), SIZES)
@pytest.mark.parametrize("bias", [False, True])
def test_one_projection_cut_in_slices_is_many_small_ones(B, H, T, S, bias):
    module = make(12, H, bias=bias, query_size=7, key_size=5, value_size=4)
    q, k, v = draw(B, T, 7), draw(B, S, 5, seed=2), draw(B, S, 4, seed=3)
    mask = torch.rand(B, H, T, S, generator=torch.Generator().manual_seed(0)) < 0.6  # dead rows too
    for given_mask in (None, mask):
        want, want_weights = one_head_at_a_time(module, q, k, v, given_mask)
        output, weights = module(q, k, v, mask=given_mask, return_weights=True)
        close(output, want)
        close(weights, want_weights)
        close(module(q, k, v, mask=given_mask), want)


def test_initialisation_is_glorot_and_biases_start_at_zero():
    module = MultiHeadAttention(96, 4, query_size=32, key_size=64, value_size=160, bias=True)
    for layer in (module.W_q, module.W_k, module.W_v, module.W_o):
        bound = math.sqrt(6 / (layer.in_features + layer.out_features))
        assert 0.98 * bound < layer.weight.abs().max() <= bound
        assert layer.bias.count_nonzero() == 0


# --- PyTorch's module ---------------------------------------------------------------------------


def pair(dtype, *, dim=12, heads=3, kdim=None, vdim=None, bias=True, batch_first=True, dropout=0.0):
    torch.manual_seed(3)
    theirs = nn.MultiheadAttention(
        dim, heads, kdim=kdim, vdim=vdim, bias=bias, batch_first=batch_first, dropout=dropout
    ).to(dtype)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_(std=0.5)
    return theirs.eval(), MultiHeadAttention.from_torch(theirs).eval()


def agrees(theirs, ours, q, k, v, their_mask=None, **options):
    want, want_weights = theirs(
        q, k, v, attn_mask=their_mask, average_attn_weights=False, need_weights=True
    )
    output, weights = ours(q, k, v, return_weights=True, **options)
    close(output, want)
    close(weights, want_weights)
    close(ours(q, k, v, **options), want)


@pytest.mark.parametrize("dtype", FINE)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("kdim", "vdim"), [(None, None), (5, None), (None, 7), (5, 7)])
@pytest.mark.parametrize(("T", "S"), [(5, 5), (3, 6), (6, 3)])
def test_agrees_with_torch(dtype, bias, kdim, vdim, T, S):
    theirs, ours = pair(dtype, kdim=kdim, vdim=vdim, bias=bias)
    q, k = draw(2, T, 12, dtype=dtype), draw(2, S, kdim or 12, seed=2, dtype=dtype)
    v = draw(2, S, vdim or 12, seed=3, dtype=dtype)
    agrees(theirs, ours, q, k, v)
    back = ours.to_torch()
    assert torch.equal(back(q, k, v)[0], theirs(q, k, v)[0])
    assert back.state_dict().keys() == theirs.state_dict().keys()
    for name, tensor in back.state_dict().items():
        assert torch.equal(tensor, theirs.state_dict()[name])


@pytest.mark.parametrize("dtype", FINE)
@pytest.mark.parametrize(("B", "H", "T", "S"), SIZES)
def test_masks_of_every_shape_agree_with_torch(dtype, B, H, T, S):
    theirs, ours = pair(dtype, heads=H)
    q, k, v = (draw(B, n, 12, seed=i, dtype=dtype) for i, n in enumerate((T, S, S)))
    shapes = {(S,), (T, S), (1, S), (B, T, S), (1, T, S), (B, 1, S), (1, 1, S)}
    shapes |= set(itertools.product((1, B), (1, H), (1, T), (S,)))
    for shape in shapes:
        mask = random_mask(*shape)
        full = mask.unsqueeze(1) if mask.ndim == 3 else mask  # a head axis: the rule, spelled out
        full = full.expand(B, H, T, S).reshape(B * H, T, S)
        agrees(theirs, ours, q, k, v, ~full, mask=mask)


@pytest.mark.parametrize("dtype", FINE)
@pytest.mark.parametrize(("B", "H", "T", "S"), SIZES)
def test_lengths_causal_and_mask_hold_together(dtype, B, H, T, S):
    theirs, ours = pair(dtype, heads=H)
    q, k, v = (draw(B, n, 12, seed=i, dtype=dtype) for i, n in enumerate((T, S, S)))
    generator = torch.Generator().manual_seed(4)
    per_sequence = torch.randint(1, S + 1, (B,), generator=generator)
    per_query = torch.randint(1, S + 1, (B, T), generator=generator)
    mask = random_mask(B, H, T, S)
    mask[..., 0] = True  # the first key is in each of the three: no dead rows
    past = causal_mask(T, S)
    for lens, use_mask, causal in itertools.product(
        (None, per_sequence, per_query), (False, True), (False, True)
    ):
        full = torch.ones(B, 1, T, S, dtype=torch.bool)
        if lens is not None:
            limit = lens[:, None, None, None] if lens.ndim == 1 else lens[:, None, :, None]
            full = full & (torch.arange(S) < limit)
        full = full & mask if use_mask else full
        full = full & past if causal else full
        agrees(
            theirs,
            ours,
            q,
            k,
            v,
            ~full.expand(B, H, T, S).reshape(B * H, T, S),
            valid_lens=lens,
            mask=mask if use_mask else None,
            is_causal=causal,
        )


def test_key_padding_mask_of_torch_is_the_negation_of_lengths():
    theirs, ours = pair(torch.float64)
    x = draw(2, 5, 12)
    lens = torch.tensor([3, 5])
    padding = ~length_mask(lens, 5)[:, 0]
    want = theirs(x, x, x, key_padding_mask=padding)[0]
    close(ours(x, valid_lens=lens), want)
    close(ours(x, mask=~padding[:, None]), want)


def test_from_torch_with_sequence_first():
    theirs, ours = pair(torch.float64, batch_first=False)
    x = draw(2, 5, 12)
    y = x.transpose(0, 1)
    close(ours(x), theirs(y, y, y)[0].transpose(0, 1))


def test_from_torch_copies():
    theirs, ours = pair(torch.float64, dropout=0.25)
    assert ours.dropout == 0.25
    assert not ours.training
    assert MultiHeadAttention.from_torch(theirs.train()).training
    before = ours.W_q.weight.clone()
    with torch.no_grad():
        theirs.in_proj_weight.zero_()
    assert torch.equal(ours.W_q.weight, before)
    back = ours.to_torch()
    assert back.batch_first
    assert back.dropout == 0.25
    assert not back.training
    with torch.no_grad():
        back.in_proj_weight.zero_()
    assert torch.equal(ours.W_q.weight, before)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_from_torch_keeps_the_dtype(dtype):
    theirs = nn.MultiheadAttention(8, 2, dtype=dtype)
    ours = MultiHeadAttention.from_torch(theirs)
    assert {p.dtype for p in ours.parameters()} == {dtype}
    assert {p.dtype for p in ours.to_torch().parameters()} == {dtype}


@pytest.mark.parametrize("options", [{"add_bias_kv": True}, {"add_zero_attn": True}])
def test_from_torch_refuses_what_it_cannot_reproduce(options):
    with pytest.raises(ValueError, match=r"module: expected add_bias_kv=False"):
        MultiHeadAttention.from_torch(nn.MultiheadAttention(8, 2, **options))


def test_other_conversions_that_cannot_be():
    with pytest.raises(ValueError, match=r"module: expected torch.nn.MultiheadAttention, got Lin"):
        MultiHeadAttention.from_torch(nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"query_size: expected embed_dim = 8, got 5"):
        MultiHeadAttention(8, 2, query_size=5).to_torch()


# --- keys and values left out -------------------------------------------------------------------


def test_keys_default_to_queries_and_values_to_keys():
    module = make(12, 3)
    x, y = draw(2, 4, 12), draw(2, 6, 12, seed=2)
    assert torch.equal(module(x), module(x, x, x))
    assert torch.equal(module(x, y), module(x, y, y))
    assert torch.equal(module(x, values=x), module(x, x, x))
    assert not torch.allclose(module(x, y), module(x, y, -y))


# --- dropout ------------------------------------------------------------------------------------


def test_dropout_acts_in_training_on_weights_that_are_returned_before_it():
    module = make(12, 3, dropout=0.5)
    x = draw(4, 6, 12)
    assert torch.equal(module(x), module(x))
    module.train()
    _, weights = module(x, return_weights=True)
    close(weights.sum(-1), torch.ones(4, 3, 6).double())
    close(weights, module.eval()(x, return_weights=True)[1])
    module.train()
    for return_weights in (False, True):
        outputs = [module(x, return_weights=return_weights) for _ in range(2)]
        first, second = (o[0] if return_weights else o for o in outputs)
        assert not torch.allclose(first, second)


@pytest.mark.parametrize("return_weights", [False, True])
def test_dropout_keeps_the_mean_and_drops_weights_not_features(return_weights):
    module = make(4, 2, dropout=0.4).train()
    x = draw(1, 3, 4)
    torch.manual_seed(0)
    outputs = module(x.expand(20_000, 3, 4), return_weights=return_weights)
    outputs = outputs[0] if return_weights else outputs
    close(outputs.mean(0), module.eval()(x)[0], within=0.03)
    # The output of a single key is all there or not at all.
    one = module.train()(x[:, :1].expand(200, 1, 4), return_weights=return_weights)
    one = one[0] if return_weights else one
    kept = module.W_v(x[:, :1]) / 0.6
    parts = [
        module.W_o(torch.cat([kept[..., :2] * a, kept[..., 2:] * b], -1)).flatten()
        for a in (0, 1)
        for b in (0, 1)
    ]
    distances = torch.stack([(one[:, 0] - part).abs().amax(-1) for part in parts])
    assert distances.amin(0).max() < 1e-12
    assert len(distances.argmin(0).unique()) == 4


def test_dropout_of_everything_gives_zeros():
    module = make(12, 3, dropout=1.0).train()
    x = draw(2, 4, 12)
    assert module(x).count_nonzero() == 0
    output, weights = module(x, return_weights=True)
    assert output.count_nonzero() == 0
    assert weights.count_nonzero() == weights.numel()


# --- properties ---------------------------------------------------------------------------------


def test_each_head_reads_its_own_slice():
    """A change of head 1's columns of W_o, or rows of W_q, moves head 1 alone."""
    module = make(12, 3)
    x = draw(2, 4, 12)
    before = module(x, return_weights=True)[1]
    with torch.no_grad():
        module.W_q.weight[4:8] += 1.0
    after = module(x, return_weights=True)[1]
    assert torch.equal(before[:, [0, 2]], after[:, [0, 2]])
    assert not torch.allclose(before[:, 1], after[:, 1])


# --- gradients ----------------------------------------------------------------------------------


def test_gradients_agree_with_torch():
    theirs, ours = pair(torch.float64)
    x, y = draw(2, 4, 12).requires_grad_(), draw(2, 6, 12, seed=2).requires_grad_()
    mask = random_mask(2, 4, 6)
    want = torch.autograd.grad(
        theirs(x, y, y, attn_mask=~mask.repeat_interleave(3, 0))[0].sin().sum(), (x, y)
    )
    got = torch.autograd.grad(ours(x, y, mask=mask).sin().sum(), (x, y))
    for a, b in zip(got, want, strict=True):
        close(a, b)


def test_gradients_flow_through_the_weights():
    module = make(4, 2)
    x = draw(2, 3, 4).requires_grad_()
    module(x, return_weights=True)[1].square().sum().backward()
    assert x.grad.count_nonzero() > 0
    assert module.W_q.weight.grad.count_nonzero() > 0


# --- dtypes, devices, layouts, compilers --------------------------------------------------------


def test_large_scores_in_half_precision_stay_finite():
    module = make(8, 2, dtype=torch.float16)
    x = 40 * draw(1, 4, 8, dtype=torch.float16)
    output, weights = module(x, return_weights=True)
    assert weights.isfinite().all()
    assert output.isfinite().all()


def test_lengths_are_a_mask():
    module, x = make(12, 3, bias=True), draw(2, 4, 12)
    for lens in (torch.tensor([0, 3]), torch.tensor([[4, 0, 1, 2], [1, 1, 4, 3]])):
        for options in ({}, {"is_causal": True}, {"mask": random_mask(2, 4, 4)}):
            want = length_mask(lens, 4) & options.get("mask", torch.tensor(True))
            got = module(x, valid_lens=lens, **options)
            assert torch.equal(got, module(x, **{**options, "mask": want}))
            program = torch.export.export(module, (x,), {"valid_lens": lens, **options})
            close(program.module()(x, valid_lens=lens, **options), got)


def test_the_fused_kernel_runs_unless_weights_are_asked_for(kernel_calls):
    module, x = make(12, 3), draw(2, 20, 12)
    module(x, return_weights=True)
    assert not kernel_calls
    module(x, is_causal=True)
    ((_, options),) = kernel_calls
    assert options["is_causal"]  # no triangle is built
    assert options.get("attn_mask") is None


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        ((0, 1), {}, r"embed_dim: expected an integer of at least 1, got 0"),
        ((8, 0), {}, r"num_heads: expected an integer of at least 1, got 0"),
        ((8, 2.0), {}, r"num_heads: expected an integer of at least 1, got 2.0"),
        ((8, True), {}, r"num_heads: expected an integer"),
        ((10, 3), {}, r"embed_dim: expected a multiple of num_heads = 3, got 10"),
        ((8, 2), {"query_size": 0}, r"query_size: expected an integer of at least 1, got 0"),
        ((8, 2), {"key_size": -1}, r"key_size: expected an integer of at least 1, got -1"),
        ((8, 2), {"value_size": "8"}, r"value_size: expected an integer .* got '8'"),
        ((8, 2), {"dropout": 1.5}, r"dropout: expected a probability from 0 to 1, got 1.5"),
    ],
)
def test_bad_sizes(args, options, message):
    with pytest.raises(ValueError, match=message):
        MultiHeadAttention(*args, **options)


Q, K, V = draw(2, 3, 7), draw(2, 5, 6), draw(2, 5, 4)


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        ((Q[..., :6], K, V), {}, r"queries: expected a width of 7, got shape \(2, 3, 6\)"),
        ((Q, K[..., :5], V), {}, r"keys: expected a width of 6, got shape \(2, 5, 5\)"),
        ((Q, K, V[..., :3]), {}, r"values: expected a width of 4, got shape \(2, 5, 3\)"),
        ((Q,), {}, r"keys: expected a width of 6, got shape \(2, 3, 7\)"),
        ((Q, K), {}, r"values: expected a width of 4, got shape \(2, 5, 6\)"),
        ((Q[0], K[0], V[0]), {}, r"queries: expected shape \(B, T, Dq\), got \(3, 7\)"),
        ((Q[None], K[None], V[None]), {}, r"queries: expected shape .* got \(1, 2, 3, 7\)"),
        ((Q, K[:1], V), {}, r"keys: expected the leading axes of queries \(2, 3, 7\), got"),
        ((Q, K, V[:, :4]), {}, r"values: expected one for each of keys \(2, 5, 6\), got shape"),
        ((Q, K[:, :0], V[:, :0]), {}, r"keys: expected at least one, got shape \(2, 0, 6\)"),
        ((Q, K.float(), V), {}, r"keys: expected torch.float64 on cpu like queries, got torch.fl"),
        ((Q.long(), K, V), {}, r"queries: expected floating-point numbers .* got torch.int64"),
        (([1.0], K, V), {}, r"queries: expected a tensor, got list"),
        ((Q, K, V), {"mask": torch.ones(3, 5)}, r"mask: expected a boolean tensor .*float32"),
        ((Q, K, V), {"mask": torch.ones(5, 3).bool()}, r"mask: expected .* \(2, 2, 3, 5\), got"),
        ((Q, K, V), {"mask": torch.ones(2, 5).bool()}, r"mask: .* needs an axis for the queries"),
        ((Q, K, V), {"mask": torch.ones(4, 3, 5).bool()}, r"mask: expected .* got \(4, 3, 5\)"),
        ((Q, K, V), {"valid_lens": [3, 5]}, r"valid_lens: expected a tensor, got list"),
        ((Q, K, V), {"valid_lens": torch.tensor([3.0, 5.0])}, r"valid_lens: expected integers"),
        (
            (Q, K, V),
            {"valid_lens": torch.tensor([3, 6])},
            r"valid_lens: expected lengths from 0 to 5, got 6",
        ),
        ((Q, K, V), {"valid_lens": torch.tensor([3, -1])}, r"valid_lens: .* got -1"),
        ((Q, K, V), {"valid_lens": torch.tensor([3])}, r"valid_lens: expected shape \(2,\) or"),
        ((Q, K, V), {"valid_lens": torch.ones(3).long()}, r"valid_lens: .* \(2, 3\) .* got \(3,\)"),
        ((Q, K, V), {"valid_lens": torch.ones(3, 2).long()}, r"valid_lens: .* got \(3, 2\)"),
        ((Q, K, V), {"valid_lens": torch.ones(2, 1).long()}, r"valid_lens: .* got \(2, 1\)"),
    ],
)
@pytest.mark.parametrize("return_weights", [False, True])
def test_bad_input(inputs, options, message, return_weights):
    module = make(8, 2, query_size=7, key_size=6, value_size=4)
    with pytest.raises(ValueError, match=message):
        module(*inputs, return_weights=return_weights, **options)


# --- the life of a module ----------------------------------------------------------------------

MODULES = [
    Module(
        MultiHeadAttention,
        (8, 2),
        lambda B, n: (torch.randn(B, n, 8), torch.randn(B, n + 1, 6), torch.randn(B, n + 1, 4)),
        {"key_size": 6, "value_size": 4, "bias": True},
    ),
]

test_life = under(MODULE, MODULES)

"""Keras's multi-head attention: Keras's own layer, einsum, properties, bad input.

Keras's layer in float64 computes in float64 only where it returns scores; its fused path casts to
float32. So the former is compared at 1e-10, the latter at 1e-5.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import math
import os
import tempfile
from unittest import mock

import pytest
import torch

from attn_utils.keras_multi_head import KerasMultiHeadAttention
from attn_utils.multi_head import MultiHeadAttention
from tests.contracts import ATTENTION, MODULE, Attention, Module, under
from tests.helpers import close, draw

pytestmark = [  # of Keras, not of ours
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:You are using a softmax over axis"),
]

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
# B == H, B == T, T == S and all of them different: a wrong axis shows in one of them.
SIZES = [(2, 2, 3, 5), (3, 3, 3, 3), (4, 2, 4, 6), (1, 4, 7, 2), (2, 3, 1, 1), (3, 1, 5, 3)]


@functools.cache
def keras():
    """Keras on its torch backend; its settings file goes to a folder that is thrown away."""
    if importlib.util.find_spec("keras") is None:
        pytest.skip("Keras is not installed")
    with tempfile.TemporaryDirectory() as home:
        settings = {"KERAS_BACKEND": "torch", "KERAS_HOME": home, "KERAS_TORCH_DEVICE": "cpu"}
        with mock.patch.dict(os.environ, settings):
            return importlib.import_module("keras")


def make(*args, seed=0, dtype=torch.float64, **options):
    torch.manual_seed(seed)
    module = KerasMultiHeadAttention(*args, **options).to(dtype).eval()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.endswith("bias"):
                parameter.normal_()  # a bias of 0 would hide that it is missing
    return module


def random_mask(*shape, seed=2, alive=False):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(*shape, generator=generator) < 0.5
    if alive:
        mask[..., 0] |= ~mask.any(-1)
    return mask


def by_einsum(module, query, value, key=None, mask=None):
    """Keras's three parts in Keras's letters."""
    key = value if key is None else key
    biases = [getattr(module, f"{x}_bias") for x in ("query", "key", "value", "output")]
    q, k, v = (
        torch.einsum("abc,cde->abde", x, kernel) + (0 if bias is None else bias)
        for x, kernel, bias in zip(
            (query, key, value),
            (module.query_kernel, module.key_kernel, module.value_kernel),
            biases[:3],
            strict=True,
        )
    )
    scores = torch.einsum("aecd,abcd->acbe", k, q / math.sqrt(module.key_dim))
    exponentials = scores.exp() * (1 if mask is None else mask)
    weights = exponentials / exponentials.sum(-1, keepdim=True).clamp_min(1e-300)
    heads = torch.einsum("acbe,aecd->abcd", weights, v)
    output = torch.tensordot(heads, module.output_kernel, 2)
    return output + (0 if biases[3] is None else biases[3]), weights


# --- the contract of every attention ------------------------------------------------------------


def attend(module, q, k, v, mask, return_weights):
    return module(q, v, k, mask, return_attention_scores=return_weights)


def causally(module, q, k, v, mask, return_weights):
    options = {"use_causal_mask": True, "return_attention_scores": return_weights}
    return module(q, v, k, mask, **options)


def three_widths():
    return KerasMultiHeadAttention(
        2, 3, 5, output_shape=(2, 4), query_size=6, value_size=4, key_size=5
    )


def without_bias():
    return KerasMultiHeadAttention(3, 4, use_bias=False, query_size=8, value_size=8)


ATTENTIONS = [
    Attention("as Keras", without_bias, attend, (8, 8, 8), heads=3, causally=causally),
    Attention(
        "three widths",
        three_widths,
        attend,
        (6, 5, 4),
        heads=2,
        causally=causally,
        nothing=lambda module: module.output_bias,
    ),
]


test_contract = under(ATTENTION, ATTENTIONS)


# --- numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "options", "count"),
    [
        ((2, 2), {"query_size": 16, "value_size": 16}, 284),
        ((8, 8), {"query_size": 64, "value_size": 64}, 16_640),
        ((12, 64), {"query_size": 768, "value_size": 768}, 2_362_368),
        ((2, 3, 5), {"query_size": 16, "value_size": 12, "key_size": 10, "output_shape": 7}, 375),
    ],
)
def test_number_of_parameters(args, options, count):
    module = KerasMultiHeadAttention(*args, **options)
    assert sum(p.numel() for p in module.parameters()) == count
    H, K, V = args[0], args[1], args[-1]
    Dq, Dv = options["query_size"], options["value_size"]
    Dk, O = options.get("key_size", Dv), options.get("output_shape", Dq)  # noqa: E741
    assert count == H * K * (Dq + Dk + 2) + H * V * (Dv + 1) + H * V * O + O
    bare = KerasMultiHeadAttention(*args, use_bias=False, **options)
    assert sum(p.numel() for p in bare.parameters()) == count - 2 * H * K - H * V - O
    layer = keras().layers.MultiHeadAttention(*args, output_shape=options.get("output_shape"))
    layer.build((None, 9, Dq), (None, 4, Dv), (None, 4, Dk))
    assert layer.count_params() == count


def test_shapes_of_the_book():
    module = make(2, 2, query_size=16, value_size=16, dtype=torch.float32)
    query, value = draw(3, 9, 16, dtype=torch.float32), draw(3, 4, 16, dtype=torch.float32)
    output, scores = module(query, value, return_attention_scores=True)
    assert output.shape == (3, 9, 16)
    assert scores.shape == (3, 2, 9, 4)
    for causal in (False, True):
        assert module(query, value, use_causal_mask=causal).shape == (3, 9, 16)


def test_parameters_have_the_names_and_shapes_of_keras():
    module = KerasMultiHeadAttention(
        2, 3, 5, query_size=16, value_size=12, key_size=10, output_shape=7
    )
    shapes = {name: tuple(p.shape) for name, p in module.state_dict().items()}
    assert shapes == {
        "query_kernel": (16, 2, 3),
        "query_bias": (2, 3),
        "key_kernel": (10, 2, 3),
        "key_bias": (2, 3),
        "value_kernel": (12, 2, 5),
        "value_bias": (2, 5),
        "output_kernel": (2, 5, 7),
        "output_bias": (7,),
    }
    bare = KerasMultiHeadAttention(2, 3, use_bias=False, query_size=16, value_size=12)
    assert set(bare.state_dict()) == {f"{x}_kernel" for x in ("query", "key", "value", "output")}
    assert bare.output_bias is None


def test_identity_oracle():
    module = make(1, 8, use_bias=False, query_size=8, value_size=8, output_shape=8)
    eye = torch.eye(8, dtype=torch.float64)
    with torch.no_grad():
        for kernel in (module.query_kernel, module.key_kernel, module.value_kernel):
            kernel.copy_(eye[:, None])
        module.output_kernel.copy_(eye[None])
    output, scores = module(eye[None], eye[None], return_attention_scores=True)
    want = torch.full((8, 8), 0.11870677, dtype=torch.float64).fill_diagonal_(0.16905258)
    close(scores[0, 0], want, within=1e-8)
    close(output[0], want, within=1e-8)


def test_initialisation_is_glorot_with_the_fans_of_keras():
    args, options = (4, 30, 50), {"output_shape": (20, 10)}
    module = KerasMultiHeadAttention(*args, query_size=80, value_size=70, key_size=60, **options)
    fans = {"query": 80 + 120, "key": 60 + 120, "value": 70 + 200, "output": 200 + 200}
    for part, fan in fans.items():
        bound = math.sqrt(6 / fan)
        kernel = getattr(module, f"{part}_kernel")
        assert 0.99 * bound < kernel.abs().max() <= bound
        assert kernel.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)
        assert abs(kernel.mean().item()) < 0.05 * bound
        assert getattr(module, f"{part}_bias").count_nonzero() == 0
    if "input_axes" not in keras().initializers.GlorotUniform().get_config():
        return  # Keras up to 3.12 took the kernels for those of convolutions: other bounds
    layer = keras().layers.MultiHeadAttention(*args, **options)
    layer.build((None, 9, 80), (None, 4, 70), (None, 4, 60))
    for kernel, fan in zip(layer.get_weights()[::2], fans.values(), strict=True):
        bound = math.sqrt(6 / fan)
        assert 0.99 * bound < abs(kernel).max() <= bound * (1 + 1e-6)


# --- Keras's layer ------------------------------------------------------------------------------

CONFIGS = {
    "plain": {"options": {}, "sizes": (16, 16, None)},
    "no bias": {"options": {"use_bias": False}, "sizes": (16, 16, None)},
    "value_dim": {"options": {"value_dim": 5}, "sizes": (16, 16, None)},
    "narrow value_dim": {"options": {"value_dim": 1}, "sizes": (16, 12, None)},
    "int output_shape": {"options": {"output_shape": 7}, "sizes": (16, 12, None)},
    "tuple output_shape": {"options": {"output_shape": (2, 7)}, "sizes": (16, 12, None)},
    "list output_shape": {"options": {"output_shape": [3, 1, 2]}, "sizes": (16, 12, None)},
    "separate key": {"options": {}, "sizes": (16, 16, 16)},
    "three widths": {"options": {"value_dim": 5, "output_shape": 7}, "sizes": (16, 12, 10)},
    "three widths, no bias": {
        "options": {"value_dim": 5, "output_shape": (7, 2), "use_bias": False},
        "sizes": (16, 12, 10),
    },
}


def keras_pair(name, heads=2, key_dim=3, dtype="float64"):
    """Keras's layer with random weights, and ours with a copy."""
    options, (Dq, Dv, Dk) = CONFIGS[name]["options"], CONFIGS[name]["sizes"]
    layer = keras().layers.MultiHeadAttention(heads, key_dim, dtype=dtype, **options)
    layer.build((None, None, Dq), (None, None, Dv), (None, None, Dk or Dv))
    weights = [draw(*w.shape, seed=i).numpy() for i, w in enumerate(layer.get_weights())]
    layer.set_weights([0.5 * w for w in weights])
    return layer, KerasMultiHeadAttention.from_keras(layer)


def inputs(name, B, T, S, dtype=torch.float64):
    Dq, Dv, Dk = CONFIGS[name]["sizes"]
    key = None if Dk is None else draw(B, S, Dk, seed=3, dtype=dtype)
    return draw(B, T, Dq, dtype=dtype), draw(B, S, Dv, seed=2, dtype=dtype), key


def agrees(layer, ours, args, **options):
    with torch.no_grad():
        want, want_scores = layer(*args, return_attention_scores=True, **options)
        output, scores = ours(*args, return_attention_scores=True, **options)
        close(output, want)
        close(scores, want_scores)
        close(ours(*args, **options), want)
        # without scores Keras computes in single precision
        close(layer(*args, **options).float(), want)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize(("T", "S"), [(4, 4), (4, 9), (9, 4)])
def test_agrees_with_keras(name, T, S):
    layer, ours = keras_pair(name)
    args = inputs(name, 3, T, S)
    mask = random_mask(3, T, S, alive=True)
    mask[..., 0] = True  # so that together with the causal mask no row is dead
    for options in (
        {},
        {"use_causal_mask": True},
        {"attention_mask": mask},
        {"use_causal_mask": True, "attention_mask": mask},
    ):
        agrees(layer, ours, args, **options)


def test_self_attention_agrees_with_keras():
    layer, ours = keras_pair("plain", heads=4, key_dim=4)
    x = draw(2, 6, 16)
    agrees(layer, ours, (x, x))
    agrees(layer, ours, (x, x, x), use_causal_mask=True)


@pytest.mark.parametrize(("B", "H", "T", "S"), SIZES)
def test_masks_of_every_shape_agree_with_keras(B, H, T, S):
    layer, ours = keras_pair("value_dim", heads=H)
    args = inputs("value_dim", B, T, S)
    for shape in [
        *itertools.product((1, B), (1, T), (S,)),
        *itertools.product((1, B), (1, H), (1, T), (S,)),
    ]:
        mask = random_mask(*shape, alive=True)
        full = mask.unsqueeze(1) if mask.ndim == 3 else mask
        with torch.no_grad():
            want = layer(
                *args,
                attention_mask=full.expand(B, H, T, S).contiguous(),
                return_attention_scores=True,
            )
            got = ours(*args, attention_mask=mask, return_attention_scores=True)
            close(got[0], want[0])
            close(got[1], want[1])
            close(ours(*args, attention_mask=mask), want[0])


def test_gradients_agree_with_keras():
    layer, ours = keras_pair("three widths")
    args = [x.requires_grad_() for x in inputs("three widths", 2, 4, 6)]
    want, want_scores = layer(*args, return_attention_scores=True)
    output, scores = ours(*args, return_attention_scores=True)
    wanted = torch.autograd.grad(want.sin().sum() + want_scores.square().sum(), args)
    got = torch.autograd.grad(output.sin().sum() + scores.square().sum(), args)
    for a, b in zip(got, wanted, strict=True):
        close(a, b)


def test_in_single_precision():
    layer, ours = keras_pair("three widths", dtype="float32")
    args = inputs("three widths", 2, 4, 6, dtype=torch.float32)
    assert ours.query_kernel.dtype == torch.float32
    with torch.no_grad():
        close(ours(*args), layer(*args))


@pytest.mark.parametrize("name", CONFIGS)
def test_weights_go_both_ways(name):
    layer, ours = keras_pair(name)
    ours.reset_parameters()
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.add_(0.1)
    before = [p.clone() for p in ours.parameters()]
    ours.to_keras(layer)
    args = inputs(name, 2, 4, 5)
    agrees(layer, ours, args)
    back = KerasMultiHeadAttention.from_keras(layer)
    for one, other in zip(back.parameters(), ours.parameters(), strict=True):
        assert torch.equal(one, other)
    layer.set_weights([0 * w for w in layer.get_weights()])  # no memory is shared
    for one, other in zip(before, ours.parameters(), strict=True):
        assert torch.equal(one, other)
    for one, other in zip(before, back.parameters(), strict=True):
        assert torch.equal(one, other)


def test_from_keras_takes_sizes_and_dropout():
    layer = keras().layers.MultiHeadAttention(2, 3, 5, dropout=0.25, output_shape=(7, 2))
    layer.build((None, 9, 16), (None, 4, 12), (None, 4, 10))
    ours = KerasMultiHeadAttention.from_keras(layer)
    assert (ours.num_heads, ours.key_dim, ours.value_dim, ours.dropout) == (2, 3, 5, 0.25)
    assert ours.output_shape == (7, 2)
    assert ours.use_bias
    assert not ours.training  # a Keras layer drops nothing unless it is told to


def test_layers_that_cannot_be_copied():
    layers = keras().layers
    convert = KerasMultiHeadAttention.from_keras
    with pytest.raises(ValueError, match=r"layer: expected .*MultiHeadAttention, got De"):
        convert(layers.Dense(3))
    with pytest.raises(ValueError, match=r"layer: expected .*MultiHeadAttention, got Mu"):
        convert(MultiHeadAttention(8, 2))
    with pytest.raises(ValueError, match=r"layer: expected a built layer"):
        convert(layers.MultiHeadAttention(2, 3))
    layer = layers.MultiHeadAttention(2, 3, attention_axes=(2,))
    layer.build((None, 5, 6, 8), (None, 5, 6, 8))
    with pytest.raises(ValueError, match=r"layer: expected attention_axes=\(1,\), got \(2,\)"):
        convert(layer)
    layer, _ = keras_pair("plain")
    other = make(2, 4, query_size=16, value_size=16)
    before = layer.get_weights()
    with pytest.raises(ValueError, match=r"layer: expected weights of shapes \[\(16, 2, 4\)"):
        other.to_keras(layer)
    with pytest.raises(ValueError, match=r"layer: expected weights of shapes"):
        make(2, 3, use_bias=False, query_size=16, value_size=16).to_keras(layer)
    assert all((a == b).all() for a, b in zip(before, layer.get_weights(), strict=True))


def test_a_dead_row_is_zero_here_and_two_things_in_keras():
    """Pitfall 22: with scores Keras answers 0, without it averages what is masked."""
    layer, ours = keras_pair("no bias")
    query, value, _ = inputs("no bias", 2, 3, 4)
    mask = torch.ones(2, 3, 4, dtype=torch.bool)
    mask[0, 1] = False
    with torch.no_grad():
        output, scores = ours(query, value, attention_mask=mask, return_attention_scores=True)
        assert scores[0, :, 1].count_nonzero() == 0
        assert output[0, 1].count_nonzero() == 0
        fused = ours(query, value, attention_mask=mask)
        assert fused[0, 1].count_nonzero() == 0
        close(fused, output)
        theirs = layer(query, value, attention_mask=mask)
        mean = by_einsum(ours, query, value.mean(1, keepdim=True))[0]
        close(theirs[0, 1].float(), mean[0, 1])


# --- einsum -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("B", "H", "T", "S"), SIZES)
@pytest.mark.parametrize("use_bias", [False, True])
def test_agrees_with_einsum(B, H, T, S, use_bias):
    module = make(H, 3, 5, 0.0, use_bias, (2, 3), query_size=7, value_size=6, key_size=4)
    query, value, key = draw(B, T, 7), draw(B, S, 6, seed=2), draw(B, S, 4, seed=3)
    mask = random_mask(B, H, T, S)  # dead rows too
    for given_mask in (None, mask):
        want, want_scores = by_einsum(module, query, value, key, given_mask)
        options = {"attention_mask": given_mask}
        output, scores = module(query, value, key, return_attention_scores=True, **options)
        close(output, want)
        close(scores, want_scores)
        close(module(query, value, key, **options), want)


def test_is_multi_head_attention_with_other_names():
    ours = make(3, 4, query_size=12, value_size=6, key_size=5)
    same = MultiHeadAttention(12, 3, key_size=5, value_size=6, bias=True).double()
    with torch.no_grad():
        for layer, part in zip(
            (same.W_q, same.W_k, same.W_v), ("query", "key", "value"), strict=True
        ):
            layer.weight.copy_(getattr(ours, f"{part}_kernel").flatten(1).T)
            layer.bias.copy_(getattr(ours, f"{part}_bias").flatten())
        same.W_o.weight.copy_(ours.output_kernel.flatten(0, 1).T)
        same.W_o.bias.copy_(ours.output_bias)
    query, value, key = draw(2, 3, 12), draw(2, 4, 6, seed=2), draw(2, 4, 5, seed=3)
    close(ours(query, value, key), same(query, key, value))


def test_key_defaults_to_value_and_the_order_is_query_value_key():
    module = make(2, 3, query_size=8, value_size=8)
    query, value, key = draw(2, 3, 8), draw(2, 4, 8, seed=2), draw(2, 4, 8, seed=3)
    assert torch.equal(module(query, value), module(query, value, value))
    close(module(query, value, key), by_einsum(module, query, value, key)[0])
    assert not torch.allclose(module(query, value, key), module(query, key, value))


# --- dropout ------------------------------------------------------------------------------------


def test_dropout_acts_in_training_on_scores_that_are_returned_before_it():
    module = make(3, 4, dropout=0.5, query_size=12, value_size=12)
    x = draw(4, 6, 12)
    assert torch.equal(module(x, x), module(x, x))
    want = module(x, x, return_attention_scores=True)[1]
    module.train()
    close(module(x, x, return_attention_scores=True)[1], want)
    for scores in (False, True):
        outputs = [module(x, x, return_attention_scores=scores) for _ in range(2)]
        first, second = (o[0] if scores else o for o in outputs)
        assert not torch.allclose(first, second)


@pytest.mark.parametrize("scores", [False, True])
def test_dropout_keeps_the_mean(scores):
    module = make(2, 2, dropout=0.4, query_size=4, value_size=4).train()
    x = draw(1, 3, 4)
    torch.manual_seed(0)
    many = x.expand(20_000, 3, 4)
    output = module(many, many, return_attention_scores=scores)
    output = output[0] if scores else output
    close(output.mean(0), module.eval()(x, x)[0], within=0.05)


# --- gradients, dtypes, devices, layouts, compilers ---------------------------------------------


def test_weights_of_any_memory_layout():
    module = make(3, 4, query_size=12, value_size=12)
    x = draw(2, 5, 12)
    want = module(x, x)
    for name, parameter in list(module.named_parameters()):
        if parameter.ndim == 3:
            strided = parameter.detach().transpose(0, 2).contiguous().transpose(0, 2)
            setattr(module, name, torch.nn.Parameter(strided))
    close(module(x, x), want)


def test_the_fused_kernel_runs_unless_scores_are_asked_for(kernel_calls):
    module, x = make(3, 4, query_size=12, value_size=12), draw(2, 20, 12)
    module(x, x, return_attention_scores=True)
    assert not kernel_calls
    module(x, x, use_causal_mask=True)
    ((_, options),) = kernel_calls
    assert options["is_causal"]  # no triangle is built


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        ((0, 3), {}, r"num_heads: expected an integer of at least 1, got 0"),
        ((2, 0), {}, r"key_dim: expected an integer of at least 1, got 0"),
        ((2, 3, 0), {}, r"value_dim: expected an integer of at least 1, got 0"),
        ((2, 3, 5, 1.5), {}, r"dropout: expected a probability from 0 to 1, got 1.5"),
        ((2, 3), {"output_shape": 0}, r"output_shape: expected an integer .* got 0"),
        ((2, 3), {"output_shape": ()}, r"output_shape: expected a size or a sequence .* got \(\)"),
        ((2, 3), {"output_shape": (3, -1)}, r"output_shape: expected an integer .* got -1"),
        ((2, 3), {"output_shape": 2.5}, r"output_shape: expected a size or a sequence .* got 2.5"),
        ((2, 3), {"output_shape": "ab"}, r"output_shape: expected an integer .* got 'a'"),
        ((2, 3), {"query_size": 0}, r"query_size: expected an integer of at least 1, got 0"),
        ((2, 3), {"value_size": 0}, r"value_size: expected an integer of at least 1, got 0"),
        ((2, 3), {"key_size": 0}, r"key_size: expected an integer of at least 1, got 0"),
    ],
)
def test_bad_sizes(args, options, message):
    with pytest.raises(ValueError, match=message):
        KerasMultiHeadAttention(*args, **{"query_size": 8, "value_size": 8, **options})


Q, V, K = draw(2, 3, 7), draw(2, 5, 6), draw(2, 5, 4)


@pytest.mark.parametrize(
    ("tensors", "mask", "message"),
    [
        ((Q[..., :6], V, K), None, r"query: expected a width of 7, got shape \(2, 3, 6\)"),
        ((Q, V[..., :5], K), None, r"value: expected a width of 6, got shape \(2, 5, 5\)"),
        ((Q, V, K[..., :3]), None, r"key: expected a width of 4, got shape \(2, 5, 3\)"),
        ((Q, V), None, r"key: expected a width of 4, got shape \(2, 5, 6\)"),
        ((Q, K, V), None, r"value: expected a width of 6, got shape \(2, 5, 4\)"),
        ((Q[0], V[0], K[0]), None, r"query: expected shape \(B, T, Dq\), got \(3, 7\)"),
        ((Q, V[:1], K), None, r"value: expected the leading axes of query \(2, 3, 7\), got"),
        ((Q, V, K[:, :4]), None, r"key: expected one for each of value \(2, 5, 6\), got shape"),
        ((Q, V[:, :0], K[:, :0]), None, r"value: expected at least one, got shape \(2, 0, 6\)"),
        ((Q, V.float(), K), None, r"value: expected torch.float64 on cpu like query, got torch.fl"),
        ((Q.long(), V, K), None, r"query: expected floating-point numbers .* got torch.int64"),
        ((Q, V, K), torch.ones(2, 3, 5), r"attention_mask: expected a boolean .*torch.float32"),
        ((Q, V, K), torch.ones(5, 3).bool(), r"attention_mask: .* \(2, 2, 3, 5\), got \(5, 3\)"),
        ((Q, V, K), torch.ones(2, 5).bool(), r"attention_mask: .*attention_mask.unsqueeze\(1\)"),
    ],
)
@pytest.mark.parametrize("scores", [False, True])
def test_bad_input(tensors, mask, message, scores):
    module = make(2, 3, query_size=7, value_size=6, key_size=4)
    with pytest.raises(ValueError, match=message):
        module(*tensors, attention_mask=mask, return_attention_scores=scores)


# --- the life of a module ----------------------------------------------------------------------

MODULES = [
    Module(
        KerasMultiHeadAttention,
        (2, 3),
        lambda B, n: (torch.randn(B, n, 8), torch.randn(B, n + 1, 6)),
        {"query_size": 8, "value_size": 6},
    ),
]

test_life = under(MODULE, MODULES)

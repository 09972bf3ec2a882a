"""Recording and rollout: every layer, the right path, nothing left behind; rollout by hand."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.checkpoint import checkpoint

from attn_utils import (
    AdditiveAttention,
    Attn,
    DotProductAttention,
    KerasMultiHeadAttention,
    LocationAttention,
    MultiHeadAttention,
    NWKernelRegression,
    SelfAttention,
    VisionTransformer,
)
from attn_utils.explain import attention_rollout, record_attention
from tests.helpers import close


def vit(**options):
    torch.manual_seed(0)
    sizes = {"img_size": 8, "patch_size": 4, "in_channels": 1, "num_classes": 5, "embed_dim": 8}
    model = VisionTransformer(**{**sizes, "depth": 3, "num_heads": 2, **options}).eval()
    for p in model.parameters():
        nn.init.normal_(p, std=0.3)
    return model


IMAGES = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
x, y = torch.randn(2, 3, 8), torch.randn(2, 5, 8)

# how to build it, how to call it, and the same call returning (output, weights); B, H, T, S
MODULES = {
    "self": (lambda: SelfAttention(8, 4, 4), lambda m, **k: m(x, **k), (2, 1, 3, 3)),
    "multi-head": (lambda: MultiHeadAttention(8, 4), lambda m, **k: m(x, y, **k), (2, 4, 3, 5)),
    "causal": (
        lambda: MultiHeadAttention(8, 2),
        lambda m, **k: m(x, is_causal=True, **k),
        (2, 2, 3, 3),
    ),
    "keras": (
        lambda: KerasMultiHeadAttention(2, 4, query_size=8, value_size=8),
        lambda m, return_weights=False: m(x, y, return_attention_scores=return_weights),
        (2, 2, 3, 5),
    ),
    "dot": (DotProductAttention, lambda m, **k: m(x, y, y, **k), (2, 1, 3, 5)),
    "additive": (lambda: AdditiveAttention(8, 8, 4), lambda m, **k: m(x, y, y, **k), (2, 1, 3, 5)),
    "location": (
        lambda: LocationAttention(8, 8, 5),
        lambda m, **k: m(x, x, y, **k),
        (2, 1, 3, 5),
    ),
    "kernel": (
        lambda: NWKernelRegression(1.5),
        lambda m, **k: m(x[0, 0], y[0, 0], y[0, 1], **k),
        (1, 1, 8, 8),
    ),
}


# --- recording ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODULES)
def test_every_kind_of_attention_is_recorded(name):
    make, call, shape = MODULES[name]
    torch.manual_seed(0)
    module = make().eval()
    plain = call(module)
    with record_attention(module) as weights:
        output = call(module)
        assert isinstance(output, torch.Tensor), "recording must not change what is returned"
        with_weights, want = call(module, return_weights=True)
    assert len(weights) == 2
    for got in weights:
        assert got.shape == shape
        assert not got.requires_grad
        close(got, want.detach().reshape(shape))
    close(output, plain)
    close(output, with_weights)


def test_the_reference_module_of_rule_1():
    module = Attn(8, 8, 5, 8, 4)
    with record_attention(module) as weights:
        _, want = module(x[:, :1], x[:, :1], y)
    assert [w.shape for w in weights] == [(2, 1, 1, 5)]
    assert torch.equal(weights[0].flatten(1), want.detach())


def reference_weights(model, images):
    """The attention of each block, written out from the weights."""
    h = model.patch_embed.proj(images).flatten(2).transpose(1, 2)
    prefix = [
        t.expand(len(h), -1, -1) for t in (model.cls_token, model.dist_token) if t is not None
    ]
    h = torch.cat([*prefix, h], 1) + model.pos_embed
    found = []
    for block in model.blocks:
        B, n, D = h.shape
        H = block.attn.num_heads
        qkv = block.attn.qkv(block.norm1(h)).reshape(B, n, 3, H, D // H).permute(2, 0, 3, 1, 4)
        w = (qkv[0] @ qkv[1].mT / (D // H) ** 0.5).softmax(-1)
        found.append(w)
        h = h + block.attn.proj((w @ qkv[2]).transpose(1, 2).reshape(B, n, D))
        h = h + block.mlp.fc2(F.gelu(block.mlp.fc1(block.norm2(h))))
    return found


@pytest.mark.parametrize("distilled", [False, True])
def test_a_vision_transformer_shows_all_rows_of_all_layers(distilled):
    model = vit(distilled=distilled)
    tokens = 4 + (2 if distilled else 1)
    plain = model(IMAGES)
    with record_attention(model) as weights:
        output = model(IMAGES)
        model(IMAGES[:1])
    assert [w.shape for w in weights] == [(2, 2, tokens, tokens)] * 3 + [(1, 2, tokens, tokens)] * 3
    for got, want in zip(weights, reference_weights(model, IMAGES), strict=False):
        close(got, want)
    close(output, plain)
    with record_attention(model) as weights:
        model.features(IMAGES)
    assert len(weights) == 3


def test_before_dropout_and_in_training():
    torch.manual_seed(0)
    module = MultiHeadAttention(8, 2, dropout=0.5).train()
    with record_attention(module) as weights:
        first, second = module(x), module(x)
    assert not torch.equal(first, second)
    torch.testing.assert_close(weights[0].sum(-1), torch.ones(2, 2, 3))
    assert torch.equal(weights[0], weights[1])
    first.sum().backward()
    assert all(p.grad is not None for p in module.parameters())


def count_hooks():
    everywhere = nn.modules.module
    return len(everywhere._global_forward_pre_hooks) + len(everywhere._global_forward_hooks)


def test_nothing_is_left_behind():
    model = vit()
    torch.manual_seed(3)
    fused = model(IMAGES)
    with record_attention(model) as weights:
        assert count_hooks() > 0
        model(IMAGES)
    assert count_hooks() == 0
    model(IMAGES)
    assert len(weights) == 3
    assert torch.equal(model(IMAGES), fused), "the path is not the fused one again"
    copy.deepcopy(model)
    alive = weakref.ref(weights[0])
    del weights
    gc.collect()
    assert alive() is None


class BrokenError(Exception):
    pass


def test_after_an_error_everything_is_as_before():
    model = vit()

    def explode(*_):
        raise BrokenError

    with record_attention(model) as outer:
        hook = model.blocks[1].mlp.register_forward_hook(explode)
        with pytest.raises(BrokenError), record_attention(model) as inner:
            model(IMAGES)
        assert len(outer) == len(inner) == 2
        hook.remove()
        other = vit()
        other(IMAGES)
        assert len(outer) == 2, "the error left the recorder switched on"
        model(IMAGES)
        assert len(outer) == 5
        assert len(inner) == 2
    assert count_hooks() == 0


def test_a_users_own_hook_may_fail_first():
    """A pre-hook that raises before ours would leave the count of running modules unbalanced."""
    model = nn.Sequential(nn.Linear(8, 8), MultiHeadAttention(8, 2))

    def explode(*_):
        raise BrokenError

    model[0].register_forward_pre_hook(explode)
    with record_attention(model) as weights:
        for _ in range(3):
            with pytest.raises(BrokenError):
                model(x)
        model[1](x)
        MultiHeadAttention(8, 2)(x)
    assert len(weights) == 1


def test_nested_blocks_and_parts_of_a_model():
    model = vit()
    with record_attention(model) as all_layers:
        with record_attention(model.blocks[1]) as one:
            model(IMAGES)
        model(IMAGES)
    assert len(all_layers) == 6
    assert len(one) == 1
    assert torch.equal(one[0], all_layers[1])


def test_only_the_layers_of_the_model():
    inside, outside = MultiHeadAttention(8, 2), MultiHeadAttention(8, 2)
    with record_attention(inside) as weights:
        outside(x)
        assert weights == []
        inside(outside(x))
        assert len(weights) == 1
        assert outside(x, return_weights=True)[1].requires_grad


def test_an_attention_inside_any_module():
    class Mine(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleDict(
                {"a": MultiHeadAttention(8, 2), "b": SelfAttention(8, 8, 8)}
            )

        def forward(self, x):
            return self.layers["a"](self.layers["b"](self.layers["a"](x)))

    with record_attention(Mine()) as weights:
        Mine()(x)
    assert weights == []
    model = Mine()
    with record_attention(model) as weights:
        model(x)
    assert [w.shape[1] for w in weights] == [2, 1, 2], "calls, in their order"


def test_other_threads_are_not_recorded():
    """Two threads share a model; only what runs in the block's own thread is listened to."""
    model = vit()
    with record_attention(model) as weights:
        thread = threading.Thread(target=lambda: model(IMAGES))
        thread.start()
        thread.join()
        assert weights == []


def test_no_graph_is_kept():
    model = vit()
    with record_attention(model) as weights:
        model(IMAGES).sum().backward()
    assert all(w.grad_fn is None and not w.requires_grad for w in weights)
    assert all(p.grad is not None for p in model.parameters())


def test_gradients_reach_weights_with_their_graph():
    """Class-specific maps: how the logit of a class depends on each weight."""
    model = vit().double()
    images = IMAGES.double()
    with record_attention(model, keep_graph=True) as weights:
        logits = model(images)
    with record_attention(model) as plain:
        model(images)
    assert all(torch.equal(a, b) for a, b in zip(weights, plain, strict=True))
    gradients = torch.autograd.grad(logits[:, 1].sum(), weights, retain_graph=True)
    assert [g.shape for g in gradients] == [(2, 2, 5, 5)] * 3
    assert all((g[:, :, 0] != 0).all() for g in gradients)
    assert (gradients[0] != 0).all()
    assert (gradients[2][:, :, 1:] == 0).all()  # the last block: only the class token's row counts
    block, caught = model.blocks[2], []
    hook = block.register_forward_pre_hook(lambda m, inputs: caught.append(inputs[0]))
    model(images)
    hook.remove()
    x = caught[0]

    def logit(w):  # the rest of the model, from the last block's weights on
        v = block.attn.qkv(block.norm1(x)).chunk(3, -1)[2].unflatten(2, (2, 4)).transpose(1, 2)
        y = x + block.attn.proj((w @ v).transpose(1, 2).flatten(2))
        y = y + block.mlp(block.norm2(y))
        return model.head(model.norm(y)[:, 0])[:, 1].sum()

    leaf = weights[2].detach().requires_grad_()
    close(gradients[2], torch.autograd.grad(logit(leaf), leaf)[0])


@pytest.fixture
def with_gradients():
    for z in (x, y):
        z.requires_grad_()
    yield
    for z in (x, y):
        z.requires_grad_(False)


@pytest.mark.usefixtures("with_gradients")  # some have no parameters
@pytest.mark.parametrize("name", MODULES)
def test_weights_of_every_kind_can_keep_their_graph(name):
    make, call, shape = MODULES[name]
    torch.manual_seed(0)
    module = make()
    with record_attention(module, keep_graph=True) as weights, record_attention(module) as plain:
        output = call(module)
    (weight,) = weights
    assert weight.shape == shape
    assert torch.equal(weight, plain[0])
    assert not plain[0].requires_grad
    (gradient,) = torch.autograd.grad(output.square().sum(), weight)
    assert (gradient != 0).any()


FOREIGN = {
    "PyTorch": lambda: nn.TransformerEncoderLayer(8, 2, batch_first=True),
    "none at all": lambda: nn.Linear(8, 8),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_other_peoples_layers_are_not_recorded_and_that_is_said(name):
    model = FOREIGN[name]()

    def recorded():
        with record_attention(model) as weights:
            model(x)
        return weights

    with pytest.warns(UserWarning, match=r"no weights were recorded.*eager.*output_attentions"):
        assert recorded() == []


@pytest.mark.filterwarnings("error")
def test_where_nothing_is_to_be_said():
    model = MultiHeadAttention(8, 2)
    with record_attention(model):
        pass
    with record_attention(model) as weights:
        model(x)
        weights.clear()
    with pytest.raises(BrokenError), record_attention(nn.Linear(8, 8)) as weights:
        raise BrokenError


def test_a_copy_is_another_model():
    model = vit()
    with record_attention(model) as weights:
        twin = copy.deepcopy(model)
        twin(IMAGES)
        assert weights == []
        model(IMAGES)
    assert len(weights) == 3
    copied = pickle.loads(pickle.dumps(twin))
    assert torch.equal(copied(IMAGES), model(IMAGES))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in twin.modules())


class Checkpointed(nn.Module):
    """As people wrap layers that are not theirs."""

    def __init__(self, inner, reentrant):
        super().__init__()
        self.inner, self.reentrant = inner, reentrant

    def forward(self, x):
        return checkpoint(self.inner, x, use_reentrant=self.reentrant)


@pytest.mark.parametrize("reentrant", [True, False])
def test_each_layer_once_under_gradient_checkpointing(reentrant):
    torch.manual_seed(0)
    layers = [MultiHeadAttention(8, 2) for _ in range(2)]
    model = nn.Sequential(*(Checkpointed(layer, reentrant) for layer in layers))
    leaf = x.clone().requires_grad_()
    with record_attention(model) as weights:
        model(leaf).sum().backward()
    assert [w.shape for w in weights] == [(2, 2, 3, 3)] * 2
    want = x.clone().requires_grad_()
    nn.Sequential(*layers)(want).sum().backward()
    close(leaf.grad, want.grad)


def test_a_vision_transformer_that_computes_its_blocks_twice():
    plain, thrifty = vit().train(), vit().train()
    thrifty.set_grad_checkpointing()
    for model in (plain, thrifty):
        with record_attention(model) as weights:
            loss = model(IMAGES).square().sum()
        loss.backward()  # outside of the block
        assert len(weights) == 3
    for a, b in zip(plain.parameters(), thrifty.parameters(), strict=True):
        close(a.grad, b.grad)


def test_two_threads_do_not_disturb_each_other():
    """The model runs in another thread while this one calls a module that is not recorded."""
    model, outside = vit(), MultiHeadAttention(8, 2)
    inside, go_on = threading.Event(), threading.Event()

    def wait(*_):
        inside.set()
        assert go_on.wait(10)

    model.blocks[1].register_forward_pre_hook(wait)
    thread = threading.Thread(target=lambda: model(IMAGES))
    with record_attention(model) as weights:
        thread.start()
        assert inside.wait(10)
        outside(x)
        go_on.set()
        thread.join()
        assert weights == []
        model(IMAGES)
    assert len(weights) == 3


def test_compiled_models_are_refused():
    model = vit()
    with pytest.raises(ValueError, match="model: expected one that is not compiled"):
        record_attention(torch.compile(model, backend="eager")).__enter__()
    model.blocks[0].compile(backend="eager")
    with pytest.raises(ValueError, match="not compiled, got a compiled Block"):
        record_attention(model).__enter__()
    for bad in (None, "model", lambda x: x):
        with pytest.raises(ValueError, match="model: expected a module"):
            record_attention(bad).__enter__()


# --- rollout ------------------------------------------------------------------------------------


def random_layers(B=2, S=5, heads=(2, 2, 3), seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    draws = [torch.randn(B, H, S, S, generator=generator, dtype=torch.float64) for H in heads]
    return [(2 * draw).softmax(-1).to(dtype) for draw in draws]


def by_hand(layers, fusion, ratio):
    """One image, one row, one number at a time."""
    B, _, S, _ = layers[0].shape
    results = torch.zeros(B, S, S, dtype=torch.float64)
    for b in range(B):
        rollout = torch.eye(S, dtype=torch.float64)
        for layer in layers:
            A = torch.zeros(S, S, dtype=torch.float64)
            for i in range(S):
                for j in range(S):
                    heads = [layer[b, h, i, j].item() for h in range(layer.shape[1])]
                    A[i, j] = {
                        "mean": sum(heads) / len(heads),
                        "max": max(heads),
                        "min": min(heads),
                    }[fusion]
            order = sorted((A[i, j].item(), i, j) for i in range(S) for j in range(S))
            for _, i, j in order[: int(ratio * S * S)]:
                if (i, j) != (0, 0):
                    A[i, j] = 0
            for i in range(S):
                row = [(A[i, j].item() + (i == j)) / 2 for j in range(S)]
                A[i] = torch.tensor(row, dtype=A.dtype) / sum(row)
            rollout = A @ rollout
        results[b] = rollout
    return results


@pytest.mark.parametrize("fusion", ["mean", "max", "min"])
@pytest.mark.parametrize("ratio", [0.0, 0.3, 0.9, 1.0])
def test_rollout_by_hand(fusion, ratio):
    layers = random_layers()
    got = attention_rollout(layers, head_fusion=fusion, discard_ratio=ratio)
    close(got, by_hand(layers, fusion, ratio))


def test_the_class_token_is_never_discarded():
    layer = torch.full((1, 1, 3, 3), 0.5, dtype=torch.float64)
    layer[..., 0, :] = torch.tensor([0.0001, 0.4, 0.5999], dtype=torch.float64)
    got = attention_rollout([layer], discard_ratio=8 / 9)
    row = torch.tensor([1.0001, 0, 0.5999], dtype=torch.float64) / 1.6
    torch.testing.assert_close(got[0], torch.stack([row, *torch.eye(3).double()[1:]]))


@given(
    B=st.integers(1, 3),
    S=st.integers(1, 6),
    seed=st.integers(0, 99),
    ratio=st.floats(0, 1),
    heads=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    fusion=st.sampled_from(["mean", "max", "min"]),
)
@settings(max_examples=40)
def test_properties_of_rollout(B, S, heads, fusion, ratio, seed):
    layers = random_layers(B, S, heads, seed)
    kept = [layer.clone() for layer in layers]
    got = attention_rollout(layers, head_fusion=fusion, discard_ratio=ratio)
    assert got.shape == (B, S, S)
    assert (got >= 0).all()
    torch.testing.assert_close(got.sum(-1), torch.ones(B, S, dtype=torch.float64))
    assert all(torch.equal(a, b) for a, b in zip(layers, kept, strict=True))
    for b in range(B):  # batch items are independent
        alone = attention_rollout(
            [layer[b : b + 1] for layer in layers], head_fusion=fusion, discard_ratio=ratio
        )
        close(got[b : b + 1], alone)


def test_rollout_of_simple_cases():
    eye = torch.eye(4).expand(2, 3, 4, 4)
    assert torch.equal(attention_rollout([eye, eye]), torch.eye(4).expand(2, 4, 4))
    uniform = torch.full((1, 1, 4, 4), 0.25)
    want = torch.eye(4) / 2 + 0.125
    torch.testing.assert_close(attention_rollout([uniform])[0], want)
    first, second = (layer[:, :1] for layer in random_layers(heads=(1, 1)))
    half = [(layer[:, 0] + torch.eye(5)) / 2 for layer in (first, second)]
    torch.testing.assert_close(attention_rollout([first, second]), half[1] @ half[0])
    assert attention_rollout([torch.empty(0, 2, 3, 3)]).shape == (0, 3, 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_rollout_in_other_dtypes(dtype):
    layers = random_layers(dtype=dtype)
    got = attention_rollout(layers, head_fusion="max", discard_ratio=0.3)
    assert got.dtype == dtype
    want = attention_rollout([w.double() for w in layers], head_fusion="max", discard_ratio=0.3)
    close(got, want)


def test_rollout_of_a_recorded_model():
    model = vit(distilled=True)
    with record_attention(model) as weights:
        model(IMAGES)
    rollout = attention_rollout(weights)
    want = by_hand([w.double() for w in weights], "mean", 0.0)
    close(rollout, want)
    assert rollout[:, 0, 2:].shape == (2, 4)


def test_bad_rollouts_are_named():
    good = random_layers()
    for bad, name in (
        ([], "weights: expected"),
        (good[0], r"weights\[0\]: expected .*\(B, H, S, S\), got \(2, 5, 5\)"),
        ([good[0], good[1][0]], r"weights\[1\]: expected"),
        ([good[0][..., :4, :]], r"weights\[0\]: expected as many queries as keys"),
        ([good[0][:, :0]], r"weights\[0\]: expected .*at least one head"),
        ([good[0], good[1][:1]], r"weights\[1\]: expected the batch"),
        ([good[0], good[1][..., :4, :4]], r"weights\[1\]: expected the batch"),
        ([good[0], good[1].float()], r"weights\[1\]: expected .*dtype"),
        ([None], r"weights\[0\]: expected .* got NoneType"),
        ([good[0].long()], r"weights\[0\]: expected floating-point"),
    ):
        with pytest.raises(ValueError, match=name):
            attention_rollout(bad)
    for ratio in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="discard_ratio: expected"):
            attention_rollout(good, discard_ratio=ratio)
    with pytest.raises(ValueError, match="head_fusion: expected one of mean, max, min, got 'sum'"):
        attention_rollout(good, head_fusion="sum")

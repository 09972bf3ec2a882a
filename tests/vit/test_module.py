"""The vision transformer: written out by hand, counted, cut short, copied, compiled, misused."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import prune

import attn_utils
from attn_utils.vit import DropPath, PatchEmbedding, VisionTransformer, resize_position_embedding
from attn_utils.vit.layers import Attention, Block
from tests.contracts import MODULE, Module, under
from tests.helpers import close

SMALL = {
    "img_size": 12,
    "patch_size": 4,
    "in_channels": 2,
    "num_classes": 5,
    "embed_dim": 12,
    "depth": 3,
    "num_heads": 3,
}
VARIANTS = {
    "plain": {},
    "distilled": {"distilled": True},
    "representation": {"representation_size": 7},
    "both": {"distilled": True, "representation_size": 7},
    "no bias": {"qkv_bias": False},
    "not square": {"img_size": (8, 12), "patch_size": (2, 3), "mlp_ratio": 1.5},
    "one block": {"depth": 1},
    "no head": {"num_classes": 0},
    "no heads": {"num_classes": 0, "distilled": True},
}


def make(*, dtype=torch.float64, seed=0, std=0.3, **options):
    torch.manual_seed(seed)
    model = VisionTransformer(**{**SMALL, **options}).to(dtype).eval()
    for p in model.parameters():  # as drawn for training, everything is too small to tell apart
        nn.init.normal_(p, std=std)
    return model


def draw(model, B=2, dtype=torch.float64, seed=1):
    embed = model.patch_embed
    generator = torch.Generator().manual_seed(seed)
    shape = (B, embed.in_channels, *embed.img_size)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


# --- written out --------------------------------------------------------------------------------


def norm(x, layer):
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / (variance + 1e-6).sqrt() * layer.weight + layer.bias


def linear(x, layer):
    y = x @ layer.weight.T
    return y if layer.bias is None else y + layer.bias


def by_hand(model, images):
    """Logits of each head, with loops over images, patches and heads."""
    p, q = model.patch_embed.patch_size
    kernel = model.patch_embed.proj.weight.flatten(1)
    heads_of = [model.head] if model.head_dist is None else [model.head, model.head_dist]
    results = []
    for image in images:
        rows = [model.cls_token[0, 0]]
        if model.dist_token is not None:
            rows.append(model.dist_token[0, 0])
        for i in range(0, image.shape[1], p):
            for j in range(0, image.shape[2], q):
                patch = image[:, i : i + p, j : j + q].flatten()
                rows.append(kernel @ patch + model.patch_embed.proj.bias)
        x = torch.stack(rows) + model.pos_embed[0]  # (S, D)
        for block in model.blocks:
            H = block.attn.num_heads
            d = x.shape[1] // H
            q_, k_, v_ = linear(norm(x, block.norm1), block.attn.qkv).split(x.shape[1], 1)
            outputs = []
            for h in range(H):
                part = slice(h * d, (h + 1) * d)
                scores = q_[:, part] @ k_[:, part].T / math.sqrt(d)
                weights = scores.exp() / scores.exp().sum(1, keepdim=True)
                outputs.append(weights @ v_[:, part])
            x = x + linear(torch.cat(outputs, 1), block.attn.proj)
            hidden = linear(norm(x, block.norm2), block.mlp.fc1)
            hidden = hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2
            x = x + linear(hidden, block.mlp.fc2)
        x = norm(x, model.norm)
        logits = []
        for token, head in zip(x, heads_of, strict=False):
            y = token
            if not isinstance(model.pre_logits, nn.Identity):
                y = linear(y, model.pre_logits.fc).tanh()
            logits.append(y if isinstance(head, nn.Identity) else linear(y, head))
        results.append(logits)
    return [torch.stack(column) for column in zip(*results, strict=True)]


@pytest.mark.parametrize("variant", VARIANTS)
def test_it_is_what_is_written_out(variant):
    model = make(**VARIANTS[variant])
    images = draw(model)
    want = by_hand(model, images)
    close(model(images), sum(want) / len(want))
    model.train()
    got = model(images)
    if model.num_prefix_tokens == 1:
        close(got, want[0])
    else:
        assert isinstance(got, tuple)
        close(got[0], want[0])
        close(got[1], want[1])


def test_shapes_of_the_course():
    """224×224×3 → 14×14×768 → 196×768 → 197×768 → 1000."""
    with torch.device("meta"):
        model = attn_utils.vit_base_patch16_224()
        images = torch.empty(2, 3, 224, 224)
    assert model.patch_embed.proj(images).shape == (2, 768, 14, 14)
    assert model.patch_embed(images).shape == (2, 196, 768)
    assert model.patch_embed.num_patches == 196
    assert model.patch_embed.grid_size == (14, 14)
    assert model.pos_embed.shape == (1, 197, 768)
    assert model.features(images).shape == (2, 197, 768)
    assert model(images).shape == (2, 1000)


# --- sizes --------------------------------------------------------------------------------------

COUNTS = {  # no head, 1,000 classes, 21,843 classes with a representation layer
    ("tiny", 16): (5_524_416, 5_717_416, 9_777_171),
    ("small", 16): (21_665_664, 22_050_664, 30_223_059),
    ("base", 16): (85_798_656, 86_567_656, 103_186_515),
    ("base", 32): (87_455_232, 88_224_232, 104_843_091),
    ("large", 16): (303_301_632, 304_326_632, 326_740_307),
    ("large", 32): (305_510_400, 306_535_400, 328_949_075),
    ("huge", 14): (630_764_800, 632_045_800, 660_385_363),
}
DISTILLED = {"tiny": 5_910_800, "small": 22_436_432, "base": 87_338_192}


def count(model):
    assert all(p.is_meta for p in model.parameters()), "a large model was made for nothing"
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(("size", "patch"), COUNTS)
def test_counts_of_the_published_models(size, patch):
    name = f"vit_{size}_patch{patch}_224"
    bare, thousand, many = COUNTS[size, patch]
    with torch.device("meta"):
        if hasattr(attn_utils, name):
            assert count(getattr(attn_utils, name)()) == thousand
            assert count(getattr(attn_utils, name)(num_classes=0)) == bare
            assert count(getattr(attn_utils, name)(10)) - bare == 10 * (thousand - bare) // 1000
        if hasattr(attn_utils, f"{name}_in21k"):
            build = getattr(attn_utils, f"{name}_in21k")
            assert count(build()) == many
            assert count(build(num_classes=1000, has_logits=False)) == thousand
        if size in DISTILLED and patch == 16:
            assert count(getattr(attn_utils, name)(distilled=True)) == DISTILLED[size]


def test_all_published_models_are_there():
    wanted = {f"vit_{size}_patch{patch}_224" for size, patch in COUNTS}
    wanted -= {"vit_large_patch32_224", "vit_huge_patch14_224"}
    wanted |= {f"vit_{size}_patch{patch}_224_in21k" for size, patch in list(COUNTS)[2:]}
    found = {name for name in dir(attn_utils) if name.startswith("vit_")}
    assert found == wanted


def test_counts_at_384_pixels():
    with torch.device("meta"):
        assert count(attn_utils.vit_base_patch16_224(img_size=384)) == 86_859_496
        assert count(attn_utils.vit_base_patch16_224(img_size=384, distilled=True)) == 87_630_032


@given(
    p=st.integers(1, 4),
    grid=st.integers(1, 4),
    D=st.integers(1, 8),
    L=st.integers(1, 3),
    C=st.integers(0, 5),
    R=st.sampled_from([None, 1, 7]),
    distilled=st.booleans(),
)
@settings(max_examples=30)
def test_the_closed_form(p, grid, D, L, C, R, distilled):
    with torch.device("meta"):
        model = VisionTransformer(
            p * grid, p, 3, C, D, L, 1, representation_size=R, distilled=distilled
        )
    N, d = grid**2, int(distilled)
    want = 3 * p * p * D + D + (1 + d) * D + (N + 1 + d) * D + L * (12 * D * D + 13 * D) + 2 * D
    want += D * R + R if R else 0
    want += (1 + d) * ((R or D) * C + C) if C else 0
    assert count(model) == want


def test_names_and_shapes_are_timms():
    with torch.device("meta"):
        state = attn_utils.vit_base_patch16_224().state_dict()
        extra = attn_utils.vit_base_patch16_224_in21k(distilled=True).state_dict()
    shapes = {name: tuple(x.shape) for name, x in state.items()}
    want = {
        "cls_token": (1, 1, 768),
        "pos_embed": (1, 197, 768),
        "patch_embed.proj.weight": (768, 3, 16, 16),
        "patch_embed.proj.bias": (768,),
        "norm.weight": (768,),
        "norm.bias": (768,),
        "head.weight": (1000, 768),
        "head.bias": (1000,),
    }
    layers = {
        "norm1": (768,),
        "norm2": (768,),
        "attn.qkv": (2304, 768),
        "attn.proj": (768, 768),
        "mlp.fc1": (3072, 768),
        "mlp.fc2": (768, 3072),
    }
    for i in range(12):
        for layer, shape in layers.items():
            want[f"blocks.{i}.{layer}.weight"] = shape
            want[f"blocks.{i}.{layer}.bias"] = shape[:1]
    assert shapes == want
    assert len(shapes) == 152
    more = {name: tuple(x.shape) for name, x in extra.items() if name not in shapes}
    assert more == {
        "dist_token": (1, 1, 768),
        "head_dist.weight": (21843, 768),
        "head_dist.bias": (21843,),
        "pre_logits.fc.weight": (768, 768),
        "pre_logits.fc.bias": (768,),
    }
    assert extra["pos_embed"].shape == (1, 198, 768)


# --- the last block -----------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
def test_leaving_out_the_patches_of_the_last_block_changes_nothing(variant):
    model = make(**VARIANTS[variant])
    images = draw(model).requires_grad_()
    P = model.num_prefix_tokens
    tokens = model.features(images)
    assert tokens.shape == (2, P + model.patch_embed.num_patches, 12)
    x = model.pre_logits(tokens[:, :P])
    full = model.head(x[:, 0])
    if model.head_dist is not None:
        full = (full + model.head_dist(x[:, 1])) / 2
    short = model(images)
    close(short, full)
    wanted = [images, *model.parameters()]
    for a, b in zip(
        torch.autograd.grad(short.square().sum(), wanted),
        torch.autograd.grad(full.square().sum(), wanted),
        strict=True,
    ):
        close(a, b)


def tokens_of_each_block(model, monkeypatch, call=None):
    """How many tokens each block gives, seen from where no hook is."""
    seen, forward = [], Block.forward
    with monkeypatch.context() as patch:

        def watched(*arguments):
            x = forward(*arguments)
            seen.append(x.shape[1])
            return x

        patch.setattr(Block, "forward", watched)
        (call or model)(draw(model, dtype=model.cls_token.dtype))
    return seen


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("distilled", [False, True])
def test_the_last_block_computes_the_prefix_tokens_only(training, distilled, monkeypatch):
    model = make(distilled=distilled).train(training)
    P = model.num_prefix_tokens
    assert tokens_of_each_block(model, monkeypatch) == [P + 9, P + 9, P]
    everything = [P + 9] * 3
    assert tokens_of_each_block(model, monkeypatch, model.forward_features) == everything


class Twice(nn.Module):
    """What somebody else puts in place of a part: it takes the tokens and nothing else."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return 2 * self.inner(x)


def replace_forward(layer):
    forward = layer.forward
    layer.forward = lambda x: 2 * forward(x)


NOTICED = {
    "a hook on the block": lambda m: m.blocks[-1].register_forward_hook(lambda *_: None),
    "on its norm": lambda m: m.blocks[-1].norm2.register_forward_pre_hook(lambda *_: None),
    "backwards": lambda m: m.blocks[-1].mlp.fc2.register_full_backward_hook(lambda *_: None),
    "an adapter": lambda m: m.set_submodule("blocks.2.attn.qkv", Twice(m.blocks[2].attn.qkv)),
    "another mlp": lambda m: m.set_submodule("blocks.2.mlp", Twice(m.blocks[2].mlp)),
    "another attention": lambda m: m.set_submodule("blocks.2.attn", Twice(m.blocks[2].attn)),
    "another block": lambda m: m.set_submodule("blocks.2", Twice(m.blocks[2])),
    "another forward": lambda m: replace_forward(m.blocks[2].mlp.fc1),
    "weight norm": lambda m: nn.utils.parametrizations.weight_norm(m.blocks[2].attn.qkv),
    "pruned": lambda m: prune.l1_unstructured(m.blocks[2].attn.qkv, "weight", amount=0.5),
}


@pytest.mark.parametrize("name", NOTICED)
def test_it_computes_all_where_that_could_be_noticed(name, monkeypatch):
    model = make()
    NOTICED[name](model)
    assert tokens_of_each_block(model, monkeypatch) == [10, 10, 10]
    images = draw(model)
    close(model(images), model.head(model.forward_features(images)[:, 0]))


def test_hooks_on_the_last_block_see_every_token():
    model, seen = make(), {}
    for name in ("", ".attn.qkv", ".mlp.fc1"):
        part = model.get_submodule(f"blocks.2{name}")
        part.register_forward_hook(lambda m, x, y, name=name: seen.update({name: y.shape}))
    model(draw(model))
    assert seen == {"": (2, 10, 12), ".attn.qkv": (2, 10, 36), ".mlp.fc1": (2, 10, 48)}


# --- adapters, pruning, quantised layers --------------------------------------------------------


def test_lora_by_the_library():
    """Adapters on qkv: they act, they alone learn beside the head, and they can be merged."""
    peft = pytest.importorskip("peft")
    model = make(dtype=torch.float32)
    images, plain = draw(model, dtype=torch.float32), copy.deepcopy(model)
    config = peft.LoraConfig(r=2, target_modules=["qkv"], modules_to_save=["head"])
    adapted = peft.get_peft_model(model, config)
    close(adapted(images), plain(images))  # B is 0 at the start
    learning = {name for name, p in adapted.named_parameters() if p.requires_grad}
    assert {name.split(".")[-2] for name in learning} == {"default"}
    assert len(learning) == 3 * 2 + 2
    optimiser = torch.optim.AdamW([p for p in adapted.parameters() if p.requires_grad], lr=0.05)
    for _ in range(3):
        F.cross_entropy(adapted(images), torch.tensor([1, 4])).backward()
        optimiser.step()
        optimiser.zero_grad()
    learned = adapted(images)
    assert (learned - plain(images)).abs().max() > 0.1
    with adapted.disable_adapter():
        close(adapted(images), plain(images))
    merged = adapted.merge_and_unload()
    assert type(merged.blocks[0].attn.qkv) is nn.Linear
    close(merged(images), learned)
    state = merged.state_dict()
    for name, x in plain.state_dict().items():
        changed = "qkv.weight" in name or name.startswith("head")
        assert torch.equal(x, state[name]) != changed, name


def test_pruned_weights_stay_zero_in_training():
    model = make(dtype=torch.float32)
    for block in model.blocks:
        prune.l1_unstructured(block.attn.qkv, "weight", amount=0.5)
    before = model.blocks[2].attn.qkv.weight_orig.clone()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        model(draw(model, dtype=torch.float32)).square().sum().backward()
        optimiser.step()
    assert not torch.equal(model.blocks[2].attn.qkv.weight_orig, before)
    assert (model.blocks[2].attn.qkv.weight == 0).float().mean() == 0.5
    assert (model.blocks[2].attn.qkv(torch.randn(2, 12)) != 0).all()


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor", "ignore::DeprecationWarning")
def test_layers_in_eight_bits():
    model = make(dtype=torch.float32)
    images = draw(model, dtype=torch.float32)
    quantised = torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)
    off = (quantised(images) - model(images)).abs().max()
    assert 0 < off < 0.2 * model(images).abs().max()


# --- what a user of timm expects ----------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
def test_forward_is_features_and_head(variant):
    for training in (False, True):
        model = make(**VARIANTS[variant]).train(training)
        images = draw(model)
        want, tokens = model(images), model.forward_features(images)
        assert torch.equal(tokens, model.features(images))
        got = model.forward_head(tokens)
        for a, b in zip(*(x if isinstance(x, tuple) else (x,) for x in (got, want)), strict=True):
            close(a, b)
    read = model.eval().forward_head(tokens, pre_logits=True)
    assert read.shape == (2, model.num_features)
    if model.head_dist is None:
        close(model.head(read), model(images))


def test_intermediate_layers():
    model = make(img_size=(8, 12), distilled=True)  # a grid of 2 × 3
    images = draw(model)
    outputs = []
    x = model.patch_embed(images)
    prefix = torch.cat([model.cls_token, model.dist_token], 1).expand(2, -1, -1)
    x = torch.cat([prefix, x], 1) + model.pos_embed
    for block in model.blocks:
        x = block(x)
        outputs.append(x)
    (last,) = model.get_intermediate_layers(images)
    close(last, outputs[2][:, 2:])
    for n, want in ((2, [1, 2]), ([0, 2], [0, 2]), ((1,), [1]), (range(3), [0, 1, 2])):
        got = model.get_intermediate_layers(images, n, return_prefix_tokens=True)
        assert len(got) == len(want)
        for (patches, prefix), i in zip(got, want, strict=True):
            close(patches, outputs[i][:, 2:])
            close(prefix, outputs[i][:, :2])
    (picture,) = model.get_intermediate_layers(images, norm=True, reshape=True)
    assert picture.shape == (2, 12, 2, 3)
    close(picture[:, :, 1, 2], model.forward_features(images)[:, 2 + 5])
    (empty,) = model.get_intermediate_layers(images[:0], reshape=True)
    assert empty.shape == (0, 12, 2, 3)
    for n in ([], [3], [-1], 4):
        with pytest.raises(ValueError, match="n: expected numbers of blocks from 0 to 2, got"):
            model.get_intermediate_layers(images, n)
    for n in (0, 1.5, None):
        with pytest.raises(ValueError, match="n: expected an integer of at least 1"):
            model.get_intermediate_layers(images, n)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_new_classifier(variant):
    model = make(dtype=torch.bfloat16, **VARIANTS[variant])
    trunk = {n: x.clone() for n, x in model.state_dict().items() if not n.startswith("head")}
    images = draw(model, dtype=torch.bfloat16)
    model.reset_classifier(7)
    assert model.num_classes == 7
    assert model(images).shape == (2, 7)
    for head in (model.head, model.head_dist):
        if head is not None:
            assert (head.bias == 0).all()
            assert 0 < head.weight.std() < 0.02
            assert head.weight.dtype == torch.bfloat16
    state = model.state_dict()
    assert all(torch.equal(x, state[name]) for name, x in trunk.items())
    assert state.keys() - trunk.keys() >= {"head.weight", "head.bias"}
    model.reset_classifier(0)
    assert model.state_dict().keys() == trunk.keys()
    assert model(images).shape == (2, model.num_features)
    with pytest.raises(ValueError, match="num_classes: expected"):
        model.reset_classifier(-1)


def test_tokens_and_positions_without_weight_decay():
    model = make(distilled=True)
    assert model.no_weight_decay() == {"cls_token", "dist_token", "pos_embed"}
    assert model.no_weight_decay() <= dict(model.named_parameters()).keys()


@pytest.mark.parametrize("options", [{}, {"drop_rate": 0.2, "drop_path_rate": 0.5}])
def test_gradient_checkpointing_changes_no_gradient(options, monkeypatch):
    plain, thrifty = (make(**options).train() for _ in range(2))
    thrifty.set_grad_checkpointing()
    images, results = draw(plain), []
    for model in (plain, thrifty):
        torch.manual_seed(2)  # what is dropped
        leaf = images.clone().requires_grad_()
        loss = model(leaf).square().sum()
        loss.backward()
        results.append([loss, leaf.grad, *(p.grad for p in model.parameters())])
    for a, b in zip(*results, strict=True):
        close(a, b)

    def blocks_run(model):
        runs, forward = [], Block.forward
        with monkeypatch.context() as patch:
            patch.setattr(Block, "forward", lambda *x: runs.append(0) or forward(*x))
            model(images).sum().backward()
        return len(runs)

    assert [blocks_run(model) for model in (plain, thrifty)] == [3, 6]
    thrifty.set_grad_checkpointing(False)
    assert blocks_run(thrifty) == 3
    with torch.no_grad():
        close(thrifty.set_grad_checkpointing() or thrifty.eval()(images), plain.eval()(images))


# --- drawing new weights ------------------------------------------------------------------------


def test_initial_weights():
    torch.manual_seed(0)
    model = VisionTransformer(32, 8, 3, 50, 128, 2, 4, distilled=True, representation_size=64)
    for name, p in model.named_parameters():
        if "norm" in name:
            assert (p == (1 if name.endswith("weight") else 0)).all(), name
        elif name.endswith("bias"):
            assert (p == 0).all(), name
        elif "proj.weight" in name and "patch" in name:
            assert p.std().item() == pytest.approx(math.sqrt(2 / (128 * 8 * 8)), rel=0.03)
        else:
            std = 0.02 if "token" in name or "pos_embed" in name else 0.01
            assert p.std().item() == pytest.approx(std, rel=0.2 if p.numel() < 200 else 0.06), name
            assert abs(p.mean().item()) < 0.3 * std, name
            assert p.abs().max() < 6 * std
    before = copy.deepcopy(model.state_dict())
    model.reset_parameters()
    assert not torch.equal(model.pos_embed, before["pos_embed"])


# --- DropPath -----------------------------------------------------------------------------------


def test_drop_path_drops_whole_samples():
    torch.manual_seed(0)
    layer = DropPath(0.25).train()
    x = torch.randn(4000, 3, 5)
    y = layer(x)
    ratio = (y / x).flatten(1)
    assert ((ratio == 0).all(1) | ((ratio - 4 / 3).abs() < 1e-5).all(1)).all()
    assert (ratio[:, 0] == 0).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert not torch.equal(layer(x), y)


def test_drop_path_at_its_ends():
    x = torch.randn(3, 4, requires_grad=True)
    assert torch.equal(DropPath(0.7).eval()(x), x)
    assert torch.equal(DropPath(0.0).train()(x), x)
    nothing = DropPath(1.0).train()(x)
    assert (nothing == 0).all()
    nothing.sum().backward()
    assert (x.grad == 0).all()
    assert torch.equal(DropPath(1.0).eval()(x), x)
    half = DropPath(0.5).train()(torch.ones(2, 3, dtype=torch.bfloat16))
    assert half.dtype == torch.bfloat16
    assert repr(DropPath(0.1)) == "DropPath(drop_prob=0.1)"
    for p in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="drop_prob: expected a probability"):
            DropPath(p)


def test_the_rate_of_drop_path_grows_linearly():
    model = make(depth=5, drop_path_rate=0.4)
    rates = [block.drop_path.drop_prob for block in model.blocks]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert make(depth=1, drop_path_rate=0.4).blocks[0].drop_path.drop_prob == 0.0


def test_every_kind_of_dropout_acts_in_training_only():
    for option in ("drop_rate", "attn_drop_rate", "drop_path_rate"):
        model = make(**{option: 0.5})
        images = draw(model, B=4)
        assert torch.equal(model(images), model(images))
        close(model(images), make()(images))
        model.train()
        assert not torch.equal(model(images), model(images)), option
    # all branches dropped: what is left is the embedded class token
    model = make(depth=2, drop_path_rate=1.0).train()
    model.blocks[0].drop_path.drop_prob = 1.0
    images = draw(model)
    want = norm(model.cls_token[:, 0] + model.pos_embed[:, 0], model.norm)
    close(model(images), linear(want, model.head).expand(2, -1))


# --- patches and positions ----------------------------------------------------------------------


@pytest.mark.parametrize(("img", "patch"), [(12, 4), ((8, 12), (2, 3)), ((6, 4), 2), (3, 3)])
def test_patch_embedding_is_unfold_and_linear(img, patch):
    torch.manual_seed(0)
    embed = PatchEmbedding(img, patch, 3, 5).double()
    images = torch.randn(2, 3, *embed.img_size, dtype=torch.float64)
    patches = F.unfold(images, embed.patch_size, stride=embed.patch_size).mT  # (B, N, C p q)
    close(embed(images), F.linear(patches, embed.proj.weight.flatten(1), embed.proj.bias))
    assert embed(images).shape == (2, embed.num_patches, 5)


@pytest.mark.parametrize(
    ("img", "patch"), [(225, 16), ((224, 225), 16), (224, (16, 15)), (15, 16), ((16, 24), (8, 16))]
)
def test_an_image_has_to_be_a_whole_number_of_patches(img, patch):
    for build in (PatchEmbedding, VisionTransformer):
        with pytest.raises(ValueError, match=r"img_size: expected a multiple of patch_size = \("):
            build(img, patch, 3, 4)


def test_resizing_leaves_what_fits():
    positions = torch.randn(1, 1 + 16, 8)
    assert resize_position_embedding(positions, (4, 4)) is positions
    assert resize_position_embedding(positions, (2, 8), old_grid=(2, 8)) is positions


@pytest.mark.parametrize("P", [0, 1, 2])
@pytest.mark.parametrize("new", [(5, 5), (3, 6), (2, 2)])
def test_resizing_keeps_prefix_and_constants(P, new):
    positions = torch.randn(1, P + 16, 8, dtype=torch.float64)
    got = resize_position_embedding(positions, new, num_prefix_tokens=P)
    assert got.shape == (1, P + new[0] * new[1], 8)
    assert torch.equal(got[:, :P], positions[:, :P])
    positions[:, P:] = torch.arange(8.0)
    got = resize_position_embedding(positions, new, num_prefix_tokens=P)
    close(got[:, P:], torch.arange(8.0).double().expand(1, new[0] * new[1], 8))


def cubic(t):
    """The bicubic kernel with a = −3/4, by its formula."""
    t, a = abs(t), -0.75
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0.0


def test_resizing_by_hand():
    """4×6 → 7×5 without antialias, pixel centres at (i + 1/2) · old / new − 1/2."""
    old, new = (4, 6), (7, 5)
    positions = torch.randn(1, 1 + 24, 3, dtype=torch.float64)
    matrices = []
    for m, n in zip(old, new, strict=True):
        matrix = torch.zeros(n, m, dtype=torch.float64)
        for i in range(n):
            centre = (i + 0.5) * m / n - 0.5
            for j in range(math.floor(centre) - 1, math.floor(centre) + 3):
                matrix[i, min(max(j, 0), m - 1)] += cubic(centre - j)
        matrices.append(matrix)
    grid = positions[0, 1:].reshape(4, 6, 3)
    want = torch.einsum("ia,jb,abd->ijd", *matrices, grid).reshape(35, 3)
    got = resize_position_embedding(positions, new, old_grid=old, antialias=False)
    close(got[0, 1:], want)
    smoothed = resize_position_embedding(positions, new, old_grid=old)
    assert not torch.equal(smoothed, got)
    for dtype in (torch.float32, torch.bfloat16):
        rough = resize_position_embedding(positions.to(dtype), new, old_grid=old, antialias=False)
        assert rough.dtype == dtype
        close(rough, got)


def test_resizing_larger_needs_no_antialias():
    positions = torch.randn(1, 1 + 16, 8)
    both = [resize_position_embedding(positions, (7, 9), antialias=a) for a in (False, True)]
    close(both[0], both[1], within=0.3)  # the kernels differ: −1/2, −3/4
    ramp = torch.arange(8.0).repeat(8)[None, :, None]  # a ramp from left to right stays one inside
    got = resize_position_embedding(ramp, (8, 16), num_prefix_tokens=0)[0, :, 0].view(8, 16)
    close(got[:, 4:12], torch.arange(1.75, 5.5, 0.5).expand(8, 8), within=1e-4)


def test_bad_resizing_is_named():
    positions = torch.randn(1, 17, 8)
    for bad, name in (
        ({"pos_embed": positions[0]}, r"pos_embed: expected shape \(1, P \+ N, D\), got \(17, 8\)"),
        ({"pos_embed": None}, "pos_embed: expected"),
        ({"num_prefix_tokens": 2}, r"old_grid: expected 15 patches.*got \(3, 3\)"),
        ({"num_prefix_tokens": 17}, "old_grid: expected 0 patches"),
        ({"old_grid": (3, 5)}, r"old_grid: expected 16 patches"),
        ({"old_grid": (16,)}, "old_grid: expected two numbers"),
        ({"new_grid": (0, 4)}, r"new_grid\[0\]: expected an integer"),
        ({"new_grid": (4, 4, 4)}, "new_grid: expected two numbers"),
    ):
        with pytest.raises(ValueError, match=name):
            resize_position_embedding(**{"pos_embed": positions, "new_grid": (4, 4), **bad})


# --- attention ----------------------------------------------------------------------------------


def test_attention_with_weights():
    torch.manual_seed(0)
    attention = Attention(12, 3, True, 0.0, 0.0).double()
    x = torch.randn(2, 5, 12, dtype=torch.float64)
    output, weights = attention(x, return_weights=True)
    assert weights.shape == (2, 3, 5, 5)
    close(weights.sum(-1), torch.ones(2, 3, 5, dtype=torch.float64))
    close(attention(x), output)
    first, few = attention(x, num_queries=2, return_weights=True)
    assert few.shape == (2, 3, 2, 5)
    close(first, output[:, :2])
    close(few, weights[:, :, :2])
    theirs = nn.MultiheadAttention(12, 3, batch_first=True).double()
    theirs.load_state_dict(
        {
            "in_proj_weight": attention.qkv.weight,
            "in_proj_bias": attention.qkv.bias,
            "out_proj.weight": attention.proj.weight,
            "out_proj.bias": attention.proj.bias,
        }
    )
    close(output, theirs(x, x, x, need_weights=False)[0])
    with pytest.raises(ValueError, match="x: expected a width of 12"):
        attention(x[..., 1:])


# --- the life of a model ------------------------------------------------------------------------


def test_gradients():
    model = make(depth=2, img_size=8, embed_dim=6, distilled=True)
    assert torch.autograd.gradcheck(model, (draw(model, B=1).requires_grad_(),))
    assert torch.autograd.gradcheck(model.features, (draw(model, B=1).requires_grad_(),))


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("img_size", 0, "img_size: expected an integer"),
        ("img_size", (4, 4, 4), "img_size: expected a number or a pair"),
        ("patch_size", (4, 0), "patch_size: expected an integer"),
        ("patch_size", 4.0, "patch_size: expected an integer"),
        ("in_channels", 0, "in_channels: expected"),
        ("num_classes", -1, "num_classes: expected"),
        ("embed_dim", 0, "embed_dim: expected"),
        ("embed_dim", 13, "embed_dim: expected a multiple of num_heads = 3, got 13"),
        ("depth", 0, "depth: expected"),
        ("num_heads", 0, "num_heads: expected"),
        ("mlp_ratio", 0.0, "mlp_ratio: expected"),
        ("mlp_ratio", math.nan, "mlp_ratio: expected"),
        ("representation_size", 0, "representation_size: expected"),
        ("drop_rate", 1.5, "drop_rate: expected"),
        ("attn_drop_rate", -1, "attn_drop_rate: expected"),
        ("drop_path_rate", 2, "drop_path_rate: expected"),
    ],
)
def test_bad_options_are_named(option, value, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        VisionTransformer(**{**SMALL, option: value})


def test_bad_images_are_named():
    model = make(dtype=torch.float32)
    images = draw(model, dtype=torch.float32)
    for bad in (images[0], images[:, :1], images[..., 1:], images.flatten(2), None):
        for call in (model, model.features):
            with pytest.raises(ValueError, match=r"images: expected shape \(B, 2, 12, 12\), got"):
                call(bad)
    with pytest.raises(
        ValueError, match=r"images: expected floating-point numbers, got torch.uint8"
    ):
        model(images.byte())


# --- the life of a module ----------------------------------------------------------------------

MODULES = [
    Module(
        VisionTransformer,
        (),
        lambda B, n: torch.randn(B, 2, 12, 12),
        {**SMALL, "depth": 2, "distilled": True, "representation_size": 7},
    ),
    Module(
        PatchEmbedding,
        (12, 4, 2, 6),
        lambda B, n: torch.randn(B, 2, 12, 12),
    ),
    Module(
        Attention,
        (8, 2, True, 0.0, 0.0),
        lambda B, n: torch.randn(B, n, 8),
    ),
    Module(
        Block,
        (8, 2, 2.0, True, 0.0, 0.0, 0.0),
        lambda B, n: torch.randn(B, n, 8),
    ),
    Module(DropPath, (0.5,), lambda B, n: torch.randn(B, n, 8)),
]

test_life = under(MODULE, MODULES)

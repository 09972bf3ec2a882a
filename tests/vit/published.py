"""Vision transformers in the layouts of several libraries, each computed from its own names.

The references read a file's tensors by the file's names, in the file's own axes, and know nothing
of the loader: if both agree on the logits, every tensor went to its place.
"""

from __future__ import annotations

import copy
import traceback
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attn_utils.vit import VisionTransformer, load_vit_checkpoint
from tests import helpers

D, L, H, HIDDEN, SIZE, PATCH, C, CLASSES = 12, 2, 3, 24, 12, 4, 3, 5
N = (SIZE // PATCH) ** 2
IMAGES = torch.randn(2, C, SIZE, SIZE, generator=torch.Generator().manual_seed(7))


def model(seed=0, **options):
    torch.manual_seed(seed)
    sizes = {"img_size": SIZE, "patch_size": PATCH, "num_classes": CLASSES, "embed_dim": D}
    sizes |= {"depth": L, "num_heads": H, "mlp_ratio": HIDDEN / D}
    return VisionTransformer(**{**sizes, **options}).eval()


def draws(seed):
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: 0.4 * torch.randn(*shape, generator=generator)


# --- the layouts: weights, and logits straight from them ----------------------------------


def blocks(x, layers):
    """Pre-norm blocks on (B, S, D): six functions for each layer."""
    for norm1, attend, norm2, mlp in layers:
        x = x + attend(norm1(x))
        x = x + mlp(norm2(x))
    return x


def norm(weight, bias):
    return lambda x: F.layer_norm(x, (D,), weight, bias, eps=1e-6)


def timm_state(seed=1, *, distilled=False, representation=None, classes=CLASSES, n=N):
    draw = draws(seed)
    state = {"cls_token": draw(1, 1, D), "pos_embed": draw(1, 1 + distilled + n, D)}
    if distilled:
        state["dist_token"] = draw(1, 1, D)
    shapes = {"patch_embed.proj": (D, C, PATCH, PATCH), "norm": (D,)}
    for i in range(L):
        b = f"blocks.{i}."
        shapes |= {b + "norm1": (D,), b + "attn.qkv": (3 * D, D), b + "attn.proj": (D, D)}
        shapes |= {b + "norm2": (D,), b + "mlp.fc1": (HIDDEN, D), b + "mlp.fc2": (D, HIDDEN)}
    if representation:
        shapes["pre_logits.fc"] = (representation, D)
    for head in ["head", "head_dist"][: 1 + distilled] if classes else []:
        shapes[head] = (classes, representation or D)
    for name, shape in shapes.items():
        state |= {f"{name}.weight": draw(*shape), f"{name}.bias": draw(shape[0])}
    return state


def timm_logits(s, images):
    def both(name):
        return s[name + ".weight"], s[name + ".bias"]

    def attend(name):
        def f(x):
            B, S, _ = x.shape
            qkv = F.linear(x, *both(name + ".qkv")).reshape(B, S, 3, H, D // H)
            q, k, v = qkv.permute(2, 0, 3, 1, 4)
            weights = (q @ k.mT / (D // H) ** 0.5).softmax(-1)
            return F.linear((weights @ v).transpose(1, 2).reshape(B, S, D), *both(name + ".proj"))

        return f

    def mlp(name):
        return lambda x: F.linear(F.gelu(F.linear(x, *both(name + ".fc1"))), *both(name + ".fc2"))

    x = F.conv2d(images, *both("patch_embed.proj"), stride=PATCH).flatten(2).mT
    prefix = [s[t].expand(len(x), -1, -1) for t in ("cls_token", "dist_token") if t in s]
    x = torch.cat([*prefix, x], 1) + s["pos_embed"]
    names = [f"blocks.{i}." for i in range(L)]
    x = blocks(
        x,
        [
            (norm(*both(b + "norm1")), attend(b + "attn"), norm(*both(b + "norm2")), mlp(b + "mlp"))
            for b in names
        ],
    )
    x = norm(*both("norm"))(x)
    if "pre_logits.fc.weight" in s:
        x = F.linear(x, *both("pre_logits.fc")).tanh()
    heads = [h for h in ("head", "head_dist") if h + ".weight" in s]
    return sum(F.linear(x[:, i], *both(h)) for i, h in enumerate(heads)) / len(heads)


HF_NAMES = {  # our shorthand: on disk, newer in memory
    "q": ("attention.attention.query", "attention.q_proj"),
    "k": ("attention.attention.key", "attention.k_proj"),
    "v": ("attention.attention.value", "attention.v_proj"),
    "o": ("attention.output.dense", "attention.o_proj"),
    "up": ("intermediate.dense", "mlp.fc1"),
    "down": ("output.dense", "mlp.fc2"),
    "before": ("layernorm_before", "layernorm_before"),
    "after": ("layernorm_after", "layernorm_after"),
}


def hf_state(seed=2, *, new=False, prefix="vit.", kind="classifier", n=N):
    draw = draws(seed)
    tokens = 2 if kind == "deit" else 1
    state = {
        prefix + "embeddings.cls_token": draw(1, 1, D),
        prefix + "embeddings.position_embeddings": draw(1, tokens + n, D),
    }
    if kind == "deit":
        state[prefix + "embeddings.distillation_token"] = draw(1, 1, D)
    shapes = {prefix + "embeddings.patch_embeddings.projection": (D, C, PATCH, PATCH)}
    shapes[prefix + "layernorm"] = (D,)
    sizes = {"q": (D, D), "k": (D, D), "v": (D, D), "o": (D, D), "up": (HIDDEN, D)}
    sizes |= {"down": (D, HIDDEN), "before": (D,), "after": (D,)}
    for i in range(L):
        layer = f"{prefix}layers.{i}." if new else f"{prefix}encoder.layer.{i}."
        shapes |= {layer + HF_NAMES[x][new]: shape for x, shape in sizes.items()}
    heads = {
        "classifier": ["classifier"],
        "base": [],
        "deit": ["cls_classifier", "distillation_classifier"],
    }[kind]
    shapes |= dict.fromkeys(heads, (CLASSES, D))
    if kind == "base":
        shapes["pooler.dense"] = (D, D)
    for name, shape in shapes.items():
        state |= {f"{name}.weight": draw(*shape), f"{name}.bias": draw(shape[0])}
    return state


def hf_logits(s, images, *, new=False, prefix="vit."):
    def both(name):
        return s[name + ".weight"], s[name + ".bias"]

    def attend(layer):
        def f(x):
            q, k, v = (
                F.linear(x, *both(layer + HF_NAMES[n][new])).unflatten(-1, (H, -1)).transpose(1, 2)
                for n in "qkv"
            )
            heads = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
            return F.linear(heads, *both(layer + HF_NAMES["o"][new]))

        return f

    def mlp(layer):
        up, down = (both(layer + HF_NAMES[n][new]) for n in ("up", "down"))
        return lambda x: F.linear(F.gelu(F.linear(x, *up)), *down)

    e = prefix + "embeddings."
    x = F.conv2d(images, *both(e + "patch_embeddings.projection"), stride=PATCH).flatten(2).mT
    tokens = [s[e + t] for t in ("cls_token", "distillation_token") if e + t in s]
    x = (
        torch.cat([t.expand(len(x), -1, -1) for t in tokens] + [x], 1)
        + s[e + "position_embeddings"]
    )
    layers = [f"{prefix}layers.{i}." if new else f"{prefix}encoder.layer.{i}." for i in range(L)]
    x = blocks(
        x,
        [
            (
                norm(*both(b + "layernorm_before")),
                attend(b),
                norm(*both(b + "layernorm_after")),
                mlp(b),
            )
            for b in layers
        ],
    )
    x = norm(*both(prefix + "layernorm"))(x)
    if "pooler.dense.weight" in s:
        return F.linear(x[:, 0], *both("pooler.dense")).tanh()
    if "cls_classifier.weight" in s:
        first = F.linear(x[:, 0], *both("cls_classifier"))
        return (first + F.linear(x[:, 1], *both("distillation_classifier"))) / 2
    return F.linear(x[:, 0], *both("classifier"))


def jax_names(new):
    attention, mlp, second = ("0", "0", "1") if new else ("1", "3", "2")
    position = "pos_embedding" if new else "Transformer/posembed_input/pos_embedding"
    return (
        f"MultiHeadDotProductAttention_{attention}",
        f"MlpBlock_{mlp}",
        f"LayerNorm_{second}",
        position,
    )


def jax_arrays(seed=3, *, new=False, prefix="", representation=None, classes=CLASSES, n=N):
    draw = draws(seed)
    attention, mlp, second, position = jax_names(new)
    d = D // H
    shapes = {
        "embedding/kernel": (PATCH, PATCH, C, D),
        "embedding/bias": (D,),
        "cls": (1, 1, D),
        position: (1, 1 + n, D),
        "Transformer/encoder_norm/scale": (D,),
        "Transformer/encoder_norm/bias": (D,),
    }
    for i in range(L):
        block = f"Transformer/encoderblock_{i}/"
        for layer in ("LayerNorm_0", second):
            shapes |= {f"{block}{layer}/scale": (D,), f"{block}{layer}/bias": (D,)}
        for part in ("query", "key", "value"):
            shapes[f"{block}{attention}/{part}/kernel"] = (D, H, d)
            shapes[f"{block}{attention}/{part}/bias"] = (H, d)
        shapes |= {
            f"{block}{attention}/out/kernel": (H, d, D),
            f"{block}{attention}/out/bias": (D,),
        }
        shapes |= {
            f"{block}{mlp}/Dense_0/kernel": (D, HIDDEN),
            f"{block}{mlp}/Dense_0/bias": (HIDDEN,),
        }
        shapes |= {f"{block}{mlp}/Dense_1/kernel": (HIDDEN, D), f"{block}{mlp}/Dense_1/bias": (D,)}
    if representation:
        shapes |= {"pre_logits/kernel": (D, representation), "pre_logits/bias": (representation,)}
    shapes |= {"head/kernel": (representation or D, classes), "head/bias": (classes,)}
    return {prefix + name: draw(*shape).numpy() for name, shape in shapes.items()}


def jax_logits(arrays, images, *, new=False, prefix=""):
    s = {
        k.removeprefix(prefix): torch.from_numpy(x)
        for k, x in arrays.items()
        if k.startswith(prefix)
    }
    attention, mlp_, second, position = jax_names(new)

    def dense(name):
        return lambda x: x @ s[name + "/kernel"] + s[name + "/bias"]

    def attend(name):
        def f(x):
            q, k, v = (
                torch.einsum("bsm,mhd->bshd", x, s[f"{name}/{p}/kernel"]) + s[f"{name}/{p}/bias"]
                for p in ("query", "key", "value")
            )
            weights = torch.einsum("bqhd,bkhd->bhqk", q / (D // H) ** 0.5, k).softmax(-1)
            heads = torch.einsum("bhqk,bkhd->bqhd", weights, v)
            return (
                torch.einsum("bqhd,hdm->bqm", heads, s[name + "/out/kernel"])
                + s[name + "/out/bias"]
            )

        return f

    def mlp(name):
        return lambda x: dense(name + "/Dense_1")(F.gelu(dense(name + "/Dense_0")(x)))

    def normal(name):
        return norm(s[name + "/scale"], s[name + "/bias"])

    # a convolution in JAX's axes: images (B, height, width, C), kernel (p, p, C, D)
    nhwc = images.permute(0, 2, 3, 1)
    patches = nhwc.unfold(1, PATCH, PATCH).unfold(2, PATCH, PATCH)  # (B, rows, cols, C, p, p)
    x = torch.einsum("bijcpq,pqcd->bijd", patches, s["embedding/kernel"]) + s["embedding/bias"]
    x = x.flatten(1, 2)
    x = torch.cat([s["cls"].expand(len(x), -1, -1), x], 1) + s[position]
    names = [f"Transformer/encoderblock_{i}/" for i in range(L)]
    x = blocks(
        x,
        [
            (normal(b + "LayerNorm_0"), attend(b + attention), normal(b + second), mlp(b + mlp_))
            for b in names
        ],
    )
    x = normal("Transformer/encoder_norm")(x)[:, 0]
    if "pre_logits/kernel" in s:
        x = dense("pre_logits")(x).tanh()
    return dense("head")(x)


def torchvision_state(seed=4, *, old=False):
    draw = draws(seed)
    state = {
        "class_token": draw(1, 1, D),
        "encoder.pos_embedding": draw(1, 1 + N, D),
        "conv_proj.weight": draw(D, C, PATCH, PATCH),
        "conv_proj.bias": draw(D),
    }
    shapes = {"encoder.ln": (D,), "heads.head": (CLASSES, D)}
    up, down = ("mlp.linear_1", "mlp.linear_2") if old else ("mlp.0", "mlp.3")
    for i in range(L):
        b = f"encoder.layers.encoder_layer_{i}."
        state[b + "self_attention.in_proj_weight"] = draw(3 * D, D)
        state[b + "self_attention.in_proj_bias"] = draw(3 * D)
        shapes |= {b + "ln_1": (D,), b + "ln_2": (D,), b + "self_attention.out_proj": (D, D)}
        shapes |= {b + up: (HIDDEN, D), b + down: (D, HIDDEN)}
    for name, shape in shapes.items():
        state |= {f"{name}.weight": draw(*shape), f"{name}.bias": draw(shape[0])}
    return state


def torchvision_logits(s, images, *, old=False):
    """By PyTorch's own attention layer, as torchvision has it."""

    def both(name):
        return s[name + ".weight"], s[name + ".bias"]

    def attend(name):
        layer = nn.MultiheadAttention(D, H, batch_first=True).eval()
        own = {k.removeprefix(name): x for k, x in s.items() if k.startswith(name)}
        layer.load_state_dict(own)
        return lambda x: layer(x, x, x, need_weights=False)[0]

    def mlp(name):
        up, down = ("linear_1", "linear_2") if old else ("0", "3")
        return lambda x: F.linear(F.gelu(F.linear(x, *both(name + up))), *both(name + down))

    x = F.conv2d(images, *both("conv_proj"), stride=PATCH).flatten(2).mT
    x = torch.cat([s["class_token"].expand(len(x), -1, -1), x], 1) + s["encoder.pos_embedding"]
    names = [f"encoder.layers.encoder_layer_{i}." for i in range(L)]
    x = blocks(
        x,
        [
            (
                norm(*both(b + "ln_1")),
                attend(b + "self_attention."),
                norm(*both(b + "ln_2")),
                mlp(b + "mlp."),
            )
            for b in names
        ],
    )
    return F.linear(norm(*both("encoder.ln"))(x)[:, 0], *both("heads.head"))


def stack_blocks(arrays):
    """big_vision's other form: one array for all blocks, along a first axis."""
    first = {k: x for k, x in arrays.items() if "encoderblock_0" in k}
    stacked = {
        k.replace("_0", "", 1): np.stack(
            [arrays[k.replace("encoderblock_0", f"encoderblock_{i}")] for i in range(L)]
        )
        for k in first
    }
    return {k: x for k, x in arrays.items() if "encoderblock_" not in k} | stacked


# --- loading ----------------------------------------------------------------------------------


def archive_of(path, program, records=None, **options):
    """An archive as of torch.save around any pickle."""
    with zipfile.ZipFile(path, "w", **options) as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/version", b"3\n")
        for name, content in (records or {}).items():
            archive.writestr("archive/" + name, content)


def bits(m):
    return copy.deepcopy(m.state_dict())


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def load(m, source, notes=0, **options):
    """Load, and see that the caller is warned exactly as often as something was adapted."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        told = load_vit_checkpoint(m, source, **options)
    assert len(told) == notes, told
    title = source.name if isinstance(source, Path) else "the mapping"
    assert [str(w.message) for w in caught] == [f"{title}: {note}" for note in told]
    assert all(w.filename == __file__ for w in caught), "the warning points elsewhere"
    return told


def close(a, b):
    """Up to rounding, which is far below 1e-5."""
    assert b.abs().max() > 0.05, "too small to compare"
    helpers.close(a, b)


def refused(source, match, m=None, **options):
    """See that nothing was changed, and that the message is short and gives no bad advice."""
    m = m or model()
    before = bits(m)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=match) as caught:
            load_vit_checkpoint(m, source, **options)
    assert same(m.state_dict(), before), "the model was changed"
    text = "".join(traceback.format_exception(caught.value))
    assert "weights_only=False" not in text
    assert "safe_globals" not in str(caught.value)
    assert len(str(caught.value)) < 1500
    assert str(caught.value).isprintable()
    return str(caught.value)

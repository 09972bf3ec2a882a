"""Loading published layouts: each is computed from its own names first, then loaded and compared.

What is adapted is said, and what does not fit is refused. Files as training scripts and others
leave them, broken and hostile ones are in test_checkpoint_files.py.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from attn_utils.training import fit
from attn_utils.vit import load_vit_checkpoint, resize_position_embedding

from .published import (
    CLASSES,
    HIDDEN,
    IMAGES,
    PATCH,
    SIZE,
    C,
    D,
    H,
    L,
    bits,
    close,
    hf_logits,
    hf_state,
    jax_arrays,
    jax_logits,
    load,
    model,
    refused,
    same,
    timm_logits,
    timm_state,
)

# --- they fit as they are -----------------------------------------------------------------------

TIMM = {
    "plain": {},
    "distilled": {"distilled": True},
    "representation": {"representation": 7},
    "both": {"distilled": True, "representation": 7},
}


@pytest.mark.parametrize("variant", TIMM)
@pytest.mark.parametrize("kind", ["pth", "safetensors", "DeiT", "bin"])
def test_timm(tmp_path, variant, kind):
    state = timm_state(**TIMM[variant])
    path = tmp_path / f"model.{'pth' if kind == 'DeiT' else kind}"
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save({"model": state, "epoch": 3} if kind == "DeiT" else state, path)
    options = {"distilled": "distilled" in TIMM[variant]}
    m = model(representation_size=TIMM[variant].get("representation"), **options)
    load(m, path)
    assert same(m.state_dict(), state)
    close(m(IMAGES), timm_logits(state, IMAGES))


@pytest.mark.parametrize("new", [False, True])
@pytest.mark.parametrize("kind", ["safetensors", "bin"])
@pytest.mark.parametrize("prefix", ["vit.", ""])
def test_hugging_face(tmp_path, new, kind, prefix):
    state = hf_state(new=new, prefix=prefix)
    path = tmp_path / f"model.{kind}"
    (save_file if kind == "safetensors" else torch.save)(state, path)
    m = model()
    load(m, path)
    close(m(IMAGES), hf_logits(state, IMAGES, new=new, prefix=prefix))


@pytest.mark.parametrize("new", [False, True])
def test_hugging_face_distilled(tmp_path, new):
    state = hf_state(new=new, prefix="deit.", kind="deit")
    save_file(state, tmp_path / "model.safetensors")
    m = model(distilled=True)
    load(m, tmp_path / "model.safetensors")
    close(m(IMAGES), hf_logits(state, IMAGES, new=new, prefix="deit."))


@pytest.mark.parametrize("new", [False, True])
def test_hugging_face_base_model(tmp_path, new):
    """Its pooler is the representation layer; there is no classifier."""
    state = hf_state(new=new, prefix="", kind="base")
    save_file(state, tmp_path / "model.safetensors")
    m = model(num_classes=0, representation_size=D)
    load(m, tmp_path / "model.safetensors")
    close(m(IMAGES), hf_logits(state, IMAGES, new=new, prefix=""))
    m = model(num_classes=0)
    told = load(m, tmp_path / "model.safetensors", notes=1)
    assert told == ["representation layer not loaded, since the model has none"]
    want = {k: v for k, v in state.items() if "pooler" not in k}
    close(
        m.features(IMAGES)[:, 0],
        hf_logits(
            {**want, "classifier.weight": torch.eye(D), "classifier.bias": torch.zeros(D)},
            IMAGES,
            new=new,
            prefix="",
        ),
    )


@pytest.mark.parametrize("new", [False, True])
@pytest.mark.parametrize("prefix", ["", "opt/target/", "params/"])
@pytest.mark.parametrize("representation", [None, 7])
def test_jax(tmp_path, new, prefix, representation):
    arrays = jax_arrays(new=new, prefix=prefix, representation=representation)
    more = {"opt/state/step": np.array(3), "opt/other": np.ones((3, 3))} if prefix else {}
    np.savez(tmp_path / "model.npz", **arrays, **more)
    m = model(representation_size=representation)
    load(m, tmp_path / "model.npz")
    close(m(IMAGES), jax_logits(arrays, IMAGES, new=new, prefix=prefix))


def test_a_jax_file_of_twelve_layers_has_200_arrays():
    small = jax_arrays()
    per_layer = sum("encoderblock_0" in name for name in small)
    assert len(small) + (12 - L) * per_layer == 200


def test_jax_files_in_other_shapes_of_storage(tmp_path):
    arrays = jax_arrays()
    want = jax_logits(arrays, IMAGES)
    np.savez_compressed(tmp_path / "small.npz", **arrays)
    np.savez(tmp_path / "big-endian.npz", **{k: x.astype(">f4") for k, x in arrays.items()})
    np.savez(tmp_path / "fortran.npz", **{k: np.asfortranarray(x) for k, x in arrays.items()})
    np.savez(tmp_path / "double.npz", **{k: x.astype("f8") for k, x in arrays.items()})
    for path in tmp_path.iterdir():
        m = model()
        load(m, path)
        close(m(IMAGES), want)


def test_both_directions(tmp_path):
    """What the model saves, it loads; a checkpoint of fit's as well."""
    source, m = model(1), model(2)
    torch.save(source.state_dict(), tmp_path / "own.pth")
    load(m, tmp_path / "own.pth")
    assert same(m.state_dict(), source.state_dict())
    data = (torch.randn(4, C, SIZE, SIZE), torch.arange(4))
    fit(source, data, epochs=1, checkpoint=tmp_path / "run.pt", progress=False)
    load(m, tmp_path / "run.pt")
    assert same(m.state_dict(), source.state_dict())


def test_the_model_keeps_dtype_device_and_identity(tmp_path):
    state = timm_state()
    torch.save({k: x.bfloat16() for k, x in state.items()}, tmp_path / "half.pth")
    m = model().double()
    before = dict(m.named_parameters())
    load(m, tmp_path / "half.pth")
    assert all(p is before[name] for name, p in m.named_parameters())
    for name, p in m.named_parameters():
        assert p.requires_grad
        assert p.dtype == torch.float64
        assert torch.equal(p, state[name].bfloat16().double())


# --- what is adapted ----------------------------------------------------------------------------


def saved(tmp_path, layout, **options):
    path = tmp_path / f"{layout}.{'npz' if layout == 'jax' else 'safetensors'}"
    if layout == "jax":
        np.savez(path, **jax_arrays(**options))
    else:
        save_file({"timm": timm_state, "hf": hf_state}[layout](**options), path)
    return path


@pytest.mark.parametrize("layout", ["timm", "hf", "jax"])
@pytest.mark.parametrize("classes", [3, 0])
def test_another_number_of_classes_keeps_the_models_head(tmp_path, layout, classes):
    path = saved(tmp_path, layout)
    m, full = model(num_classes=classes), model()
    load(full, path)
    before = bits(m)
    (told,) = load(m, path, notes=1)
    count = classes or "no"
    assert told == (
        f"classifier not loaded, since the file has 5 classes and the model has {count} classes; "
        "the model keeps its own"
    )
    for name, x in m.state_dict().items():
        want = before if name.startswith("head") else full.state_dict()
        assert torch.equal(x, want[name]), name
    close(m.features(IMAGES), full.features(IMAGES))


def test_a_file_without_a_classifier(tmp_path):
    save_file(timm_state(classes=0), tmp_path / "model.safetensors")
    m = model()
    before = bits(m)
    (told,) = load(m, tmp_path / "model.safetensors", notes=1)
    assert "the file has no classes and the model has 5 classes" in told
    assert torch.equal(m.head.weight, before["head.weight"])
    assert torch.equal(m.cls_token, timm_state(classes=0)["cls_token"])


def test_the_representation_layer_belongs_to_the_classifier(tmp_path):
    """From ImageNet-21k to other classes: with the same layer it is loaded, else it is left out."""
    np.savez(tmp_path / "21k.npz", **jax_arrays(representation=7, classes=9))
    state = jax_arrays(representation=7, classes=9)
    told = load(model(), tmp_path / "21k.npz", notes=2)
    assert told[1] == "representation layer not loaded, since the model has none"
    m = model(representation_size=7)
    load(m, tmp_path / "21k.npz", notes=1)
    assert np.array_equal(m.pre_logits.fc.weight.detach().T, state["pre_logits/kernel"])
    m = model(representation_size=8)
    before = bits(m)
    told = load(m, tmp_path / "21k.npz", notes=2)
    assert "since the file has another one; the model keeps its own" in told[1]
    assert torch.equal(m.pre_logits.fc.weight, before["pre_logits.fc.weight"])
    for options in ({}, {"representation_size": 8}):  # with the same classes it would be wrong
        refused(tmp_path / "21k.npz", "pre_logits", model(num_classes=9, **options))


@pytest.mark.parametrize("classes", [3, 0])
def test_a_representation_layer_that_stays_random_is_named(tmp_path, classes):
    save_file(timm_state(), tmp_path / "model.safetensors")
    m = model(num_classes=classes, representation_size=8)
    before = bits(m)
    told = load(m, tmp_path / "model.safetensors", notes=2)
    assert told[1] == (
        "representation layer pre_logits not loaded, since the file has none; the model keeps its "
        "own between trunk and classifier"
    )
    assert torch.equal(m.pre_logits.fc.weight, before["pre_logits.fc.weight"])


def test_a_distilled_file_with_other_classes(tmp_path):
    save_file(timm_state(distilled=True), tmp_path / "model.safetensors")
    m = model(distilled=True, num_classes=3)
    before = bits(m)
    load(m, tmp_path / "model.safetensors", notes=1)
    for name in ("head.weight", "head_dist.bias"):
        assert torch.equal(m.state_dict()[name], before[name])
    assert torch.equal(m.dist_token, timm_state(distilled=True)["dist_token"])


@pytest.mark.parametrize("layout", ["timm", "hf", "jax"])
@pytest.mark.parametrize("size", [20, (8, 16), 4])
def test_positions_are_resized(tmp_path, layout, size):
    path = saved(tmp_path, layout)
    full, m = model(), model(img_size=size)
    load(full, path)
    (told,) = load(m, path, notes=1)
    grid = m.patch_embed.grid_size
    assert told == (
        f"positions resized from 3×3 to {grid[0]}×{grid[1]} (9 patches were taken for a square; if "
        "they are none, pass grid)"
    )
    assert torch.equal(m.pos_embed, resize_position_embedding(full.pos_embed, grid))
    assert torch.equal(m.pos_embed[:, :1], full.pos_embed[:, :1])


def test_positions_of_a_distilled_model(tmp_path):
    state = timm_state(distilled=True)
    save_file(state, tmp_path / "model.safetensors")
    m = model(distilled=True, img_size=20)
    load(m, tmp_path / "model.safetensors", notes=1)
    want = resize_position_embedding(state["pos_embed"], (5, 5), num_prefix_tokens=2)
    assert torch.equal(m.pos_embed, want)


@pytest.mark.parametrize("layout", ["timm", "hf", "jax"])
def test_grids_are_compared_and_not_only_counted(tmp_path, layout):
    """16 patches are 4×4, and not 2×8, which an image of 8×32 has."""
    path = saved(tmp_path, layout, n=16)
    m, square = model(img_size=(8, 32)), model(img_size=16)
    load(square, path)
    (told,) = load(m, path, notes=1)
    assert told == (
        "positions resized from 4×4 to 2×8 (16 patches were taken for a square; if they are none, "
        "pass grid)"
    )
    assert torch.equal(m.pos_embed, resize_position_embedding(square.pos_embed, (2, 8)))
    load(m, path, grid=(2, 8))
    assert torch.equal(m.pos_embed, square.pos_embed)
    load(square, path, grid=[4, 4])
    (told,) = load(square, path, grid=(2, 8), notes=1)
    assert told == "positions resized from 2×8 to 4×4"
    want = resize_position_embedding(timm_state(n=16)["pos_embed"], (4, 4), old_grid=(2, 8))
    if layout == "timm":
        assert torch.equal(square.pos_embed, want)


def test_grids_that_are_no_square(tmp_path):
    path = saved(tmp_path, "timm", n=6)
    m = model(img_size=(8, 12))
    load(m, path)
    assert torch.equal(m.pos_embed, timm_state(n=6)["pos_embed"])
    load(m, path, grid=(np.int64(2), 3))
    (told,) = load(model(), path, grid=(2, 3), notes=1)
    assert told == "positions resized from 2×3 to 3×3"
    refused(path, r"grid: expected \(rows, columns\) of the file's 6 patches, .* got None")
    for grid in ((2, 2), (6,), (-2, -3), 6, (1, 2, 3), (2.0, 3.0), "23", (float("nan"), 1)):
        refused(path, r"grid: expected \(rows, columns\) of the 6 patches", grid=grid)


def test_both_at_once(tmp_path):
    path = saved(tmp_path, "hf")
    assert len(load(model(num_classes=3, img_size=20), path, notes=2)) == 2


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["timm", "hf", "jax"])
def test_every_missing_tensor_is_named(tmp_path, layout):
    make = {"timm": timm_state, "hf": hf_state, "jax": jax_arrays}[layout]
    whole = make()
    path = tmp_path / f"model.{'npz' if layout == 'jax' else 'safetensors'}"
    for name in whole:
        if name in ("head.weight", "head/kernel", "classifier.weight"):
            match = r"missing: head\.weight; unexpected: nothing"
        else:
            match = r"expected the \d+ tensors of this model in .*missing: [\w.]+( \([^ ]+\))?; "
            match += "unexpected: nothing"
        rest = {k: v for k, v in whole.items() if k != name}
        np.savez(path, **rest) if layout == "jax" else save_file(rest, path)
        refused(path, match)


def test_what_is_too_much_is_named(tmp_path):
    for extra, layout in (
        ("blocks.2.norm1.weight", "timm"),
        ("ls1.gamma", "timm"),
        ("vit.embeddings.mask_token", "hf"),
        ("Transformer/other/scale", "jax"),
        ("dist_token", "timm"),
    ):
        path = tmp_path / f"model.{'npz' if layout == 'jax' else 'safetensors'}"
        if layout == "jax":
            np.savez(path, **jax_arrays(), **{extra: np.ones(3)})
        else:
            make = {"timm": timm_state, "hf": hf_state}[layout]
            save_file({**make(), extra: torch.ones(3)}, path)
        refused(path, "missing: nothing; unexpected: .*" + extra.rpartition("/")[0])
    path = saved(tmp_path, "timm", distilled=True)
    refused(path, "unexpected: dist_token, head_dist.bias, head_dist.weight")
    path = saved(tmp_path, "timm")
    refused(path, "missing: dist_token, head_dist.bias", model(distilled=True))
    refused(path, "missing: blocks.2.attn.proj.bias, .* and 6 more; unexpected", model(depth=3))
    refused(path, "unexpected: blocks.1.attn.proj.bias, .* and 6 more", model(depth=1))


@pytest.mark.parametrize("layout", ["timm", "hf", "jax"])
def test_wrong_shapes_are_named(tmp_path, layout):
    path = saved(tmp_path, layout)
    refused(path, r"path_or_mapping: expected .* of shape \(", model(embed_dim=24))
    refused(path, r"path_or_mapping: expected .* of shape \(", model(mlp_ratio=3.0))
    refused(path, r"path_or_mapping: expected .* of shape \(", model(patch_size=3))
    refused(path, r"path_or_mapping: expected .* of shape \(", model(in_channels=1))
    if layout == "jax":  # the others do not know the number of heads
        refused(path, r"query/kernel of shape \(12, 2, 6\), got \(12, 3, 4\)", model(num_heads=2))


def test_positions_that_cannot_be_resized(tmp_path):
    for n, match in (
        (7, "grid: expected .* 7 patches, which are no square"),
        (0, "got none"),
        (2**16, "positions"),
    ):
        save_file(timm_state(n=n), tmp_path / "model.safetensors")
        refused(tmp_path / "model.safetensors", match)


def test_two_names_for_one_tensor(tmp_path):
    old, new = hf_state(), hf_state(new=True)
    save_file({**old, **new}, tmp_path / "model.safetensors")
    refused(tmp_path / "model.safetensors", r"unexpected: vit\.layers\.0\.attention")


def test_bad_models_are_named(tmp_path):
    path = saved(tmp_path, "timm")
    with pytest.raises(ValueError, match="model: expected a VisionTransformer, got Linear"):
        load_vit_checkpoint(nn.Linear(2, 2), path)
    with torch.device("meta"):
        m = model()
    with pytest.raises(ValueError, match="model: expected weights in memory"):
        load_vit_checkpoint(m, path)


# --- a peer -------------------------------------------------------------------------------------


def peer_model(kind, **options):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.DeiTConfig if kind.startswith("DeiT") else transformers.ViTConfig
    sizes = {"hidden_size": D, "num_hidden_layers": L, "num_attention_heads": H}
    sizes |= {"intermediate_size": HIDDEN, "image_size": SIZE, "patch_size": PATCH}
    sizes |= {"num_labels": CLASSES, "layer_norm_eps": 1e-6}
    peer = getattr(transformers, kind)(config(**(sizes | options))).eval()
    for p in peer.parameters():
        nn.init.normal_(p, std=0.4)
    return peer


@pytest.mark.parametrize(
    "kind", ["ViTForImageClassification", "DeiTForImageClassificationWithTeacher"]
)
def test_transformers(tmp_path, kind):
    """Hugging Face's own model, from files that it wrote; its epsilon is set to ours."""
    peer = peer_model(kind)
    peer.save_pretrained(tmp_path / "whole")
    peer.save_pretrained(tmp_path / "shards", max_shard_size="3KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 2
    torch.save(peer.state_dict(), tmp_path / "memory.pth")  # the names in memory
    index = tmp_path / "shards" / "model.safetensors.index.json"
    file = tmp_path / "whole" / "model.safetensors"
    blob = tmp_path / "5b1f0c"  # a name as in a cache
    blob.write_bytes(file.read_bytes())
    with torch.no_grad():
        want = peer(IMAGES).logits
    sources = (tmp_path / "whole", file, blob, tmp_path / "shards", index, tmp_path / "memory.pth")
    for source in (*sources, peer.state_dict()):
        m = model(distilled=kind.startswith("DeiT"))
        load(m, source)
        close(m(IMAGES), want)


def test_what_config_json_says_is_compared(tmp_path):
    peer = peer_model("ViTForImageClassification")
    peer.save_pretrained(tmp_path)
    config = tmp_path / "config.json"
    for source in (tmp_path, tmp_path / "model.safetensors"):
        match = r"model: expected num_heads = 3 as in .*config\.json, got 2"
        refused(source, match, model(num_heads=2))
    said = json.loads(config.read_text())
    config.write_text(json.dumps(said | {"layer_norm_eps": 1e-12, "hidden_act": "gelu_new"}))
    assert load(model(), tmp_path, notes=2) == [
        "config.json says hidden_act = gelu_new, the model computes with gelu",
        "config.json says layer_norm_eps = 1e-12, the model computes with 1e-06",
    ]
    for other in (
        json.dumps(said | {"hidden_size": 768}),  # of another model
        "[" * 100_000,
        "3",
        "{",
        "",
        " " * 2**20 + json.dumps(said),
    ):
        config.write_text(other)
        load(model(num_heads=2), tmp_path)
    config.write_text(json.dumps(said | {"num_attention_heads": "3\n" * 9999}))
    refused(tmp_path, "model: expected num_heads")
    save_file(timm_state(), tmp_path / "model.safetensors")
    config.write_text(json.dumps({"architecture": "vit", "model_args": {"num_heads": 6}}))
    refused(tmp_path, "model: expected num_heads = 6")

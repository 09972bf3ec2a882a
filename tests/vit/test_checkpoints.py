"""Loading published layouts: each is computed from its own names first, then loaded and compared.

The three references below read a file's tensors by the file's names, in the file's own axes, and
know nothing of the loader: if both agree on the logits, every tensor went to its place.
"""

from __future__ import annotations

import copy
import io
import os
import pickle
import struct
import warnings
import zipfile

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from attn_utils.training import fit
from attn_utils.vit import VisionTransformer, resize_position_embedding
from attn_utils.vit.checkpoints import load_vit_checkpoint
from tests import helpers


def bits(m):
    return copy.deepcopy(m.state_dict())


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def load(m, path, notes=0):
    """Load, and see that the caller is warned exactly as often as something was adapted."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        told = load_vit_checkpoint(m, path)
    mine = [w for w in caught if "serialized" not in str(w.message)]
    assert len(told) == notes
    assert [str(w.message) for w in mine] == [f"{path.name}: {note}" for note in told]
    assert all(w.filename == __file__ for w in mine)
    return told


def close(a, b):
    assert b.abs().max() > 0.05, "too small to compare"
    helpers.close(a, b)


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
    assert told == ["representation layer not loaded: only one has it"]
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
    m = model()
    load(m, tmp_path / "21k.npz", notes=1)
    m = model(representation_size=7)
    load(m, tmp_path / "21k.npz", notes=1)
    assert np.array_equal(m.pre_logits.fc.weight.detach().T, state["pre_logits/kernel"])
    m = model(representation_size=8)
    before = bits(m)
    load(m, tmp_path / "21k.npz", notes=1)
    assert torch.equal(m.pre_logits.fc.weight, before["pre_logits.fc.weight"])
    for options in ({}, {"representation_size": 8}):  # with the same classes it would be wrong
        with pytest.raises(ValueError, match="pre_logits"):
            load_vit_checkpoint(model(num_classes=9, **options), tmp_path / "21k.npz")


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
    assert told == f"positions resized from 9 patches to {grid[0]}×{grid[1]}"
    assert torch.equal(m.pos_embed, resize_position_embedding(full.pos_embed, grid))
    assert torch.equal(m.pos_embed[:, :1], full.pos_embed[:, :1])


def test_positions_of_a_distilled_model(tmp_path):
    state = timm_state(distilled=True)
    save_file(state, tmp_path / "model.safetensors")
    m = model(distilled=True, img_size=20)
    load(m, tmp_path / "model.safetensors", notes=1)
    want = resize_position_embedding(state["pos_embed"], (5, 5), num_prefix_tokens=2)
    assert torch.equal(m.pos_embed, want)


def test_both_at_once(tmp_path):
    path = saved(tmp_path, "hf")
    assert len(load(model(num_classes=3, img_size=20), path, notes=2)) == 2


# --- what is refused ----------------------------------------------------------------------------


def refused(path, match, m=None):
    m = m or model()
    before = bits(m)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*pickle protocol.*")
        with pytest.raises(ValueError, match=match):
            load_vit_checkpoint(m, path)
    assert same(m.state_dict(), before), "the model was changed"


@pytest.mark.parametrize("layout", ["timm", "hf", "jax"])
def test_every_missing_tensor_is_named(tmp_path, layout):
    make = {"timm": timm_state, "hf": hf_state, "jax": jax_arrays}[layout]
    whole = make()
    path = tmp_path / f"model.{'npz' if layout == 'jax' else 'safetensors'}"
    for name in whole:
        if name in ("head.weight", "head/kernel", "classifier.weight"):
            match = r"missing: head\.weight; unexpected: nothing"
        else:
            match = (
                r"expected the \d+ tensors of this model in .*missing: [\w.]+; unexpected: nothing"
            )
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
    for n, match in ((7, "old_grid: expected 7 patches"), (-1, "old_grid"), (2**16, "positions")):
        save_file(timm_state(n=n), tmp_path / "model.safetensors")
        refused(tmp_path / "model.safetensors", match)


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("exploded",))


def test_broken_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(timm_state(), "good.pth")
    save_file(timm_state(), "good.safetensors")
    np.savez("good.npz", **jax_arrays())
    foreign = io.BytesIO()
    torch.save(nn.Linear(2, 2).state_dict(), foreign)
    text = b"# not weights\n" * 40
    for good in list(tmp_path.iterdir()):
        whole = good.read_bytes()
        others = [p.read_bytes() for p in tmp_path.iterdir() if p.suffix != good.suffix]
        broken = [b"", whole[:7], whole[:300], whole[: len(whole) // 2], whole[:-1], text, *others]
        for content in broken:
            path = tmp_path / f"broken{good.suffix}"
            path.write_bytes(content)
            refused(path, "path_or_mapping: expected ")
            path.unlink()
    (tmp_path / "linear.pth").write_bytes(foreign.getvalue())
    refused(tmp_path / "linear.pth", "names of a vision transformer .* got weight, bias in")
    refused(tmp_path, "path_or_mapping: expected a file, got the folder")
    with pytest.raises(FileNotFoundError):
        load_vit_checkpoint(model(), tmp_path / "absent.pth")


def test_flipped_bits_in_an_archive(tmp_path):
    path = saved(tmp_path, "jax")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    refused(path, "path_or_mapping: expected a file of weights")


def test_nothing_is_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({**timm_state(), "cls_token": Bomb()}, "bomb.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Bomb(), protocol=2))
    torch.save(model(), "whole-model.pth")
    objects = {**jax_arrays(), "cls": np.array([[[Bomb()] * D]], dtype=object)}
    np.savez("bomb.npz", **objects)
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps(Bomb()))
    with zipfile.ZipFile("inside.npz", "w") as archive:
        for name, x in jax_arrays().items():
            buffer = io.BytesIO()
            np.save(buffer, x)
            archive.writestr(name + ".npy", buffer.getvalue())
        archive.writestr("extra.npy", pickle.dumps(Bomb()))
    for name in (
        "bomb.pth",
        "plain.pth",
        "whole-model.pth",
        "bomb.npz",
        "pickle.npz",
        "inside.npz",
    ):
        refused(tmp_path / name, "path_or_mapping: expected a file of weights")
        assert not (tmp_path / "exploded").exists(), name


def test_small_files_that_promise_giants(tmp_path):
    """A view that repeats one number 10¹² times, and headers that announce as many."""
    for name in ("cls_token", "pos_embed", "blocks.0.attn.qkv.weight", "head.weight"):
        giant = torch.ones(1).expand(1, 10**6, 10**6)
        torch.save({**timm_state(), name: giant}, tmp_path / "giant.pth")
        assert (tmp_path / "giant.pth").stat().st_size < 200_000
        refused(tmp_path / "giant.pth", rf"{name} of shape .* is larger than the file")
    for name in ("cls", "head/kernel", "Transformer/posembed_input/pos_embedding"):
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': (1, {10**12 // D}, {D}), }}"
        header = header.ljust(117) + "\n"
        data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
        np.savez(tmp_path / "giant.npz", **{k: x for k, x in jax_arrays().items() if k != name})
        with zipfile.ZipFile(tmp_path / "giant.npz", "a") as archive:
            archive.writestr(name + ".npy", data)
        m = model(num_classes=D) if name == "head/kernel" else model()
        refused(tmp_path / "giant.npz", "path_or_mapping: expected", m)
    about = b'"dtype":"F32","shape":[1,1000000,1000000],"data_offsets":[0,4000000000000]'
    header = b'{"cls_token":{' + about + b"}}"
    (tmp_path / "giant.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    refused(tmp_path / "giant.safetensors", "path_or_mapping: expected a file of weights")


def test_strange_tensors(tmp_path):
    for strange in (
        torch.ones(1, 1, D).long(),
        torch.ones(1, 1, D).to_sparse(),
        torch.ones(1, 1, D, device="meta"),
        torch.ones(1, 1, D) + 0j,
        3,
        None,
        [torch.ones(1)],
    ):
        torch.save({**timm_state(), "cls_token": strange}, tmp_path / "strange.pth")
        refused(tmp_path / "strange.pth", "path_or_mapping: expected .*cls_token")
    for whole in ([], {}, torch.ones(3), {1: torch.ones(2)}, "text"):
        torch.save(whole, tmp_path / "strange.pth")
        refused(tmp_path / "strange.pth", "path_or_mapping: expected")
    np.savez(tmp_path / "strange.npz", **{**jax_arrays(), "cls": np.ones((1, 1, D), "i4")})
    refused(tmp_path / "strange.npz", "cls holds torch.int32")


def test_two_names_for_one_tensor(tmp_path):
    old, new = hf_state(), hf_state(new=True)
    save_file({**old, **new}, tmp_path / "model.safetensors")
    refused(tmp_path / "model.safetensors", r"path_or_mapping: expected one blocks\.\d\.")


def test_bad_models_are_named(tmp_path):
    path = saved(tmp_path, "timm")
    with pytest.raises(ValueError, match="model: expected a VisionTransformer, got Linear"):
        load_vit_checkpoint(nn.Linear(2, 2), path)
    with torch.device("meta"):
        m = model()
    with pytest.raises(ValueError, match="model: expected weights in memory"):
        load_vit_checkpoint(m, path)


# --- a peer -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["ViTForImageClassification", "DeiTForImageClassificationWithTeacher"]
)
def test_transformers(tmp_path, kind):
    """Hugging Face's own model, from a file that it wrote; its epsilon is set to ours."""
    import transformers

    torch.manual_seed(0)
    config = transformers.DeiTConfig if kind.startswith("DeiT") else transformers.ViTConfig
    peer = getattr(transformers, kind)(
        config(
            hidden_size=D,
            num_hidden_layers=L,
            num_attention_heads=H,
            intermediate_size=HIDDEN,
            image_size=SIZE,
            patch_size=PATCH,
            num_labels=CLASSES,
            layer_norm_eps=1e-6,
        )
    ).eval()
    for p in peer.parameters():
        nn.init.normal_(p, std=0.4)
    peer.save_pretrained(tmp_path)
    torch.save(peer.state_dict(), tmp_path / "memory.pth")  # the names in memory
    for name in ("model.safetensors", "memory.pth"):
        m = model(distilled=kind.startswith("DeiT"))
        load(m, tmp_path / name)
        with torch.no_grad():
            close(m(IMAGES), peer(IMAGES).logits)

"""Files as people have them: what a training script wrapped around the weights, and other formats.

The weights are found, and what was chosen is said. What is no weights is told from its first bytes.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import pickle
import random
import sys
import types
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from attn_utils.training import fit
from attn_utils.vit import load_vit_checkpoint

from .published import (
    CLASSES,
    IMAGES,
    SIZE,
    C,
    D,
    archive_of,
    close,
    hf_state,
    jax_arrays,
    jax_logits,
    load,
    model,
    refused,
    same,
    stack_blocks,
    timm_logits,
    timm_state,
    torchvision_logits,
    torchvision_state,
)

# --- what training scripts leave ----------------------------------------------------------------


def prefixed(prefix, state=None):
    return {prefix + name: x for name, x in (state or timm_state()).items()}


def optimiser_state():
    m = model()
    optimiser = torch.optim.AdamW(m.parameters())
    m(IMAGES).sum().backward()
    optimiser.step()
    return optimiser.state_dict()


FILES = {
    "plain": lambda: timm_state(),
    "ordered": lambda: OrderedDict(timm_state()),
    "DeiT": lambda: {"model": timm_state(), "args": argparse.Namespace(lr=1e-3, data=["a"])},
    "DDP": lambda: prefixed("module."),
    "compiled": lambda: prefixed("_orig_mod."),
    "Lightning": lambda: {"state_dict": prefixed("model."), "hyper_parameters": {"lr": 0.1}},
    "two prefixes": lambda: {"state_dict": prefixed("model._orig_mod.")},
    "three prefixes": lambda: prefixed("model.module._orig_mod."),
    "compiled blocks": lambda: {
        k.replace("blocks.0.", "blocks.0._orig_mod."): x for k, x in timm_state().items()
    },
    "tutorial": lambda: {
        "epoch": 3,
        "model_state_dict": timm_state(),
        "optimizer_state_dict": optimiser_state(),
        "loss": torch.tensor(0.3),
    },
    "averaged only": lambda: {"state_dict_ema": timm_state(), "epoch": 1},
    "model_ema": lambda: {"model_ema": prefixed("module."), "optimizer": optimiser_state()},
    "encoder": lambda: {"encoder": timm_state()},
    "net": lambda: {"net": timm_state()},
    "weights": lambda: {"weights": timm_state()},
    "params": lambda: {"params": timm_state()},
    "teacher": lambda: {"teacher": prefixed("backbone."), "student": None},
    "deep": lambda: {"checkpoint": {"model": {"weights": prefixed("module.")}}},
    "NumPy": lambda: {
        "model": timm_state(),
        "best": np.float64(0.91),
        "lr": np.logspace(-4, -2, 3)[1],
        "random": (random.getstate(), np.random.RandomState(0).get_state()),
        "kind": np.dtype("f4"),
    },
    "path": lambda: {"model": timm_state(), "args": argparse.Namespace(out=pathlib.Path("a/b"))},
    "parameters": lambda: {"model": {k: nn.Parameter(x) for k, x in timm_state().items()}},
}


@pytest.mark.parametrize("kind", FILES)
def test_weights_are_found_in_what_scripts_write(tmp_path, kind):
    """In the zip format, in the older one, and in the dictionary itself."""
    content = FILES[kind]()
    torch.save(content, tmp_path / "model.pth")
    torch.save(content, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for source in (tmp_path / "model.pth", tmp_path / "old.pth", content):
        m = model()
        load(m, source)
        assert same(m.state_dict(), timm_state())
        close(m(IMAGES), timm_logits(timm_state(), IMAGES))


@pytest.mark.parametrize(
    "module",
    [
        "lightning.fabric.utilities.data",
        "lightning_fabric.utilities.data",
        "lightning.pytorch.utilities.parsing",
        "pytorch_lightning.utilities.parsing",
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_settings_of_lightning(tmp_path, monkeypatch, module, zipped):
    """Its dictionary of settings is left out, with the classes in it that are known."""
    settings = type("AttributeDict", (dict,), {"__module__": module})
    for i in range(module.count(".") + 1):  # a package for each part of the name
        name = ".".join(module.split(".")[: i + 1])
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules[module].AttributeDict = settings
    inner = settings(path=pathlib.Path("a"), rate=np.float64(0.1), sizes=[1, 2])
    content = {
        "state_dict": prefixed("model."),
        "hyper_parameters": settings(lr=0.1, data=inner),
        "hparams_type": settings,
    }
    path = tmp_path / "last.ckpt"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    m = model()
    load(m, path)
    assert same(m.state_dict(), timm_state())


def test_hugging_face_and_torchvision_under_prefixes(tmp_path):
    state = hf_state()
    torch.save({"state_dict": prefixed("model.", state)}, tmp_path / "lightning.ckpt")
    m, want = model(), model()
    load(m, tmp_path / "lightning.ckpt")
    load(want, state)
    assert same(m.state_dict(), want.state_dict())


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_torchvision(tmp_path, old, prefix):
    state = torchvision_state(old=old)
    torch.save(prefixed(prefix, state), tmp_path / "vit_b_16.pth")
    m = model()
    load(m, tmp_path / "vit_b_16.pth")
    close(m(IMAGES), torchvision_logits(state, IMAGES, old=old))


TWICE = {  # content, which is right, what is said
    "state_dict_ema": ("state_dict", "state_dict_ema"),
    "model_ema": ("model", "model_ema"),
    "ema": ("ema", "model"),
    "best": ("best", "model"),
    "teacher": ("student", "teacher"),
    "EMA first": ("ema_state_dict", "state_dict"),
}


@pytest.mark.parametrize("kind", TWICE)
def test_what_is_there_twice_is_said(tmp_path, kind):
    right = next(x for x in TWICE[kind] if x in ("best", "teacher") or "ema" in x)
    other = next(x for x in TWICE[kind] if x != right)
    content = {x: prefixed("module.", timm_state(1 + (x == right))) for x in TWICE[kind]}
    torch.save(content, tmp_path / "model.pth")
    m = model()
    (told,) = load(m, tmp_path / "model.pth", notes=1)
    assert told == f"weights taken from {right}/module, not from {other}/module"
    assert same(m.state_dict(), timm_state(2))
    load(m, content[other])  # the other one, for who wants it
    assert same(m.state_dict(), timm_state(1))


def test_student_and_teacher_in_one_dictionary():
    state = prefixed("student.", timm_state(1)) | prefixed("teacher.", timm_state(2))
    m = model()
    assert load(m, state, notes=1) == ["weights taken from teacher, not from student"]
    assert same(m.state_dict(), timm_state(2))


def test_what_is_empty_is_said(tmp_path):
    content = {"state_dict_ema": {}, "model": timm_state(), "optimizer": {"state": {}}, "extra": {}}
    torch.save(content, tmp_path / "model.pth")
    assert load(model(), tmp_path / "model.pth", notes=1) == ["state_dict_ema empty in it"]
    for empty in ({}, {"model": {}}, {"model": None}, {"model": {"state_dict": {}}}):
        torch.save(empty, tmp_path / "model.pth")
        refused(tmp_path / "model.pth", "expected names of a vision transformer .* got nothing")
        refused(empty, "expected names of a vision transformer .* got nothing in the mapping")


def test_what_stands_beside_the_weights_is_said():
    state = prefixed("backbone.", timm_state(classes=0)) | {"fc.weight": torch.ones(7, D)}
    told = load(model(), state, notes=2)
    assert told[0] == "left out, since they stand beside backbone: fc.weight"
    assert "the file has no classes" in told[1]


def test_a_file_of_fit_gives_its_best_epoch(tmp_path):
    source, path = model(1), tmp_path / "run.pt"
    data = (torch.randn(6, C, SIZE, SIZE), torch.arange(6) % CLASSES)
    options = {"epochs": 3, "checkpoint": path, "progress": False, "lr": 3e-2}
    fit(source, data, data, **options)
    saved = torch.load(path, weights_only=True)
    m = model()
    assert load(m, path, notes=1) == ["weights taken from best, not from model"]
    assert same(m.state_dict(), saved["best"])
    assert same(m.state_dict(), source.state_dict()), "fit ends in its best epoch as well"


# --- JAX's other files, and mappings ------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "params/", "params/img/"])
@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("half", [False, True])
def test_big_vision(tmp_path, prefix, stacked, half):
    arrays = jax_arrays(new=True)
    if half:
        arrays = {k: torch.from_numpy(x).bfloat16().float().numpy() for k, x in arrays.items()}
    stored = stack_blocks(arrays) if stacked else dict(arrays)
    if half:  # NumPy knows no bfloat16: such files have two bytes without meaning
        stored = {
            k: torch.from_numpy(x).bfloat16().view(torch.int16).numpy().view("V2")
            for k, x in stored.items()
        }
    stored = {prefix + k: x for k, x in stored.items()}
    if prefix:
        stored |= {"opt/0/mu/" + k.removeprefix(prefix): x for k, x in stored.items()}
    if "img" in prefix:
        stored["params/txt/Embed_0/embedding"] = np.ones((3, 4), "f4")
    np.savez(tmp_path / "vit.npz", **stored)
    m = model()
    load(m, tmp_path / "vit.npz")
    close(m(IMAGES), jax_logits(arrays, IMAGES, new=True))


def test_stacked_blocks_of_another_depth():
    match = r"Transformer/encoderblock/LayerNorm_0/scale of shape \(3, 12\), got \(2, 12\)"
    refused(stack_blocks(jax_arrays()), match, model(depth=3))


def test_nested_mappings():
    """As Flax has them in memory, of NumPy's arrays or of bfloat16 from ml_dtypes."""
    nested = {}
    for name, x in jax_arrays().items():
        *levels, last = ["params", *name.split("/")]
        at = nested
        for level in levels:
            at = at.setdefault(level, {})
        at[last] = x
    m = model()
    load(m, nested)
    close(m(IMAGES), jax_logits(jax_arrays(), IMAGES))
    dtype = pytest.importorskip("ml_dtypes").bfloat16
    half, want = model(), model().bfloat16()
    load(half, {k: x.astype(dtype) for k, x in jax_arrays().items()})
    load(want, jax_arrays())
    assert same(half.bfloat16().state_dict(), want.state_dict())


def test_mappings_that_hold_no_weights():
    for wrong in (3, None, [timm_state()], b"model.pth", model()):
        kind = type(wrong).__name__
        refused(wrong, f"path_or_mapping: expected a path or a mapping, got {kind}")
    refused({"a": 1}, "expected names of a vision transformer .* in the mapping")
    cyclic = {"model": {"a": torch.ones(1)}}
    cyclic["model"]["again"] = cyclic
    refused(cyclic, "got model/a in the mapping")
    deep = {}
    for _ in range(100_000):
        deep = {"model": deep}
    refused(deep, "got nothing in the mapping")
    refused({str(i): torch.ones(1) for i in range(20_000)}, "more than 16384 tensors")


# --- what is no weights -------------------------------------------------------------------------


FOREIGN = {
    "git-lfs": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 3\n",
        "git lfs pull",
    ),
    "page": (b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "a web page"),
    "JSON": (b'{"model_type": "vit"}', "a JSON file"),
    "list": (b"[1, 2]", "a JSON file"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(600), "an HDF5 file"),
    "gzip": (b"\x1f\x8b\x08" + bytes(600), "packed by gzip"),
    "empty": (b"", "it is empty"),
    "noise": (bytes(range(7, 200)), "by its first bytes"),
    "other archive": (None, "an archive without tensors; it holds config.json, model.weights.h5"),
    "TorchScript": (None, "a TorchScript program"),
    "plain pickle": (pickle.dumps({"a": 1}), "a plain pickle"),
    "whole model": (None, "objects that only running foreign code restores .attn_utils.vit"),
    "newer pickle": (None, "a pickle that torch.save did not write"),
}


@pytest.mark.parametrize("name", ["model.pth", "model.safetensors", "model.npz", "model"])
@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_mistaken_for_weights_is_recognised(tmp_path, kind, name):
    content, match = FOREIGN[kind]
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    elif kind == "other archive":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", "{}")
            archive.writestr("model.weights.h5", "")
    elif kind == "TorchScript":
        archive_of(path, pickle.dumps({}, 2), {"code/__torch__.py": b"op_version_set = 1"})
    elif kind == "whole model":
        torch.save(model(), path)
    else:
        torch.save(nn.Linear(2, 2), path, pickle_protocol=4)
    refused(path, f"path_or_mapping: expected a file of weights, got .*{match}")


def test_files_are_told_by_their_first_bytes(tmp_path):
    """Names lie: a renamed file is read, whatever it is called."""
    m = model()
    for name in ("a", "a.pth", "a.safetensors", "a.npz", "a.json"):
        save_file(timm_state(), tmp_path / name)
        load(m, tmp_path / name)
        torch.save(timm_state(), tmp_path / name)
        load(m, tmp_path / name)
        with (tmp_path / name).open("wb") as file:
            np.savez(file, **jax_arrays())
        load(m, tmp_path / name)


def test_safetensors_whose_header_begins_like_another_file(tmp_path):
    """Its first byte is a length, and may be the one that begins a pickle."""
    for extra in range(0, 256, 8):
        save_file(timm_state(), tmp_path / "model", metadata={"x": "y" * extra})
        load(model(), tmp_path / "model")


@pytest.mark.parametrize(
    "shard", ["../other.safetensors", "/etc/passwd", "..", "", "a/b", "a\\b", 3, "C:x"]
)
def test_an_index_does_not_lead_out_of_its_folder(tmp_path, shard):
    folder = tmp_path / "model"
    folder.mkdir()
    save_file(timm_state(), tmp_path / "other.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"cls_token": shard}}))
    for source in (folder, index):
        refused(source, "path_or_mapping: expected .* not beside it")


def test_shards_that_are_not_whole(tmp_path):
    state = timm_state()
    index = tmp_path / "model.safetensors.index.json"
    halves = dict(list(state.items())[::2]), dict(list(state.items())[1::2])
    for name, half in zip("ab", halves, strict=True):
        save_file(half, tmp_path / name)
    index.write_text(json.dumps({"weight_map": {"x": "a", "y": "b"}}))
    m = model()
    load(m, tmp_path)
    assert same(m.state_dict(), state)
    index.write_text(json.dumps({"weight_map": {"x": "a"}}))
    refused(tmp_path, "missing: ")
    index.write_text(json.dumps({"weight_map": {"x": "a", "y": index.name}}))
    refused(tmp_path, "a JSON file")
    save_file(state, tmp_path / "b")
    index.write_text(json.dumps({"weight_map": {"x": "a", "y": "b"}}))
    refused(tmp_path, "are in another shard as well")
    (tmp_path / "b").unlink()
    with pytest.raises(FileNotFoundError):
        load_vit_checkpoint(model(), tmp_path)
    for broken in ("[" * 100_000, '{"weight_map": 3}', '{"weight_map": {"x": [1]}}', "{"):
        index.write_text(broken)
        refused(tmp_path, "a JSON file")
    refused(tmp_path / "..", "path_or_mapping: expected a file, or a folder with model.safetensors")

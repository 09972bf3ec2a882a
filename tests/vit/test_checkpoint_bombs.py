"""Files as an attacker would make them, or a broken disk: refused in time, nothing executed."""

from __future__ import annotations

import argparse
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import textwrap
import warnings
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from attn_utils.vit import load_vit_checkpoint

from .published import (
    D,
    archive_of,
    hf_state,
    jax_arrays,
    load,
    model,
    refused,
    same,
    timm_state,
)


class Bomb:
    """Makes a folder when it is unpickled, so that its running would be seen."""

    def __reduce__(self):
        return (os.mkdir, ("exploded",))


def test_broken_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(timm_state(), "good.pth")
    torch.save(timm_state(), "old.pth", _use_new_zipfile_serialization=False)
    save_file(timm_state(), "good.safetensors")
    np.savez("good.npz", **jax_arrays())
    for good in list(tmp_path.iterdir()):
        whole = good.read_bytes()
        middle = len(whole) // 2
        for content in (
            *(whole[:n] for n in (0, 4, 7, 9, 300, 513, middle, len(whole) - 1)),
            whole[:100] + bytes(100) + whole[200:],
            b"# not weights\n" * 40,
        ):
            path = tmp_path / f"broken{good.suffix}"
            path.write_bytes(content)
            refused(path, "path_or_mapping: expected a file of weights")
            path.unlink()
    torch.save(nn.Linear(2, 2).state_dict(), "linear.pth")
    refused(tmp_path / "linear.pth", "names of a vision transformer .* got weight, bias in")
    for absent in ("absent.pth", "a\0b", "x" * 5000):
        with pytest.raises((FileNotFoundError, ValueError, OSError)):
            load_vit_checkpoint(model(), tmp_path / absent)


def test_flipped_bits_in_an_archive(tmp_path):
    path = tmp_path / "model.npz"
    np.savez(path, **jax_arrays())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    refused(path, "path_or_mapping: expected a file of weights")


OLD = {"_use_new_zipfile_serialization": False}


def test_nothing_is_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({**timm_state(), "cls_token": Bomb()}, "bomb.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Bomb(), protocol=2))
    torch.save(model(), "whole-model.pth")
    hidden = argparse.Namespace(lr=argparse.Namespace(again=[Bomb()]))
    torch.save({"model": timm_state(), "args": hidden}, "namespace.pth")
    torch.save({"model": timm_state(), "args": hidden}, "old.pth", **OLD)
    torch.save({"model": timm_state(), "best": [np.float64(1), {"a": Bomb()}]}, "numpy.pth")
    hooked = OrderedDict(timm_state())
    hooked._metadata = Bomb()
    torch.save(hooked, "hooked.pth")
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
        "namespace.pth",
        "old.pth",
        "numpy.pth",
        "hooked.pth",
        "bomb.npz",
        "pickle.npz",
        "inside.npz",
    ):
        told = refused(tmp_path / name, "path_or_mapping: expected a file of weights")
        assert ".mkdir" in told or name.endswith(("npz", "model.pth"))
        assert not (tmp_path / "exploded").exists(), name


def test_stand_ins_take_the_place_of_what_is_harmless_only(tmp_path):
    """Nothing is built of the classes named in a file, and nothing stays allowed afterwards."""
    allowed = set(torch.serialization.get_safe_globals())
    torch.save({"model": timm_state(), "args": argparse.Namespace(lr=1)}, tmp_path / "model.pth")
    load(model(), tmp_path / "model.pth")
    assert set(torch.serialization.get_safe_globals()) == allowed


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes by name")
def test_what_never_ends_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.pth")
    (tmp_path / "zeros.pth").symlink_to("/dev/zero")
    (tmp_path / "model.safetensors").symlink_to("/dev/zero")
    (tmp_path / "loop.pth").symlink_to("loop.pth")
    for name in ("pipe.pth", "zeros.pth"):
        refused(tmp_path / name, "expected a file of weights, .* no ordinary file but a device")
    refused(tmp_path, "expected a file, or a folder with")
    index = {"weight_map": {"x": "zeros.pth"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(tmp_path, "no ordinary file but a device")
    with pytest.raises(OSError, match="loop"):
        load_vit_checkpoint(model(), tmp_path / "loop.pth")


def pickled(*parts):
    return b"\x80\x02" + b"".join(parts) + b"."


def text(x):
    return b"X" + struct.pack("<I", len(x)) + x.encode()


def npy(descr, shape, data=b"", *, length=None, version=1):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    size = struct.pack("<H" if version == 1 else "<I", length or len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + size + header + data


def claims(numel, size):
    """The pickle of a tensor whose storage is said to have so many numbers."""

    class Claim:
        pass

    class Pickler(pickle._Pickler):
        def persistent_id(self, x):
            return ("storage", torch.FloatStorage, "0", "cpu", numel) if type(x) is Claim else None

    class Whole:
        def __reduce__(self):
            parts = (Claim(), 0, size, (1,) * len(size), False, OrderedDict())
            return torch._utils._rebuild_tensor_v2, parts

    stream = io.BytesIO()
    Pickler(stream, 2).dump({**dict.fromkeys(timm_state(), 0), "cls_token": Whole()})
    return stream.getvalue()


MEGABYTE = 2**20
_ZEROS = bytes(150 * MEGABYTE)
_DEFLATED = {"compression": zipfile.ZIP_DEFLATED}
_CALL = b"c_codecs\nencode\n"


def _npz(path, name, content):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for other, x in jax_arrays().items():
            if other != name:
                stream = io.BytesIO()
                np.save(stream, x)
                archive.writestr(other + ".npy", stream.getvalue())
        archive.writestr(name + ".npy", content)


def _safetensors(path, header, data=b""):
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)


def _doubled(times):
    """Bytes that are written in hexadecimal again and again, each time twice as many."""
    call = text("hex") + b"\x86R"
    return pickled(_CALL * times, _CALL, text("x" * 64), text("latin1"), b"\x86R", call * times)


BOMBS = {  # how each is made, and how it is refused
    "deflated storage": (
        lambda p: archive_of(p, pickle.dumps({}, 2), {"data/0": _ZEROS}, **_DEFLATED),
        "a compressed archive",
    ),
    "deflated names": (
        lambda p: archive_of(p, b"\x80\x02" + b"]" * (50 * MEGABYTE), **_DEFLATED),
        "a compressed archive",
    ),
    "header of an array": (
        lambda p: _npz(p, "cls", npy("<f4", (1, 1, D), _ZEROS, length=len(_ZEROS), version=2)),
        "header has more than 10000 bytes",
    ),
    "array of zeros": (
        lambda p: _npz(p, "cls", npy("<f4", (1, len(_ZEROS) // 4 // D, D), _ZEROS)),
        "expected cls of shape",
    ),
    "byte strings": (lambda p: _npz(p, "cls", npy("|S2000000000", (1, 1, D))), "announces"),
    "one byte string": (
        lambda p: _npz(p, "cls", npy(f"|S{len(_ZEROS)}", (), _ZEROS)),
        "expected cls of floating-point numbers, got .S",
    ),
    "no bytes": (lambda p: _npz(p, "cls", npy("|S0", (10**12, 10**6))), "floating-point"),
    "negative": (lambda p: _npz(p, "cls", npy("<f4", (-1, -1, D), bytes(4 * D))), "announces"),
    "truth": (lambda p: _npz(p, "cls", npy("<f4", (True, 1, D), bytes(4 * D))), "expected"),
    "beyond 64 bits": (lambda p: _npz(p, "cls", npy("<f4", (2**62, 2**62, D))), "announces"),
    "bytearray": (
        lambda p: archive_of(p, pickled(b"cbuiltins\nbytearray\nJ\0\0\0\x40\x85R")),
        "builtins.bytearray",
    ),
    "scalar": (
        lambda p: archive_of(
            p,
            pickled(
                b"cnumpy._core.multiarray\nscalar\n",
                b"cnumpy\ndtype\n" + text("V1000000000") + b"\x85RN\x86R",
            ),
        ),
        "holds a scalar",
    ),
    "hexadecimal": (lambda p: archive_of(p, _doubled(24)), "encodes bytes again and again"),
    "large memo": (
        lambda p: archive_of(p, pickled(b"}r\xff\xff\xff\xff")),
        "expected names of a vision transformer",
    ),
    "large integer": (
        lambda p: archive_of(p, pickled(b"\x8b\0\0\x10\0" + b"\x7f" * MEGABYTE)),
        "expected a file of weights",
    ),
    "nested lists": (
        lambda p: archive_of(p, pickled(b"]" * 500_000 + b"a" * 499_999)),
        "it holds a list",
    ),
    "text": (lambda p: archive_of(p, pickled(b"X\xff\xff\xff\x7fabc")), "damaged or incomplete"),
    "name in a pickle": (
        lambda p: archive_of(p, pickle.dumps({"x" * (20 * MEGABYTE): 1}, 2)),
        "bytes of names and settings",
    ),
    "name in an old file": (
        lambda p: torch.save({"x" * (20 * MEGABYTE): torch.ones(1)}, p, **OLD),
        "damaged or incomplete",
    ),
    "name in a header": (
        lambda p: save_file({"x" * (20 * MEGABYTE): torch.ones(1)}, p),
        "header has more than",
    ),
    "shorter name": (
        lambda p: save_file({**timm_state(), "x\n\x1b" * 99_999: torch.ones(1)}, p),
        r"unexpected: x.n.x1bx.* letters",
    ),
    "storage beyond the file": (
        lambda p: archive_of(p, claims(2**40, (2**40,)), {"data/0": bytes(4 * D)}),
        "expected",
    ),
    "negative storage": (
        lambda p: archive_of(p, claims(-5, (1, 1, D)), {"data/0": bytes(4 * D)}),
        "expected",
    ),
    "header of 2^60 bytes": (
        lambda p: p.write_bytes(struct.pack("<Q", 2**60) + b"{" + bytes(MEGABYTE)),
        "by its first bytes",
    ),
    "offsets of 2^60 bytes": (
        lambda p: _safetensors(
            p,
            b'{"cls_token":{"dtype":"F32","shape":[1,1,288230376151711744],'
            b'"data_offsets":[0,1152921504606846976]}}',
        ),
        "damaged or incomplete",
    ),
    "overlapping offsets": (
        lambda p: _safetensors(
            p,
            b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},'
            b'"b":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}',
            bytes(16),
        ),
        "damaged or incomplete",
    ),
    "negative shape": (
        lambda p: _safetensors(
            p, b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', bytes(4)
        ),
        "damaged or incomplete",
    ),
    "nested header": (lambda p: _safetensors(p, b'{"a":' * 300_000), "damaged or incomplete"),
    "many members": (
        lambda p: archive_of(p, b"", {f"data/{i:0200}": b"" for i in range(20_000)}),
        "of too many members",
    ),
    "directory of 2^60 bytes": (
        lambda p: p.write_bytes(
            b"PK\x03\x04"
            + bytes(100)
            + struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, 2**60, 0)
            + struct.pack("<4sLQL", b"PK\x06\x07", 0, 104, 1)
            + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 2**32 - 1, 2**32 - 1, 0)
        ),
        "of too many members",
    ),
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="measures processes that were split off")
def test_small_files_stay_small(tmp_path):
    """Each bomb is tried in a process of its own, and takes little more than its own size.

    They would inflate to 150 MB and more. Time is counted in that of loading a good file.
    """
    for name, (make, _) in BOMBS.items():
        make(tmp_path / name)
    torch.save(timm_state(), tmp_path / "good")
    program = """
        import json, os, resource, sys
        from pathlib import Path
        from attn_utils.vit import load_vit_checkpoint
        from tests.vit.published import model
        m, folder = model(), Path(sys.argv[1])
        load_vit_checkpoint(m, folder / "good")  # what is imported then, is imported
        before, results = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, {}
        for path in sorted(folder.iterdir()):
            child = os.fork()
            if child == 0:
                try:
                    load_vit_checkpoint(m, path)
                except ValueError:
                    os._exit(1)
                os._exit(0)
            _, status, used = os.wait4(child, 0)
            grown = (used.ru_maxrss - before) * (1 if sys.platform == "darwin" else 1024)
            results[path.name] = status, grown, used.ru_utime + used.ru_stime
        print(json.dumps(results))
    """
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    results = json.loads(ran.stdout)
    good = results["good"][2]
    for name, (status, grown, seconds) in results.items():
        size = (tmp_path / name).stat().st_size
        assert (status == 0) == (name == "good"), name
        assert grown < 16 * MEGABYTE + 64 * min(size, MEGABYTE), (name, grown)
        assert seconds < 1000 * good, (name, seconds, good)


@pytest.mark.parametrize("kind", BOMBS)
def test_bombs_are_named(tmp_path, kind):
    make, match = BOMBS[kind]
    make(tmp_path / "model")
    refused(tmp_path / "model", f"path_or_mapping: .*{match}")


def test_tricks_with_members(tmp_path):
    whole = io.BytesIO()
    torch.save(timm_state(), whole)
    with zipfile.ZipFile(whole) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    root = next(iter(members)).partition("/")[0]
    program = members[f"{root}/data.pkl"]
    for extra, match in (
        ("../x", "a member outside of it"),
        ("/x", "a member outside of it"),
        ("a\\x", "a member outside of it|more than one folder"),
        ("other/data.pkl", "more than one folder"),
        (f"{root}/x/data.pkl", "bytes of names and settings|two"),
        (f"{root}/DATA.PKL", "two members of one name"),
        (f"{root}/data.pkl", "two members of one name"),
    ):
        with zipfile.ZipFile(tmp_path / "model.pth", "w") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zipfile's, about the second of one name
            for name, content in members.items():
                archive.writestr(name, content)
            archive.writestr(extra, program)
        refused(tmp_path / "model.pth", match)
    assert not (tmp_path.parent / "x").exists()
    with zipfile.ZipFile(tmp_path / "good.pth", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    load(model(), tmp_path / "good.pth")  # repacked, but not compressed
    with zipfile.ZipFile(tmp_path / "small.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():  # packed, it is hardly smaller: not a bomb
            archive.writestr(name, content)
    refused(tmp_path / "small.pth", "a compressed archive")
    with zipfile.ZipFile(tmp_path / "lzma.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("cls.npy", npy("<f4", (1, 1, D), bytes(4 * D)))
    refused(tmp_path / "lzma.npz", "compressed by another method")


def test_settings_that_hold_themselves(tmp_path):
    around = argparse.Namespace(lr=1)
    around.self = [around, {"again": around}]
    torch.save({"model": timm_state(), "args": around}, tmp_path / "model.pth")
    m = model()
    load(m, tmp_path / "model.pth")
    assert same(m.state_dict(), timm_state())


@pytest.mark.parametrize("layout", ["timm", "hf", "jax"])
def test_odd_numbers_are_said(layout):
    make, name, said = {
        "timm": (timm_state, "blocks.1.mlp.fc1.weight", "blocks.1.mlp.fc1.weight"),
        "hf": (hf_state, "vit.layernorm.bias", "norm.bias"),
        "jax": (jax_arrays, "cls", "cls_token"),
    }[layout]
    for odd, note in (
        (float("nan"), f"NaN or infinity in {said}"),
        (-float("inf"), f"NaN or infinity in {said}"),
        (3.4e37, f"absurdly large numbers in {said} (up to 3.4e+37)"),
        (2e4, f"absurdly large numbers in {said} (up to 2.0e+04)"),
    ):
        content = make()
        content[name].reshape(-1)[0] = odd
        m = model()
        assert load(m, content, notes=1) == [note]
    half = model().half()  # what a model in half precision cannot hold
    state = timm_state()
    state["norm.bias"][0] = 1e5
    assert load(half, state, notes=1) == ["NaN or infinity in norm.bias"]


def test_a_flipped_bit_is_found_or_said(tmp_path):
    """The largest bit of an exponent, in a file that has no checksum."""
    state = timm_state()
    save_file(state, tmp_path / "model.safetensors")
    content = bytearray((tmp_path / "model.safetensors").read_bytes())
    content[-1] ^= 0x40
    (tmp_path / "model.safetensors").write_bytes(content)
    (told,) = load(model(), tmp_path / "model.safetensors", notes=1)
    assert "in pos_embed" in told


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
    refused(tmp_path / "strange.npz", "expected cls of floating-point numbers, got int32")

"""The vendored files are the recorded ones, and the check notices when they are not."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import re
import shutil
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("vendor_tool", ROOT / "tools" / "vendor.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


vendor = _load()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(vendor.VENDOR_DIR, tmp_path / "vendor"))


def test_the_repository_is_as_recorded() -> None:
    assert vendor.check() == []


def test_an_untouched_copy_is_as_recorded(copy: Path) -> None:
    assert vendor.check(copy) == []


def test_a_changed_byte_is_reported(copy: Path) -> None:
    script = copy / "mathjax" / "tex-chtml.js"
    content = bytearray(script.read_bytes())
    content[1000] ^= 1
    script.write_bytes(bytes(content))
    assert vendor.check(copy) == ["changed: mathjax/tex-chtml.js"]


def test_a_missing_file_is_reported(copy: Path) -> None:
    (copy / "mathjax" / "LICENSE").unlink()
    assert vendor.check(copy) == ["missing: mathjax/LICENSE"]


def test_an_unlisted_file_is_reported(copy: Path) -> None:
    (copy / "mathjax" / "extra.js").write_text("1", encoding="utf-8")
    assert vendor.check(copy) == ["unlisted: mathjax/extra.js"]


def test_a_lock_without_the_licence_text_is_reported(copy: Path) -> None:
    lock = json.loads((copy / vendor.LOCK_NAME).read_text(encoding="utf-8"))
    files = lock["packages"][0]["files"]
    lock["packages"][0]["files"] = [f for f in files if f["path"] != "mathjax/LICENSE"]
    (copy / vendor.LOCK_NAME).write_text(json.dumps(lock), encoding="utf-8")
    assert vendor.check(copy) == ["no licence text: mathjax", "unlisted: mathjax/LICENSE"]


def test_an_outdated_lock_is_reported(copy: Path) -> None:
    lock = json.loads((copy / vendor.LOCK_NAME).read_text(encoding="utf-8"))
    lock["packages"][0]["version"] = "0.0.1"
    (copy / vendor.LOCK_NAME).write_text(json.dumps(lock), encoding="utf-8")
    wanted = vendor.PACKAGES[0].version
    assert vendor.check(copy) == [
        f"not in the lock: mathjax {wanted}; run fetch",
        "in the lock, not wanted: mathjax 0.0.1",
    ]


@pytest.mark.parametrize("text", ["", "{}", '{"packages": [{}]}', "[]"])
def test_a_broken_lock_is_reported_not_raised(copy: Path, text: str) -> None:
    (copy / vendor.LOCK_NAME).write_text(text, encoding="utf-8")
    (problem,) = vendor.check(copy)
    assert problem.startswith(f"unreadable: {vendor.LOCK_NAME}")


def test_a_missing_lock_is_reported(tmp_path: Path) -> None:
    assert vendor.check(tmp_path) == [f"missing: {vendor.LOCK_NAME}"]


def test_the_lock_names_no_host() -> None:
    text = (vendor.VENDOR_DIR / vendor.LOCK_NAME).read_text(encoding="utf-8")
    assert "://" not in text
    assert "www." not in text


def test_mathjax_finds_its_fonts() -> None:
    """The script asks for the fonts in a folder beside itself; each font it names is there."""
    script = vendor.VENDOR_DIR / "mathjax" / "tex-chtml.js"
    text = script.read_text(encoding="utf-8")
    assert 'fontURL:n.Package.resolvePath("output/chtml/fonts/woff-v2"' in text
    named = set(re.findall(r"%%URL%%/(MathJax_[\w-]+\.woff)", text))
    present = {font.name for font in (script.parent / "output/chtml/fonts/woff-v2").iterdir()}
    assert {"MathJax_Main-Regular.woff", "MathJax_Math-Italic.woff"} <= named
    assert named <= present


# ── fetch, without the network: npm is replaced by a package made on the spot ────────────────


def _tarball(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


TOY = vendor.Package("toy", "1.0.0", "MIT", "dist", ("toy.js", "fonts/*.woff"))
TOY_FILES = {
    "LICENSE": b"the licence",
    "dist/toy.js": b"toy",
    "dist/fonts/a.woff": b"a",
    "dist/fonts/b.woff": b"b",
    "dist/fonts/deeper/c.woff": b"c",
    "dist/other.js": b"other",
}


@pytest.fixture
def npm(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What npm would deliver; a test may change it."""
    delivered = {"tarball": _tarball(TOY_FILES)}
    monkeypatch.setattr(vendor, "_npm_pack", lambda package: delivered["tarball"])
    return delivered


def test_fetch_copies_what_is_wanted_and_locks_it(tmp_path: Path, npm: dict[str, bytes]) -> None:
    (tmp_path / "stale.js").write_text("old", encoding="utf-8")
    vendor.fetch(tmp_path, [TOY])
    assert vendor.check(tmp_path, [TOY]) == []
    (entry,) = json.loads((tmp_path / vendor.LOCK_NAME).read_text(encoding="utf-8"))["packages"]
    assert (entry["name"], entry["version"], entry["licence"]) == ("toy", "1.0.0", "MIT")
    hashes = {file["path"]: file["sha256"] for file in entry["files"]}
    assert set(hashes) == {"toy/LICENSE", "toy/toy.js", "toy/fonts/a.woff", "toy/fonts/b.woff"}
    assert hashes["toy/toy.js"] == hashlib.sha256(b"toy").hexdigest()


def test_fetch_twice_gives_the_same_bytes(tmp_path: Path, npm: dict[str, bytes]) -> None:
    vendor.fetch(tmp_path, [TOY])
    first = (tmp_path / vendor.LOCK_NAME).read_bytes()
    vendor.fetch(tmp_path, [TOY])
    assert (tmp_path / vendor.LOCK_NAME).read_bytes() == first


def test_fetch_refuses_another_package_of_the_same_version(
    tmp_path: Path, npm: dict[str, bytes]
) -> None:
    vendor.fetch(tmp_path, [TOY])
    npm["tarball"] = _tarball({**TOY_FILES, "dist/toy.js": b"not the toy"})
    with pytest.raises(RuntimeError, match=r"toy 1\.0\.0 is not the recorded package"):
        vendor.fetch(tmp_path, [TOY])
    assert vendor.check(tmp_path, [TOY]) == []  # and leaves the files alone


@pytest.mark.parametrize("lost", ["LICENSE", "dist/toy.js"])
def test_fetch_refuses_a_package_that_lacks_a_file(
    tmp_path: Path, npm: dict[str, bytes], lost: str
) -> None:
    npm["tarball"] = _tarball({k: v for k, v in TOY_FILES.items() if k != lost})
    with pytest.raises(RuntimeError, match=f"has no {lost}"):
        vendor.fetch(tmp_path, [TOY])

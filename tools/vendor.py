"""Third-party front-end files that the book ships: check them, or fetch them anew.

The files lie in ``book/assets/vendor`` and are committed, so a build needs neither Node nor the
network. ``vendor.lock.json`` beside them records name, version, licence, the integrity of the
package they come from, and the SHA-256 of every file.

    python tools/vendor.py check    # offline: every file is listed, present and unchanged
    python tools/vendor.py fetch    # for maintainers; needs npm and the network

To take a newer version, change it in ``PACKAGES`` below and run ``fetch``.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

VENDOR_DIR = Path(__file__).resolve().parent.parent / "book" / "assets" / "vendor"
LOCK_NAME = "vendor.lock.json"
LICENCE_NAME = "LICENSE"  # file with the licence text, at the top of every package


@dataclass(frozen=True)
class Package:
    """A package of the npm registry, and which of its files the book needs.

    Attributes:
        name: name of the package, also the folder it gets below the vendor folder.
        version: the exact version.
        licence: SPDX identifier of its licence.
        root: folder inside the package that the copied paths are relative to.
        patterns: files to copy, relative to ``root``; ``*`` does not cross folders.
    """

    name: str
    version: str
    licence: str
    root: str
    patterns: tuple[str, ...]


PACKAGES = (
    Package(
        name="mathjax",
        version="3.2.2",
        licence="Apache-2.0",
        root="es5",
        patterns=(
            "tex-chtml.js",
            # MathJax looks for its fonts at [mathjax]/output/chtml/fonts/woff-v2, that is, beside
            # the script: the folders below "es5" are kept as they are.
            "output/chtml/fonts/woff-v2/*.woff",
            # tex-chtml.js loads these by itself when a formula uses \boldsymbol, \color, ...
            "input/tex/extensions/boldsymbol.js",
            "input/tex/extensions/cancel.js",
            "input/tex/extensions/color.js",
        ),
    ),
)


def check(folder: Path = VENDOR_DIR, packages: Sequence[Package] = PACKAGES) -> list[str]:
    """Compare the vendored files with the lock and return what is wrong, a line each."""
    lock_file = folder / LOCK_NAME
    if not lock_file.is_file():
        return [f"missing: {LOCK_NAME}"]
    try:
        recorded = json.loads(lock_file.read_text(encoding="utf-8"))["packages"]
        return _version_problems(recorded, packages) + _file_problems(folder, recorded)
    except (ValueError, KeyError, TypeError) as error:
        return [f"unreadable: {LOCK_NAME} ({type(error).__name__}: {error})"]


def _version_problems(recorded: list[dict[str, Any]], packages: Sequence[Package]) -> list[str]:
    wanted = {(package.name, package.version) for package in packages}
    locked = {(entry["name"], entry["version"]) for entry in recorded}
    missing, surplus = sorted(wanted - locked), sorted(locked - wanted)
    problems = [f"not in the lock: {name} {version}; run fetch" for name, version in missing]
    return problems + [f"in the lock, not wanted: {name} {version}" for name, version in surplus]


def _file_problems(folder: Path, recorded: list[dict[str, Any]]) -> list[str]:
    problems = []
    listed = {LOCK_NAME}
    for entry in recorded:
        paths = [file["path"] for file in entry["files"]]
        listed.update(paths)
        if entry["licence_file"] not in paths:
            problems.append(f"no licence text: {entry['name']}")
        for file in entry["files"]:
            target = folder / file["path"]
            if not target.is_file():
                problems.append(f"missing: {file['path']}")
            elif _sha256(target.read_bytes()) != file["sha256"]:
                problems.append(f"changed: {file['path']}")
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return problems + [f"unlisted: {path}" for path in sorted(present - listed)]


def fetch(folder: Path = VENDOR_DIR, packages: Sequence[Package] = PACKAGES) -> None:
    """Download the packages, verify them, copy the wanted files and write the lock.

    A package whose version is in the lock already must have the recorded integrity. Files that no
    package lists any more are removed.

    Raises:
        RuntimeError: npm fails, a package is not the recorded one, or it lacks a wanted file.
    """
    known = _recorded_integrity(folder / LOCK_NAME)
    contents: dict[str, bytes] = {}
    entries = []
    for package in packages:
        tarball = _npm_pack(package)
        integrity = _integrity(tarball)
        if known.get((package.name, package.version), integrity) != integrity:
            raise RuntimeError(f"{package.name} {package.version} is not the recorded package")
        files = _wanted_files(package, tarball)
        contents.update({path: data for path, (_, data) in files.items()})
        entries.append(_lock_entry(package, integrity, files))
    # nothing is touched before every package has been verified
    folder.mkdir(parents=True, exist_ok=True)
    for child in folder.iterdir():
        shutil.rmtree(child) if child.is_dir() else child.unlink()
    for path, data in contents.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    lock = json.dumps({"packages": entries}, indent=1) + "\n"
    (folder / LOCK_NAME).write_text(lock, encoding="utf-8", newline="\n")


def _recorded_integrity(lock_file: Path) -> dict[tuple[str, str], str]:
    if not lock_file.is_file():
        return {}
    recorded = json.loads(lock_file.read_text(encoding="utf-8"))["packages"]
    return {(entry["name"], entry["version"]): entry["integrity"] for entry in recorded}


def _npm_pack(package: Package) -> bytes:
    """Return the package's tarball, checked against the integrity that npm was told."""
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("npm is needed to fetch the files, and was not found")
    command = [npm, "pack", "--json", "--silent", "--ignore-scripts"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [*command, f"{package.name}@{package.version}"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"npm pack {package.name}@{package.version}: {done.stderr.strip()}")
        described = json.loads(done.stdout)[0]
        tarball = Path(folder, described["filename"]).read_bytes()
    if described["integrity"] != _integrity(tarball):
        raise RuntimeError(f"{package.name} {package.version} arrived damaged")
    return tarball


def _wanted_files(package: Package, tarball: bytes) -> dict[str, tuple[str, bytes]]:
    """Return {path below the vendor folder: (path in the package, content)}, in a fixed order."""
    contents: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(tarball), mode="r:gz") as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isfile() else None
            if stream:
                _, _, path = member.name.partition("/")  # npm puts everything into one folder
                contents[path] = stream.read()
    wanted: dict[str, tuple[str, bytes]] = {}
    for pattern in (LICENCE_NAME, *(f"{package.root}/{pattern}" for pattern in package.patterns)):
        # between absolute paths, match() compares the whole path
        matches = sorted(path for path in contents if PurePosixPath("/", path).match(f"/{pattern}"))
        if not matches:
            raise RuntimeError(f"{package.name} {package.version} has no {pattern}")
        for path in matches:
            inside = path.removeprefix(f"{package.root}/")
            wanted[f"{package.name}/{inside}"] = (path, contents[path])
    return wanted


def _lock_entry(
    package: Package, integrity: str, files: dict[str, tuple[str, bytes]]
) -> dict[str, Any]:
    return {
        "name": package.name,
        "version": package.version,
        "licence": package.licence,
        "licence_file": f"{package.name}/{LICENCE_NAME}",
        "integrity": integrity,
        "files": [
            {"path": path, "from": source, "bytes": len(data), "sha256": _sha256(data)}
            for path, (source, data) in files.items()
        ],
    }


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _integrity(data: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode("ascii")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``check`` or ``fetch``; the exit status says whether all is well."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("action", choices=("check", "fetch"))
    if parser.parse_args(arguments).action == "fetch":
        try:
            fetch()
        except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
            print(f"vendor: {error}", file=sys.stderr)
            return 1
    problems = check()
    for problem in problems:
        print(f"vendor: {problem}", file=sys.stderr)
    if not problems:
        count = sum(1 for path in VENDOR_DIR.rglob("*") if path.is_file()) - 1
        print(f"vendor: {count} files as recorded")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())

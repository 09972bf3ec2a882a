"""What is released: a wheel with the package, a source distribution with its tests, one version."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from packaging.requirements import Requirement

import attn_utils

from .chapters import CHAPTERS, ROOT

BUILD = """
import sys
from setuptools import build_meta
print(getattr(build_meta, f"build_{sys.argv[1]}")(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    """The files that belong to the project, as git knows them."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git checkout: what belongs to the project is not known")
    listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True)
    return [name for name in listed.split("\0") if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def source(tracked: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy to build from: setuptools leaves its own files beside the sources."""
    folder = tmp_path_factory.mktemp("source")
    for name in tracked:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


def built(kind: str, source: Path, to: Path) -> Path:
    command = [sys.executable, "-c", BUILD, kind, str(to)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return to / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return zipfile.ZipFile(built("wheel", source, tmp_path_factory.mktemp("wheel")))


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Metadata:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return Metadata.from_email(wheel.read(name), validate=True)  # as the registry does


def test_the_wheel_holds_the_package_and_nothing_else(
    wheel: zipfile.ZipFile, tracked: list[str]
) -> None:
    held = [name for name in wheel.namelist() if ".dist-info/" not in name]
    assert sorted(held) == sorted(name for name in tracked if name.startswith("attn_utils/"))


def test_the_source_distribution_holds_what_is_tracked(
    source: Path, tracked: list[str], tmp_path: Path
) -> None:
    with tarfile.open(built("sdist", source, tmp_path)) as archive:
        held = {member.name.partition("/")[2] for member in archive if member.isfile()}
    made = {"PKG-INFO", "setup.cfg"}
    held = {name for name in held if ".egg-info/" not in name} - made
    assert held == set(tracked)


def test_widgets_and_data_are_found_in_the_wheel(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    code = (
        "import sys, attn_utils, attn_utils.widgets as w; "
        "assert w.__file__.startswith(sys.argv[1]); "
        "[made() for made in w.all_widgets().values()]; "
        "attn_utils.load_writer()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_version_is_told_once(metadata: Metadata) -> None:
    assert str(metadata.version) == attn_utils.__version__
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text("utf-8"), flags=re.M)
    assert cited
    assert cited[1] == attn_utils.__version__
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    latest, *_ = re.findall(r"^## \[(\d\S*)\] – \d{4}-\d\d-\d\d$", changes, flags=re.M)
    assert latest == attn_utils.__version__


def test_what_it_requires_has_lower_bounds_only(metadata: Metadata) -> None:
    requirements = metadata.requires_dist or []
    outside = [each for each in requirements if each.name != "attn-utils"]
    assert outside
    for each in outside:
        assert [specifier.operator for specifier in each.specifier] == [">="], each
    assert [specifier.operator for specifier in metadata.requires_python or ()] == [">="]


ROOTS = re.compile(r"^(\w+)(?:/__init__)?\.py,", re.M)  # in a list of installed files


def imported_by_chapters() -> set[str]:
    """The distributions that a chapter imports, besides our own."""
    roots = set()
    for chapter in CHAPTERS:
        cells = json.loads(chapter.notebook.read_text("utf-8"))["cells"]
        for cell in cells:
            if cell["cell_type"] != "code":
                continue
            for node in ast.walk(ast.parse("".join(cell["source"]))):
                if isinstance(node, ast.Import):
                    roots |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    roots.add(node.module.partition(".")[0])
    # by their files: packages_distributions() of Python 3.10 knows only those with a top_level.txt
    known = {
        root: distribution.metadata["Name"].lower()
        for distribution in distributions()
        for root in ROOTS.findall(distribution.read_text("RECORD") or "")
    }
    return {known[root] for root in roots - set(sys.stdlib_module_names) - {"attn_utils"}}


def test_the_extra_for_notebooks_is_what_chapters_import(metadata: Metadata) -> None:
    requirements = [Requirement(str(each)) for each in metadata.requires_dist or []]

    def of(extra: str) -> set[str]:
        found: set[str] = set()
        for each in requirements:
            if each.marker is None or each.marker.evaluate({"extra": extra}):
                inner = map(of, each.extras)
                found |= set().union(*inner) if each.name == "attn-utils" else {each.name}
        return found

    assert imported_by_chapters() <= of("notebooks")
    for extra in metadata.provides_extra or []:
        assert of(extra) <= of("notebooks"), extra

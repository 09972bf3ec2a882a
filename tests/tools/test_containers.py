"""Binder, dev containers and Docker: as far as it can be told without running them.

``jupyter-repo2docker --no-build --debug .`` and ``hadolint Dockerfile`` tell more, by hand.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
BINDER = ROOT / ".binder"
CPU = "https://download.pytorch.org/whl/cpu"


def dockerfile() -> list[tuple[str, str]]:
    """The instructions, each with what follows."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def test_binder_installs_the_locked_environment_without_cuda() -> None:
    lines = (BINDER / "requirements.txt").read_text(encoding="utf-8").splitlines()
    options = [line.split() for line in lines if not line.startswith("#")]
    assert options == [
        ["--extra-index-url", CPU],
        ["-c", "../constraints.txt"],
        ["-r", "../requirements.txt"],
    ]
    assert all((BINDER / name).exists() for option, name in options if len(option) == 2)


def test_binders_last_step_is_a_program() -> None:
    script = BINDER / "postBuild"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)


def test_all_run_the_python_that_ci_tests() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8"))
    tested = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    runtime = (BINDER / "runtime.txt").read_text(encoding="utf-8").strip()
    assert runtime.removeprefix("python-") in tested
    image = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text("utf-8"))["image"]
    assert image.rpartition(":")[2] in tested
    assert dockerfile()[0][1].partition(":")[2].removesuffix("-slim") in tested


def test_the_dev_container_types_what_the_readme_says() -> None:
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text("utf-8"))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    *by_hand, make = container["postCreateCommand"].split(" && ")
    assert by_hand
    assert all(command in readme for command in by_hand)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"\n{make.removeprefix('make ')}:" in makefile
    (port,) = re.findall(r"^PORT +\?= (\d+)$", makefile, re.M)
    assert container["forwardPorts"] == [int(port), 8888]
    assert set(container["portsAttributes"]) == {port, "8888"}


def test_the_container_is_small_and_nobodys_administrator() -> None:
    words = [word for word, _ in dockerfile()]
    assert words[0] == "FROM"
    assert words[-3:] == ["USER", "EXPOSE", "CMD"]
    assert dict(dockerfile())["USER"] == "1000"
    runs = [rest for word, rest in dockerfile() if word == "RUN"]
    installs = [rest for rest in runs if "pip install" in rest]
    assert len(installs) == 2
    assert all("--no-cache-dir" in rest for rest in installs)
    assert CPU in installs[0]
    assert {".git", ".venv", "_build"} <= set((ROOT / ".dockerignore").read_text().split())


def test_what_the_container_copies_is_there_before_it_is_used() -> None:
    copied: list[str] = []
    for word, rest in dockerfile():
        if word == "COPY":
            *sources, _ = [part for part in shlex.split(rest) if not part.startswith("--")]
            copied += sources
        elif word == "RUN":
            used = re.findall(r"-[rc] (\S+)", rest)
            assert set(used) <= set(copied), rest
    assert all((ROOT / source).exists() for source in copied)


@pytest.mark.parametrize("option", ["--ip", "--no-browser"])
def test_the_container_starts_jupyterlab_for_the_host(option: str) -> None:
    program, script, *options = json.loads(dict(dockerfile())["CMD"])
    assert program == "python"
    assert (ROOT / script).exists()
    assert option in {given.partition("=")[0] for given in options}

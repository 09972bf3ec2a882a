"""tools/archive.py: the whole site in one folder of one file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import archive
import pytest


@pytest.fixture
def site(tmp_path: Path) -> Path:
    site = tmp_path / "html"
    for name in ("index.html", "book/ü.html", "_static/a.js", "_headers", ".buildinfo"):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(name)
    return site


def test_all_files_lie_in_one_folder(site: Path, tmp_path: Path) -> None:
    assert archive.archive(site, tmp_path / "a.zip") == 3
    with zipfile.ZipFile(tmp_path / "a.zip") as packed:
        assert packed.testzip() is None
        packed.extractall(tmp_path / "out")
    folder = tmp_path / "out" / archive.NAME
    found = {f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file()}
    assert found == {"index.html", "book/ü.html", "_static/a.js"}
    assert all((folder / name).read_text() == name for name in found)


def test_the_same_book_gives_the_same_file(site: Path, tmp_path: Path) -> None:
    archive.archive(site, tmp_path / "a.zip")
    for file in site.rglob("*"):
        if file.is_file():
            file.write_text(file.read_text())  # at another time
    archive.archive(site, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_what_is_not_built_is_not_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(archive, "SITE", tmp_path / "html")
    assert archive.main() == 1
    assert "make book" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []

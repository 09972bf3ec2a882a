"""tools/working_copies.py and lab.py: chapters to work in, which nobody overwrites."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import lab
import nbformat
import pytest
import working_copies

from ..chapters import CHAPTERS

BOOK = Path(__file__).parents[2] / "book"
ROLE = re.compile(r"\{[\w:]+\}`")
FOLDS_TOUCH = re.compile(r"</details>\n<details")


def chapter(book: Path, text: str) -> None:
    cells = [nbformat.v4.new_markdown_cell(f"# Cues\n\n{text}"), nbformat.v4.new_code_cell("1 + 1")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), book / "01-cues.ipynb")


@pytest.fixture
def book(tmp_path: Path) -> Path:
    (tmp_path / "book").mkdir()
    chapter(tmp_path / "book", "First edition.")
    return tmp_path / "book"


def change(file: Path, **cell: Any) -> None:
    notebook = nbformat.read(file, as_version=4)
    notebook.cells[-1].update(cell)
    notebook.metadata["language_info"] = {"name": "python", "version": "3.13"}  # as editors do
    nbformat.write(notebook, file)


def test_a_copy_that_was_only_run_is_renewed(book: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copies" / "01-cues.ipynb"
    assert working_copies.renew(book, copy.parent) == []
    change(copy, outputs=[nbformat.v4.new_output("stream", text="2")])
    assert working_copies.renew(book, copy.parent) == []
    assert '"2"' in copy.read_text(), "nothing new in the book: the outputs stay"
    chapter(book, "Second edition.")
    assert working_copies.renew(book, copy.parent) == []
    assert "Second edition." in copy.read_text()


@pytest.mark.parametrize("theirs", ["edited", "no notebook"])
def test_what_a_reader_has_changed_is_kept(book: Path, tmp_path: Path, theirs: str) -> None:
    copy = tmp_path / "copies" / "01-cues.ipynb"
    working_copies.renew(book, copy.parent)
    if theirs == "edited":
        change(copy, source="2 + 2")
    else:
        copy.write_text("notes")
    before = copy.read_bytes()
    assert working_copies.renew(book, copy.parent) == []  # nothing new to say
    chapter(book, "Second edition.")
    for _ in range(2):
        assert working_copies.renew(book, copy.parent) == [copy.name]
        assert copy.read_bytes() == before
    copy.rename(copy.with_name("mine.ipynb"))
    assert working_copies.renew(book, copy.parent) == []
    assert "Second edition." in copy.read_text()
    assert copy.with_name("mine.ipynb").read_bytes() == before


def test_copies_of_the_book_need_no_sphinx(tmp_path: Path) -> None:
    working_copies.renew(BOOK, tmp_path)
    copies = sorted(tmp_path.glob("*.ipynb"))
    assert [copy.name for copy in copies] == [c.notebook.name for c in CHAPTERS]
    for copy in copies:
        notebook = nbformat.read(copy, as_version=4)
        nbformat.validate(notebook)
        first, *cells = notebook.cells
        assert "%pip install" in first.source
        prose = [cell.source for cell in cells if cell.cell_type == "markdown"]
        assert prose[0].startswith("# "), copy.name
        assert not [text for text in prose if ROLE.search(text)], copy.name
        assert not [text for text in prose if FOLDS_TOUCH.search(text)], copy.name
        for code in (cell.source for cell in cells if cell.cell_type == "code"):
            compile(code, copy.name, "exec")


@pytest.mark.parametrize(
    ("arguments", "folder", "passed_on"),
    [
        ([], "notebooks", []),
        (["--ip=0.0.0.0", "--no-browser"], "notebooks", ["--ip=0.0.0.0", "--no-browser"]),
        (["book"], "book", []),
        (["book", "--no-browser"], "book", ["--no-browser"]),
    ],
)
def test_readers_open_copies_and_writers_the_chapters(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], folder: str, passed_on: list[str]
) -> None:
    started: list[tuple[str, list[str]]] = []
    made: list[str] = []

    def run(command: list[str], *, cwd: Path, **_: Any) -> subprocess.CompletedProcess[str]:
        options = command[command.index("jupyterlab") + 1 :]
        assert (f"--LabApp.app_settings_dir={lab.SETTINGS}" in options) == (folder == "notebooks")
        started.append((cwd.name, [o for o in options if "settings" not in o]))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.setattr(working_copies, "main", lambda _: made.append("copies"))
    monkeypatch.setattr(lab, "prepare_kernels", lambda: None)
    assert lab.main(arguments) == 0
    assert started == [(folder, passed_on)]
    assert made == ["copies"] * (folder == "notebooks")


ADDED = {"version": "3.13.1", "pygments_lexer": "ipython3", "mimetype": "text/x-python"}
ADDED |= {"codemirror_mode": {"name": "ipython", "version": 3}}
ADDED |= {"file_extension": ".py", "nbconvert_exporter": "python"}


@pytest.mark.parametrize("config", ["Makefile", ".pre-commit-config.yaml"])
def test_a_chapter_that_was_run_and_stripped_is_unchanged(config: str, tmp_path: Path) -> None:
    text = (BOOK.parent / config).read_text(encoding="utf-8")
    (keys,) = re.findall(r'"(metadata[^"]*)"', text)
    original = BOOK / "01-attention-cues.ipynb"
    notebook = nbformat.read(original, as_version=4)
    notebook.metadata["language_info"] |= ADDED
    notebook.cells[1].update(outputs=[nbformat.v4.new_output("stream", text="2")])
    nbformat.write(notebook, tmp_path / "run.ipynb")
    command = ["-m", "nbstripout", "--keep-id", "--extra-keys", keys, str(tmp_path / "run.ipynb")]
    subprocess.run([sys.executable, *command], check=True, timeout=300)
    assert (tmp_path / "run.ipynb").read_bytes() == original.read_bytes()


def test_the_settings_of_jupyterlab_are_settings_that_it_knows() -> None:
    settings = json.loads((lab.SETTINGS / "overrides.json").read_text(encoding="utf-8"))
    installed = Path(sys.prefix, "share", "jupyter")
    for plugin, values in settings.items():
        package, _, name = plugin.rpartition(":")
        (file,) = installed.rglob(f"schemas/{package}/{name}.json")
        schema = json.loads(file.read_text(encoding="utf-8"))
        assert values.keys() <= schema["properties"].keys(), plugin

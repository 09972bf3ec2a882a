"""Thirty submissions, six of them hostile: all in the table, with the right marks."""

from __future__ import annotations

import csv
import errno
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from attn_utils.teach import grade as grading
from attn_utils.teach import sandbox
from attn_utils.teach.grade import grade
from attn_utils.teach.handout import write as hand_out
from attn_utils.teach.judge import Limits

from . import small
from .hostile import DEAF_LOOP, FAKE_CHECK, GLUTTON, LIAR, MARKER, VANDAL

LIMITS = Limits(seconds=4, total=90, megabytes=1024)
WALL = pytest.mark.skipif(
    not sandbox.has_namespaces() or not sandbox.landlock.version(),
    reason="this system has no namespaces or no Landlock",
)

HALF_TABLE = small.TABLE.replace("additive", "dot").replace('ers": "dot"', 'ers": "additive"')


def submissions(folder: Path, book: Path, tmp: Path) -> dict[str, dict[str, float | None]]:
    """Hand in thirty files; return the points that each is worth, by student."""
    hand_out(book, ["3"], tmp / "handout")
    blank = nbformat.read(tmp / "handout" / f"{small.CHAPTER}.ipynb", as_version=4)
    right, thought = small.RIGHT, small.THOUGHT
    full = {"3.1": 1.0, "3.3": 3.0, "3.5": 2.0}
    none = dict.fromkeys(full, 0.0)
    due: dict[str, dict[str, float | None]] = {}

    def turn_in(name: str, notebook: Any, points: dict[str, float], student: str = "") -> None:
        path = folder / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)
        due[student or name] = points

    def without_ids(notebook: Any) -> Any:
        for cell in notebook.cells:
            cell.pop("id", None)
        notebook.nbformat_minor = 4
        return notebook

    done = small.fill_in(blank, right, thought)
    for name in ("anna", "Björn", "=cmd", "dora"):
        turn_in(name, done, full)
    turn_in("emil/homework 3", done, full, "emil")
    turn_in(f"frida_{small.CHAPTER} (1)", done, full, "frida")
    turn_in("gül", without_ids(small.fill_in(blank, right)), full)
    turn_in(small.CHAPTER, done, full, f"{small.CHAPTER}.ipynb")  # whose is it?
    turn_in("blank", blank, none)

    no_checks = small.fill_in(blank, right)
    for cell in no_checks.cells:
        if cell.cell_type == "code":
            cell.source = "\n".join(x for x in cell.source.split("\n") if "check(" not in x)
    turn_in("no checks", no_checks, full)
    bare = small.fill_in(blank, right)
    bare.cells = [cell for cell in bare.cells if cell.cell_type == "code"]
    turn_in("no text", without_ids(bare), full)
    helper = "def root(x):\n    return math.sqrt(x)\n"
    turn_in(
        "helper",
        small.insert(
            small.fill_in(blank, {**right, "factor": small.FACTOR.replace("math.sqrt", "root")}),
            [helper],
            "stub-sort",
        ),
        full,
    )
    turn_in("table", small.fill_in(blank, {"sort": HALF_TABLE}), {**none, "3.1": 0.5})
    no_dead_rows = small.SOFTMAX.replace(" & alive", "").replace(" * alive", "")
    turn_in(
        "partial", small.fill_in(blank, {**right, "softmax": no_dead_rows}), {**full, "3.3": 1.5}
    )
    in_place = small.SOFTMAX.replace(
        "scores = scores.masked_fill(", "scores = scores.masked_fill_("
    )
    turn_in("in place", small.fill_in(blank, {**right, "softmax": in_place}), {**full, "3.3": 0.0})
    turn_in(
        "syntax", small.fill_in(blank, {**right, "factor": "def factor(:\n"}), {**full, "3.5": 0.0}
    )
    raises = "def factor(q_std, k_std, d):\n    return 1 / undefined\n"
    turn_in("raises", small.fill_in(blank, {**right, "factor": raises}), {**full, "3.5": 0.0})
    turn_in("twin", done, full)
    turn_in(
        "twin/again", small.fill_in(blank, {"sort": small.TABLE}), {**none, "3.1": 1.0}, "twin 2"
    )

    (folder / "text.ipynb").write_text("not a notebook", encoding="utf-8")
    (folder / "latin.ipynb").write_bytes('{"cells": "é"}'.encode("latin-1"))
    with (folder / "huge.ipynb").open("wb") as huge:
        huge.truncate(30 * 2**20)
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n")
    nbformat.write(nbformat.v4.new_notebook(), folder / "other.ipynb")
    due |= dict.fromkeys(("text", "latin", "huge", "picture", "other"), dict.fromkeys(full))

    wrong = {"factor": small.STUBS["factor"] + "\n"}
    turn_in("h faker", small.insert(small.fill_in(blank, wrong), [FAKE_CHECK], "stub-sort"), none)
    deaf = small.fill_in(blank, {**right, "factor": small.FACTOR + DEAF_LOOP})
    turn_in("h deaf", deaf, {**full, "3.5": 0.0})
    hangs = "def factor(q_std, k_std, d):\n    while True: pass\n"
    leaver = small.fill_in(
        blank, {**right, "sort": small.TABLE + "\nimport os; os._exit(0)", "factor": hangs}
    )
    turn_in("h leaver", leaver, {"3.1": 0.0, "3.3": 3.0, "3.5": 0.0})
    vandal = VANDAL.format(folder=str(folder), book=str(book))
    turn_in("h vandal", small.fill_in(blank, {**right, "sort": small.TABLE + vandal}), full)
    glutton = small.fill_in(blank, {**right, "sort": small.TABLE + GLUTTON.format(marker=MARKER)})
    turn_in("h glutton", glutton, full)
    turn_in(
        "h liar",
        small.fill_in(blank, {**right, "factor": small.FACTOR + LIAR}),
        {**full, "3.5": 0.0},
    )
    return due


@pytest.fixture(scope="module")
def class_of_thirty(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    tmp = tmp_path_factory.mktemp("class")
    book, folder, out = small.book(tmp / "book"), tmp / "submitted", tmp / "graded"
    due = submissions(folder, book, tmp)
    before = {path: path.read_bytes() for path in [*folder.rglob("*.ipynb"), *book.iterdir()]}
    said: list[str] = []
    rows = grade(folder, book, out, limits=LIMITS, say=said.append)
    return {
        "due": due,
        "rows": rows,
        "said": said,
        "before": before,
        "folder": folder,
        "book": book,
        "out": out,
    }


def lines(out: Path) -> list[dict[str, str]]:
    with (out / "marks.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_all_thirty_are_in_the_table_with_the_right_marks(class_of_thirty):
    table = lines(class_of_thirty["out"])
    assert len(table) == len(class_of_thirty["due"]) == 30
    wrong = []
    for student, due in class_of_thirty["due"].items():
        file = "twin/again.ipynb" if student == "twin 2" else None
        name = {"=cmd": "'=cmd", "twin 2": "twin"}.get(student, student)
        found = [
            line
            for line in table
            if line["student"] == name
            and (not file or line["file"] == file)
            and (student != "twin" or line["file"] == "twin.ipynb")
        ]
        assert len(found) == 1, student
        got = {number: found[0][column] for number, column in COLUMNS.items()}
        want = {number: "" if points is None else f"{points:g}" for number, points in due.items()}
        if got != want:
            wrong.append((student, got, want, found[0]["remarks"]))
    assert wrong == []


COLUMNS = {"3.1": "3.1 (1)", "3.3": "3.3 (3)", "3.5": "3.5 (2)"}


@pytest.mark.parametrize(
    ("student", "remark"),
    [
        ("text", "not a notebook: NotJSONError"),
        ("latin", "its text is not UTF-8"),
        ("huge", "too large: 30 MB, at most 20"),
        ("picture", "not a notebook"),
        ("other", "holds no exercise of the book's chapters"),
        ("twin", "handed in 2 times"),
        (f"{small.CHAPTER}.ipynb", "does not say whose it is"),
        ("syntax", "SyntaxError"),
        ("h deaf", "stopped after 4 seconds"),
        ("h leaver", "ended the Python process"),
        ("h glutton", "cell 7"),
    ],
)
def test_what_was_wrong_is_said(class_of_thirty, student, remark):
    found = [line for line in lines(class_of_thirty["out"]) if line["student"] == student]
    assert found
    assert all(remark in line["remarks"] for line in found), found


def test_an_answer_that_hangs_is_said_to(class_of_thirty):
    row = next(row for row in class_of_thirty["rows"] if row["student"] == "h leaver")
    assert "longer than 4 seconds" in row["marks"]["3.5"]["message"]


@WALL
def test_nothing_was_deleted_and_nobody_got_away(class_of_thirty):
    for path, content in class_of_thirty["before"].items():
        assert path.read_bytes() == content
    running = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    assert not any(MARKER in command for command in running)


def test_progress_and_limits_are_told(class_of_thirty):
    said = class_of_thirty["said"]
    assert sum("/30]" in line for line in said) == 30
    assert any("memory: 1024 MB" in line for line in said) or not sandbox._data_in_use()


def test_a_page_for_each_who_handed_in_a_notebook(class_of_thirty):
    pages = list((class_of_thirty["out"] / "feedback").iterdir())
    assert len(pages) == 25
    anna = next(page for page in pages if page.name.startswith("anna")).read_text("utf-8")
    assert "6 of 9 points" in anna
    assert small.THOUGHT in anna
    assert "Secret" not in anna


def test_again_only_what_is_new_is_marked_and_points_by_hand_stay(class_of_thirty, monkeypatch):
    out = class_of_thirty["out"]
    table = (out / "marks.csv").read_text("utf-8-sig").splitlines(keepends=True)
    anna = next(i for i, line in enumerate(table) if line.startswith("anna,"))
    cells = next(csv.reader([table[anna]]))
    cells[6] = "2.5"
    table[anna] = ",".join(cells) + "\n"
    (out / "marks.csv").write_text("".join(table), "utf-8-sig")

    def marked_again(waiting, *_):
        assert not waiting
        return iter(())

    monkeypatch.setattr(grading, "_marked", marked_again)
    rows = grade(class_of_thirty["folder"], class_of_thirty["book"], out, limits=LIMITS, say=print)
    assert rows == class_of_thirty["rows"]
    line = next(line for line in lines(out) if line["student"] == "anna")
    assert (line["3.6 (3, by hand)"], line["total"], line["of"]) == ("2.5", "8.5", "9")


def test_a_full_disk_loses_nothing(class_of_thirty, monkeypatch, tmp_path):
    """Results are printed if they cannot be written, and the old table stays."""
    (tmp_path / "marks.csv").write_text("old")
    said: list[str] = []

    def full(path, text):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(grading, "write_whole", full)
    monkeypatch.setattr(grading, "_marked", lambda *_: iter(()))
    only = tmp_path / "submitted"
    only.mkdir()
    (only / "anna.ipynb").write_bytes((class_of_thirty["folder"] / "anna.ipynb").read_bytes())
    kept = class_of_thirty["rows"]
    monkeypatch.setattr(grading, "_rows", lambda *_: iter(kept))
    with pytest.raises(OSError, match="No space left"):
        grade(only, class_of_thirty["book"], tmp_path, say=said.append)
    assert (tmp_path / "marks.csv").read_text() == "old"
    assert any("anna,anna.ipynb" in text for text in said)

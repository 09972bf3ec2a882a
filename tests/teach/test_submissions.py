"""Whose files they are, and who is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from attn_utils.teach.notebooks import Chapter
from attn_utils.teach.submissions import class_list, complete, find

BOOK = [Chapter(Path("03-scoring-functions.ipynb"), [])]


@pytest.mark.parametrize(
    ("file", "student"),
    [
        ("anna.ipynb", "anna"),
        ("anna (2).ipynb", "anna"),
        ("anna/anything.ipynb", "anna"),
        ("anna-03-scoring-functions.ipynb", "anna"),
        ("03-scoring-functions_Anna Meier.ipynb", "Anna Meier"),
        ("03-scoring-functions (1).ipynb", "03-scoring-functions (1).ipynb"),
    ],
)
def test_a_file_tells_whose_it_is(tmp_path, file, student):
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.touch()
    (found,) = find(tmp_path, BOOK)
    assert (found.student, found.path) == (student, path)


def test_hidden_files_are_no_submissions(tmp_path):
    for name in (".DS_Store", ".ipynb_checkpoints", "__MACOSX"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "anna.ipynb").touch()
    with pytest.raises(ValueError, match=r"submissions: expected notebooks in .*, got no file"):
        find(tmp_path, BOOK)


def test_a_class_list_with_double_names(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("Anna", "guest"):
        (tmp_path / "in" / f"{name}.ipynb").touch()
    names = tmp_path / "names.csv"
    names.write_text("\ufeffname,group\nanna,1\nBen,1\nben,2\nCleo,2\n\n", "utf-8")
    rows = complete(find(tmp_path / "in", BOOK), class_list(names))
    assert {row.student: (row.path is None, row.remarks) for row in rows} == {
        "Anna": (False, ()),
        "guest": (False, ("not in the class list",)),
        "Ben": (True, ("2 times in the class list",)),
        "Cleo": (True, ()),
    }


@pytest.mark.parametrize("content", [b"", b"name\n", "Zo\u00eb".encode("latin-1")])
def test_a_class_list_that_cannot_be_read(tmp_path, content):
    (tmp_path / "names.csv").write_bytes(content)
    with pytest.raises(ValueError, match="class list: expected"):
        class_list(tmp_path / "names.csv")

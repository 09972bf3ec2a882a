"""The conversation between judge and room, and what it makes of an answer."""

from __future__ import annotations

import io
import struct
from unittest.mock import Mock

import nbformat
import numpy as np
import pytest
import torch

from attn_utils.checks import check
from attn_utils.teach import credit, judge, needs, wire
from attn_utils.teach.answers import Line
from attn_utils.teach.judge import Limits
from attn_utils.teach.notebooks import chapters
from attn_utils.teach.sandbox import Gone, Late, Room

from ..chapters import ROOT
from . import small

BOOK = chapters(ROOT / "book")
IMPORTS = "import math\nimport torch\nimport torch.nn.functional as F\n"


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """One for the tests that leave it alive: to open one takes seconds."""
    with Room(tmp_path_factory.mktemp("room"), 2048) as room:
        yield Line(room, 60.0)


def functions(*_):
    raise AssertionError("no function was sent")


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        2**70,
        1.5,
        float("inf"),
        "text",
        ...,
        [1, (2, [])],
        {"a": (1, 2), 3: None},
        np.float32(2.5),
        np.arange(6).reshape(2, 3),
        torch.tensor(3),
        torch.zeros(0, 2),
        torch.eye(3, dtype=torch.bool),
        torch.randn(2, 3, dtype=torch.float64).T,
        torch.tensor([1.5, -2.0]).bfloat16(),
        torch.tensor([1 + 2j]).conj(),
        torch.ones(2, requires_grad=True),
    ],
)
def test_values_arrive_as_they_were(value):
    pipe = io.BytesIO()
    wire.send(pipe, {"value": wire.pack(value, functions)})
    pipe.seek(0)
    got = wire.unpack(wire.receive(pipe)["value"], functions)
    assert type(got) is type(value)
    if isinstance(value, torch.Tensor):
        assert got.dtype == value.dtype
        assert got.requires_grad == value.requires_grad
        assert torch.equal(got, value)
    elif isinstance(value, np.ndarray):
        assert np.array_equal(got, value)
    else:
        assert got == value


def test_what_cannot_travel_keeps_the_name_of_its_kind():
    class Student:
        pass

    got = wire.unpack(wire.pack(Student(), functions), functions)
    assert type(got).__name__ == "Student"
    assert isinstance(got, wire.Stranger)


@pytest.mark.parametrize(
    "packed",
    [
        {},
        {"kind": "pickle"},
        {"kind": "tensor", "dtype": "float32", "shape": [10**9], "data": "AAAA", "grad": False},
        {"kind": "tensor", "dtype": "float32", "shape": [-1], "data": "AAAA", "grad": False},
        {"kind": "array", "dtype": "O", "shape": [1], "data": "AAAAAAAAAAA="},
        {"kind": "array", "dtype": "float32", "shape": [1], "data": "not base64"},
        {"kind": "dict", "items": [[{"kind": "list", "items": []}, 1]]},
        {"kind": "list", "items": 3},
        [1],
    ],
)
def test_garbled_values_are_refused(packed):
    with pytest.raises(wire.Garbled):
        wire.unpack(packed, functions)


@pytest.mark.parametrize(
    "message", [struct.pack(">Q", 2**60), struct.pack(">Q", 2) + b"[]", struct.pack(">Q", 1) + b"{"]
)
def test_garbled_messages_are_refused(message):
    with pytest.raises(wire.Garbled):
        wire.receive(io.BytesIO(message))


def test_a_function_in_the_room_behaves_like_one_here(room):
    code = "def f(scores, *, by=2):\n    return {'a': by * scores, 'b': (scores.sum(), 'c')}"
    room.request(do="run", source=f"import torch\n{code}")
    f = room.answer("f")
    x = torch.arange(3.0, requires_grad=True)
    result = f(x, by=4)
    assert result["a"].tolist() == [0.0, 4.0, 8.0]
    (3 * result["a"].sum() + result["b"][0]).backward()
    assert x.grad.tolist() == [13.0] * 3


def test_a_change_of_an_argument_is_seen(room):
    room.request(do="run", source="def f(scores):\n    return scores.add_(1)")
    x = torch.zeros(2)
    room.answer("f")(x)
    assert x.tolist() == [1.0, 1.0]


def test_errors_keep_their_names_and_lines(room):
    room.request(do="run", source="def f(x):\n    y = x\n    return 1 / y")
    with pytest.raises(RuntimeError, match=r"division by zero \(line 3\)") as caught:
        room.answer("f")(0)
    assert type(caught.value).__name__ == "ZeroDivisionError"


def test_the_judges_functions_are_computed_by_the_judge(room):
    room.request(do="run", source="def f(step):\n    return step(step(1))")
    assert room.answer("f")(lambda x: 10 * x) == 100
    room.request(do="run", source="def g(step):\n    return step('not a number')")
    with pytest.raises(RuntimeError, match="TypeError"):
        room.answer("g")(lambda x: 1 / x)


def test_time_is_limited(tmp_path):
    with Room(tmp_path, 1024) as room:
        hasty, patient = Line(room, 1.0), Line(room, 60.0)
        patient.request(do="run", source="def f():\n    while True: pass")
        with pytest.raises(TimeoutError, match="longer than 1 seconds"):
            hasty.answer("f")()
        assert patient.answer("1 + 1") == 2  # it was interrupted, not ended
        deaf = "import signal\nsignal.setitimer(signal.ITIMER_REAL, 0)\nwhile True: pass"
        with pytest.raises(Late):
            patient.request(1, do="run", source=deaf)
        with pytest.raises(Gone):
            patient.request(do="run", source="1")


def test_what_the_room_may_do_is_said(room):
    reply = room.request(do="run", source="import socket; socket.create_connection(('1.1.1.1', 1))")
    assert reply["error"]["name"] in ("OSError", "PermissionError")
    assert any(text.startswith("network:") for text in room.room.limits)
    assert any(text.startswith("memory:") for text in room.room.limits)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["import a", "x = a.b()", "y = 1", "x"], [0, 1, 3]),
        (["x = 1", "x = 2", "x"], [1, 2]),
        (["x = []", "x.append(1)", "x"], [0, 1, 2]),
        (["x = {}", "x['a'] = 1", "x"], [0, 1, 2]),
        (["x = 1", "x += 1", "x"], [0, 1, 2]),
        (["x = 1", "def f(x):\n    return x", "f(2)"], [1, 2]),
        (["def f():\n    return late", "late = 1", "f()"], [0, 1, 2]),
        (["y = 1", "[y for y in range(3)]"], [1]),
        (["y = 1", "z = [y + w for w in range(3)]", "z"], [0, 1, 2]),
        (["import torch", "torch.manual_seed(1)", "torch.ones(1)"], [0, 2]),
        (["%matplotlib inline\nx = 1", "x"], [0, 1]),
        (["not python at all", "x = 1", "x"], [1, 2]),
    ],
)
def test_which_cells_an_answer_needs(cells, expected):
    assert needs.needed([needs.unit(cell) for cell in cells], [len(cells) - 1]) == expected


def test_a_hidden_need_is_met_by_running_everything(tmp_path):
    book = chapters(small.book(tmp_path / "book"))
    notebook = nbformat.read(book[0].path, as_version=4)
    cells = ["exec('root = math.sqrt')", "if False:\n    root = None"]
    answer = small.FACTOR.replace("math.sqrt", "root")
    filled = small.insert(small.fill_in(notebook, {"factor": answer}), cells, "stub-sort")
    nbformat.write(filled, tmp_path / "a.ipynb")
    report = judge.grade(tmp_path / "a.ipynb", book, Limits(seconds=20))
    assert report.marks["3.5"].points == 2


def test_a_cell_that_ended_its_process_is_not_run_again(tmp_path, monkeypatch):
    rooms = Mock(wraps=Room)
    monkeypatch.setattr(judge, "Room", rooms)
    book = chapters(small.book(tmp_path / "book"))
    notebook = nbformat.read(book[0].path, as_version=4)
    answers = {**small.RIGHT, "sort": small.TABLE + "\nimport os; os._exit(0)"}
    nbformat.write(small.fill_in(notebook, answers), tmp_path / "a.ipynb")
    report = judge.grade(tmp_path / "a.ipynb", book, Limits())
    assert [report.marks[number].points for number in ("3.1", "3.3", "3.5")] == [0, 3, 2]
    assert rooms.call_count == 2


@pytest.mark.parametrize("chapter", BOOK, ids=lambda chapter: chapter.stem)
def test_every_answer_of_the_book_travels(chapter, room):
    """The solution is right and the stub worth nothing, asked over the pipe as a student's are."""
    assert room.request(do="run", source="%reset -f") == {}  # no names of another chapter's
    for exercise in chapter.exercises:
        if not exercise.check:
            continue
        code = credit.code_of(chapter, exercise, solved=True)
        assert room.request(do="run", source=code) == {}
        assert check(exercise.check, room.answer(exercise.expression))
        code = credit.code_of(chapter, exercise, solved=False)
        room.request(do="run", source=code)
        stub = room.answer(exercise.expression)
        assert not check(exercise.check, stub)
        assert credit.share(exercise, chapter, stub) == 0


def test_points_are_halves_and_less_than_full():
    exercise = next(e for e in BOOK[2].exercises if e.points == 3)
    assert [credit.points(exercise, share) for share in (0, 0.1, 0.4, 0.99, 1)] == [
        0,
        0,
        1,
        2.5,
        2.5,
    ]

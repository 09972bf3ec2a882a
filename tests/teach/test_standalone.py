"""Copies that leave the repository: nothing missing, nothing raw, no solution."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from attn_utils.teach import needs
from attn_utils.teach.__main__ import main
from attn_utils.teach.handout import ANSWER, choose, without_solutions, write
from attn_utils.teach.notebooks import SOLUTION, Chapter, chapters
from attn_utils.teach.standalone import GUARD, Book, Prose, standalone

from ..chapters import ROOT
from . import small

BOOK = Book.of(chapters(ROOT / "book"))
CHAPTERS = pytest.mark.parametrize("chapter", BOOK.chapters, ids=lambda chapter: chapter.stem)


def handout(chapter: Chapter):
    beside = [other.stem for other in BOOK.chapters]
    return standalone(without_solutions(chapter), BOOK, chapter.number, beside=beside)


@CHAPTERS
def test_a_students_copy(chapter):
    copy = handout(chapter)
    nbformat.validate(copy)
    assert copy.cells[0].source == GUARD.rstrip()
    prose = "\n".join(cell.source for cell in copy.cells if cell.cell_type == "markdown")
    assert not re.search(r"\{[\w:]+\}`", prose)
    assert not re.search(r"\$\$ *\([\w-]+\)|^\([\w-]+\)=", prose, re.M)
    assert 'class="solution"' not in prose
    assert prose.count('class="hint"') == len(chapter.exercises)
    code = "\n".join(cell.source for cell in copy.cells if cell.cell_type == "code")
    assert not SOLUTION.search(code)
    for exercise in chapter.exercises:
        assert exercise.check in code
        assert all(fold not in code for fold in exercise.folds)
    assert prose.count(ANSWER) == sum(not exercise.check for exercise in chapter.exercises)


@CHAPTERS
def test_no_cell_needs_what_was_taken_out(chapter):
    """Names that only solutions make, in a later cell, would stop a student's copy."""
    units = [needs.unit(c.source) for c in handout(chapter).cells if c.cell_type == "code"]
    made = {name for unit in units for name in unit.gives}
    solved = {n for e in chapter.exercises for fold in e.folds for n in needs.unit(fold).gives}
    used = {name for unit in units for name in unit.uses}
    assert not used & (solved - made)


def test_cells_that_only_fold_stay():
    """In chapter 3 a later cell uses what a folded cell makes."""
    copy = handout(BOOK.chapters[2])
    assert "cell-071" in [cell.id for cell in copy.cells]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("the {term}`query`", "the query"),
        ("{term}`keys <key>` and {term}`values\n<value>`", "keys and values"),
        ("{cite:t}`bahdanau2015`", "Bahdanau et al. (2015)"),
        ("so {cite:p}`ba2015,vaswani2017`", "so (Ba et al., 2015; Vaswani et al., 2017)"),
        ("as in {eq}`eq-scoring-sdpa`", "as in (4)"),
        ("as in {eq}`eq-pooling-nw`", "as in (3) of chapter 2"),
        ("see {numref}`fig-scoring-rules`", "see Figure 1"),
        ("{doc}`05-self-attention`", "[Self-attention](05-self-attention.ipynb)"),
        ("{doc}`later <06-positional-encoding>`", "later"),
        ("[c](05-self-attention.ipynb#quiz)", "[c](05-self-attention.ipynb#quiz)"),
        ("$$\na = b\n$$ (eq-scoring-sdpa)", "$$\na = b \\tag{4}\n$$"),
        ("`{term}` is `{eq}` and {term}`key`", "`{term}` is `{eq}` and key"),
        ("```\n{term}`key`\n```", "```\n{term}`key`\n```"),
        ("(a-label)=\n## A", "## A"),
        ("</details>\n<details>", "</details>\n\n<details>"),
    ],
)
def test_roles_become_plain_markdown(given, expected):
    prose = Prose(BOOK, 3, beside=frozenset({"05-self-attention"}))
    assert prose.convert(given) == expected


def test_links_lead_to_the_site_if_there_is_one():
    prose = Prose(BOOK, 3, site="https://example.org/attention/")
    link = "[chapter 1](01-attention-cues.ipynb#quiz)"
    page = "https://example.org/attention/book/01-attention-cues.html#quiz"
    assert prose.convert(link) == f"[chapter 1]({page})"


def test_figures_have_captions_and_works_are_listed():
    copy = handout(BOOK.chapters[2])
    ids = [cell.id for cell in copy.cells]
    caption = copy.cells[ids.index("cell-004") + 1]
    assert caption.source.startswith("*Figure 1: The three rules.")
    assert "Attention Is All You Need](https://arxiv.org/abs/1706.03762)" in copy.cells[-1].source


def test_the_original_stays_as_it_is():
    chapter = BOOK.chapters[2]
    before = chapter.path.read_bytes()
    handout(chapter)
    assert chapter.path.read_bytes() == before
    assert Chapter(chapter.path, json.loads(before)["cells"]).exercises == chapter.exercises


@pytest.mark.parametrize("names", [["3"], ["03-scoring-functions"], ["03-scoring-functions.ipynb"]])
def test_chapters_are_chosen_by_number_or_name(names):
    assert [c.number for c in choose(BOOK.chapters, names)] == [3]
    assert choose(BOOK.chapters, ["all"]) == BOOK.chapters
    with pytest.raises(ValueError, match=r"expected numbers among \[1, 2, .*, got '99'"):
        choose(BOOK.chapters, ["99"])


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    assert main(["handout", "3", "--book", str(tmp_path)]) == 1
    assert "book: expected a folder with the book's notebooks" in capsys.readouterr().err
    assert main(["grade", str(tmp_path / "none"), "--book", str(ROOT / "book")]) == 1
    assert "submissions: expected a folder" in capsys.readouterr().err


def test_an_exercise_without_its_effort_is_refused(tmp_path):
    small.book(tmp_path)
    file = tmp_path / f"{small.CHAPTER}.ipynb"
    file.write_text(file.read_text("utf-8").replace("easy.*", "simple.*"), "utf-8")
    with pytest.raises(ValueError, match=r"Exercise 3.1: expected a line .*, got none"):
        write(tmp_path, ["3"], tmp_path / "to")


def test_the_copies_lie_beside_the_rules_for_tutors(tmp_path):
    write(small.book(tmp_path / "book"), ["all"], tmp_path / "to")
    names = {path.name for path in (tmp_path / "to").iterdir()}
    assert names == {f"{small.CHAPTER}.ipynb", "AGENTS.md"}
    assert "You are the tutor" in (tmp_path / "to" / "AGENTS.md").read_text("utf-8")


def test_a_students_copy_of_a_real_chapter_runs_from_top_to_bottom(tmp_path):
    write(ROOT / "book", ["3"], tmp_path)
    run = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--inplace"]
    file = tmp_path / "03-scoring-functions.ipynb"
    done = subprocess.run([*run, str(file)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "✗ scoring.factor" in Path(file).read_text("utf-8")

"""The quizzes as files for platforms: valid, complete, with the right choice marked."""

from __future__ import annotations

import re
import zipfile
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import pytest
import xmlschema

from attn_utils.teach import moodle, qti
from attn_utils.teach.notebooks import chapters, source
from attn_utils.teach.questions import Choice, Question, questions, xhtml
from attn_utils.teach.quiz import write
from attn_utils.teach.standalone import Book

from ..chapters import CHAPTERS, ROOT

SCHEMAS = Path(__file__).parent / "schemas"
ITEM, PACKAGE, MOODLE = (
    xmlschema.XMLSchema(SCHEMAS / f"{name}_subset.xsd") for name in ("qti", "packaging", "moodle")
)
BOOK = Book.of(chapters(ROOT / "book"))
QTI = {"": qti.NAMESPACE}
NAME = re.compile(r'class="quiz \w+" name="([\w-]+)"')
SEVERAL = Question(
    "A chapter",
    "1.2",
    "<p>Which?</p>",
    (Choice("a", True, "<p>Yes.</p>"), Choice("b", True, ""), Choice("c &lt; d", False, "")),
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write(ROOT / "book", ["all"], tmp_path_factory.mktemp("quiz"))


def test_every_file_is_valid(written):
    assert [path.suffix for path in written] == [".zip"] * len(CHAPTERS) + [".xml"]
    for path in written[:-1]:
        with zipfile.ZipFile(path) as package:
            for name in package.namelist():
                schema = PACKAGE if name == "imsmanifest.xml" else ITEM
                schema.validate(package.read(name).decode())
    MOODLE.validate(written[-1].read_text("utf-8"))


def test_every_question_of_the_book_is_there(written):
    folds = sum(source(c).count('class="quiz ') for ch in BOOK.chapters for c in ch.cells)
    names = {n for ch in BOOK.chapters for c in ch.cells for n in NAME.findall(source(c))}
    asked = [q for chapter in BOOK.chapters for q in questions(chapter, BOOK)]
    assert len(asked) == len(names) >= 4 * len(CHAPTERS)
    assert sum(len(question.choices) for question in asked) == folds
    quiz = ElementTree.parse(written[-1]).getroot()
    assert len(quiz.findall("question[@type='multichoice']")) == len(names)
    assert len(quiz.findall("question[@type='category']")) == len(CHAPTERS)


@pytest.mark.parametrize("chapter", BOOK.chapters, ids=lambda chapter: chapter.stem)
def test_the_right_choice_explains_itself_as_right(chapter):
    for question in questions(chapter, BOOK):
        for choice in question.choices:
            first = "<p><strong>Right.</strong>" if choice.is_right else "<p><strong>Not quite."
            assert choice.explanation.startswith(first)
        assert not any(sign in question.text for sign in ("}`", "$", "**"))


def test_an_item_marks_and_explains_its_choice(written):
    """The right response is the choice whose explanation begins with "Right."."""
    with zipfile.ZipFile(written[2]) as package:
        item = ElementTree.fromstring(package.read("q3-1.xml"))
    right = item.findtext("responseDeclaration/correctResponse/value", namespaces=QTI)
    said = {
        feedback.get("identifier"): "".join(feedback.itertext())
        for feedback in item.findall("modalFeedback", QTI)
    }
    assert right == "B"
    assert said["B"].startswith("Right. ")
    assert said["A"].startswith("Not quite.")


def test_several_right_choices():
    item = qti.item(SEVERAL)
    ITEM.validate(item)
    assert "<correctResponse><value>A</value><value>B</value></correctResponse>" in item
    assert 'maxChoices="0"' in item
    assert item.count('cardinality="multiple" baseType="identifier"') == 2
    text = moodle.quiz({"A": [SEVERAL]})
    MOODLE.validate(text)
    assert "<single>false</single>" in text
    assert [part[:4] for part in text.split('fraction="')[1:]] == ['50" ', '50" ', "-100"]


def test_the_schemas_refuse_what_is_wrong():
    good = qti.item(SEVERAL)
    for wrong in (
        good.replace('identifier="B"', 'identifier="A"', 1),  # two choices of a name
        good.replace(' maxChoices="0"', ""),
        good.replace("<itemBody>", "<itemBody><div/>"),
        good.replace('adaptive="false"', ""),
    ):
        assert wrong != good
        assert not ITEM.is_valid(wrong)
    assert not MOODLE.is_valid(moodle.quiz({"A": [SEVERAL]}).replace('"50"', '"150"', 1))


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("so $a_1 * b_2 < c$", r"<p>so \(a_1 * b_2 &lt; c\)</p>"),
        ("$$\nx = y\n$$", r"<p>\[x = y\]</p>"),
        ("`a < b` and *c*", "<p><code>a &lt; b</code> and <em>c</em></p>"),
        ("<script>x</script>", "<p>&lt;script&gt;x&lt;/script&gt;</p>"),
    ],
)
def test_formulas_and_code(markdown, html):
    assert xhtml(markdown) == html


def test_the_same_questions_give_the_same_bytes():
    first, second = (qti.package("01-a", "A", [SEVERAL]) for _ in range(2))
    assert first == second
    assert zipfile.ZipFile(BytesIO(first)).namelist()[0] == "imsmanifest.xml"


def test_a_question_without_a_right_choice_is_refused(tmp_path):
    chapter = BOOK.chapters[2]
    right, wrong = (f'class=\\"quiz {kind}\\" name=\\"q3-2\\"' for kind in ("right", "wrong"))
    text = chapter.path.read_text("utf-8").replace(right, wrong)
    (tmp_path / chapter.path.name).write_text(text, "utf-8")
    (tmp_path / "references.bib").write_bytes((ROOT / "book/references.bib").read_bytes())
    with pytest.raises(ValueError, match="question 2: expected two choices or more, one of them"):
        write(tmp_path, ["3"], tmp_path / "to")

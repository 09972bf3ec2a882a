"""The book's chapters as the grader sees them: exercises, checks, solutions.

Nothing is run here. A chapter is its notebook, and all that a teacher needs to know about an
exercise is read from it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

CHAPTER = re.compile(r"(\d\d)-[a-z-]+\.ipynb")
HEADING = re.compile(r"^#{1,3} +(.*?) *$", re.M)
EXERCISE = re.compile(r"Exercise (\d+\.\d+)\b(?: +[–-] +)?(.*)")
EFFORT = re.compile(r"^\*About (\d+) minutes, (easy|medium|hard)\.\*$", re.M)
SOLUTION = re.compile(r"#\s*Solution (\d+\.\d+)\b")
CHECK = re.compile(r"""\bcheck\(\s*["'](\w+\.\w+)["']""")
POINTS = {"easy": 1, "medium": 2, "hard": 3}
Cell = Mapping[str, Any]


@dataclass(frozen=True)
class Exercise:
    """An exercise; one without a check is marked by hand."""

    number: str
    title: str
    minutes: int
    difficulty: str
    check: str = ""  # "scoring.factor"
    expression: str = ""  # what is checked: "factor"
    stubs: tuple[str, ...] = ()  # the sources of its open code cells, as they are handed out
    cells: tuple[str, ...] = ()  # and their ids
    folds: tuple[str, ...] = field(default=(), repr=False)  # sources of its folded solutions

    @property
    def points(self) -> int:
        """Points for a right answer: 1, 2 or 3, by difficulty."""
        return POINTS[self.difficulty]


@dataclass(frozen=True)
class Chapter:
    """A chapter of the book."""

    path: Path
    cells: list[Cell]

    @property
    def stem(self) -> str:
        """Its name, "03-scoring-functions"."""
        return self.path.stem

    @property
    def number(self) -> int:
        """Its number, which its exercises bear too."""
        return int(self.stem[:2])

    @cached_property
    def title(self) -> str:
        """Its first heading."""
        headings = (HEADING.search(source(cell)) for cell in self.cells)
        return next((found[1] for found in headings if found), self.stem)

    @cached_property
    def exercises(self) -> list[Exercise]:
        """Its exercises, in reading order.

        Raises:
            ValueError: an exercise does not say how long it takes.
        """
        found: list[Exercise] = []
        for heading, text, code in sections(self.cells):
            named = EXERCISE.match(heading)
            if not named:
                continue
            effort = EFFORT.search(text)
            if not effort:
                raise ValueError(
                    f"{self.path.name}: Exercise {named[1]}: expected a line "
                    '"*About 10 minutes, easy.*" (or medium, hard) below its heading, got none'
                )
            folds = tuple(source(cell) for cell in code if SOLUTION.match(source(cell)))
            stubs = [cell for cell in code if not SOLUTION.match(source(cell))]
            name, expression = next(filter(None, map(_checked, map(source, stubs))), ("", ""))
            found.append(
                Exercise(
                    number=named[1],
                    title=named[2],
                    minutes=int(effort[1]),
                    difficulty=effort[2],
                    check=name,
                    expression=expression,
                    stubs=tuple(map(source, stubs)),
                    cells=tuple(str(cell.get("id", "")) for cell in stubs),
                    folds=folds,
                )
            )
        return found


def chapters(book: Path) -> list[Chapter]:
    """Read the chapters in a folder.

    Raises:
        ValueError: there are none.
    """
    paths = sorted(path for path in book.glob("*.ipynb") if CHAPTER.fullmatch(path.name))
    if not paths:
        raise ValueError(f"book: expected a folder with the book's notebooks, got {str(book)!r}")
    return [Chapter(path, read(path)["cells"]) for path in paths]


def read(path: Path) -> Any:
    """Read a notebook file of any version; return it as nbformat's node.

    Raises:
        ValueError: it is none, said in a few words.
    """
    import nbformat

    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError("not a notebook: its text is not UTF-8") from error
    try:
        notebook: Any = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
        if not isinstance(notebook.get("cells"), list):
            raise ValueError("no cells")
        for cell in notebook.cells:
            source(cell), cell["cell_type"], cell["metadata"]
    except RecursionError as error:
        raise ValueError("not a notebook: nested too deeply") from error
    except Exception as error:  # nbformat raises a dozen kinds
        raise ValueError(f"not a notebook: {type(error).__name__}") from error
    return notebook


def source(cell: Cell) -> str:
    """The text of a cell."""
    text = cell["source"]
    return text if isinstance(text, str) else "".join(text)


def sections(cells: list[Cell]) -> Iterator[tuple[str, str, list[Cell]]]:
    """Yield each heading, the text below it, and the code cells, as far as the next heading."""
    heading, texts, code = "", [""], list[Cell]()
    for cell in cells:
        if cell["cell_type"] == "code":
            code.append(cell)
        elif cell["cell_type"] == "markdown":
            before, *parts = re.split(r"^(?=#{1,3} )", source(cell), flags=re.M)
            texts.append(before)
            for part in parts:
                yield heading, "\n".join(texts), code
                line, _, text = part.partition("\n")
                heading, texts, code = line.lstrip("# ").strip(), [text], []
    yield heading, "\n".join(texts), code


def _checked(cell: str) -> tuple[str, str] | None:
    """Return the name of the check that a cell calls, and the expression that it checks."""
    if not CHECK.search(cell):
        return None
    for node in ast.walk(ast.parse(cell)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "check":
            name, answer = node.args
            return str(ast.literal_eval(name)), ast.unparse(answer)
    return None

"""Sphinx extension: what the chapters say of themselves is not written a second time.

The API page and the index of solutions hold a block each, ::

    ```{derived} api
    ```

in whose place the chapters of _toc.yml stand, in their order. It is replaced in the source, before
the page is parsed, since a directive cannot make headings.

A chapter's folder in attn_utils is the one that its self-checks name: the notebook with
``check("pooling.by_hand", …)`` belongs to ``attn_utils/pooling``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from myst_parser.mdit_to_docutils.base import compute_unique_slug
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx_external_toc.parsing import parse_toc_yaml

BLOCK = re.compile(r"^```\{derived\} (\w+)\n```$", flags=re.M)
CHECK = re.compile(r"""\bcheck\(\s*["'](\w+)\.\w+["']""")
EXERCISE = re.compile(r"^### +(Exercise .+?) *$", flags=re.M)


@dataclass(frozen=True)
class Exercise:
    """An exercise: its title, its anchor in the page, and what one does in it."""

    title: str
    anchor: str
    kind: str


@dataclass(frozen=True)
class Chapter:
    """A chapter, as its notebook shows it."""

    notebook: Path

    @cached_property
    def cells(self) -> list[dict[str, Any]]:
        """The cells; each source as one string."""
        cells = json.loads(self.notebook.read_text(encoding="utf-8"))["cells"]
        return [{**cell, "source": "".join(cell["source"])} for cell in cells]

    @property
    def number(self) -> int:
        """The number in the file's name, which its exercises bear too."""
        return int(self.notebook.name.partition("-")[0])

    @property
    def title(self) -> str:
        """The heading of the first cell."""
        first = str(self.cells[0]["source"]) if self.cells else ""
        heading = re.match(r"# +(.+?) *$", first, flags=re.M)
        if not heading:
            raise ExtensionError(f"{self.notebook.name}: the first cell has no title")
        return str(heading[1])

    @property
    def folder(self) -> str:
        """The folder in attn_utils."""
        code = [cell["source"] for cell in self.cells if cell["cell_type"] == "code"]
        folders: list[str] = sorted({name for source in code for name in CHECK.findall(source)})
        if len(folders) != 1:
            raise ExtensionError(
                f'{self.notebook.name}: expected checks of one folder, check("folder.exercise", …),'
                f" got {folders or 'no check'}"
            )
        return folders[0]

    @property
    def exercises(self) -> list[Exercise]:
        """The exercises, in reading order."""
        exercises = []
        for index, cell in enumerate(self.cells):
            if cell["cell_type"] == "markdown":
                for heading in EXERCISE.finditer(cell["source"]):
                    kind = self._kind(heading[1], index)
                    exercises.append(Exercise(heading[1], anchor(heading[1]), kind))
        return exercises

    def _kind(self, title: str, index: int) -> str:
        """What the author says in the metadata of the cell; else what the notebook shows."""
        if said := self.cells[index]["metadata"].get("exercise"):
            return str(said)
        if any(CHECK.search(cell["source"]) for cell in self.cells[index + 1 : index + 2]):
            return "code"
        return "widget" if re.search(r"\bexplore", title, flags=re.I) else "think"


def anchor(title: str) -> str:
    """Return the anchor that MyST gives to a heading."""
    heading = SyntaxTreeNode(MarkdownIt().parse(f"### {title}")).children[0]
    return compute_unique_slug(heading, ())


def chapters(root: Path) -> list[Chapter]:
    """Return the chapters in the order of _toc.yml: the pages whose file has a number."""
    pages = parse_toc_yaml(root / "_toc.yml")
    return [Chapter(root / f"{page}.ipynb") for page in pages if re.search(r"(^|/)\d+-", page)]


def widgets_of(folder: str) -> list[str]:
    """Return the names of the widgets that lie in a chapter's folder."""
    from attn_utils.widgets import all_widgets

    module = f"attn_utils.{folder}.widget"
    return [name for name, widget in all_widgets().items() if widget.__module__ == module]


def api(chapter: Chapter) -> str:
    """Write a chapter's section of the API page: its public names, then its widgets."""
    module = f"attn_utils.{chapter.folder}"
    widgets = [f"autoclass:: {module}.widget.{name}" for name in widgets_of(chapter.folder)]
    documented = [f".. {what}\n   :members:\n" for what in (f"automodule:: {module}", *widgets)]
    return "\n".join([f"## {chapter.title}", "", "```{eval-rst}", *documented, "```"])


def solutions(chapter: Chapter) -> str:
    """Write a chapter's section of the index of solutions."""
    file = chapter.notebook
    listed = [f"- [{e.title}]({file.name}#{e.anchor}) ({e.kind})" for e in chapter.exercises]
    heading = f"## Chapter {chapter.number}: {{doc}}`{chapter.title} <{file.stem}>`"
    return "\n".join([heading, "", *listed])


PAGES = {"api": api, "solutions": solutions}


def derive(text: str, book: list[Chapter]) -> str:
    """Put the chapters in the place of the blocks."""

    def sections(block: re.Match[str]) -> str:
        if block[1] not in PAGES:
            raise ExtensionError(f"derived: expected one of {sorted(PAGES)}, got {block[1]!r}")
        return "\n\n".join(PAGES[block[1]](chapter) for chapter in book)

    return BLOCK.sub(sections, text)


def fill_page(app: Sphinx, page: str, source: list[str]) -> None:
    """Derive what a page asks for; it is read again when a chapter or their order changes."""
    if not BLOCK.search(source[0]):
        return
    root = Path(app.srcdir)
    book = chapters(root)
    for file in (root / "_toc.yml", *(chapter.notebook for chapter in book)):
        app.env.note_dependency(str(file))
    source[0] = derive(source[0], book)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("source-read", fill_page)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

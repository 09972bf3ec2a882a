"""Sphinx extension: what the chapters say of themselves is not written a second time.

The index of solutions and the overview of the API hold a block each, ::

    ```{derived} solutions
    ```

in whose place the chapters of _toc.yml stand, in their order. It is replaced in the source, before
the page is parsed, since a directive cannot make headings.

A chapter's folder in attn_utils is the one that its self-checks name: the notebook with
``check("pooling.by_hand", …)`` belongs to ``attn_utils/pooling``.

Each folder and file of attn_utils with public names (``__all__``) has an API page of its own.
Sphinx reads files only, so these pages are written to ``book/api/`` before Sphinx looks for them;
_toc.yml lists that folder as a whole, and git ignores it.
"""

from __future__ import annotations

import importlib
import inspect
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


def modules(root: Path) -> list[str]:
    """Return the folders and files of attn_utils that have public names, in alphabetical order.

    A file that only repeats the names of others, under which they were known once, is not among
    them.
    """
    package = root / "attn_utils"
    folders = [file.parent.name for file in package.glob("*/__init__.py")]
    files = [file.stem for file in package.glob("*.py") if file.stem != "__init__"]
    return sorted(
        [name for name in folders if public_names(name)]
        + [name for name in files if any(is_defined_in(name, what) for what in public_names(name))]
    )


def public_names(module: str) -> list[str]:
    """Return what a folder or file of attn_utils lists in ``__all__``."""
    return list(getattr(importlib.import_module(f"attn_utils.{module}"), "__all__", ()))


def is_defined_in(module: str, name: str) -> bool:
    """Tell whether a public name is defined in the file itself."""
    value = getattr(importlib.import_module(f"attn_utils.{module}"), name)
    return bool(getattr(value, "__module__", None) == f"attn_utils.{module}")


def explained_files(root: Path, module: str) -> list[str]:
    """Return the files of a folder to whose own docstrings others refer, as for the mask rules."""
    sources = [file.read_text(encoding="utf-8") for file in (root / "attn_utils").rglob("*.py")]
    referred = {name for source in sources for name in re.findall(r":mod:`~?([\w.]+)`", source)}
    return sorted(name for name in referred if name.startswith(f"attn_utils.{module}."))


def api_page(root: Path, module: str, chapter: Chapter | None) -> str:
    """Write the page of a folder or file: whose chapter it is, its public names, its widgets."""
    what = f"The module `attn_utils.{module}`"
    if chapter:
        page = f"{{doc}}`../{chapter.notebook.stem}`"
        what += f"; chapter {chapter.number}, {page}, derives what it holds"
    documented = [
        *(f".. automodule:: {name}\n" for name in explained_files(root, module)),
        f".. automodule:: attn_utils.{module}\n   :members:\n",
        *(
            f".. autoclass:: attn_utils.{module}.widget.{name}\n   :members:\n"
            for name in widgets_of(module)
        ),
    ]
    return "\n".join([f"# {module}", "", f"{what}.", "", "```{eval-rst}", *documented, "```", ""])


def write_api_pages(root: Path) -> None:
    """Bring ``book/api/`` up to date; a page that stays the same is not touched."""
    if not (root / "book" / "api.md").exists():
        return
    folder = root / "book" / "api"
    folder.mkdir(exist_ok=True)
    chapter_of = {chapter.folder: chapter for chapter in chapters(root)}
    pages = {
        folder / f"{module}.md": api_page(root, module, chapter_of.get(module))
        for module in modules(root)
    }
    for file in folder.iterdir():
        if file not in pages:
            file.unlink()
    for file, text in pages.items():
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def listed(module: str) -> str:
    """Write a module's entry in the overview: the first line of its docstring, and its names."""
    name = f"attn_utils.{module}"
    value = importlib.import_module(name)
    said = (inspect.getdoc(value) or "").partition("\n")[0].replace("``", "`")
    shown = [f"{name}.{what}" for what in public_names(module) if callable(getattr(value, what))]
    shown += [f"{name}.widget.{what}" for what in widgets_of(module)]
    links = ", ".join(f"{{py:obj}}`~{full}`" for full in shown)
    return f"{{doc}}`{name} <api/{module}>`\n: {said}\n\n  {links}\n"


def api(root: Path, book: list[Chapter]) -> str:
    """Write the overview of the API: the chapters' folders, then what they stand on."""
    of_chapters = [chapter.folder for chapter in book]
    others = [module for module in modules(root) if module not in of_chapters]
    parts = {"The chapters": of_chapters, "What they stand on": others}
    return "\n".join(
        line
        for heading, names in parts.items()
        for line in (f"## {heading}", "", *map(listed, names))
    )


def solutions(root: Path, book: list[Chapter]) -> str:
    """Write the index of solutions: a section for each chapter."""
    return "\n\n".join(map(solutions_of, book))


def solutions_of(chapter: Chapter) -> str:
    """Write a chapter's section of the index of solutions."""
    file = chapter.notebook
    entries = [f"- [{e.title}]({file.name}#{e.anchor}) ({e.kind})" for e in chapter.exercises]
    heading = f"## Chapter {chapter.number}: {{doc}}`{chapter.title} <{file.stem}>`"
    return "\n".join([heading, "", *entries])


PAGES = {"api": api, "solutions": solutions}


def derive(text: str, root: Path, book: list[Chapter]) -> str:
    """Put the chapters in the place of the blocks."""

    def sections(block: re.Match[str]) -> str:
        if block[1] not in PAGES:
            raise ExtensionError(f"derived: expected one of {sorted(PAGES)}, got {block[1]!r}")
        return PAGES[block[1]](root, book)

    return BLOCK.sub(sections, text)


def fill_page(app: Sphinx, page: str, source: list[str]) -> None:
    """Derive what a page asks for; it is read again when a chapter or their order changes."""
    if not BLOCK.search(source[0]):
        return
    root = Path(app.srcdir)
    book = chapters(root)
    for file in (root / "_toc.yml", *(chapter.notebook for chapter in book)):
        app.env.note_dependency(str(file))
    source[0] = derive(source[0], root, book)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    # before sphinx_external_toc (900) leaves out the files that _toc.yml does not list
    app.connect("config-inited", lambda app, _: write_api_pages(Path(app.srcdir)), priority=850)
    app.connect("source-read", fill_page)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

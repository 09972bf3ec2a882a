"""The notebook as the rules see it: stored cells, nothing run."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

HIDING_TAGS = {"hide-cell", "hide-input", "remove-cell", "remove-input"}

Finding = tuple[int | None, str]


@dataclass
class Cell:
    """A cell; ``number`` counts from 1 over the cells of every kind."""

    number: int
    raw: dict[str, Any]

    @property
    def is_code(self) -> bool:
        """Whether this is a code cell."""
        return self.raw.get("cell_type") == "code"

    @property
    def is_markdown(self) -> bool:
        """Whether this is a Markdown cell."""
        return self.raw.get("cell_type") == "markdown"

    @cached_property
    def source(self) -> str:
        """The text; notebooks store it as a string or as a list of lines."""
        return "".join(self.raw.get("source", ""))

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata of the cell."""
        return mapping(self.raw.get("metadata"))

    @property
    def tags(self) -> set[str]:
        """The tags of the cell; tags of another form than a list of texts as one odd tag."""
        tags = self.metadata.get("tags", [])
        well_formed = isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)
        return set(tags) if well_formed else {repr(tags)}

    @property
    def is_visible(self) -> bool:
        """Whether the book shows the source without a click."""
        return not self.tags & HIDING_TAGS

    @cached_property
    def is_python(self) -> bool:
        """Whether this parses as Python, without IPython's magics."""
        try:
            ast.parse(self.source)
        except (SyntaxError, ValueError):  # ValueError: a zero byte
            return False
        return True

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree; empty where the source is not Python."""
        return ast.parse(self.source if self.is_python else "")

    @cached_property
    def prose(self) -> str:
        """Markdown without its code, so that examples of syntax are not taken for the thing."""
        without_blocks = re.sub(r"^(`{3,}|~{3,}).*?^\1`*\s*$", "", self.source, flags=re.M | re.S)
        role_or_code = r"(?:\{[\w:.-]+\})?(?<!`)(`+)(?!`)(?:.|\n(?!\s*\n))+?(?<!`)\1(?!`)"
        return re.sub(role_or_code, "", without_blocks)


@dataclass
class Notebook:
    """A notebook and the place of its file, which its links start from."""

    path: Path
    metadata: dict[str, Any]
    cells: list[Cell]

    @classmethod
    def read(cls, path: Path) -> Notebook:
        """Read the file.

        Raises:
            ValueError: the file is not a notebook.
        """
        raw = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(raw, dict) or not isinstance(raw.get("cells"), list):
            raise ValueError("not a notebook")
        return cls.of(path, raw)

    @classmethod
    def of(cls, path: Path, raw: dict[str, Any]) -> Notebook:
        """Take over what a file holds."""
        cells = [Cell(number, cell) for number, cell in enumerate(raw["cells"], start=1)]
        return cls(path, mapping(raw.get("metadata")), cells)

    @property
    def code(self) -> list[Cell]:
        """The code cells."""
        return [cell for cell in self.cells if cell.is_code]

    @property
    def markdown(self) -> list[Cell]:
        """The Markdown cells."""
        return [cell for cell in self.cells if cell.is_markdown]


def mapping(value: Any) -> dict[str, Any]:
    """Return a part of hand-written metadata; empty if it is missing or of another kind."""
    return value if isinstance(value, dict) else {}

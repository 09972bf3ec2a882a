"""Boxes that unfold: ``<details class="..." name="..."><summary>...</summary> ... </details>``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .notebook import Cell, Finding, Notebook

OPENING = re.compile(r"<details\b([^>]*)>")
BOX = re.compile(OPENING.pattern + r"\s*<summary>(.*?)</summary>(.*?)</details>", re.S)


@dataclass
class Box:
    """A box, of one or more classes: a hint, a solution, a choice of a quiz."""

    classes: set[str]
    name: str
    summary: str
    body: str


def boxes(cell: Cell) -> list[Box]:
    """Return the complete boxes of a Markdown cell."""
    return [
        Box(classes(tag), attribute(tag, "name"), " ".join(summary.split()), body)
        for tag, summary, body in BOX.findall(cell.prose)
    ]


def attribute(tag: str, name: str) -> str:
    """Return the value of an attribute in an HTML tag; empty if there is none."""
    found = re.search(rf"""\b{name}\s*=\s*["']([^"']*)""", tag)
    return found[1] if found else ""


def classes(tag: str) -> set[str]:
    """Return the classes of an HTML tag."""
    return set(attribute(tag, "class").split())


def boxes_render(notebook: Notebook) -> Iterator[Finding]:
    """Boxes are complete; Markdown inside is rendered only between blank lines."""
    for cell in notebook.markdown:
        complete = boxes(cell)
        if len(complete) != len(OPENING.findall(cell.prose)):
            yield cell.number, "has a <details> without <summary> or </details>"
        for box in complete:
            lines = box.body.split("\n")  # the outer two are what follows and precedes a tag
            if len(lines) < 3 or any(line.strip() for line in [*lines[:2], *lines[-2:]]):
                yield cell.number, f"the box {box.summary!r} needs a blank line around its text"

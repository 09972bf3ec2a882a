"""Boxes that unfold: ``<details class="..." name="..."><summary>...</summary> ... </details>``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .notebook import Finding, Notebook

OPENING = re.compile(r"<details\b([^>]*)>")
BOX = re.compile(OPENING.pattern + r"\s*<summary>(.*?)</summary>(.*?)</details>", re.S)


def classes(tag: str) -> set[str]:
    """Return the classes of an HTML tag."""
    found = re.search(r"""\bclass\s*=\s*["']([^"']*)""", tag)
    return set(found[1].split()) if found else set()


def boxes_render(notebook: Notebook) -> Iterator[Finding]:
    """Boxes are complete; Markdown inside is rendered only between blank lines."""
    for cell in notebook.markdown:
        complete = BOX.findall(cell.prose)
        if len(complete) != len(OPENING.findall(cell.prose)):
            yield cell.number, "has a <details> without <summary> or </details>"
        for _, summary, body in complete:
            lines = body.split("\n")  # the outer two are what follows and precedes a tag
            if any(line.strip() for line in [*lines[:2], *lines[-2:]]):
                title = " ".join(summary.split())
                yield cell.number, f"the box {title!r} needs a blank line around its text"

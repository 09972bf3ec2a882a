"""Figures and images say what is to be seen: some readers hear the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .notebook import Finding, Notebook, mapping
from .shown_figures import cells_with_figures

SHORTEST_ALT_TEXT = 20

# the picture is meant, not a number ("the figure of a hundred million")
SAYS_FIGURE = re.compile(
    r"^((an?|the|this) )?figure\b|\b(the|this) figure (shows|displays)\b|\bimage of\b", re.I
)


def figures_are_described(notebook: Notebook) -> Iterator[Finding]:
    """A cell that shows a figure has alt text, a caption and a name."""
    names: dict[str, int] = {}
    with_figures = cells_with_figures(notebook)
    for cell in notebook.code:
        metadata = mapping(cell.metadata.get("mystnb"))
        image, figure = mapping(metadata.get("image")), mapping(metadata.get("figure"))
        if not (image or figure or cell in with_figures):
            continue
        for problem in _alt_text_problems(image.get("alt")):
            yield cell.number, problem
        for key in ("caption", "name"):
            if not str(figure.get(key) or "").strip():
                yield cell.number, f"shows a figure without a {key} (mystnb.figure.{key})"
        name = figure.get("name")
        if name in names:
            yield cell.number, f"its figure has the name {name!r} of cell {names[name]}"
        elif name:
            names[name] = cell.number


def images_have_alt_text(notebook: Notebook) -> Iterator[Finding]:
    """Images in prose say what is to be seen as well."""
    for cell in notebook.markdown:
        for target in re.findall(r"!\[\s*\]\(\s*([^)\s]*)", cell.prose):
            yield cell.number, f"shows the image {target} without alt text"
        for tag in re.findall(r"<img\b[^>]*>", cell.prose, flags=re.I):
            if not re.search(r"""\balt\s*=\s*(["'])\s*[^"'\s]""", tag, flags=re.I):
                yield cell.number, f"shows an image without alt text: {tag}"
        for fence in re.finditer(
            r"^(`{3,}|:{3,})\{(?:image|figure)\}[ \t]*(\S*)(.*?)^\1", cell.source, re.M | re.S
        ):
            if not re.search(r"^:alt:[ \t]*\S", fence[3], flags=re.M):
                yield cell.number, f"shows the image {fence[2]} without alt text"


def _alt_text_problems(alt: Any) -> Iterator[str]:
    text = str(alt or "").strip()
    if not text:
        yield "shows a figure without alt text (mystnb.image.alt)"
    elif len(text) < SHORTEST_ALT_TEXT:
        yield f"its alt text {text!r} is too short to say what is to be seen"
    elif said := SAYS_FIGURE.search(text):
        yield f"its alt text says {said[0]!r}: say what is to be seen, not that there is a figure"

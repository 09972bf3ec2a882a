"""Sphinx extension: a link to a term of the glossary shows its Chinese name under the pointer."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.addnodes import glossary
from sphinx.application import Sphinx


def names_in(document: nodes.document) -> dict[str, str]:
    """For each entry of a glossary, its anchors and its last name, which is the Chinese one."""
    names = {}
    for found in document.findall(glossary):
        for entry in found.findall(nodes.definition_list_item):
            terms = [term for term in entry.children if isinstance(term, nodes.term)]
            names.update({anchor: terms[-1].astext() for term in terms for anchor in term["ids"]})
    return names


def remember(app: Sphinx, document: nodes.document) -> None:
    """Keep the names in the environment, for pages that are written without the glossary."""
    found = names_in(document)
    if found:
        app.env.chinese_terms = found  # type: ignore[attr-defined]


def add_titles(app: Sphinx, document: nodes.document, page: str) -> None:
    """Give every link to a term its title."""
    names: dict[str, str] = getattr(app.env, "chinese_terms", {})
    for link in document.findall(nodes.reference):
        anchor = link.get("refid") or link.get("refuri", "").partition("#")[2]
        if anchor in names and not link.get("reftitle"):
            link["reftitle"] = names[anchor]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("doctree-read", remember)
    app.connect("doctree-resolved", add_titles)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}

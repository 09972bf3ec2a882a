"""Sphinx extension: a chapter's number is that of its file, whatever is missing before it.

Sphinx counts the entries of the table of contents; while chapter 4 is unwritten it would call
``05-self-attention`` chapter 4, and exercises, figures and formulas would carry the wrong number.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx_external_toc.collectors import TocTreeCollectorWithStyles


def number_by_file_name(env: BuildEnvironment) -> None:
    """Replace the first part of every section number of a chapter by the number in its name."""
    for page, numbers in env.toc_secnumbers.items():
        chapter = re.match(r"(\d+)-", PurePosixPath(page).name)
        if not chapter:
            continue
        first = int(chapter[1])
        for anchor, number in numbers.items():
            if number:
                numbers[anchor] = (first, *number[1:])
        for node in [env.titles[page], *env.tocs[page].findall(nodes.reference)]:
            if node.get("secnumber"):
                node["secnumber"] = [first, *node["secnumber"][1:]]


def setup(app: Sphinx) -> dict[str, Any]:
    """Number the sections anew whenever they have been numbered, before figures are."""
    assign = TocTreeCollectorWithStyles.assign_section_numbers

    def assign_by_file_name(self: TocTreeCollectorWithStyles, env: BuildEnvironment) -> list[str]:
        changed: list[str] = assign(self, env)
        number_by_file_name(env)
        return changed

    # Jupyter Book collects by this subclass of Sphinx's collector, which has no event of its own
    TocTreeCollectorWithStyles.assign_section_numbers = assign_by_file_name
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

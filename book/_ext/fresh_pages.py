"""Sphinx extension: a page is written again when what it shows of other pages has changed.

Sphinx writes the pages that it has read again, though all pages show titles and numbers of others,
and refer to their headings, figures, formulas and terms. Here these are compared before and after
reading; if they differ, every page is written.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


def canonical(value: Any) -> str:
    """Write a value in one way, in whatever order its parts were put in."""
    if isinstance(value, dict):
        parts = [f"{key!r}: {canonical(part)}" for key, part in value.items()]
    elif isinstance(value, list | set | tuple):
        parts = [canonical(part) for part in value]
    elif hasattr(value, "__dict__") and " at 0x" in repr(value):  # its place in memory is no value
        return canonical(vars(value))
    else:
        return repr(value)
    return f"({', '.join(sorted(parts))})"


def shown_elsewhere(env: BuildEnvironment) -> str:
    """Return what pages can show of each other."""
    shown = {
        "titles": {page: title.astext() for page, title in env.titles.items()},
        "headings": {page: headings.pformat() for page, headings in env.tocs.items()},
        "anchors": {page: data.get("myst_slugs") for page, data in env.metadata.items()},
        "numbers": [env.toc_secnumbers, env.toc_fignumbers],
        "labels": env.domaindata,
    }
    return canonical(shown)


class Comparison:
    """What pages could show of each other before reading, and whether that still holds."""

    before = ""

    def note(self, app: Sphinx, env: BuildEnvironment, changed: list[str]) -> None:
        """Keep the state before any page is read."""
        self.before = shown_elsewhere(env)

    def pages_to_write(self, app: Sphinx, env: BuildEnvironment) -> Iterable[str]:
        """Return every page if they may show something else now, once all is numbered."""
        if shown_elsewhere(env) == self.before:
            return []
        shutil.rmtree(Path(app.outdir, "_modules"), ignore_errors=True)  # code, with titles beside
        return env.found_docs


def search_entries(app: Sphinx) -> Path:
    """Where the pages' entries in the search index are kept from build to build.

    Sphinx saves its state before it writes, and so without them; the search of the next build would
    lack those of the pages that are not written again.
    """
    return Path(app.doctreedir, "search-entries.json")


def restore_search_entries(app: Sphinx, env: BuildEnvironment, changed: list[str]) -> None:
    """Give Sphinx the entries of the last build."""
    if search_entries(app).exists():
        kept = json.loads(search_entries(app).read_text(encoding="utf-8"))
        env._search_index_index_entries.update(kept)


def keep_search_entries(app: Sphinx, error: Exception | None) -> None:
    """Keep the entries of the pages for the next build."""
    if error is None:
        kept = json.dumps(app.env._search_index_index_entries)
        search_entries(app).write_text(kept, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    comparison = Comparison()
    app.connect("env-before-read-docs", comparison.note)
    app.connect("env-get-updated", comparison.pages_to_write, priority=900)  # after numbering
    app.connect("env-before-read-docs", restore_search_entries)
    app.connect("build-finished", keep_search_entries)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}

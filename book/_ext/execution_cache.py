"""Sphinx extension: an executed notebook is used only while what it depends on is unchanged.

jupyter-cache looks at the cells' source alone: a change in attn_utils or in the locked environment
would leave stale output in the page. Here each notebook has its cache in a folder named after what
it depends on: the files of the package that it imports, the versions of the environment. Earlier
ones are kept (``make clean`` removes them), so that a change that is taken back costs nothing. The
widgets' front end is no part of it: live_widgets writes it anew each time.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

from myst_nb.core.config import NbParserConfig
from myst_nb.core.read import create_nb_reader
from myst_parser.config.main import MdParserConfig
from nbformat import NotebookNode
from package_imports import Package
from sphinx.application import Sphinx


def read(file: Path, text: str) -> NotebookNode | None:
    """Read a notebook, stored as JSON or as Markdown, as MyST-NB does; None for another page."""
    reader = create_nb_reader(str(file), MdParserConfig(), NbParserConfig(), text)
    return None if reader is None else reader.read(text)


class Caches:
    """The caches of the notebooks of a book, in its build folder."""

    def __init__(self, root: Path, build: Path):
        self.folder = build / ".jupyter_cache"
        self.package = Package(root)
        lock = root / "constraints.txt"
        self.environment = sys.version.encode() + (lock.read_bytes() if lock.exists() else b"")

    def of(self, notebook: NotebookNode) -> Path:
        """Return the cache of a notebook."""
        code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
        key = self.environment + self.package.fingerprint(code).encode()
        return self.folder / hashlib.sha256(key).hexdigest()[:16]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    caches: list[Caches] = []  # made once the folders are known

    def point_to_cache(app: Sphinx, page: str, source: list[str]) -> None:
        """Point MyST-NB to the cache of the notebook that it is about to read."""
        file = Path(app.env.doc2path(page))
        if file.suffix not in (".ipynb", ".md") or (notebook := read(file, source[0])) is None:
            return
        if not caches:
            caches.append(Caches(Path(app.confdir), Path(app.outdir).parent))
        env: Any = app.env
        path = str(caches[0].of(notebook))
        env.mystnb_config = env.mystnb_config.copy(execution_cache_path=path)

    app.connect("source-read", point_to_cache, priority=900)  # after those who change the source
    return {"version": "2", "parallel_read_safe": True, "parallel_write_safe": True}

"""Sphinx extension: executed notebooks are kept only while what they depend on is unchanged.

jupyter-cache looks at the cells' source alone: a change in attn_utils or in the locked
environment would leave stale output in the page. Here both are part of the cache's path. (The
widgets' front end is not: live_widgets writes it anew each time.)
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config


def dependencies_key(root: Path) -> str:
    """Hash the Python version, the package's Python sources and data, and the lock file."""
    digest = hashlib.sha256(sys.version.encode())
    for file in [*sorted((root / "attn_utils").rglob("*")), root / "constraints.txt"]:
        if file.suffix in (".py", ".npz", ".txt") and file.exists():
            digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def present_cache(root: Path, build: Path) -> Path:
    """Return the cache of the present dependencies in a build folder; remove earlier ones."""
    caches = build / ".jupyter_cache"
    present = caches / dependencies_key(root)
    for old in caches.iterdir() if caches.exists() else ():
        if old != present:
            shutil.rmtree(old, ignore_errors=True)
    return present


def set_cache_path(app: Sphinx, config: Config) -> None:
    """Point MyST-NB to the cache of the present dependencies."""
    cache = present_cache(Path(app.confdir), Path(app.outdir).parent)
    config.nb_execution_cache_path = str(cache)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("config-inited", set_cache_path)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

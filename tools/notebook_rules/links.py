"""Links inside the book lead somewhere; addresses with a scheme are not looked at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .notebook import Finding, Notebook

LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+[\"'][^)]*)?\)|\b(?:href|src)\s*=\s*[\"']([^\"']+)")
DOC_ROLE = re.compile(r"\{doc\}`(?:[^`<]*<([^`>]+)>|([^`]+))`")
DOCUMENT_SUFFIXES = ("", ".md", ".ipynb", ".rst")


def links_lead_somewhere(notebook: Notebook) -> Iterator[Finding]:
    """Relative links and ``{doc}`` targets exist."""
    folder = notebook.path.resolve().parent
    for cell in notebook.markdown:
        for match in LINK.finditer(cell.prose):
            target = match[1] or match[2]
            parts = urlsplit(target)
            elsewhere = parts.scheme or parts.netloc
            if not elsewhere and not (folder / unquote(parts.path)).exists():
                yield cell.number, f"links to {target}, which does not exist"
        for match in DOC_ROLE.finditer(cell.source):
            target = (match[1] or match[2]).strip()
            # a leading slash means the folder of _config.yml, the parent of book/
            base = folder.parent if target.startswith("/") else folder
            document = base / target.lstrip("/")
            if not any(Path(f"{document}{suffix}").is_file() for suffix in DOCUMENT_SUFFIXES):
                yield cell.number, f"refers to the document {target}, which does not exist"

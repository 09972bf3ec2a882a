"""Sphinx extension: each page says what may run on it: the site's files and the theme's scripts.

A script that gets into the text of a page some other way, from a notebook's output or a label, is
blocked by the browser. The policy stands in every page, which works on any host and from disk, and
in the file ``_headers``, which some hosts send along.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

POLICY = (
    "default-src 'self'; script-src 'self' {own}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; object-src 'none'; base-uri 'none'"
)
# The text of a page. What lies around it is the theme's, and trusted.
ARTICLE = re.compile(r'<article class="bd-article">.*</article>', re.DOTALL)
SCRIPT = re.compile(r"<script(?: data-cfasync=\"false\")?>(.*?)</script>", re.DOTALL)
HANDLER = re.compile(r'<button\b[^>]*\sonclick="([^"]*)"')
# The page's own name, in which only a switch of versions would be interested. Without it the
# scripts are the same on all pages.
PAGE_NAME = re.compile(r"<script>DOCUMENTATION_OPTIONS\.pagename = '[^']*';</script>")
META = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
CHARSET = '<meta charset="utf-8" />'


def digest(script: str) -> str:
    """Return the name of a script in a policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def policy_for(pages: Iterable[str]) -> str:
    """Return the policy under which the theme's scripts and buttons work on these pages."""
    scripts: set[str] = set()
    handlers: set[str] = set()
    for page in pages:
        around = ARTICLE.sub("", page)
        scripts.update(SCRIPT.findall(around))
        handlers.update(html.unescape(handler) for handler in HANDLER.findall(around))
    own = sorted(map(digest, scripts))
    if handlers:
        own += ["'unsafe-hashes'", *sorted(map(digest, handlers))]
    return POLICY.format(own=" ".join(own))


def write_policy(app: Sphinx, error: Exception | None) -> None:
    """Put the policy into all pages and into the file for hosts."""
    if error is not None or app.builder.format != "html":
        return
    root = Path(app.outdir)
    pages = {
        file: PAGE_NAME.sub("", META.sub("", file.read_text(encoding="utf-8")))
        for file in root.rglob("*.html")
        if "_static" not in file.relative_to(root).parts
    }
    policy = policy_for(pages.values())
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    for file, page in pages.items():
        with_policy = page.replace(CHARSET, CHARSET + meta, 1)
        file.write_text(with_policy, encoding="utf-8")
    (root / "_headers").write_text(f"/*\n  Content-Security-Policy: {policy}\n", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("build-finished", write_policy, priority=950)  # after the last change to a page
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

"""Sphinx extension: what search engines, previews of links and hosts of static sites ask for.

Every page gets a description and the tags of a preview; the root sends readers on to the first
page. Where the book lives only its publisher knows, who says so in the environment variable
BOOK_ADDRESS. Then pages name their address, and there are a list of all pages (sitemap.xml) and a
page for addresses that lead nowhere (404.html), which a host shows at any depth.
"""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError

SHORT = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
{head}
<title>{title}</title>
</head>
<body style="font: 1.1rem/1.6 sans-serif; max-width: 36rem; margin: 15vh auto; padding: 0 1rem">
<h1>{title}</h1>
<p>{text} <a href="{link}">{link_text}</a>.</p>
</body>
</html>
"""


def address() -> str:
    """Return where the book will be published, with a slash at the end; empty if nobody says."""
    url = os.environ.get("BOOK_ADDRESS", "")
    if url and not url.startswith(("https://", "http://")):
        raise ExtensionError(f"BOOK_ADDRESS: expected https://…, got {url!r}")
    return url and url.rstrip("/") + "/"


def set_address(app: Sphinx, config: Config) -> None:
    """Let Sphinx name each page's canonical address."""
    config.html_baseurl = address()


def description(doctree: nodes.document) -> str:
    """Return a page's first sentences: paragraphs until there are 80 characters, at most 200."""
    text = ""
    for paragraph in doctree.findall(nodes.paragraph):
        text = f"{text} {' '.join(paragraph.astext().split())}".strip()
        if len(text) >= 80:
            break
    if len(text) > 200:
        return text[:199].rpartition(" ")[0].rstrip(",;:") + "…"
    return text.rstrip(",;:")


def add_tags(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Describe a page, and say which icon a phone puts on its screen."""
    icon = context["pathto"]("_static/touch-icon.png", resource=True)
    head = f'\n<link rel="apple-touch-icon" href="{icon}" />'
    context["metatags"] = context.get("metatags", "") + head
    if doctree is None:  # an index or the search: no text of its own
        return
    text = description(doctree)
    tags = {
        "og:type": "article",
        "og:site_name": app.config.html_title,
        "og:title": app.env.titles[page].astext(),
        "og:description": text,
    }
    if address():
        tags["og:url"] = context["pageurl"]
        tags["og:image"] = address() + "_static/readme-widget.png"
    context["metatags"] += f'\n<meta name="description" content="{escape(text)}" />' + "".join(
        f'\n<meta property="{name}" content="{escape(value)}" />' for name, value in tags.items()
    )


def write_pages(app: Sphinx, error: Exception | None) -> None:
    """Write the root; and, where the address is known, the list of pages and the page 404."""
    if error is not None or app.builder.format != "html":
        return
    site, title = Path(app.outdir), app.config.html_title
    first = app.builder.get_target_uri(app.config.root_doc)
    root = SHORT.format(
        head=f'<meta http-equiv="refresh" content="0; url={first}" />',
        title=escape(title),
        text="The book begins on its",
        link=first,
        link_text="first page",
    )
    (site / "index.html").write_text(root, encoding="utf-8")
    if not address():
        return
    pages = [address() + app.builder.get_target_uri(page) for page in sorted(app.env.found_docs)]
    (site / "sitemap.xml").write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
        + "".join(f"<url><loc>{escape(page)}</loc></url>\n" for page in pages)
        + "</urlset>\n",
        encoding="utf-8",
    )
    lost = SHORT.format(
        head='<meta name="robots" content="noindex" />',
        title="There is no such page",
        text=f"The address leads nowhere in “{escape(title)}”. Try its",
        link=address() + first,
        link_text="first page",
    )
    (site / "404.html").write_text(lost, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("config-inited", set_address)
    app.connect("html-page-context", add_tags)
    app.connect("build-finished", write_pages, priority=400)  # before a bare redirect is written
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

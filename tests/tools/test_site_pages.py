"""What the site tells search engines, previews and hosts, with and without an address."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from bs4 import BeautifulSoup
from docutils import nodes
from site_pages import description
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import docutils_namespace

TEXT = """Cues & "cues"
=============

**You will be able to**

- say what a cue is, in words that a reader of the next page understands at once.
"""


def built(tmp_path: Path) -> Path:
    """A book of two pages, whose first one lies in a folder."""
    source, site = tmp_path / "source", tmp_path / "site"
    (source / "book").mkdir(parents=True)
    (source / "conf.py").write_text(
        "extensions = ['site_pages']\nhtml_title = 'Book'\nroot_doc = 'book/index'\n"
    )
    (source / "book" / "index.rst").write_text(TEXT + "\n.. toctree::\n\n   two\n")
    (source / "book" / "two.rst").write_text("Two\n===\n\nShort.\n")
    with docutils_namespace():
        app = Sphinx(source, source, site, tmp_path / "trees", "html", status=None, warning=None)
        app.build()
    assert app.statuscode == 0
    return site


def head(page: Path) -> dict[str, str]:
    """Return the tags in the head of a page, by name."""
    soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    tags = {str(m.get("name") or m.get("property")): str(m.get("content")) for m in soup("meta")}
    return tags | {" ".join(m.get_attribute_list("rel")): str(m["href"]) for m in soup("link")}


def test_a_page_describes_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BOOK_ADDRESS", raising=False)
    site = built(tmp_path)
    tags = head(site / "book" / "index.html")
    said = "You will be able to say what a cue is, in words that a reader of the next page"
    assert tags["description"] == f"{said} understands at once."
    assert tags["og:description"] == tags["description"]
    assert tags["og:site_name"] == "Book"
    assert tags["og:title"] == "Cues & “cues”"
    assert tags["apple-touch-icon"] == "../_static/touch-icon.png"
    assert not {"canonical", "og:url", "og:image"} & tags.keys(), "nobody has said where it lives"
    assert head(site / "genindex.html")["apple-touch-icon"] == "_static/touch-icon.png"
    root = (site / "index.html").read_text(encoding="utf-8")
    assert 'content="0; url=book/index.html"' in root
    assert '<a href="book/index.html">' in root
    assert not (site / "sitemap.xml").exists()
    assert not (site / "404.html").exists()


def test_the_address_is_the_publishers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOK_ADDRESS", "https://example.org/book-of-mine")
    site = built(tmp_path)
    page = "https://example.org/book-of-mine/book/index.html"
    tags = head(site / "book" / "index.html")
    assert tags["canonical"] == tags["og:url"] == page
    locations = [e.text for e in ElementTree.parse(site / "sitemap.xml").iter() if e.text]
    assert [place for place in locations if place.strip()] == [page, page.replace("index", "two")]
    assert f'<a href="{page}">' in (site / "404.html").read_text(encoding="utf-8")


def test_an_address_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOK_ADDRESS", "example.org")
    with pytest.raises(ExtensionError, match=r"expected https://…, got 'example.org'"):
        built(tmp_path)


def test_a_long_description_ends_with_a_word() -> None:
    page = nodes.document(None, None, "", nodes.paragraph("", "words, " * 60))
    text = description(page)
    assert text.endswith("words…")
    assert 190 < len(text) <= 200

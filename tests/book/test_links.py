"""Every link of the built book leads somewhere, and no page loads anything from another host."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup, SoupStrainer

from tests.pages import ROOT, SITE

# what a browser fetches by itself; <a> waits for a click
LOADERS = re.compile(
    "^(audio|embed|iframe|image|img|input|link|meta|object|script|source|style|track|use|video)$"
)
ADDRESSES = ("src", "href", "xlink:href", "data", "poster")
PASSIVE = {"alternate", "author", "canonical", "help", "index", "license", "next", "prev", "search"}
CSS_URL = re.compile(r"""url\(\s*["']?(.*?)["']?\s*\)|@import\s+["'](.*?)["']""")


def lychee(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check a built site as `lychee.toml` says."""
    program = shutil.which("lychee", path=str(Path(sys.executable).parent)) or "lychee"
    return subprocess.run(
        [program, str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=300
    )


def css_urls(text: str) -> Iterator[str]:
    """Addresses in a style sheet."""
    for match in CSS_URL.finditer(re.sub(r"/\*.*?\*/", "", text, flags=re.S)):
        yield match[1] or match[2] or ""


def loaded_by(page: str) -> Iterator[str]:
    """Addresses that a browser fetches when it opens the page, or is sent on to."""
    loaders = BeautifulSoup(page, "html.parser", parse_only=SoupStrainer(LOADERS))
    for element in loaders.find_all(True):
        if element.name == "style":
            yield from css_urls(element.get_text())
        elif element.name == "meta":
            if str(element.get("http-equiv", "")).lower() == "refresh":
                yield str(element["content"]).partition("url=")[2]
        elif not PASSIVE & set(element.get_attribute_list("rel")):
            yield from (str(element[name]) for name in ADDRESSES if element.get(name))
            for candidate in str(element.get("srcset", "")).split(","):
                yield from candidate.split()[:1]
    for style in re.findall(r"""\sstyle=(["'])(.*?)\1""", page):
        yield from css_urls(style[1])


def problems(file: Path, site: Path) -> list[str]:
    """What a page or a style sheet would load from another host, or in vain."""
    text = file.read_text(encoding="utf-8")
    found = []
    for url in dict.fromkeys(css_urls(text) if file.suffix == ".css" else loaded_by(text)):
        parts = urlsplit(url)
        if parts.scheme in ("data", "blob", "about") or url.startswith("#") or not url:
            continue
        if parts.scheme or parts.netloc:
            found.append(f"{url} is on another host")
        elif url.startswith("/"):
            found.append(f"{url}: the book may lie in a folder")
        elif not (file.parent / unquote(parts.path)).resolve().is_relative_to(site.resolve()):
            found.append(f"{url} is outside")
        elif not (file.parent / unquote(parts.path)).is_file():
            found.append(f"{url} is not there")
    return found


def test_every_link_leads_somewhere() -> None:
    assert (SITE / "index.html").exists(), "the book is not built: run `make book` first"
    done = lychee(SITE)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("link", "is_broken"),
    [
        ("two.html#part", False),
        ("#here", False),
        ("two.html#cue=red&gain=2", False),  # the state of a widget
        ("https://example.org/nothing", False),  # not asked
        ("three.html", True),
        ("two.html#nothing", True),
        ("#nothing", True),
        ("/two.html", True),  # the book may lie in a folder
    ],
)
def test_a_broken_link_is_noticed(tmp_path: Path, link: str, is_broken: bool) -> None:
    (tmp_path / "one.html").write_text(f'<h1 id="here">One</h1><a href="{link}">x</a>')
    (tmp_path / "two.html").write_text('<h1 id="part">Two</h1>')
    done = lychee(tmp_path)
    assert (done.returncode != 0) == is_broken, done.stdout


def test_pages_load_nothing_from_another_host_and_nothing_in_vain() -> None:
    pages = [f for f in SITE.rglob("*.html") if "_static" not in f.relative_to(SITE).parts]
    sheets = [*SITE.rglob("*.css")]
    assert len(pages) > 20
    assert sheets
    found = {str(f.relative_to(SITE)): problems(f, SITE) for f in [*pages, *sheets]}
    assert {name: there for name, there in found.items() if there} == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('<script src="https://cdn.example.org/x.js"></script>', "on another host"),
        ('<script src="//cdn.example.org/x.js"></script>', "on another host"),
        ('<img srcset="a.png 1x, http://example.org/a.png 2x">', "on another host"),
        ('<link rel="preconnect" href="https://example.org">', "on another host"),
        ('<p style="background: url(https://example.org/b.png)">', "on another host"),
        ('<style>@import "https://example.org/c.css";</style>', "on another host"),
        ('<script src="gone.js"></script>', "is not there"),
        ('<meta http-equiv="Refresh" content="0; url=gone.html">', "is not there"),
        ('<img src="/a.png">', "the book may lie in a folder"),
        ('<img src="../../a.png">', "is outside"),
    ],
)
def test_what_a_page_loads_from_elsewhere_is_noticed(
    tmp_path: Path, text: str, problem: str
) -> None:
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "a.png").touch()
    page = tmp_path / "book" / "page.html"
    page.write_text(
        f'<link rel="canonical" href="https://example.org/"><img src="a.png?v=1">'
        f'<img src="data:image/png;base64,AAAA"><svg><use href="#x"></svg>{text}'
    )
    (found,) = problems(page, tmp_path)
    assert problem in found

"""Check the links of the built book, by reading its pages.

    python tools/check_links.py [_build/html]               # offline
    python tools/check_links.py [_build/html] --external    # also asks other hosts; needs a network

Offline it reports links and anchors that lead nowhere, files that a page or a style sheet needs
and that are not there, and everything that a page would load from another host: the book has to
work without a network, and nobody else should learn who reads it. With ``--external`` every
address outside the book that a reader can click is requested as well.

A problem is printed as ``page: what is wrong``; the exit status is 1 if there is any.
"""

from __future__ import annotations

import argparse
import re
import sys
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

SITE = Path(__file__).resolve().parent.parent / "_build" / "html"

# What the browser fetches by itself, tag by tag. <a> and <area> wait for a click.
RESOURCES = {
    "audio": ("src",),
    "embed": ("src",),
    "iframe": ("src",),
    "image": ("href", "xlink:href"),
    "img": ("src", "srcset"),
    "input": ("src",),
    "link": ("href",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "track": ("src",),
    "use": ("href", "xlink:href"),
    "video": ("src", "poster"),
}
# <link> elements of these kinds only tell how pages hang together
PASSIVE_LINKS = {"alternate", "author", "canonical", "help", "index", "license", "next", "prev"}
CSS_URL = re.compile(r"""url\(\s*(["']?)(?P<url>.*?)\1\s*\)|@import\s+(["'])(?P<import>.*?)\3""")
CSS_COMMENT = re.compile(r"/\*.*?\*/", re.S)
SKIPPED_SCHEMES = {"about", "blob", "data", "javascript", "mailto", "tel"}
WEB_SCHEMES = {"http", "https"}

USER_AGENT = "Mozilla/5.0 (compatible; link check of an open textbook)"
# Hosts that answer so do exist; they only refuse programs, or too many questions.
REFUSALS = {401, 403, 405, 406, 418, 429, 503, 999}
TIMEOUT = 20.0  # seconds for each request


class Page(HTMLParser):
    """What one page offers (anchors), links to, and loads.

    Attributes:
        anchors: ids, and names of ``<a>`` elements.
        links: addresses that a reader can follow.
        resources: (tag, address) of what the browser loads by itself.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.resources: list[tuple[str, str]] = []
        self._in_style = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the anchors and addresses of an element."""
        attributes = {name: value or "" for name, value in attrs}
        self._in_style = tag == "style"
        self.anchors.add(attributes.get("id", ""))
        if tag == "a":
            self.anchors.add(attributes.get("name", ""))
        if tag in {"a", "area"} and "href" in attributes:
            self.links.append(attributes["href"])
        if tag == "meta" and attributes.get("http-equiv", "").lower() == "refresh":
            self.links.append(attributes.get("content", "").lower().partition("url=")[2].strip())
        self.resources += [("style", url) for url in css_urls(attributes.get("style", ""))]
        if tag != "link" or not PASSIVE_LINKS & set(attributes.get("rel", "").lower().split()):
            for name in RESOURCES.get(tag, ()):
                value = attributes.get(name, "")
                urls = _srcset(value) if name == "srcset" else [value]
                self.resources += [(tag, url) for url in urls if url]

    def handle_endtag(self, tag: str) -> None:
        """Leave a style sheet inside the page."""
        self._in_style = self._in_style and tag != "style"

    def handle_data(self, data: str) -> None:
        """Read a style sheet inside the page."""
        if self._in_style:
            self.resources += [("style", url) for url in css_urls(data)]


def css_urls(text: str) -> Iterator[str]:
    """Yield the addresses in a style sheet: ``url(...)`` and ``@import``."""
    for match in CSS_URL.finditer(CSS_COMMENT.sub("", text)):
        yield match["url"] or match["import"] or ""


def _srcset(value: str) -> list[str]:
    return [candidate.split()[0] for candidate in value.split(",") if candidate.strip()]


@dataclass
class Site:
    """A built site: its folder, and its pages by their paths."""

    root: Path
    pages: dict[Path, Page]

    @classmethod
    def read(cls, root: Path) -> Site:
        """Read every page below ``root``; the theme's fragments in ``_static`` are no pages.

        Raises:
            ValueError: there is no page.
        """
        root = root.resolve()
        pages = {
            path: Page(path.read_text(encoding="utf-8", errors="replace"))
            for path in sorted(root.rglob("*.html"))
            if "_static" not in path.relative_to(root).parts
        }
        if not pages:
            raise ValueError(f"{root}: there are no pages; build the book first")
        return cls(root, pages)

    def name(self, path: Path) -> str:
        """How to call a file of the site in a message."""
        return path.relative_to(self.root).as_posix()

    def target(self, page: Path, url: str) -> Path | None:
        """Return the file that a relative address on ``page`` means; None if there is none."""
        path = unquote(urlsplit(url).path)
        target = (page.parent / path).resolve() if path else page
        if target.is_dir():
            target /= "index.html"
        inside = target.is_relative_to(self.root)
        return target if inside and target.is_file() else None


def is_foreign(url: str) -> bool:
    """Whether an address leads to another host; ``//host/...`` does too."""
    parts = urlsplit(url)
    return parts.scheme in WEB_SCHEMES or bool(parts.netloc)


def _is_checked(url: str) -> bool:
    return bool(url) and urlsplit(url).scheme not in SKIPPED_SCHEMES


def link_problems(site: Site) -> Iterator[str]:
    """Yield the internal links whose page, file or anchor does not exist."""
    for path, page in site.pages.items():
        for url in page.links:
            if not _is_checked(url) or is_foreign(url):
                continue
            if url.startswith("/"):
                yield f"{site.name(path)}: {url} starts at the host; the book may lie in a folder"
                continue
            target = site.target(path, url)
            if target is None:
                yield f"{site.name(path)}: {url} leads nowhere"
            elif not _has_anchor(site, target, urlsplit(url).fragment):
                yield f"{site.name(path)}: {url}: {site.name(target)} has no such anchor"


def _has_anchor(site: Site, target: Path, fragment: str) -> bool:
    if not fragment or fragment == "top" or target not in site.pages:
        return True
    if "=" in fragment or fragment.startswith(":~:"):
        return True  # the state of a widget, or a text to be found: no place in the page
    return unquote(fragment) in site.pages[target].anchors


def resource_problems(site: Site) -> Iterator[str]:
    """Yield what pages and style sheets load from other hosts, or would load in vain."""
    for path, page in site.pages.items():
        for tag, url in page.resources:
            yield from _resource_problems(site, path, f"<{tag}>", url)
    for path in sorted(site.root.rglob("*.css")):
        text = path.read_text(encoding="utf-8", errors="replace")
        for url in css_urls(text):
            yield from _resource_problems(site, path, "the style sheet", url)


def _resource_problems(site: Site, path: Path, loader: str, url: str) -> Iterator[str]:
    if not _is_checked(url) or url.startswith("#"):
        return
    if is_foreign(url):
        yield f"{site.name(path)}: {loader} loads {url} from another host"
    elif url.startswith("/"):
        yield f"{site.name(path)}: {loader} loads {url}; the book may lie in a folder"
    elif site.target(path, url) is None:
        yield f"{site.name(path)}: {loader} loads {url}, which does not exist"


def external_links(site: Site) -> dict[str, list[str]]:
    """Return the addresses on other hosts that a reader can follow, and the pages they are on."""
    found: dict[str, list[str]] = defaultdict(list)
    for path, page in site.pages.items():
        for url in page.links:
            if is_foreign(url):
                address = urldefrag(f"https:{url}" if url.startswith("//") else url).url
                if site.name(path) not in found[address]:
                    found[address].append(site.name(path))
    return dict(sorted(found.items()))


def request(url: str) -> tuple[int | None, str]:
    """Ask for an address; return the HTTP status (None without an answer) and its meaning."""
    status, meaning = 0, ""
    for method in ("HEAD", "GET"):  # some hosts know only GET
        question = urllib.request.Request(url, method=method, headers={"User-Agent": USER_AGENT})
        try:
            with urllib.request.urlopen(question, timeout=TIMEOUT) as answer:
                return answer.status, "ok"
        except urllib.error.HTTPError as error:
            status, meaning = error.code, str(error.reason)
        except (OSError, ValueError) as error:
            return None, str(getattr(error, "reason", error))
    return status, meaning


def external_problems(
    links: dict[str, list[str]],
    ask: Callable[[str], tuple[int | None, str]] = request,
) -> Iterator[tuple[bool, str]]:
    """Request every address; yield (is it broken, line of the report) for those not fine.

    An address that refuses programs is reported, but not counted as broken.
    """
    with ThreadPoolExecutor(max_workers=6) as pool:
        answers = pool.map(ask, links)
        for (url, pages), (status, meaning) in zip(links.items(), answers, strict=True):
            where = pages[0] + (f" and {len(pages) - 1} more" if len(pages) > 1 else "")
            if status is None:
                yield True, f"{where}: {url}: no answer ({meaning})"
            elif status in REFUSALS:
                yield False, f"{where}: {url}: refuses programs ({status}); look at it yourself"
            elif status >= 400:
                yield True, f"{where}: {url}: {status} {meaning}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Check a built site; return 1 if there is a problem."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("site", nargs="?", type=Path, default=SITE, help="default: _build/html")
    parser.add_argument("--external", action="store_true", help="also request other hosts")
    options = parser.parse_args(arguments)
    try:
        site = Site.read(options.site)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    problems = dict.fromkeys([*link_problems(site), *resource_problems(site)])  # once each
    for problem in problems:
        print(problem)
    broken = len(problems)
    links = external_links(site)
    if options.external:
        for is_broken, line in external_problems(links):
            print(line)
            broken += is_broken
    asked = "requested" if options.external else "not requested"
    print(
        f"{len(site.pages)} pages, {len(links)} external addresses {asked}, {broken} problems",
        file=sys.stderr,
    )
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())

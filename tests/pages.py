"""The built book in a real headless Chromium, cut off from every other host."""

from __future__ import annotations

import contextlib
import functools
import gzip
import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

ROOT = Path(__file__).parents[1]
PAGES = [
    "book/index.html",
    *sorted(
        str(p.relative_to(ROOT).with_suffix(".html"))
        for pattern in ("*", "api/*")  # the latter are written by the build
        for p in (ROOT / "book").glob(pattern)
        if p.suffix in (".ipynb", ".md") and p.stem != "index"
    ),
]
CHAPTERS = [page for page in PAGES if Path(page).name[:2].isdigit()]
ALIVE = ["book/index.html", *CHAPTERS]  # pages with widgets
SITE = ROOT / "_build" / "html"
COMPRESSED = {".html", ".js", ".css", ".json", ".svg"}


# Behind the address of a page: only its widgets.
ALONE = "?alone"
OF_WIDGETS = re.compile(
    r"""<link[^>]*rel="stylesheet"[^>]*> | <script[^>]*widget-state.*?</script>
    | <script[^>]*live/host\.js[^>]*></script> | (?P<view><script[^>]*widget-view.*?</script>)""",
    re.S | re.X,
)


def widgets_of(page: str) -> str:
    """Leave of a built page what its widgets need, in a column as wide as the page's.

    A chapter of 30,000 pixels takes three times as long to open, and each step in it, too.
    """
    views, rest = "", ""
    for part in OF_WIDGETS.finditer(page):
        if part["view"]:
            views += f"<div>{part[0]}</div>"
        else:
            rest += part[0]
    return (
        '<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Widgets</title>'
        f'<main style="width: 100%; max-width: 716px; margin: 0 auto">{views}</main>{rest}</html>'
    )


@functools.cache
def compressed(file: Path, alone: bool, _changed: int) -> bytes:
    """Compress a file as it is now; every page loads the same scripts."""
    body = file.read_bytes()
    return gzip.compress(widgets_of(body.decode()).encode() if alone else body, 6)


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the site as a public host does: text compressed."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args, directory=str(SITE))  # type: ignore[arg-type]

    def handle(self) -> None:
        """Serve; a page that is closed before its pictures have arrived is no error."""
        with contextlib.suppress(ConnectionError):
            super().handle()

    def log_message(self, *args: object) -> None:
        """Keep the test's output clean."""

    def do_GET(self) -> None:
        file = Path(self.translate_path(self.path))
        if file.suffix not in COMPRESSED or not file.is_file():
            return super().do_GET()
        body = compressed(file, self.path.endswith(ALONE), file.stat().st_mtime_ns)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(file)))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        return None


class Watch:
    """A browser page that remembers everything that should not have happened."""

    def __init__(self, context: BrowserContext, site: str) -> None:
        self.site = site
        self.bad: list[str] = []
        self.page: Page = context.new_page()
        self.page.on("pageerror", lambda error: self.bad.append(f"error: {error}"))
        self.page.on("console", self._console)
        self.page.on("request", self._request)
        self.page.on("response", self._response)

    def open(self, path: str) -> Page:
        """Open a page of the book and wait until its widgets are alive."""
        self.page.goto(f"{self.site}/{path}")
        if self.page.locator('script[type*="widget-view"]').count():
            self.page.wait_for_selector("html[data-live-host=ready]")
        return self.page

    def _ours(self, url: str) -> bool:
        return url.startswith((self.site, "data:", "blob:"))

    def _console(self, message: object) -> None:
        if message.type in ("error", "warning"):  # type: ignore[attr-defined]
            self.bad.append(f"console: {message.text}")  # type: ignore[attr-defined]

    def _request(self, request: object) -> None:
        if not self._ours(request.url):  # type: ignore[attr-defined]
            self.bad.append(f"external request: {request.url}")  # type: ignore[attr-defined]

    def _response(self, response: object) -> None:
        if response.status >= 400:  # type: ignore[attr-defined]
            self.bad.append(f"{response.status}: {response.url}")  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    if not (SITE / "index.html").exists():
        pytest.fail("the book is not built: run `make book` first")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def new_context(browser: Browser, width: int = 1300, theme: str = "light") -> BrowserContext:
    """A window of a reader who has just arrived."""
    phone = width < 500
    return browser.new_context(
        viewport={"width": width, "height": 844 if phone else 900},
        color_scheme=theme,  # type: ignore[arg-type]
        is_mobile=phone,
        has_touch=phone,
        reduced_motion="reduce",
    )


@pytest.fixture(scope="session")
def wide(browser: Browser) -> Iterator[BrowserContext]:
    """A wide window in the light theme, shared by the tests: opening one takes a second."""
    with new_context(browser) as context:
        yield context


@pytest.fixture(scope="session")
def phone(browser: Browser) -> Iterator[BrowserContext]:
    """A phone in the dark theme, shared by the tests."""
    with new_context(browser, 390, "dark") as context:
        yield context


@pytest.fixture
def watch(wide: BrowserContext, site: str) -> Iterator[Watch]:
    """A wide page in the light theme."""
    watch = Watch(wide, site)
    yield watch
    watch.page.close()


@pytest.fixture(params=["wide", "phone"])
def watch_everywhere(request: pytest.FixtureRequest, site: str) -> Iterator[Watch]:
    """Both widths and both themes in two pages: the one does not depend on the other."""
    watch = Watch(request.getfixturevalue(request.param), site)
    yield watch
    watch.page.close()

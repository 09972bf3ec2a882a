"""tools/check_links.py finds what leads nowhere and what leaves the site, and nothing else."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_links", ROOT / "tools" / "check_links.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


tool = _load()

GOOD = {
    "index.html": """
        <html><head>
          <meta http-equiv="Refresh" content="0; url=book/one.html">
          <link rel="canonical" href="https://example.org/index.html">
          <link rel="stylesheet" href="_static/style.css?digest=1">
          <script src="_static/app.js"></script>
          <style>body { background: url("data:image/png;base64,AAAA") }</style>
        </head><body><a href="book/one.html#part">One</a></body></html>""",
    "book/one.html": """
        <h1 id="part">One</h1> <a name="old"></a>
        <a href="#part">here</a> <a href="#old">here</a> <a href="#">top</a> <a href="../">up</a>
        <a href="two%20words.html">two</a> <a href="one.ipynb">download</a>
        <a href="#cue=red&amp;gain=2">the widget so</a>
        <a href="mailto:a@example.org">mail</a> <a href="https://example.org/x#y">out</a>
        <img src="../_images/a.png" srcset="../_images/a.png 1x, ../_images/a.png 2x" alt="A">
        <svg><use href="#part"></use></svg>""",
    "book/two words.html": '<a href="one.html">back</a> <a href="https://example.org/x">out</a>',
    "book/one.ipynb": "{}",
    "_static/style.css": """
        /* url(gone.png) */ @font-face { src: url('font.woff') }
        a { background: url(#gradient) }""",
    "_static/font.woff": "",
    "_static/app.js": "",
    "_static/theme/macros.html": '<a href="nowhere.html">a fragment of the theme</a>',
    "_images/a.png": "",
}


@pytest.fixture
def site(tmp_path: Path) -> Callable[..., Path]:
    """Write the good site with some files replaced."""

    def write(changes: dict[str, str] | None = None) -> Path:
        for name, text in {**GOOD, **(changes or {})}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path

    return write


def problems(root: Path) -> list[str]:
    found = tool.Site.read(root)
    return [*tool.link_problems(found), *tool.resource_problems(found)]


def test_a_good_site_passes(site: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main([str(site())]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "3 pages, 1 external addresses not requested, 0 problems\n"


BAD = {
    '<a href="three.html">x</a>': "three.html leads nowhere",
    '<a href="../../outside.html">x</a>': "../../outside.html leads nowhere",
    '<a href="#nothing">x</a>': "#nothing: book/bad.html has no such anchor",
    '<a href="one.html#nothing">x</a>': "one.html#nothing: book/one.html has no such anchor",
    '<a href="/book/one.html">x</a>': "/book/one.html starts at the host; the book may lie in "
    "a folder",
    '<meta http-equiv="refresh" content="0; url=gone.html">': "gone.html leads nowhere",
    '<script src="gone.js"></script>': "<script> loads gone.js, which does not exist",
    '<img src="/_images/a.png">': "<img> loads /_images/a.png; the book may lie in a folder",
    '<script src="https://cdn.example.org/x.js"></script>': "<script> loads "
    "https://cdn.example.org/x.js from another host",
    '<script src="//cdn.example.org/x.js"></script>': "<script> loads //cdn.example.org/x.js "
    "from another host",
    '<img srcset="http://example.org/a.png 2x">': "<img> loads http://example.org/a.png from "
    "another host",
    '<link rel="stylesheet" href="https://example.org/a.css">': "<link> loads "
    "https://example.org/a.css from another host",
    '<link rel="preconnect" href="https://example.org">': "<link> loads https://example.org "
    "from another host",
    '<iframe src="https://example.org/v"></iframe>': "<iframe> loads https://example.org/v "
    "from another host",
    '<p style="background: url(https://example.org/b.png)">': "<style> loads "
    "https://example.org/b.png from another host",
    '<style>@import "https://example.org/c.css";</style>': "<style> loads "
    "https://example.org/c.css from another host",
}


@pytest.mark.parametrize("text", BAD)
def test_a_bad_page_is_reported(site: Callable[..., Path], text: str) -> None:
    assert problems(site({"book/bad.html": text})) == [f"book/bad.html: {BAD[text]}"]


def test_a_style_sheet_with_foreign_and_missing_fonts_is_reported(
    site: Callable[..., Path],
) -> None:
    css = "@font-face { src: url(https://example.org/f.woff), url('gone.woff') }"
    assert problems(site({"_static/style.css": css})) == [
        "_static/style.css: the style sheet loads https://example.org/f.woff from another host",
        "_static/style.css: the style sheet loads gone.woff, which does not exist",
    ]


def test_problems_are_printed_and_fail(
    site: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root = site({"book/bad.html": '<a href="x.html">1</a> <a href="x.html">2</a>'})
    assert tool.main([str(root)]) == 1
    captured = capsys.readouterr()
    assert captured.out == "book/bad.html: x.html leads nowhere\n"  # once, not twice
    assert captured.err.endswith("1 problems\n")


def test_a_folder_without_pages_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main([str(tmp_path)]) == 1
    assert "build the book first" in capsys.readouterr().err


# ── external links; no request leaves this test ──────────────────────────────────────────────


def test_external_links_are_collected_once(site: Callable[..., Path]) -> None:
    found = tool.external_links(tool.Site.read(site()))
    assert found == {"https://example.org/x": ["book/one.html", "book/two words.html"]}


def test_answers_of_other_hosts_are_reported() -> None:
    answers = {
        "https://a.example": (200, "ok"),
        "https://b.example": (404, "Not Found"),
        "https://c.example": (403, "Forbidden"),
        "https://d.example": (None, "timed out"),
    }
    links = {url: ["one.html", "two.html"] for url in answers}
    report = [*tool.external_problems(links, ask=answers.__getitem__)]
    where = "one.html and 1 more"
    assert report == [
        (True, f"{where}: https://b.example: 404 Not Found"),
        (False, f"{where}: https://c.example: refuses programs (403); look at it yourself"),
        (True, f"{where}: https://d.example: no answer (timed out)"),
    ]


def test_external_problems_fail_the_command_only_when_asked(
    site: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(tool.urllib.request, "urlopen", unreachable)
    assert tool.main([str(site())]) == 0
    assert tool.main([str(site()), "--external"]) == 1

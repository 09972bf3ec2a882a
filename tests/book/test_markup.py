"""What the built pages hold, read from their HTML: no browser is needed to know that."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from bs4 import BeautifulSoup, Tag
from PIL import Image

from tests.pages import ALIVE, CHAPTERS, PAGES, ROOT, SITE


@functools.cache
def soup(path: str) -> BeautifulSoup:
    if not (SITE / path).exists():
        pytest.fail("the book is not built: run `make book` first")
    return BeautifulSoup((SITE / path).read_text(encoding="utf-8"), "html.parser")


@pytest.fixture(scope="module", autouse=True)
def forgotten() -> Iterator[None]:
    """Fifty pages in parts are half a million objects, at which every later test would look."""
    yield
    soup.cache_clear()


def target(path: str, element: Tag, attribute: str) -> Path:
    """The file of the site that an element of a page refers to."""
    return (SITE / path).parent / str(element[attribute])


# the picture is meant, not a number ("the figure of a hundred million")
SAYS_FIGURE = re.compile(
    r"^((an?|the|this) )?figure\b|\b(the|this) figure (shows|displays)\b|\bimage of\b", re.I
)


@pytest.mark.parametrize("path", PAGES)
def test_every_picture_says_what_is_to_be_seen(path: str) -> None:
    for image in soup(path).select(".bd-article img"):
        alt = str(image.get("alt", ""))
        assert len(alt) >= 20, f"{image.get('src')}: {alt!r}"
        # without alt text Sphinx takes the name of the file, which is long enough, but no words
        assert len(alt.split()) >= 4, f"{image.get('src')}: {alt!r}"
        assert not SAYS_FIGURE.search(alt), f"say what is to be seen: {alt!r}"


@pytest.mark.parametrize("path", PAGES)
def test_every_page_describes_itself(path: str) -> None:
    described = soup(path).select_one('head meta[name="description"]')
    assert described is not None
    assert 50 <= len(str(described["content"])) <= 200
    icon = soup(path).select_one('head link[rel="apple-touch-icon"]')
    assert icon is not None
    with Image.open(target(path, icon, "href")) as image:
        assert image.size == (180, 180)


@pytest.mark.parametrize("path", CHAPTERS)
def test_every_drawn_figure_has_a_name_and_a_caption(path: str) -> None:
    for image in soup(path).select(".cell_output img"):
        if image.find_parent("noscript"):  # the picture of a widget
            continue
        figure = image.find_parent("figure")
        assert figure is not None, f"{image.get('alt')!r}: no caption (mystnb.figure.caption)"
        assert str(figure.get("id", "")).startswith("fig-"), f"{image.get('alt')!r}: no name"
        caption = figure.select_one("figcaption .caption-text")
        assert caption is not None
        assert caption.get_text().strip(" #")


def smallest_text(source: str) -> float | None:
    """The points of the smallest text in the figure that a cell draws; None where it has none."""
    sizes = [float(size) for size in re.findall(r"(?:font|label|title)size=([\d.]+)", source)]
    words = re.search(r"title|label|text\(|annotate|legend", source)
    return None if 'axis("off")' in source and not words else min([10.0, *sizes])


@pytest.mark.parametrize("path", CHAPTERS)
def test_text_in_figures_can_be_read_on_a_phone(path: str) -> None:
    """At 390 pixels a column has 342; figures are drawn with two pixels for each of the page."""
    notebook = json.loads((ROOT / path).with_suffix(".ipynb").read_text(encoding="utf-8"))
    drawn = 0
    for cell in notebook["cells"]:
        name = cell["metadata"].get("mystnb", {}).get("figure", {}).get("name", "")
        points = smallest_text("".join(cell["source"]))
        image = soup(path).select_one(f"figure#{name} img") if name else None
        if image is None or points is None:
            continue
        with Image.open(target(path, image, "src")) as picture:
            shown = min(342, picture.width / 2) / picture.width  # of the picture's own pixels
            pixels = points / 72 * round(picture.info["dpi"][0]) * shown
        assert pixels >= 9, f"{name}: {points:g}-point text has {pixels:.1f} pixels"
        drawn += 1
    assert drawn


@pytest.mark.parametrize("path", ALIVE)
def test_widgets_have_a_picture_where_nothing_runs(path: str) -> None:
    pictures = soup(path).select("noscript img")
    widgets = soup(path).select('script[type*="widget-view"]')
    assert len(pictures) == len(widgets) > 0
    for picture in pictures:
        assert len(str(picture["alt"])) > 40
        with Image.open(target(path, picture, "src")) as image:
            assert image.width > 300


@pytest.mark.parametrize("path", CHAPTERS)
def test_chapter_is_numbered_as_its_file(path: str) -> None:
    number = int(Path(path).name[:2])
    title = soup(path).select_one("section > h1")
    assert title is not None
    assert title.get_text().startswith(f"{number}. ")
    captions = soup(path).select("figcaption .caption-number")
    assert captions
    assert all(caption.get_text().startswith(f"Fig. {number}.") for caption in captions)


@pytest.mark.parametrize("path", CHAPTERS)
def test_notebook_can_be_downloaded(path: str) -> None:
    link = soup(path).select_one("a.btn-download-source-button")
    assert link is not None
    notebook = json.loads(target(path, link, "href").read_text(encoding="utf-8"))
    assert any(cell["cell_type"] == "code" for cell in notebook["cells"])


@pytest.mark.parametrize("path", CHAPTERS)
def test_quiz_choices_explain_themselves(path: str) -> None:
    choices = soup(path).select("details.quiz")
    assert len(choices) >= 12
    for choice in choices:
        assert choice.summary is not None
        question = choice.summary.get_text()
        explanation = choice.get_text().replace(question, "", 1).strip()
        verdict = "Right" if "right" in choice["class"] else "Not quite"
        assert explanation.startswith(verdict), question
        assert len(explanation) > 20, question
    for name in {str(choice["name"]) for choice in choices}:
        answers = [c for c in choices if c["name"] == name]
        assert len(answers) >= 2, f"{name} has a single choice"
        assert any("right" in c["class"] for c in answers), f"{name} has no right answer"

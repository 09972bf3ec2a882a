"""Every page of the built book, wide and phone, light and dark: clean, light, readable."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from .conftest import SITE, Watch, new_context

ROOT = Path(__file__).parents[2]
PAGES = ["book/index.html", *sorted(
    str(p.relative_to(ROOT).with_suffix(".html")) for p in (ROOT / "book").glob("*")
    if p.suffix in (".ipynb", ".md") and p.stem != "index"
)]  # fmt: skip
CHAPTERS = [page for page in PAGES if Path(page).name[:2].isdigit()]
ALIVE = ["book/index.html", *CHAPTERS]  # pages with widgets

# What axe-core finds in the theme (sphinx-book-theme 1.3) and in docutils' bibliography: the rule
# and words of the node.
THEME_FINDINGS = {
    ("region", "skip-link"),
    ("region", "pst-back-to-top"),
    ("region", "navbar-brand"),
    ("label-content-name-mismatch", "search-button"),
    ("aria-required-children", "citation-list"),
}


@pytest.mark.parametrize("path", PAGES)
def test_page_is_clean_offline_and_accessible(watch_everywhere: Watch, path: str) -> None:
    page = watch_everywhere.open(path)
    page.wait_for_load_state("networkidle")
    if page.locator(".math").count():
        page.wait_for_function("() => window.MathJax?.startup?.document?.lazyTypesetAll")
        page.evaluate("() => MathJax.startup.document.lazyTypesetAll()")
        assert page.locator("mjx-container").count() >= page.locator(".math").count()
    assert watch_everywhere.bad == []
    assert page.locator("mjx-merror, [data-mjx-error]").count() == 0, "TeX that MathJax refuses"
    width = page.evaluate("() => [document.documentElement.scrollWidth, innerWidth]")
    assert width[0] <= width[1], "the page scrolls sideways"
    assert page.title() not in ("", "<no title>")
    found = [
        (violation["id"], node["html"])
        for violation in Axe().run(page).response["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
        if not any(
            violation["id"] == rule and part in node["html"] for rule, part in THEME_FINDINGS
        )
    ]
    assert found == []


@pytest.mark.parametrize("path", PAGES)
def test_every_picture_says_what_is_to_be_seen(watch: Watch, path: str) -> None:
    page = watch.open(path)
    for image in page.locator(".bd-article img").all():
        alt = image.get_attribute("alt") or ""
        assert len(alt) >= 20, f"{image.get_attribute('src')}: {alt!r}"


@pytest.mark.parametrize("path", ALIVE)
def test_page_stays_light(watch: Watch, path: str) -> None:
    sizes: list[float] = []
    session = watch.page.context.new_cdp_session(watch.page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})  # a first visit
    urls: dict[str, str] = {}
    session.on(
        "Network.responseReceived", lambda e: urls.update({e["requestId"]: e["response"]["url"]})
    )
    session.on("Network.loadingFinished", lambda e: sizes.append(
        0 if "/_images/" in urls.get(e["requestId"], "") else e["encodedDataLength"]))  # fmt: skip
    watch.open(path).wait_for_load_state("networkidle")
    requests = [url for url in urls.values() if "/_images/" not in url and url.startswith("http")]
    assert sum(sizes) <= 0.75e6
    assert len(requests) <= 35


@pytest.mark.parametrize("path", ALIVE)
def test_widgets_have_a_picture_where_nothing_runs(browser: Browser, site: str, path: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}/{path}")
    pictures = page.locator("noscript img")
    assert pictures.count() == page.locator('script[type*="widget-view"]').count() > 0
    for picture in pictures.all():
        assert len(picture.get_attribute("alt") or "") > 40
        assert picture.evaluate("image => image.naturalWidth") > 300
    context.close()


@pytest.mark.parametrize("path", ALIVE)
def test_page_opens_from_disk(browser: Browser, path: str) -> None:
    page = browser.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((SITE / path).as_uri())
    page.wait_for_selector("html[data-live-host=ready]")
    assert page.locator(".aw[data-ready]").count() > 0
    assert errors == []
    page.close()


@pytest.mark.parametrize("path", CHAPTERS)
def test_chapter_is_numbered_as_its_file(watch: Watch, path: str) -> None:
    page = watch.open(path)
    number = int(Path(path).name[:2])
    assert page.locator("section > h1").inner_text().startswith(f"{number}. ")
    captions = page.locator("figcaption .caption-number").all_text_contents()
    assert all(caption.startswith(f"Fig. {number}.") for caption in captions)


@pytest.mark.parametrize("path", CHAPTERS)
def test_notebook_can_be_downloaded(watch: Watch, path: str) -> None:
    page = watch.open(path)
    link = page.locator("a.btn-download-source-button")
    response = page.request.get(link.evaluate("a => a.href"))
    notebook = json.loads(response.text())
    assert any(cell["cell_type"] == "code" for cell in notebook["cells"])


@pytest.mark.parametrize("path", CHAPTERS)
def test_quiz_choices_explain_themselves(watch: Watch, path: str) -> None:
    page = watch.open(path)
    choices = page.locator("details.quiz")
    assert choices.count() >= 12
    for choice in choices.all():
        choice.locator("summary").click()
        verdict = "Right" if "right" in (choice.get_attribute("class") or "") else "Not quite"
        assert verdict in choice.inner_text()


def test_search_finds_a_term(watch: Watch) -> None:
    page = watch.open("search.html?q=bandwidth")
    page.wait_for_selector("#search-results li a")
    found = page.locator("#search-results li a").evaluate_all("links => links.map((a) => a.href)")
    assert any("02-attention-pooling" in link for link in found)
    assert any("glossary.html#term-bandwidth" in link for link in found)


def test_dark_mode_can_be_switched(browser: Browser, site: str) -> None:
    page = Watch(new_context(browser), site).open(CHAPTERS[0])
    dark = "() => document.documentElement.dataset.theme"
    seen = {page.evaluate(dark)}
    for _ in range(2):
        page.locator(".theme-switch-button").last.click()
        seen.add(page.evaluate(dark))
    assert seen >= {"light", "dark"}
    page.context.close()

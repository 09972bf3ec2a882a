"""Every page of the built book, wide and phone, light and dark: clean, light, readable."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from tests.pages import ALIVE, CHAPTERS, PAGES, SITE, Watch, new_context

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
    session.on(
        "Network.loadingFinished",
        lambda e: sizes.append(
            0 if "/_images/" in urls.get(e["requestId"], "") else e["encodedDataLength"]
        ),
    )
    watch.open(path).wait_for_load_state("networkidle")
    requests = [url for url in urls.values() if "/_images/" not in url and url.startswith("http")]
    assert sum(sizes) <= 0.75e6
    assert len(requests) <= 35


@pytest.mark.parametrize("path", [ALIVE[0], ALIVE[-1]])
def test_page_opens_from_disk(browser: Browser, path: str) -> None:
    page = browser.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((SITE / path).as_uri())
    page.wait_for_selector("html[data-live-host=ready]")
    assert page.locator(".aw[data-ready]").count() > 0
    assert errors == []
    page.close()


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

"""Every page of the built book, wide and phone, light and dark: clean, light, readable."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.driving import settle
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


# The API pages are made in one way, and test_markup and test_links read all of them. A browser
# opens the longest, the shortest, and one with formulas.
OPENED = [
    *(path for path in PAGES if "/api/" not in path),
    *(f"book/api/{name}.html" for name in ("vit", "keras_multi_head", "cues")),
]

# Most of axe's time goes into thousands of words of code that look alike. This marks three of each
# look: colour and font over the same backgrounds. What is taken out of the flow may lie over
# something else than what it stands in: all of it is marked, and so are controls. The words of code
# that are not marked become plain text. A formula's MathML is only spoken, and has no contrast.
MARK_LOOKS = """() => {
  const still = (s) => s.position === "static" || (s.position === "relative" &&
    [s.top, s.right, s.bottom, s.left].every((x) => x === "auto" || x === "0px"));
  const grounds = new Map([[null, ""]]);
  const ground = (element) => {
    if (!grounds.has(element)) {
      const s = getComputedStyle(element);
      const flows = still(s) && s.float === "none" && s.transform === "none";
      const paint = [s.backgroundColor, s.backgroundImage, s.opacity, s.filter, s.mixBlendMode];
      const own = paint.join() === "rgba(0, 0, 0, 0),none,1,none,normal" ? "" : `|${paint}`;
      const below = ground(element.parentElement);
      grounds.set(element, flows && below !== null ? below + own : null);
    }
    return grounds.get(element);
  };
  const worded = (element) =>
    [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  const count = new Map();
  for (const element of document.querySelectorAll("body *:not(mjx-assistive-mml *)")) {
    const control = element.matches("input, select, textarea, button");
    if (!element.checkVisibility() || !(control || worded(element))) continue;
    const s = getComputedStyle(element);
    const font = [s.color, s.fontSize, s.fontWeight, s.textShadow, s.visibility];
    const look = control || ground(element) === null ? element : `${ground(element)} ${font}`;
    count.set(look, (count.get(look) ?? 0) + 1);
    if (count.get(look) <= 3) element.dataset.look = "";
  }
  for (const word of document.querySelectorAll(".highlight span:not([data-look])"))
    if (!word.childElementCount) word.replaceWith(...word.childNodes);
}"""


# Code, formulas and tables that are wider than their column, with nothing that shows it: they
# neither stay inside the column nor scroll inside a box with shadows at its sides (book.css). What
# is folded is opened first.
CUT_OFF = """() => {
  document.querySelectorAll(".bd-article details").forEach((fold) => { fold.open = true; });
  const scrolls = (e) => ["auto", "scroll"].includes(getComputedStyle(e).overflowX);
  const cutOff = (element) => {
    let box = element;
    while (!scrolls(box) && !box.matches(".bd-article")) box = box.parentElement;
    if (!scrolls(box)) {
      const [inner, column] = [element, box].map((e) => e.getBoundingClientRect());
      return inner.right > column.right + 1;
    }
    const signed = getComputedStyle(box).backgroundImage.includes("gradient");
    return box.scrollWidth > box.clientWidth + 1 && !signed;
  };
  const all = document.querySelectorAll(".bd-article :is(pre, table, mjx-container)");
  return [...all].filter((e) => !e.closest(".aw") && e.checkVisibility() && cutOff(e))
    .map((e) => e.outerHTML.slice(0, 150));
}"""


@dataclass(frozen=True)
class Visit:
    """What a reader's first visit to a page brought to light."""

    path: str
    bad: list[str]
    title: str
    first_formula: int | None
    formulas: int
    typeset: int
    refused: int
    width: int
    window: int
    cut_off: list[str]
    findings: list[tuple[str, str]]
    requests: list[str]
    sizes: list[float]


def findings(page: Page) -> list[tuple[str, str]]:
    """What axe-core calls serious or critical, without what comes from the theme."""
    # over a picture axe does not judge contrast, and the shadows beside wide code are pictures
    page.add_style_tag(content=".bd-article * { background-image: none !important; }")
    page.evaluate(MARK_LOOKS)
    page.evaluate(AXE_SCRIPT)
    page.evaluate("axe.configure({ rules: [{ id: 'color-contrast', selector: '[data-look]' }] })")
    violations = page.evaluate("axe.run({ resultTypes: ['violations'] }).then((r) => r.violations)")
    return [
        (violation["id"], node["html"])
        for violation in violations
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
        if not any(
            violation["id"] == rule and part in node["html"] for rule, part in THEME_FINDINGS
        )
    ]


@pytest.fixture(scope="module", params=OPENED)
def path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=["wide", "phone"])
def visit(request: pytest.FixtureRequest, path: str, site: str) -> Visit:
    """Both widths and both themes in two visits: the one does not depend on the other."""
    watch = Watch(request.getfixturevalue(request.param), site)
    page = watch.page
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})  # a first visit
    urls: dict[str, str] = {}
    sizes: dict[str, float] = {}
    under_way: set[str] = set()
    session.on("Network.requestWillBeSent", lambda e: under_way.add(e["requestId"]))
    for end in ("Network.loadingFinished", "Network.loadingFailed"):
        session.on(end, lambda e: under_way.discard(e["requestId"]))
    session.on(
        "Network.responseReceived", lambda e: urls.update({e["requestId"]: e["response"]["url"]})
    )
    session.on(
        "Network.loadingFinished", lambda e: sizes.update({e["requestId"]: e["encodedDataLength"]})
    )
    watch.open(path)
    settle(page)  # what is asked for when it comes into view
    while under_way:
        page.wait_for_timeout(5)
    loaded = [key for key, url in urls.items() if "/_images/" not in url]
    requests = [urls[key] for key in loaded if urls[key].startswith("http")]
    weights = [sizes.get(key, 0) for key in loaded]
    first_formula = page.evaluate(
        "() => document.querySelector('.math')?.getBoundingClientRect().top"
    )
    page.evaluate("() => window.typesetFormulas?.()")
    width, window = page.evaluate("() => [document.documentElement.scrollWidth, screen.width]")
    visit = Visit(
        path=path,
        bad=list(watch.bad),
        title=page.title(),
        first_formula=first_formula,
        formulas=page.locator(".math").count(),
        typeset=page.locator("mjx-container").count(),
        refused=page.locator("mjx-merror, [data-mjx-error]").count(),
        width=width,
        window=window,
        cut_off=page.evaluate(CUT_OFF),
        findings=findings(page),  # the last: it takes pictures away
        requests=requests,
        sizes=weights,
    )
    page.close()
    return visit


def test_page_is_clean_and_offline(visit: Visit) -> None:
    assert visit.bad == []
    assert visit.title not in ("", "<no title>")


def test_page_shows_its_formulas(visit: Visit) -> None:
    assert visit.typeset >= visit.formulas
    assert visit.refused == 0, "TeX that MathJax refuses"


def test_first_screen_of_a_chapter_needs_no_formula(visit: Visit) -> None:
    """MathJax costs as much as half of the rest: words and simple letters do for the goals."""
    if visit.path in CHAPTERS:
        assert visit.first_formula is None or visit.first_formula > 900


def test_page_does_not_scroll_sideways(visit: Visit) -> None:
    assert visit.width <= visit.window


def test_nothing_is_cut_off_without_a_sign(visit: Visit) -> None:
    assert visit.cut_off == []


def test_page_is_accessible(visit: Visit) -> None:
    assert visit.findings == []


def test_page_stays_light(visit: Visit) -> None:
    if visit.path in ALIVE:
        assert sum(visit.sizes) <= 0.75e6
        assert len(visit.requests) <= 35


def test_formulas_come_when_the_reader_goes_on(watch: Watch) -> None:
    page = watch.open(CHAPTERS[2])
    last = page.locator(".math").last
    assert not page.evaluate("() => 'version' in window.MathJax"), "nothing on the screen needs it"
    last.scroll_into_view_if_needed()
    last.locator("mjx-container").wait_for()
    assert page.locator(".math:not(:has(mjx-container))").count() > 0, "those far away can wait"
    page.evaluate("() => window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".math:not(:has(mjx-container))").count() == 0, "all of them are printed"
    assert watch.bad == []


def test_code_that_scrolls_can_be_reached_by_keyboard(phone: BrowserContext, site: str) -> None:
    page = Watch(phone, site).open(CHAPTERS[2])
    wide = page.locator("pre").evaluate_all(
        "all => all.findIndex((e) => e.checkVisibility() && e.scrollWidth > e.clientWidth)"
    )
    code = page.locator("pre").nth(wide)
    code.scroll_into_view_if_needed()
    expect(code).to_have_attribute("tabindex", "0")
    page.close()


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

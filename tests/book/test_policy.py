"""The content security policy of the site: what belongs to a page runs, nothing else does.

That no page needs more than it allows is seen in test_pages.py, where a refusal is a message.
"""

from __future__ import annotations

import re

import pytest

from tests.pages import CHAPTERS, PAGES, SITE, Watch

META = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">')


def test_one_policy_for_pages_and_hosts() -> None:
    headers = (SITE / "_headers").read_text(encoding="utf-8")
    policy = headers.removeprefix("/*\n  Content-Security-Policy: ").rstrip("\n")
    for page in [*PAGES, "search.html", "genindex.html", *SITE.glob("_modules/**/*.html")]:
        text = (SITE / page).read_text(encoding="utf-8")
        assert META.findall(text) == [policy], page
        assert text.index("Content-Security-Policy") < text.index("<script"), page
    # the theme's colour mode and search field, Sphinx's kind of search, MathJax's settings; the
    # buttons for printing and full screen: look at what comes with another version
    assert re.sub(r"'sha256-[^']{44}'", "#", policy) == (
        "default-src 'self'; script-src 'self' # # # # 'unsafe-hashes' # #; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; object-src 'none'; "
        "base-uri 'none'"
    )


INTRUDERS = {
    "script": "document.body.append(Object.assign(document.createElement('script'), {text: RUN}))",
    "handler": "document.body.insertAdjacentHTML('beforeend', `<img src=x onerror='${RUN}'>`)",
    "link": "document.body.appendChild(Object.assign(document.createElement('a'), "
    "{href: `javascript:${RUN}`})).click()",
    "blob": "document.body.append(Object.assign(document.createElement('script'), "
    "{src: URL.createObjectURL(new Blob([RUN]))}))",
    "base": "document.head.append(Object.assign(document.createElement('base'), "
    "{href: 'https://example.org/'}))",
}


@pytest.mark.parametrize("how", INTRUDERS)
def test_an_intruder_is_blocked(watch: Watch, how: str) -> None:
    page = watch.open(CHAPTERS[1])
    directive = page.evaluate(
        f"""() => new Promise((blocked) => {{
            document.addEventListener('securitypolicyviolation', (event) =>
                blocked(event.violatedDirective));
            setTimeout(() => blocked('nothing was refused'), 60000);
            const RUN = 'window.intruded = true';
            {INTRUDERS[how]};
        }})"""
    )
    assert directive.startswith("base-uri" if how == "base" else "script-src")
    assert not page.evaluate("() => window.intruded")


def test_the_themes_buttons_work(watch: Watch) -> None:
    page = watch.open(CHAPTERS[1])
    page.evaluate("() => { window.print = () => { window.printed = true; }; }")
    page.locator(".dropdown-download-buttons > button").click()
    page.locator('button[onclick="window.print()"]').click()
    assert page.evaluate("() => window.printed")
    page.locator('button[onclick="toggleFullScreen()"]').click()
    page.wait_for_function("() => document.fullscreenElement")
    assert watch.bad == []

"""The quiz remembers what was chosen, in the reader's own browser, and works where that is off."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.pages import CHAPTERS, Watch, new_context

CHAPTER = CHAPTERS[0]
NO_STORAGE = """Object.defineProperty(window, "localStorage", {
  get() { throw new DOMException("denied", "SecurityError"); } });"""


@pytest.fixture
def reader(browser: Browser) -> Iterator[BrowserContext]:
    """A reader who has just arrived, with a browser of their own."""
    with new_context(browser) as context:
        yield context


def open_quiz(context: BrowserContext, site: str) -> tuple[Watch, Page]:
    watch = Watch(context, site)
    page = watch.open(CHAPTER)
    page.locator(".quiz-progress").scroll_into_view_if_needed()
    return watch, page


def choices(page: Page, kind: str, question: int) -> str:
    return f"details.quiz.{kind}[name=q1-{question}] > summary"


def test_answers_are_there_at_the_next_visit(reader: BrowserContext, site: str) -> None:
    watch, page = open_quiz(reader, site)
    status, reset = (
        page.locator(".quiz-progress [role=status]"),
        page.get_by_role("button", name="Start again"),
    )
    expect(status).to_have_text("Nothing chosen yet.")
    expect(reset).to_be_hidden()
    # by the keyboard: a page that is still laid out may slide away from under the pointer
    page.locator(choices(page, "wrong", 1)).first.press("Enter")
    page.locator(choices(page, "right", 1)).first.press("Enter")  # the second try does not count
    page.locator(choices(page, "right", 2)).first.focus()
    page.keyboard.press("Enter")
    total = len(set(page.locator("details.quiz").evaluate_all("all => all.map(d => d.name)")))
    expected = f"Answered 2 of {total}, 1 right at the first try. This browser remembers it"
    expect(status).to_contain_text(expected)

    page.reload()
    status, reset = (
        page.locator(".quiz-progress [role=status]"),
        page.get_by_role("button", name="Start again"),
    )
    expect(status).to_contain_text(expected)
    expect(page.locator(".quiz-mark")).to_have_text(
        [" ✗ your first choice", " ✓ your first choice"]
    )
    assert page.locator("details.quiz[open]").count() == 0  # explanations wait to be opened

    page.goto(f"{site}/{CHAPTERS[1]}")
    link = page.locator(f'.bd-sidebar-primary a[href$="{CHAPTER.rpartition("/")[2]}"]').first
    expect(link).to_contain_text(f"2/{total}")

    page.goto(f"{site}/{CHAPTER}")
    page.get_by_role("button", name="Start again").press("Enter")
    expect(page.locator(".quiz-progress [role=status]")).to_have_text("Nothing chosen yet.")
    assert page.evaluate(
        "localStorage.length === 0 || !Object.keys(localStorage).some(key => key.includes('quiz'))"
    )
    assert page.evaluate("document.activeElement.localName") == "summary"
    page.reload()
    expect(page.locator(".quiz-mark")).to_have_count(0)
    assert watch.bad == []


def test_the_quiz_works_where_nothing_is_kept(reader: BrowserContext, site: str) -> None:
    reader.add_init_script(NO_STORAGE)
    _, page = open_quiz(reader, site)  # the theme misses the storage, too, and complains
    page.locator(choices(page, "right", 1)).first.press("Enter")
    status = page.locator(".quiz-progress [role=status]")
    expect(status).to_contain_text("Answered 1 of")
    expect(status).to_contain_text("remembers nothing")
    page.get_by_role("button", name="Start again").press("Enter")
    expect(status).to_have_text("Nothing chosen yet.")


def test_what_is_not_a_record_is_no_answer(reader: BrowserContext, site: str) -> None:
    watch, page = open_quiz(reader, site)
    status = page.locator(".quiz-progress [role=status]")
    key = f"attention-you-can-touch/quiz/{CHAPTER.rpartition('/')[2]}"
    for kept in ("", "{", "null", "3", '{"first": null}', '{"first": {"q1-1": 99}}'):
        page.evaluate("([k, v]) => localStorage.setItem(k, v)", [key, kept])
        page.reload()
        expect(status, kept).to_have_text("Nothing chosen yet.")
        assert watch.bad == [], kept

"""Print the built book into one PDF: ``python tools/make_pdf.py``.

Chromium prints each page as a reader would (the rules for paper are in book.css), with all hints,
solutions and answers open; pypdf joins them. No TeX is needed.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from chromium import HINT, find_chromium
from playwright.sync_api import Page, sync_playwright
from pypdf import PdfReader, PdfWriter
from sphinx_external_toc.parsing import parse_toc_yaml

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "_build" / "html"
TARGET = SITE.with_name("attention-you-can-touch.pdf")
FOOTER = """<div style="width: 100%; font-size: 8px; text-align: center; color: #555">
<span class="title"></span> · <span class="pageNumber"></span></div>"""
# hints, solutions and answers, but not the folded code of figures and comparisons
OPEN_ALL = """for (const box of document.querySelectorAll("details")) {
  box.removeAttribute("name");  // of boxes with one name only one is open
  const title = box.querySelector("summary").textContent;
  box.open = box.matches(".hint, .solution, .quiz") || /solution/i.test(title);
}"""


def print_page(page: Page, file: Path) -> bytes:
    """Print a page of the site."""
    page.goto(file.as_uri())
    if page.locator('script[type*="widget-view"]').count():
        page.wait_for_selector("html[data-live-host=ready]")
    page.evaluate(OPEN_ALL)
    page.emulate_media(media="print", color_scheme="light")
    page.evaluate("window.typesetFormulas?.()")  # those that nobody has scrolled to
    return page.pdf(
        format="A4",
        print_background=True,
        display_header_footer=True,
        header_template="<span></span>",
        footer_template=FOOTER,
        margin={"top": "15mm", "bottom": "18mm", "left": "15mm", "right": "15mm"},
    )


def main() -> int:
    """Print all pages in the order of the table of contents, and join them."""
    chromium = find_chromium() or sys.exit(HINT)
    if not (SITE / "index.html").exists():
        sys.exit("the book is not built: run 'make book' first")
    book = PdfWriter()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        for document in parse_toc_yaml(ROOT / "_toc.yml"):
            printed = print_page(page, SITE / f"{document}.html")
            title = page.title().partition(" — ")[0]
            book.append(PdfReader(io.BytesIO(printed)), outline_item=title, import_outline=False)
            print(f"  {title}", flush=True)
        browser.close()
    book.add_metadata({"/Title": "Attention You Can Touch"})
    book.compress_identical_objects()
    book.write(TARGET)
    print(f"{TARGET}: {len(book.pages)} pages, {TARGET.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())

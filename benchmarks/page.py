"""What a page with a widget costs: bytes, requests, main-thread time, script per control step.

    python benchmarks/page.py [--rounds 3] [--json results.json]

Opens the built book in headless Chromium. Times are of this machine and are only printed, also as
multiples of a plain page's (the aim is 2.5 for a chapter on a quiet machine); what
must hold everywhere (bytes, requests) is tested in tests/book/test_pages.py.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import json
import platform
import statistics
import sys
import threading
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]
from chromium import HINT, find_chromium

from tests.conftest import FLAGS
from tests.pages import Handler

STEPS = 40
PLAIN = "bibliography"  # text and links: what any page of the theme costs
# Milliseconds of script for one control step: set a control, let the widget draw, in one task.
STEP = """async ([kind, steps]) => {
    const box = document.querySelector(kind);
    const input = box.querySelector('input[type=range]') ?? box.querySelector('.aw-fields input');
    if (!input) return null;  // nothing to slide: it is drawn or typed into
    const frame = () => new Promise((f) => requestAnimationFrame(f));
    const real = window.requestAnimationFrame;
    let spent = 0;
    window.requestAnimationFrame = (f) => real((t) => {
        const s = performance.now();
        f(t);
        spent += performance.now() - s;
    });
    const [low, high] = [Number(input.min || -2), Number(input.max || 2)];
    for (let k = 0; k < steps; k++) {
        input.value = low + (high - low) * ((k * 7) % steps) / steps;
        const s = performance.now();
        input.dispatchEvent(new Event('input'));
        spent += performance.now() - s;
        await frame(); await frame();
    }
    window.requestAnimationFrame = real;
    return spent / steps;
}"""


def measure(page: Page, url: str) -> dict[str, Any]:
    """Load one page afresh and move its first slider."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Performance.enable", {"timeDomain": "threadTicks"})  # CPU time
    sizes: list[float] = []
    urls: dict[str, str] = {}
    session.on(
        "Network.responseReceived", lambda e: urls.update({e["requestId"]: e["response"]["url"]})
    )
    session.on(
        "Network.loadingFinished",
        lambda e: sizes.append(
            e["encodedDataLength"] * ("/_images/" not in urls.get(e["requestId"], ""))
        ),
    )
    page.goto(url)
    if page.locator('script[type*="widget-view"]').count():
        page.wait_for_selector("html[data-live-host=ready]")
    page.wait_for_load_state("networkidle")
    metrics = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
    kinds = page.evaluate(
        "() => [...document.querySelectorAll('.aw')].map((e) => '.' + e.classList[1])"
    )
    steps = {kind: page.evaluate(STEP, [kind, STEPS]) for kind in dict.fromkeys(kinds)}
    steps = {kind: step for kind, step in steps.items() if step is not None}
    return {
        "megabytes": sum(sizes) / 1e6,
        "requests": sum(u.startswith("http") and "/_images/" not in u for u in urls.values()),
        "main thread ms": metrics["TaskDuration"] * 1000,
        "script per step ms": steps,
    }


def visit(browser: Browser, url: str) -> dict[str, Any]:
    """Measure one page in a window without a cache."""
    with browser.new_context(viewport={"width": 1300, "height": 900}) as context:
        return measure(context.new_page(), url)


def medians(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the medians of the runs of one page."""
    row: dict[str, Any] = {
        key: statistics.median(run[key] for run in runs)
        for key in ("megabytes", "requests", "main thread ms")
    }
    row["script per step ms"] = {
        kind: statistics.median(run["script per step ms"][kind] for run in runs)
        for kind in runs[0]["script per step ms"]
    }
    return row


def main() -> None:
    """Load the bibliography and every chapter in turn, several times, and print the medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    chromium = find_chromium() or sys.exit(HINT)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    results: dict[str, Any] = {"machine": platform.platform()}
    chapters = sorted((ROOT / "_build" / "html" / "book").glob("[0-9]*.html"))
    pages = [PLAIN, *(file.stem for file in chapters)]
    runs: dict[str, list[dict[str, Any]]] = {page: [] for page in pages}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        results["browser"] = browser.version
        host = f"http://127.0.0.1:{server.server_port}/book"
        visit(browser, f"{host}/{PLAIN}.html")  # the first page of a browser is slower
        for _ in range(arguments.rounds):  # in turn: a busy minute strikes all pages alike
            for page in pages:
                runs[page].append(visit(browser, f"{host}/{page}.html"))
        browser.close()
    server.shutdown()
    for page in pages:
        results[page] = row = medians(runs[page])
        row["times the plain page"] = row["main thread ms"] / results[PLAIN]["main thread ms"]
        steps = ", ".join(f"{k} {v:.2f} ms" for k, v in row["script per step ms"].items())
        print(
            f"{page:28} {row['megabytes']:.2f} MB  {row['requests']:.0f} requests  "
            f"{row['main thread ms']:.0f} ms main thread, {row['times the plain page']:.2f} "
            f"times {PLAIN}  {steps and 'step: ' + steps}"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

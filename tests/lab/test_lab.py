"""Chapter 1 in a real JupyterLab with a live kernel: run all, move controls, see Python notice."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

import attn_utils.widgets
from tests.driving import load_files

CHAPTER = Path(__file__).parents[2] / "book" / "01-attention-cues.ipynb"
WATCHED = """
seen = []
explorer = CueExplorer(title="<b>watched</b>", use="read")
explorer.observe(lambda change: seen.append(change.new), "weights")
explorer
"""
LONG = 60_000  # milliseconds; a busy machine needs them
WIDGETS = sorted(attn_utils.widgets.all_widgets())
SHOWN = """
from attn_utils.widgets import {0}
truth = globals().get("truth", {{}})
explorer = {0}()
truth["{0}"] = {{name: value.flatten().tolist() for name, value in explorer.reference().items()}}
explorer
"""
READING = """
import json
print(json.dumps({"gain": explorer.query_gain, "seen": len(seen),
                  "weights": explorer.weights.tolist(),
                  "torch": explorer.reference()["weights"].tolist()}))
"""


def code_cells(*sources: str) -> list[nbformat.NotebookNode]:
    return [nbformat.v4.new_code_cell(source) for source in sources]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a JupyterLab of our own, with nothing of the user's settings."""
    tmp_path = tmp_path_factory.mktemp("lab")
    notebook = nbformat.read(CHAPTER, as_version=4)
    notebook.cells += code_cells(WATCHED, READING)
    nbformat.write(notebook, tmp_path / "chapter.ipynb")
    notebook.cells = code_cells(
        "import json", *map(SHOWN.format, WIDGETS), "print(json.dumps(truth))"
    )
    nbformat.write(notebook, tmp_path / "widgets.ipynb")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    private = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "run",
        "IPYTHONDIR": "ipython",
    }
    environment = {k: v for k, v in os.environ.items() if k not in ("JUPYTER_PATH", "PYTHONPATH")}
    environment |= {name: str(tmp_path / folder) for name, folder in private.items()}
    options = (
        f"--no-browser --ip=127.0.0.1 --port={port} --IdentityProvider.token= --allow-root "
        "--expose-app-in-browser --ServerApp.disable_check_xsrf=True --LabApp.news_url= "
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"
    ).split()
    log = tmp_path / "lab.log"
    with log.open("w") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options, f"--ServerApp.root_dir={tmp_path}"],
            env=environment,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/api/status", timeout=2)
                break
            except OSError:
                time.sleep(0.5)
        else:
            pytest.fail(log.read_text()[-3000:])
        yield address
    finally:  # no server and no kernel stays behind
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


def open_and_run(page: Page, lab: str, notebook: str) -> None:
    """Open a notebook, wait for its kernel and run all cells."""
    page.goto(f"{lab}/lab/tree/{notebook}?reset")
    page.wait_for_function(
        "() => window.jupyterapp?.shell?.currentWidget?.context?.isReady", timeout=90_000
    )
    page.evaluate("""async () => {
        const app = window.jupyterapp;
        await app.restored;
        await app.shell.currentWidget.context.sessionContext.ready;
        await app.commands.execute('notebook:run-all-cells');
    }""")


def widget_in_cell(page: Page, cell: int) -> Locator:
    """Scroll to a cell, counted from 0, and wait for its widget: off screen, nothing is drawn."""
    scroll = "(i) => window.jupyterapp.shell.currentWidget.content.scrollToItem(i, 'start')"
    page.evaluate(scroll, cell)
    box = page.locator(f".jp-Notebook-cell >> nth={cell}").locator(".aw[data-ready]")
    box.wait_for(timeout=LONG)
    return box


def run_last_cell(page: Page) -> dict[str, object]:
    """Run the reading cell again and return what it printed."""
    text = page.evaluate("""async () => {
        const panel = window.jupyterapp.shell.currentWidget;
        panel.content.activeCellIndex = panel.content.widgets.length - 1;
        await window.jupyterapp.commands.execute('notebook:run-cell');
        const outputs = panel.content.widgets.at(-1).model.outputs;
        return outputs.get(0).toJSON().text;
    }""")
    printed: dict[str, object] = json.loads("".join(text))
    return printed


def test_chapter_in_jupyterlab(lab: str, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    foreign: list[str] = []
    ours = (lab, lab.replace("http", "ws"), "data:", "blob:")
    page.on("request", lambda r: foreign.append(r.url) if not r.url.startswith(ours) else None)
    open_and_run(page, lab, "chapter.ipynb")
    errors = page.evaluate("""() => window.jupyterapp.shell.currentWidget.content.widgets
        .filter((c) => c.model.type === 'code')
        .flatMap((c) => c.model.outputs.toJSON())
        .filter((o) => o.output_type === 'error').map((o) => o.evalue)""")
    assert errors == []

    cells = page.evaluate("window.jupyterapp.shell.currentWidget.content.widgets.length")
    box = widget_in_cell(page, cells - 2)
    expect(box.locator(".aw-title")).to_have_text("<b>watched</b>")  # text, never HTML
    before = run_last_cell(page)
    assert before["seen"] == 0

    gain = box.get_by_label("query gain", exact=True)
    gain.scroll_into_view_if_needed()
    gain.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    after = before
    for _ in range(300):  # the comm needs a moment
        if after["seen"] and after["gain"] == pytest.approx(0.5):
            break
        page.wait_for_timeout(200)
        after = run_last_cell(page)
    assert after["gain"] == pytest.approx(0.5)
    assert int(str(after["seen"])) >= 1
    shown = box.evaluate("e => e.numbers().weights")
    # what the browser wrote back, and what torch says
    np.testing.assert_allclose(after["weights"], shown, atol=1e-6)
    np.testing.assert_allclose(after["torch"], shown, atol=1e-5)

    page.evaluate("""async () => {
        const { context } = window.jupyterapp.shell.currentWidget;
        const code = 'explorer.salience_gain = 0.0; explorer.colour = "red"';
        await context.sessionContext.session.kernel.requestExecute({ code }).done;
    }""")
    expect(box.get_by_label("coloured")).to_have_value("red", timeout=LONG)
    expect(box.get_by_label("saliency gain", exact=True)).to_have_value("0")

    page.evaluate("""() => window.jupyterapp.commands.execute(
        'apputils:change-theme', { theme: 'JupyterLab Dark' })""")
    expect(box).to_have_css("--aw-accent", "#6cb6ff", timeout=LONG)
    assert foreign == []
    picture = os.environ.get("LAB_PICTURE")
    if picture:
        page.screenshot(path=picture)
    page.close()


def test_every_widget_comes_alive_in_jupyterlab(lab: str, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    open_and_run(page, lab, "widgets.ipynb")
    truth = run_last_cell(page)
    assert set(truth) == set(WIDGETS)
    for cell, name in enumerate(WIDGETS, start=1):
        box = widget_in_cell(page, cell)
        load_files(box)  # from the kernel
        shown = box.evaluate("e => e.numbers()")
        assert shown, name
        for result, numbers in shown.items():
            expected = np.array(truth[name][result])  # type: ignore[index]
            np.testing.assert_allclose(np.array(numbers, float), expected, atol=1e-5, err_msg=name)
    assert problems == []
    page.close()

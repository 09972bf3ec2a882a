"""The Sphinx extensions: fresh front ends, honest cache, right kernel, a build that can fail."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pydata_sphinx_theme
import pytest
from chinese_terms import add_titles, names_in
from content_policy import digest, policy_for, write_policy
from docutils import nodes
from docutils.utils import new_document
from failing_cell import name_cell
from kernel_guard import is_own_interpreter, set_threads
from launch_buttons import add_buttons, repository
from light_pages import icons_in_use, lighten, measuring_late, without_idle_scripts
from live_widgets import slim_state
from myst_nb.core.execute.base import ExecutionError
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from sphinx.addnodes import glossary
from sphinx.errors import ExtensionError

ROOT = Path(__file__).parents[2]


def stored(widget_class: str) -> str:
    """Widget state as MyST-NB stores it, with a front end of long ago."""
    state = {
        "_anywidget_id": widget_class,
        "_esm": "old code",
        "_css": "old style",
        "layout": "IPY_MODEL_b",
        "_model_module": "anywidget",
        "tooltip": None,
        "title": "</script><b>",
        "gain": 1.5,
    }
    layout = {"model_name": "LayoutModel", "state": {"width": None}}
    names = ("weights", "_floats")  # a result and an input
    buffers = [{"path": [name], "data": "AAAA", "encoding": "base64"} for name in names]
    return json.dumps({"state": {"a": {"state": state, "buffers": buffers}, "b": layout}})


def test_the_page_gets_the_front_end_of_today() -> None:
    from attn_utils.widgets import CueExplorer

    text, scripts = slim_state(stored("attn_utils.cues.widget.CueExplorer"), {"a"})
    models = json.loads(text)["state"]
    assert list(models) == ["a"]  # no layout
    assert set(models["a"]["state"]) == {"_front_end", "title", "gain"}
    assert list(scripts) == [models["a"]["state"]["_front_end"]]
    (script,) = scripts.values()
    assert CueExplorer._esm.partition("export default")[0] in script
    assert json.dumps(CueExplorer._css, ensure_ascii=False) in script
    assert "\nexport" not in script, "it is no module: browsers load none from a file on disk"
    assert "</script" not in text
    assert [buffer["path"] for buffer in models["a"]["buffers"]] == [["_floats"]]


def test_a_widget_that_is_gone_stops_the_build() -> None:
    with pytest.raises(ExtensionError, match="NoSuchWidget"):
        slim_state(stored("attn_utils.cues.widget.NoSuchWidget"), {"a"})


def test_a_widget_without_a_view_stays_behind() -> None:
    text, scripts = slim_state(stored("attn_utils.cues.widget.CueExplorer"), {"another"})
    assert json.loads(text) == {"state": {}}
    assert not scripts


def test_foreign_kernels_are_recognised() -> None:
    assert is_own_interpreter("python")
    assert is_own_interpreter("python3")
    assert is_own_interpreter(sys.executable)
    assert not is_own_interpreter("/opt/somewhere/else/bin/python")


def test_a_failing_cell_fails_the_build_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "book").mkdir()
    for name in ("_config.yml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("_ext", "assets", "references.bib"):
        (tmp_path / "book" / name).symlink_to(ROOT / "book" / name)
    (tmp_path / "attn_utils").symlink_to(ROOT / "attn_utils")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: book/broken\n")
    cells = [
        nbformat.v4.new_markdown_cell("# A broken chapter"),
        nbformat.v4.new_code_cell("value = 41"),
        nbformat.v4.new_code_cell("assert value == 42, 'not the answer'"),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    nbformat.write(notebook, tmp_path / "book" / "broken.ipynb")
    program = shutil.which("jupyter-book", path=str(Path(sys.executable).parent))
    assert program
    options = ["build", ".", "--all", "-W", "-n", "--keep-going"]
    done = subprocess.run(
        [program, *options], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "broken.ipynb" in said
    assert "cell 2" in said
    assert "not the answer" in said


def test_the_error_is_told_without_the_colours_of_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("atexit.register", lambda function, *args, **kw: function(*args, **kw))
    error = ExecutionError("book/a.ipynb")
    error.__cause__ = CellExecutionError(
        "\x1b[36mCell In\x1b[0m\x1b[32m[3]\x1b[39m", "KeyError", "\x1b[1;31m'gain'\x1b[0m"
    )
    name_cell(SimpleNamespace(), error)  # type: ignore[arg-type]
    said = capsys.readouterr().err
    assert (
        said
        == "\nThe book was not built: book/a.ipynb, code cell 3 failed with\n  KeyError: 'gain'\n\n"
    )


@pytest.mark.parametrize("lines", [2, 12])
def test_a_cell_that_takes_too_long_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lines: int
) -> None:
    monkeypatch.setattr("atexit.register", lambda function, *args, **kw: function(*args, **kw))
    cell = nbformat.v4.new_code_cell('for e in "abc":\n' + "    train()\n" * (lines - 1))
    error = ExecutionError("book/a.ipynb")
    error.__cause__ = CellTimeoutError.error_from_timeout_and_cell("Timeout", 600, cell)
    name_cell(SimpleNamespace(), error)  # type: ignore[arg-type]
    said = capsys.readouterr().err
    assert said == (
        "\nThe book was not built: book/a.ipynb, the cell that begins with 'for e in \"abc\":' "
        "failed with\n  A cell timed out while it was being executed, after 600 seconds.\n\n"
    )


def test_threads_are_one_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    set_threads()
    assert os.environ["OMP_NUM_THREADS"] == "1"
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    set_threads()
    assert os.environ["OMP_NUM_THREADS"] == "2"


def test_only_icons_in_use_are_kept() -> None:
    style = '.fa-bars:before,.fa-navicon:before{content:"\\f0c9"}.fa-car:before{content:"\\f1b9"}'
    style += '.admonition:before{content:"\\f05a"}'
    assert icons_in_use(style, ['<i class="fa-solid fa-bars">']) == {0xF0C9, 0xF05A}


def test_a_page_loses_scripts_it_does_not_use() -> None:
    icons = '<script defer src="../_static/scripts/fontawesome.js?digest=1"></script>'
    tabs = '<script src="../_static/design-tabs.js?v=1"></script>'
    ours = '<script async src="../_static/live/host.js"></script>'
    assert without_idle_scripts(icons + tabs + ours) == ours
    with_tabs = '<div class="sd-tab-set">' + tabs
    assert without_idle_scripts(icons + with_tabs) == with_tabs


def test_the_pages_of_a_failed_build_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "_static" / "styles").mkdir(parents=True)
    (tmp_path / "_static" / "scripts").mkdir()
    script = tmp_path / "_static" / "scripts" / "fontawesome.js"
    script.touch()
    shutil.copy(THEME_SCRIPT, script.parent)
    app = SimpleNamespace(outdir=tmp_path)
    lighten(app, RuntimeError("a cell failed"))  # type: ignore[arg-type]
    assert script.exists()
    for _ in range(2):  # an earlier build may have done it
        lighten(app, None)  # type: ignore[arg-type]
        assert not script.exists()


THEME = Path(pydata_sphinx_theme.__file__).parent
THEME_SCRIPT = next(THEME.rglob("static/scripts/pydata-sphinx-theme.js"))


def test_the_themes_script_measures_what_is_laid_out() -> None:
    script = THEME_SCRIPT.read_text(encoding="utf-8")
    late = measuring_late(script)
    assert late.count("MutationObserver") == script.count("MutationObserver") - 1
    assert "new ResizeObserver(()=>{e.tabIndex=e.scrollWidth>e.clientWidth||" in late
    with pytest.raises(ExtensionError, match="got 0"):
        measuring_late("another version")


PAGE = (
    '<meta charset="utf-8" /><script data-cfasync="false">theirs()</script>'
    "<script>DOCUMENTATION_OPTIONS.pagename = 'a';</script>"
    '<button class="b" onclick="go(&quot;x&quot;)"></button><script src="a.js"></script>'
    '<article class="bd-article"><script>ours()</script><button onclick="no()"></button>'
    "<article></article><script>nor()</script></article>"
)


def test_the_policy_trusts_what_is_around_the_text_of_a_page() -> None:
    known = digest("theirs()"), digest('go("x")')
    policy = policy_for([PAGE.replace("DOCUMENTATION_OPTIONS", "x").replace("pagename", "y")])
    assert [part in policy for part in known] == [True, True]
    assert policy.count("sha256-") == 3  # and the name of the page
    assert digest("theirs()") == "'sha256-dtNeaGolj98n6UsOEVMS0J3uiifttX37yIHcg1xKhNU='"


def test_a_policy_is_written_once_however_often_pages_are(tmp_path: Path) -> None:
    pages = [tmp_path / "a.html", tmp_path / "book" / "b.html"]
    template = tmp_path / "_static" / "c.html"
    for file in (*pages, template):
        file.parent.mkdir(exist_ok=True)
        file.write_text(PAGE)
    app = SimpleNamespace(outdir=tmp_path, builder=SimpleNamespace(format="html"))
    for _ in range(2):
        write_policy(app, None)  # type: ignore[arg-type]
        for file in pages:
            text = file.read_text()
            assert text.count("Content-Security-Policy") == 1
            assert text.count("sha256-") == 2
            assert "pagename" not in text
    assert template.read_text() == PAGE
    assert (tmp_path / "_headers").read_text().startswith("/*\n  Content-Security-Policy: default")


LINKED = {
    "Binder": "https://mybinder.org/v2/gh/me/my.book/HEAD?urlpath=lab/tree/notebooks/01-a.ipynb",
    "Colab": "https://colab.research.google.com/github/me/my.book/blob/notebooks/01-a.ipynb",
    "Kaggle": "https://www.kaggle.com/kernels/welcome?src=https://github.com/me/my.book/blob/"
    "notebooks/01-a.ipynb",
}


@pytest.mark.parametrize(
    ("repository", "suffix", "expected"),
    [("me/my.book", ".ipynb", LINKED), ("me/my.book", ".md", {}), ("", ".ipynb", {})],
)
def test_chapters_can_be_launched_where_the_book_is_published(
    monkeypatch: pytest.MonkeyPatch, repository: str, suffix: str, expected: dict[str, str]
) -> None:
    monkeypatch.setenv("BOOK_REPOSITORY", repository)
    context: dict[str, Any] = {"page_source_suffix": suffix, "header_buttons": []}
    add_buttons(SimpleNamespace(), "book/01-a", "page.html", context, None)  # type: ignore[arg-type]
    links = {b["text"]: b["url"] for group in context["header_buttons"] for b in group["buttons"]}
    assert links == expected


@pytest.mark.parametrize("name", ["book", "https://github.com/me/book", "me/book/x", "me/book?x"])
def test_a_repository_that_is_none_stops_the_build(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("BOOK_REPOSITORY", name)
    with pytest.raises(ExtensionError, match="BOOK_REPOSITORY: expected owner/name"):
        repository()


def test_a_link_to_a_term_tells_its_chinese_name() -> None:
    names = ("query", "term-query"), ("查询", "term-0")
    terms = [nodes.term("", name, ids=[anchor]) for name, anchor in names]
    entry = nodes.definition_list_item("", *terms, nodes.definition("", nodes.paragraph()))
    page = new_document("glossary")
    page += glossary("", nodes.definition_list("", entry))
    assert names_in(page) == {"term-query": "查询", "term-0": "查询"}

    chapter = new_document("chapter")
    links = [nodes.reference("", "", refuri=f"glossary.html#{at}") for at in ("term-query", "key")]
    chapter += nodes.paragraph("", "", *links)
    app: Any = SimpleNamespace(env=SimpleNamespace(chinese_terms=names_in(page)))
    add_titles(app, chapter, "chapter")
    assert [link.get("reftitle") for link in links] == ["查询", None]

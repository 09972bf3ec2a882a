"""tools/build_book.py and execute_notebooks.py: nothing twice, nothing stale, failures named."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import build_book
import execute_notebooks
import forked_kernels
import nbformat
import psutil
import pytest
import yaml
from execution_cache import Caches
from jupyter_cache import get_cache


def write_notebook(path: Path, *sources: str) -> None:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, path)


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A book of two chapters."""
    (tmp_path / "book").mkdir()
    (tmp_path / "attn_utils").mkdir()
    (tmp_path / "_config.yml").write_text("execute:\n  timeout: 60\n")
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: book/index\nchapters:\n- file: book/a\n- file: book/b\n"
    )
    (tmp_path / "book" / "index.md").write_text("# Index\n")
    write_notebook(tmp_path / "book" / "a.ipynb", "x = 1", "print(x + 1)")
    write_notebook(tmp_path / "book" / "b.ipynb", "'in ' + __import__('os').getcwd()")
    write_notebook(tmp_path / "book" / "draft.ipynb", "1 / 0")  # not in the table of contents
    return tmp_path


def test_notebooks_are_executed_once_and_found_again(
    book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_notebook(book / "book" / "b.ipynb", "1\nraise SystemError('\\x1b[31mred\\x1b[0m')")
    with pytest.raises(execute_notebooks.CellFailed) as failed:
        execute_notebooks.execute_missing(book, book / "_build")
    assert "book/b.ipynb, code cell 1 (1) failed with\n  SystemError: red" in str(failed.value)
    assert "book/a.ipynb" in capsys.readouterr().out

    write_notebook(book / "book" / "b.ipynb", "'in ' + __import__('os').getcwd()")
    execute_notebooks.execute_missing(book, book / "_build")
    said = capsys.readouterr().out
    assert re.search(r" book/b\.ipynb +\d+ s +[1-9]\d* MB\n", said) or sys.platform != "linux"
    assert "Executing 1 notebooks" in said  # goes on where it was
    assert "book/b.ipynb" in said

    execute_notebooks.execute_missing(book, book / "_build")
    assert capsys.readouterr().out == ""
    notebook = execute_notebooks.notebooks_of(book)["book/b.ipynb"]
    cache = get_cache(str(Caches(book, book / "_build").of(notebook)))
    executed = cache.merge_match_into_notebook(notebook)[1]  # as MyST-NB looks for it
    assert str(book / "book") in executed.cells[0].outputs[0].data["text/plain"]


def test_a_page_of_markdown_may_be_a_notebook(book: Path) -> None:
    assert list(execute_notebooks.notebooks_of(book)) == ["book/a.ipynb", "book/b.ipynb"]
    (book / "book" / "index.md").write_text(
        "---\nfile_format: mystnb\nkernelspec: {name: python3}\n---\n\n# Index\n\n"
        "```{code-cell} python\nx = 1\n```\n"
    )
    index = execute_notebooks.notebooks_of(book)["book/index.md"]
    assert [cell.source for cell in index.cells if cell.cell_type == "code"] == ["x = 1"]


@pytest.mark.parametrize(
    ("front", "options", "said"),
    [
        ("mystnb: {execution_mode: 'off'}", "", "sets mystnb"),
        ("execution_mode: 'off'", "", "sets execution_mode"),
        ("", ":tags: [raises-exception]\n", "has the tag raises-exception"),
    ],
)
def test_no_page_switches_the_gate_off(book: Path, front: str, options: str, said: str) -> None:
    (book / "book" / "index.md").write_text(
        f"---\nfile_format: mystnb\nkernelspec: {{name: python3}}\n{front}\n---\n\n# Index\n\n"
        f"```{{code-cell}} python\n{options}1 / 0\n```\n"
    )
    with pytest.raises(execute_notebooks.CellFailed, match=rf"book/index\.md.*{said}"):
        execute_notebooks.execute_missing(book, book / "_build")


def test_the_configuration_switches_nothing_off() -> None:
    """What executes, and what fails, is decided by these settings alone."""
    root = Path(__file__).parents[2]
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    assert config["execute"].keys() == {"execute_notebooks", "timeout"}
    assert config["execute"]["execute_notebooks"] == "cache"
    settings = config["sphinx"]["config"]
    assert {name: value for name, value in settings.items() if name.startswith("nb_")} == {
        "nb_execution_raise_on_error": True,
        "nb_output_stderr": "warn",
        "nb_merge_streams": True,
        "nb_number_source_lines": False,
        "nb_code_prompt_show": "Show the code",
        "nb_code_prompt_hide": "Hide the code",
        "nb_ipywidgets_js": {},
    }
    assert not {name for name in settings if "suppress" in name}


@pytest.mark.parametrize(
    ("cells", "seconds", "reason"),
    [
        (["import time\ntime.sleep(60)"], 2, "timed out"),
        (["x = 1", "import os; os._exit(1)"], 60, "Kernel died"),
    ],
)
def test_a_slow_cell_and_a_dead_kernel_are_named(
    book: Path, cells: list[str], seconds: int, reason: str
) -> None:
    write_notebook(book / "book" / "a.ipynb", *cells)
    notebook = execute_notebooks.notebooks_of(book)["book/a.ipynb"]
    with pytest.raises(execute_notebooks.CellFailed) as failed:
        execute_notebooks.execute(book, "book/a.ipynb", notebook, timeout=seconds)
    head = cells[-1].splitlines()[0]
    assert f"a.ipynb, code cell {len(cells)} ({head})" in str(failed.value)
    assert reason in str(failed.value)


@pytest.mark.parametrize("forked", [True, False])
def test_kernels_have_nothing_of_each_other(book: Path, forked: bool) -> None:
    """They may be copies of one process, which has made imports and nothing else."""
    seen = """
import os, subprocess, sys
import matplotlib
from matplotlib import pyplot as plt
assert not hasattr(sys, "mark") and "MARK" not in os.environ and "first" not in globals()
assert matplotlib.rcParams["lines.linewidth"] == 1.5
assert not any(path.endswith(("tools", "_ext")) for path in sys.path), sys.path
assert subprocess.run([sys.executable, "-c", "raise SystemExit(3)"]).returncode == 3
plt.plot([1, 2]);
"""
    mark = """
first = os.getpid()
sys.mark = os.environ["MARK"] = "1"
matplotlib.rcParams["lines.linewidth"] = 9
"""
    for name in ("a", "b"):
        write_notebook(
            book / "book" / f"{name}.ipynb", seen, mark, "print(first, 'torch' in sys.modules)"
        )
    executed = [
        execute_notebooks.execute(book, name, notebook, timeout=60, fork=forked).notebook
        for name, notebook in execute_notebooks.notebooks_of(book).items()
    ]
    assert all("image/png" in notebook.cells[0].outputs[0].data for notebook in executed)
    said = [notebook.cells[2].outputs[0].text.split() for notebook in executed]
    assert {made for _, made in said} == {str(forked and forked_kernels.can_fork())}
    first, second = (int(process) for process, _ in said)
    assert first != second
    assert not psutil.pid_exists(first)
    assert not psutil.pid_exists(second)


def test_where_kernels_cannot_be_forked_they_start_as_usual(
    book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("os.pidfd_open", raising=False)
    notebook = execute_notebooks.notebooks_of(book)["book/a.ipynb"]
    done = execute_notebooks.execute(book, "book/a.ipynb", notebook, timeout=60, fork=True)
    assert done.notebook.cells[1].outputs[0].text == "2\n"


@pytest.mark.parametrize("chapters", ["ab", "abcde"], ids=["own kernels", "forked kernels"])
def test_a_build_that_is_killed_leaves_no_process_behind(book: Path, chapters: str) -> None:
    contents = "".join(f"- file: book/{name}\n" for name in chapters)
    (book / "_toc.yml").write_text(f"format: jb-book\nroot: book/index\nchapters:\n{contents}")
    for name in chapters:
        write_notebook(
            book / "book" / f"{name}.ipynb",
            f"open('{name}-runs', 'w').close()\nimport time\ntime.sleep(60)",
        )
    (book / "_config.yml").write_text("execute:\n  timeout: 90\n")
    program = (
        "import sys, execute_notebooks; from pathlib import Path; execute_notebooks.PROCESSES = 2; "
        "execute_notebooks.execute_missing(Path('.'), Path('_build'))"
    )
    tools = Path(execute_notebooks.__file__).parent
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=book, env={**os.environ, "PYTHONPATH": str(tools)}
    ) as build:
        while len(list((book / "book").glob("*-runs"))) < 2:
            assert build.poll() is None
            time.sleep(0.1)
        children = psutil.Process(build.pid).children(recursive=True)
        assert len(children) >= 4, "two workers, each with a kernel"
        build.kill()
    left = psutil.wait_procs(children, timeout=60)[1]
    for process in left:
        process.kill()
    assert left == []


PACKAGE = {
    "__init__.py": "from .pooling import lookup as lookup\nfrom .cost import count as count\n",
    "checks/__init__.py": "import importlib\ndef check(name, _): importlib.import_module(name)",
    "core.py": "ONE = 1\n",
    "cost/__init__.py": "from .cost import count as count\n",
    "cost/checks.py": "from attn_utils import count\n",
    "cost/cost.py": "def count():\n    from ..core import ONE\n    return ONE\n",
    "cost/table.npz": "1",
    "pooling/__init__.py": "from .pooling import lookup as lookup\n",
    "pooling/pooling.py": "def lookup():\n    'Look up.'\n    return 2  # two\n",
    "pooling/widget.js": "one",
    "pooling/widget.py": "class PoolingExplorer: pass\n",
    "widgets/__init__.py": "from importlib import import_module\n",
}
NOTEBOOKS = {
    "pooling": "from attn_utils import lookup\nlookup()",
    "count": "import attn_utils as au\nau.count()",
    "count, in another form": "import attn_utils.cost\nattn_utils.cost.cost.count()",
    "check": "from attn_utils.checks import check\ncheck('cost.numbers', 1)",
    "widget": "from attn_utils.widgets import PoolingExplorer",
    "docs": "from attn_utils import lookup\nhelp(lookup)",
    "anything": "import attn_utils\nvars(attn_utils)",
    "dynamic": "import importlib\nimportlib.import_module('attn_utils.' + input())",
}
ALL = set(NOTEBOOKS)
COST = {"count", "count, in another form", "check", "anything", "dynamic"}


@pytest.fixture
def package(book: Path) -> Path:
    for name, text in PACKAGE.items():
        (book / "attn_utils" / name).parent.mkdir(exist_ok=True)
        (book / "attn_utils" / name).write_text(text)
    return book


def caches_of(root: Path) -> dict[str, Path]:
    caches = Caches(root, root / "_build")
    return {
        name: caches.of(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)]))
        for name, code in NOTEBOOKS.items()
    }


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("core.py", "ONE = 3\n", COST),
        ("cost/cost.py", "def count(): return 5\n", COST),
        (
            "cost/checks.py",
            "from attn_utils import count, lookup\n",
            {"check", "anything", "dynamic"},
        ),
        ("cost/table.npz", "2", COST),
        ("pooling/pooling.py", "def lookup(): return 3\n", ALL - COST | {"anything", "dynamic"}),
        ("pooling/pooling.py", "def lookup():\n    'Other.'\n    return 2  # 1 + 1\n", {"docs"}),
        ("pooling/widget.py", "class PoolingExplorer: x = 1\n", {"widget", "anything", "dynamic"}),
        ("pooling/widget.js", "two", set()),
        ("plots.py", "new = 1\n", {"anything", "dynamic"}),
        ("__init__.py", "", ALL),
        ("../constraints.txt", "torch==2", ALL),
    ],
)
def test_a_notebook_is_executed_again_if_what_it_imports_has_changed(
    package: Path, file: str, text: str, expected: set[str]
) -> None:
    before = caches_of(package)
    (package / "attn_utils" / file).write_text(text)
    now = caches_of(package)
    assert {name for name in NOTEBOOKS if before[name] != now[name]} == expected


def test_a_change_that_is_taken_back_costs_nothing(
    book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = book / "constraints.txt"
    (book / "_toc.yml").write_text("format: jb-book\nroot: book/index\nchapters:\n- file: book/a\n")
    for version, said in [("1", "Executing 1"), ("2", "Executing 1"), ("1", ""), ("2", "")]:
        lock.write_text(version)
        execute_notebooks.execute_missing(book, book / "_build")
        assert capsys.readouterr().out.startswith(said)


class Builder:
    """The tool on a small book, with Sphinx replaced by a program that notes what it finds."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.runs: list[list[str]] = []  # the read pages that each build could go on from
        self.status = 0
        self.failure: Exception | None = None
        build = root / "_build"
        paths = {
            "ROOT": root,
            "BUILD": build,
            "SITE": build / "html",
            "DOCTREES": build / ".doctrees",
            "LAST_BUILD": build / "last-build.json",
        }
        for name, path in paths.items():
            monkeypatch.setattr(build_book, name, path)
        monkeypatch.delenv("CI", raising=False)
        monkeypatch.setattr(build_book, "execute_missing", self.execute)
        monkeypatch.setattr(build_book, "write_pages", self.write_pages)

    def execute(self, root: Path, build: Path, *, again_if_noisy: bool) -> None:
        if self.failure:
            raise self.failure

    def write_pages(self) -> int:
        doctrees = self.root / "_build" / ".doctrees"
        self.runs.append(sorted(file.stem for file in doctrees.rglob("*.doctree")))
        assert (self.root / "_build" / "html").exists() == doctrees.exists()  # no relics
        for name in ("a", "b", "index"):
            file = doctrees / "book" / f"{name}.doctree"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        (self.root / "_build" / "html").mkdir(parents=True, exist_ok=True)
        (self.root / "_build" / "html" / "index.html").touch()
        return self.status

    def build(self) -> int:
        return build_book.main()


@pytest.fixture
def builder(book: Path, monkeypatch: pytest.MonkeyPatch) -> Builder:
    return Builder(book, monkeypatch)


def test_an_unchanged_book_is_not_built_again(builder: Builder) -> None:
    assert builder.build() == builder.build() == 0
    assert builder.runs == [[]]


def test_only_a_changed_page_is_read_again(builder: Builder) -> None:
    builder.build()
    (builder.root / "book" / "index.md").write_text("# Contents\n")
    builder.build()
    assert builder.runs == [[], ["a", "b"]]
    assert builder.build() == 0
    assert len(builder.runs) == 2


@pytest.mark.parametrize(
    "file", ["_config.yml", "_toc.yml", "constraints.txt", "attn_utils/a.js", "book/_ext/x.py"]
)
def test_everything_is_read_again_when_the_house_changes(builder: Builder, file: str) -> None:
    builder.build()
    (builder.root / file).parent.mkdir(exist_ok=True)
    with (builder.root / file).open("a") as out:
        out.write("# changed\n")
    builder.build()
    assert builder.runs == [[], []]


def test_pages_that_the_build_writes_are_no_change(builder: Builder) -> None:
    builder.build()
    (builder.root / "book" / "api").mkdir()
    (builder.root / "book" / "api" / "scoring.md").write_text("# attn_utils.scoring\n")
    builder.build()
    assert builder.runs == [[]]


def test_a_renamed_asset_is_a_change(builder: Builder) -> None:
    asset = builder.root / "book" / "assets" / "a.svg"
    asset.parent.mkdir()
    asset.touch()
    builder.build()
    asset.rename(asset.with_name("b.svg"))
    builder.build()
    assert builder.runs == [[], []]


def test_after_a_failed_build_everything_is_read_again(builder: Builder) -> None:
    builder.build()
    (builder.root / "book" / "index.md").write_text("# Contents\n")
    builder.status = 1  # a warning, which Sphinx would not repeat for a page that it knows
    assert builder.build() == 1
    assert builder.build() == 1
    assert builder.runs == [[], ["a", "b"], []]


def test_a_failing_cell_fails_the_build_and_leaves_the_site(
    builder: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    builder.build()
    write_notebook(builder.root / "book" / "a.ipynb", "1 / 0")
    builder.failure = execute_notebooks.CellFailed("book/a.ipynb, code cell 1")
    assert builder.build() == 1
    assert "book/a.ipynb, code cell 1" in capsys.readouterr().err
    assert builder.runs == [[]]
    write_notebook(builder.root / "book" / "a.ipynb", "x = 1", "print(x + 1)")
    kept: dict[str, Any] = json.loads((builder.root / "_build" / "last-build.json").read_text())
    assert kept["house"] == build_book.fingerprint(builder.root)["house"]


def test_a_site_that_was_removed_is_built_again(builder: Builder) -> None:
    builder.build()
    build_book.forget({}, {"house": "", "pages": {}, "strict": False})
    builder.build()
    assert builder.runs == [[], []]


def test_a_build_says_where_the_book_is(
    builder: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    address = str(builder.root / "_build" / "html" / "index.html")
    builder.build()
    assert address in capsys.readouterr().out
    builder.build()
    assert address in capsys.readouterr().out


def test_warnings_are_errors_in_ci_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command[1:])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.delenv("CI", raising=False)
    build_book.write_pages()
    monkeypatch.setenv("CI", "true")
    build_book.write_pages()
    assert commands == [["build", ".", "-n"], ["build", ".", "-n", "-W", "--keep-going"]]


def test_a_readers_build_is_not_good_enough_for_ci(
    builder: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder.build()
    monkeypatch.setenv("CI", "true")
    builder.build()  # anew: Sphinx would not repeat its warnings
    assert builder.runs == [[], []]
    builder.build()
    monkeypatch.delenv("CI")
    builder.build()
    assert builder.runs == [[], []]
    (builder.root / "book" / "index.md").write_text("# Contents\n")
    builder.build()
    monkeypatch.setenv("CI", "true")
    builder.build()
    assert builder.runs == [[], [], ["a", "b"], []]


def test_a_warning_that_is_in_the_cache_does_not_fail_every_later_build(
    book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noisy = "import os, sys\nif os.path.exists('noise'): print('no GPU', file=sys.stderr)"
    write_notebook(book / "book" / "b.ipynb", noisy)
    (book / "book" / "noise").touch()
    execute_notebooks.execute_missing(book, book / "_build")
    (book / "book" / "noise").unlink()
    capsys.readouterr()
    execute_notebooks.execute_missing(book, book / "_build")
    assert capsys.readouterr().out == ""  # a reader has the page, and does not wait again
    for executed in (["b.ipynb"], []):
        execute_notebooks.execute_missing(book, book / "_build", again_if_noisy=True)
        said = capsys.readouterr().out
        assert [name for name in ("a.ipynb", "b.ipynb") if name in said] == executed

"""Execute the book's notebooks, a few at a time, into the cache in which the build looks for them.

    python tools/execute_notebooks.py

Notebooks whose code, imported files of the package and environment are unchanged are not executed
again, so a run that was stopped goes on where it was. When a cell fails, no further notebook is
started, and the last thing said is which cell of which notebook failed, and why.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import re
import sys
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import NamedTuple

import yaml
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbclient import NotebookClient
from nbformat import NotebookNode
from notebook_rules.notebook import Notebook
from notebook_rules.storage import gate_is_on
from sphinx_external_toc.parsing import parse_toc_yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))
from execution_cache import Caches, read
from failing_cell import say_failure
from forked_kernels import fork_kernel
from kernel_guard import prepare_kernels

# More kernels than cores only get in each other's way; each holds up to a gigabyte of memory.
PROCESSES = min(4, os.cpu_count() or 1)


class CellFailed(Exception):
    """A cell of a notebook raised, took too long, killed its kernel, or says not to be checked."""


class Executed(NamedTuple):
    """A notebook with its outputs, the seconds that took, and its kernel's largest memory in MB."""

    notebook: NotebookNode
    seconds: float
    megabytes: float


def peak_megabytes(process: int) -> float:
    """Return the most memory that a process has held so far; 0 where the system does not say."""
    status = Path(f"/proc/{process}/status")
    text = status.read_text(encoding="ascii") if status.exists() else ""
    peak = re.search(r"^VmHWM:\s+(\d+) kB", text, re.M)
    return int(peak[1]) * 1024 / 1e6 if peak else 0.0


def kernel_of(client: NotebookClient) -> int:
    """Return the process of a running kernel."""
    assert client.km is not None
    assert client.km.provisioner is not None
    return int(client.km.provisioner.pid)  # type: ignore[attr-defined]


def execute(
    root: Path, name: str, notebook: NotebookNode, timeout: int, *, fork: bool = False
) -> Executed:
    """Execute a notebook of the book, in its folder and with a kernel of its own.

    Args:
        root: the folder of _config.yml.
        name: the notebook's, from there.
        notebook: gets its outputs.
        timeout: the most seconds that a cell may take.
        fork: take the kernel from a process that has made the common imports, where that is safe.
            It pays for those who execute more than one.

    Raises:
        CellFailed: says notebook, cell (code cells count from 1, as in JupyterLab) and error.
    """
    started: list[NotebookNode] = []  # code cells so far; the last one is the one that failed
    peaks = [0.0]  # after each cell: when all is done, the kernel is gone
    client: NotebookClient = NotebookClient(
        notebook,
        timeout=timeout,
        record_timing=False,  # it would be metadata of the cells, at which the cache looks
        resources={"metadata": {"path": str((root / name).parent)}},
        extra_arguments=["--log-level=ERROR"],  # no advice on the kernel's transport
        shutdown_kernel="immediate",  # the other way it tidies up for a second: nothing is left
        on_cell_execute=lambda cell, cell_index: started.append(cell),
        on_cell_executed=lambda **_: peaks.append(peak_megabytes(kernel_of(client))),
    )
    if fork:
        fork_kernel(client)
    start = time.monotonic()
    try:
        client.execute()
    except Exception as error:
        if not started:  # no kernel: not the notebook's fault
            raise
        head = started[-1].source.strip().partition("\n")[0]
        raise CellFailed(say_failure(name, f"code cell {len(started)} ({head})", error)) from None
    return Executed(notebook, time.monotonic() - start, max(peaks))


def end_with_parent() -> None:
    """Let this process end when the one that started it is killed; it would wait without end."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait_and_end() -> None:
        parent.join()
        os._exit(1)  # the kernel notices that its parent is gone, and ends too

    threading.Thread(target=wait_and_end, daemon=True).start()


def notebooks_of(root: Path) -> dict[str, NotebookNode]:
    """Return the notebooks in the table of contents, in its order, by their names."""
    found = {}
    for document in parse_toc_yaml(root / "_toc.yml"):
        for file in (root / f"{document}.ipynb", root / f"{document}.md"):
            notebook = read(file, file.read_text(encoding="utf-8")) if file.exists() else None
            if notebook is not None:
                found[file.relative_to(root).as_posix()] = notebook
    return found


def seconds_per_cell(root: Path) -> int:
    """Return the limit that holds when jupyter-book executes a notebook, too."""
    settings = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    return int(settings["execute"]["timeout"])


def is_noisy(notebook: NotebookNode) -> bool:
    """Whether a cell wrote to stderr, which is a warning of the build."""
    outputs = (out for cell in notebook.cells for out in cell.get("outputs", []))
    return any(out.get("name") == "stderr" for out in outputs)


def execute_missing(root: Path, build: Path, *, again_if_noisy: bool = False) -> None:
    """Execute the notebooks that are not in the cache, and put them there.

    Args:
        root: the folder of _config.yml.
        build: the folder of what is built.
        again_if_noisy: also execute those whose warnings are in the cache: they may have come from
            the machine's state, and would fail each later build that takes warnings for errors.

    Raises:
        CellFailed: what the first failing cell has to say; notebooks that then run are finished.
            Nothing is executed if a notebook switches checks off.
    """
    caches = Caches(root, build)
    missing = []
    for name, notebook in notebooks_of(root).items():
        for number, problem in gate_is_on(Notebook.of(Path(name), notebook)):
            where = name if number is None else f"{name}, cell {number}"
            raise CellFailed(f"\nThe book was not built: {where}: {problem}\n")
        try:  # as MyST-NB will
            executed = get_cache(str(caches.of(notebook))).merge_match_into_notebook(notebook)[1]
        except KeyError:
            executed = None
        if executed is None or (again_if_noisy and is_noisy(executed)):
            missing.append((name, notebook))
    if not missing:
        return
    prepare_kernels()
    # Lists the machine's fonts, once; where that takes long it warns, which fails a notebook.
    importlib.import_module("matplotlib.font_manager")
    timeout, fork = seconds_per_cell(root), len(missing) > PROCESSES
    print(f"Executing {len(missing)} notebooks, {PROCESSES} at a time", flush=True)
    failure: BaseException | None = None
    running: dict[Future[Executed], str] = {}
    with ProcessPoolExecutor(PROCESSES, initializer=end_with_parent) as pool:
        while running or (missing and failure is None):
            while missing and failure is None and len(running) < PROCESSES:
                # The last first: they take longest, and at the end no process waits for the other.
                name, notebook = missing.pop()
                running[pool.submit(execute, root, name, notebook, timeout, fork=fork)] = name
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                name = running.pop(done)
                failure = failure or done.exception()
                if done.exception() is None:
                    notebook, seconds, megabytes = done.result()
                    bundle = CacheBundleIn(
                        notebook, str(root / name), data={"execution_seconds": seconds}
                    )
                    cache = get_cache(str(caches.of(notebook)))
                    cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
                    print(f"  {name:40} {seconds:4.0f} s {megabytes:5.0f} MB", flush=True)
    if failure is not None:
        raise failure


def main() -> int:
    """Execute what is missing; return 1 if a cell fails."""
    try:
        execute_missing(ROOT, ROOT / "_build")
    except CellFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

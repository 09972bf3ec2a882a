"""Build the book: execute its notebooks, then write its pages.

    python tools/build_book.py

A failing cell fails the build. A warning does so where the environment variable CI is set, as it is
on public hosts: there the book must be without fault, while readers want to have it all the same.

If nothing has changed since the last build that succeeded, nothing is done. If only pages have
changed, only they are read again (and the extension fresh_pages sees to those that show something
of them). In all other cases (package, configuration, extensions, assets, environment; a build that
failed or was stopped) the build begins anew: Sphinx would not repeat its warnings about a page that
it has read already, nor notice a change in an extension.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from execute_notebooks import CellFailed, execute_missing

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "_build"
SITE = BUILD / "html"
DOCTREES = BUILD / ".doctrees"  # the pages as Sphinx has read them
LAST_BUILD = BUILD / "last-build.json"  # what the site was made from; only while it is whole

# what pages depend on beside themselves, and the pages
SOURCES = ["_config.yml", "_toc.yml", "constraints.txt", "attn_utils", "book"]
NO_SOURCES = {"__pycache__", ".ipynb_checkpoints"}
DERIVED = "book/api"  # pages that the build itself writes


def strict() -> bool:
    """Whether a warning fails the build."""
    return bool(os.environ.get("CI"))


def digest(*parts: bytes) -> str:
    """Hash parts, each with its length."""
    result = hashlib.sha256()
    for part in parts:
        result.update(len(part).to_bytes(8, "big") + part)
    return result.hexdigest()


def is_page(file: Path, root: Path) -> bool:
    """Whether a file is the source of a page."""
    return file.parent == root / "book" and file.suffix in {".ipynb", ".md"}


def sources(root: Path) -> Iterator[Path]:
    """Yield the files that the site is made from."""
    for name in SOURCES:
        files = sorted((root / name).rglob("*")) if (root / name).is_dir() else [root / name]
        for file in files:
            derived = file.is_relative_to(root / DERIVED)
            if file.is_file() and not derived and not NO_SOURCES & set(file.parts):
                yield file


def fingerprint(root: Path) -> dict[str, Any]:
    """Return a hash for each page and one for all else that the site is made from, and how."""
    pages, house = {}, []
    for file in sources(root):
        name, content = file.relative_to(root).as_posix(), file.read_bytes()
        if is_page(file, root):
            pages[name] = digest(content)
        else:
            house += [name.encode(), content]
    published = os.environ.get("BOOK_REPOSITORY", "")  # shown by the extension launch_buttons
    house += [sys.version.encode(), published.encode()]
    return {"house": digest(*house), "pages": pages, "strict": strict()}


def last_build() -> dict[str, Any]:
    """Return the fingerprint of the site that is there; empty if it is not there, or not whole."""
    whole = LAST_BUILD.exists() and (SITE / "index.html").exists() and DOCTREES.exists()
    return dict(json.loads(LAST_BUILD.read_text(encoding="utf-8"))) if whole else {}


def forget(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Remove what is no longer true: the pages that have changed, as Sphinx read them, or all."""
    LAST_BUILD.unlink(missing_ok=True)
    warnings_count_now = now["strict"] and not before.get("strict")
    if before.get("house") != now["house"] or warnings_count_now:
        shutil.rmtree(SITE, ignore_errors=True)
        shutil.rmtree(DOCTREES, ignore_errors=True)
        return
    for page in {*before["pages"], *now["pages"]}:
        if before["pages"].get(page) != now["pages"].get(page):
            (DOCTREES / page).with_suffix(".doctree").unlink(missing_ok=True)


def write_pages() -> int:
    """Let Jupyter Book read and write what is not there; return its exit status."""
    program = shutil.which("jupyter-book", path=str(Path(sys.executable).parent))
    if program is None:
        sys.exit("jupyter-book is not in this environment: run 'make install' first")
    command = [program, "build", ".", "-n", *(["-W", "--keep-going"] if strict() else [])]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def say_address() -> None:
    """Say where the book is."""
    print(f"The book is at {SITE / 'index.html'} — 'make serve' or tools/serve.py opens it.")


def main() -> int:
    """Build what is not up to date; return the exit status."""
    before, now = last_build(), fingerprint(ROOT)
    if before in (now, {**now, "strict": True}):  # a site without warnings is good for all
        print("The book is up to date.")
        say_address()
        return 0
    try:
        execute_missing(ROOT, BUILD, again_if_noisy=strict())
    except CellFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    forget(before, now)
    status = write_pages()
    if status == 0:
        LAST_BUILD.write_text(json.dumps(now, indent=1), encoding="utf-8")
        say_address()
    return status


if __name__ == "__main__":
    sys.exit(main())

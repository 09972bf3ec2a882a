"""Refuse notebooks that would disappoint a reader: the house rules, checked without running them.

    python tools/lint_notebooks.py [notebook ...]    # default: every notebook of book/

A problem is printed as ``file: cell N: what is wrong``, where cells of every kind count from 1.
The exit status is 1 if there is any. The rules are in the folder ``notebook_rules`` beside this
file.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from notebook_rules import RULES
from notebook_rules.notebook import Notebook

BOOK = Path(__file__).resolve().parent.parent / "book"


def lint(path: Path) -> list[str]:
    """Apply every rule to a notebook file; return its problems as lines, in reading order."""
    file = _name(path)
    try:
        notebook = Notebook.read(path)
    except (OSError, ValueError) as error:
        return [f"{file}: cannot be read as a notebook ({error})"]
    findings = dict.fromkeys(finding for rule in RULES for finding in rule(notebook))  # once each
    return [
        f"{file}: {text}" if number is None else f"{file}: cell {number}: {text}"
        for number, text in sorted(findings, key=lambda finding: finding[0] or 0)
    ]


def _name(path: Path) -> str:
    """Return the path as it is shown: relative to the current folder, if it is inside."""
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return str(path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Lint the given notebooks, or all of the book; return 1 if there is a problem."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: book/*.ipynb")
    paths = parser.parse_args(arguments).notebooks or sorted(BOOK.glob("*.ipynb"))
    problems = [problem for path in paths for problem in lint(path)]
    for problem in problems:
        print(problem)
    print(f"{len(paths)} notebooks, {len(problems)} problems", file=sys.stderr)
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())

"""Print how long each chapter takes to read, as the rule in notebook_rules/reading.py counts.

python tools/reading_time.py [notebook ...]    # default: every chapter of book/
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from notebook_rules.notebook import Notebook
from notebook_rules.reading import reading, stated_minutes

BOOK = Path(__file__).resolve().parent.parent / "book"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each notebook: words, lines of code, minutes, and what the page states."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: book/[0-9]*.ipynb")
    paths = parser.parse_args(arguments).notebooks or sorted(BOOK.glob("[0-9]*.ipynb"))
    print(f"{'':36} words  lines  minutes  stated")
    for path in paths:
        notebook = Notebook.read(path)
        measured = reading(notebook)
        _, stated = stated_minutes(notebook) or (0, "?")
        print(
            f"{path.name:36} {measured.words:5}  {measured.lines:5}  {measured.minutes:7.1f}  "
            f"{stated:>6}"
        )


if __name__ == "__main__":
    main()

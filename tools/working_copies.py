"""Write the chapters that a reader works in: ``python tools/working_copies.py [FOLDER]``.

The copies in the folder ``notebooks`` run anywhere and need nothing of the book beside them; the
chapters themselves stay as they are, so that a new version of the book comes without conflicts. A
copy is renewed when its chapter has changed, unless its reader has changed it: that one is kept.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # from the checkout, installed or not
from attn_utils.teach.notebooks import chapters, read
from attn_utils.teach.standalone import Book, standalone

FOLDER = "notebooks"
RECORD = ".copies.json"  # what each copy was when it was made


def written(notebook: Any) -> str:
    """Hash what somebody has written: text and code, not outputs nor what an editor adds."""
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in notebook["cells"]]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


def now_in(file: Path) -> str:
    """Return the hash of a copy as it is now; empty if it is not there."""
    if not file.exists():
        return ""
    try:
        return written(read(file))
    except ValueError:  # no notebook any more: the reader's own business
        return "not a notebook"


def renew(book: Path, to: Path) -> list[str]:
    """Write or renew the copies; return the names of those that are kept though it is time."""
    whole = Book.of(chapters(book))
    record_file = to / RECORD
    record = json.loads(record_file.read_text("utf-8")) if record_file.exists() else {}
    beside = [chapter.stem for chapter in whole.chapters]
    kept = []
    to.mkdir(parents=True, exist_ok=True)
    for chapter in whole.chapters:
        file = to / chapter.path.name
        made = standalone(read(chapter.path), whole, chapter.number, beside=beside)
        before, present = record.get(file.name, ""), now_in(file)
        if present and written(made) in (before, present):
            continue  # nothing new: outputs stay, too
        if present not in ("", before):
            kept.append(file.name)
            continue
        text = str(nbformat.writes(made)) + "\n"  # type: ignore[no-untyped-call]
        file.write_text(text, encoding="utf-8")
        record[file.name] = written(made)
        record_file.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return kept


def main(arguments: Sequence[str]) -> int:
    """Write the copies, and say which are older than their chapters."""
    to = Path(arguments[0]) if arguments else ROOT / FOLDER
    for name in renew(ROOT / "book", to):
        print(
            f"{to / name}: yours, and kept. The chapter has changed since: rename yours and start "
            "again to have both."
        )
    print(f"Your copies of the chapters are in {to}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

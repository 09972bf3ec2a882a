"""Put the built book into one file, to read without a network: ``python tools/archive.py``.

The zip holds one folder. Unpacked, ``index.html`` in it opens in any browser, without a server.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "_build" / "html"
NAME = "attention-you-can-touch"
FOR_HOSTS = {"_headers", ".buildinfo", ".nojekyll"}  # of no use on a reader's disk
WHEN = (1980, 1, 1, 0, 0, 0)  # zip's own beginning: the same book gives the same file


def archive(site: Path, target: Path) -> int:
    """Write the site into a zip file; return how many files it holds."""
    files = sorted(f for f in site.rglob("*") if f.is_file() and f.name not in FOR_HOSTS)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
        for file in files:
            entry = zipfile.ZipInfo(f"{NAME}/{file.relative_to(site).as_posix()}", WHEN)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            out.writestr(entry, file.read_bytes())
    return len(files)


def main() -> int:
    """Write the archive beside the site."""
    if not (SITE / "index.html").exists():
        print("the book is not built: run 'make book' first", file=sys.stderr)
        return 1
    target = SITE.with_name(f"{NAME}.zip")
    count = archive(SITE, target)
    print(f"{target}: {count} files, {target.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())

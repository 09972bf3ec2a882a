"""Front-end sources: what Biome's formatter leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    file
    for folder in ("attn_utils", "book/_ext", "book/assets", "tests")
    for file in ROOT.glob(f"{folder}/**/*.js")
    if "vendor" not in file.parts
)


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_line_is_longer_than_100_columns(file: Path) -> None:
    long = [
        f"{number}: {line.strip()[:60]} …"
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if len(line.encode()) > 100  # as tools count that know no characters: “ has three bytes
    ]
    assert not long, "\n".join(long)

"""The page of benchmarks says what the stored numbers say."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import report  # noqa: E402

RESULTS = json.loads((ROOT / "benchmarks" / "results.json").read_text(encoding="utf-8"))


def written(folder: Path, results: dict[str, Any]) -> str:
    report.write(results, folder / "page.md", folder / "picture.svg")
    return (folder / "page.md").read_text(encoding="utf-8")


def changed(benchmark: str, what: str, **numbers: float) -> dict[str, Any]:
    """The stored results with other numbers in every row of a name."""
    results: dict[str, Any] = copy.deepcopy(RESULTS)
    for row in results[benchmark]["rows"]:
        if row["what"].strip() == what:
            row.update(numbers)
    return results


def test_the_page_is_that_of_the_numbers(tmp_path: Path) -> None:
    page = (ROOT / "book" / "benchmarks.md").read_text(encoding="utf-8")
    assert written(tmp_path, RESULTS) == page
    assert (tmp_path / "picture.svg").stat().st_size > 1000


def test_a_promise_is_kept_by_all_of_the_range(tmp_path: Path) -> None:
    what = "decoder, training / torch"
    kept = changed("transformer", what, value=1.0, low=0.9, high=1.1)
    assert f"| {what} | 64 | 1.00 (0.90–1.10), ≤ 1.10 |" in written(tmp_path, kept)
    crossed = changed("transformer", what, value=1.0, low=0.9, high=1.101)
    assert f"| {what} | 64 | 1.00 (0.90–1.10) |" in written(tmp_path, crossed)


def test_an_unfavourable_number_needs_a_sentence(tmp_path: Path) -> None:
    slow = changed("vit", "batch 1, float32 / plain", value=1.2)
    with pytest.raises(ValueError, match="expected a word on 'batch 1, float32 / plain'"):
        written(tmp_path, slow)
    big = changed("spatial", "its memory", value=1.2)
    with pytest.raises(ValueError, match="expected a word on 'inference, default / plain'"):
        written(tmp_path, big)

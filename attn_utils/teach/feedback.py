"""A page for each student: what was right, and what the check says to what was not."""

from __future__ import annotations

import re
from html import escape
from typing import Any

from .marks import Hand, Row, points
from .notebooks import Chapter, Exercise

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ border-bottom: 1px solid #8888; padding: .4rem .6rem; text-align: left }}
td {{ vertical-align: top }}
td.points {{ white-space: nowrap }}
pre {{ white-space: pre-wrap; font: inherit; margin: 0 }}
@media (prefers-color-scheme: dark) {{ body {{ background: #121212; color: #eee }} }}
</style>
<h1>{title}</h1>
{body}
</html>
"""


def page(row: Row, chapter: Chapter, by_hand: Hand) -> str:
    """Write a student's page. All that comes from the submission is escaped."""
    own = [e for e in chapter.exercises if e.number in row["marks"]]
    got = {e.number: points(row, e, by_hand) for e in own}
    total = sum(p for p in got.values() if p is not None)
    of = sum(e.points for e in own)
    lines = [_line(e, row["marks"][e.number], got[e.number]) for e in own]
    remarks = "".join(f"<li>{escape(remark)}</li>" for remark in row["remarks"])
    body = [
        f"<p><strong>{escape(str(row['student']))}</strong>: {total:g} of {of} points.</p>",
        "<table><tr><th>Exercise</th><th>Points</th><th></th></tr>",
        *lines,
        "</table>",
        f"<h2>Remarks</h2><ul>{remarks}</ul>" if remarks else "",
    ]
    return _PAGE.format(title=escape(f"Exercises: {chapter.title}"), body="\n".join(body))


def file_name(row: Row) -> str:
    """Return the name of a page's file, without anything that a file system would stumble over."""
    words = f"{row['student']}-{row['chapter']}-{row['key'][:6]}"
    return re.sub(r"[^\w.-]+", "-", words).strip("-.")[:100] + ".html"


def _line(exercise: Exercise, mark: dict[str, Any], got: float | None) -> str:
    said = re.sub(r"^([✓✗]) [\w.]+: ", r"\1 ", mark["message"])  # without the check's name
    if not exercise.check:
        said = "Marked by your teacher." if got is None else ""
    text = f"<pre>{escape(mark['text'])}</pre>" if mark["text"] else ""
    shown = "–" if got is None else f"{got:g}"
    title = f"{exercise.number} {exercise.title}"
    return (
        f"<tr><td>{escape(title)}</td><td class='points'>{shown} of {exercise.points}</td>"
        f"<td>{escape(said)}{text}</td></tr>"
    )

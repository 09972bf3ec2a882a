"""How long a chapter takes to read, which it says itself."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .notebook import Finding, Notebook

# of somebody who reads English as a second language, and each line of code as if to write it
WORDS_PER_MINUTE = 180
SECONDS_PER_LINE = 10
LONGEST = 60

OWN_TIME = {"Exercises", "Quiz", "Further reading"}  # sections that are no part of the reading
STATED = re.compile(r"\*Time to read:\*+ (?:about )?(\d+) minutes")
BLOCK = re.compile(r"^(`{3,}|~{3,}).*?^\1`*\s*$|\$\$.*?\$\$|\]\([^)]*\)|<[^>]*>", re.M | re.S)
WORD = re.compile(r"[^\W_][\w'’.,%-]*")


@dataclass
class Reading:
    """What there is to read in the main part of a chapter."""

    words: int = 0
    lines: int = 0

    @property
    def minutes(self) -> float:
        """The time it takes."""
        return self.words / WORDS_PER_MINUTE + self.lines * SECONDS_PER_LINE / 60

    @property
    def stated(self) -> int:
        """The time as the chapter should state it, rounded up to five minutes."""
        return 5 * math.ceil(self.minutes / 5)


def reading(notebook: Notebook) -> Reading:
    """Count the words and the visible lines of code of the main part.

    Formulas that stand by themselves, links' targets and tags are no words; a blank line is no
    line. A section does not count if it has a time of its own (exercises, quiz, further reading) or
    says in its first line that it may be skipped, nor do the sections inside it.
    """
    total = Reading()
    left_out = 0  # level of the heading whose section does not count; 0 if it counts
    for cell in notebook.cells:
        if cell.is_code and cell.is_visible and not left_out:
            total.lines += sum(bool(line.strip()) for line in cell.source.split("\n"))
        elif cell.is_markdown:
            for part in re.split(r"^(?=#{1,6} )", BLOCK.sub(" ", cell.source), flags=re.M):
                if heading := re.match(r"(#+) +(.*)\s*(.*)", part):
                    level = len(heading[1])
                    if not left_out or level <= left_out:
                        skipped = "may be skipped" in heading[3]
                        left_out = level if heading[2] in OWN_TIME or skipped else 0
                if not left_out:
                    total.words += len(WORD.findall(part))
    return total


def stated_minutes(notebook: Notebook) -> tuple[int, int] | None:
    """Return the time that the notebook states, after the number of the cell that does."""
    for cell in notebook.markdown:
        if found := STATED.search(cell.source):
            return cell.number, int(found[1])
    return None


def reading_time_is_stated(notebook: Notebook) -> Iterator[Finding]:
    """A chapter takes an hour at most, and says how long."""
    if not re.match(r"\d\d-", notebook.path.name):
        return
    measured = reading(notebook)
    if measured.stated > LONGEST:
        yield None, f"takes {measured.minutes:.0f} minutes to read; at most {LONGEST}"
    number, minutes = stated_minutes(notebook) or (1, None)
    if minutes != measured.stated:
        yield number, f"should say '*Time to read:* {measured.stated} minutes', as it is measured"

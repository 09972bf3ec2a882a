"""The book's rules for notebooks that no other check knows, a file for each concern.

Stored outputs are nbstripout's business, syntax is ruff's; names, links and labels that do not
exist fail the build; figures and quizzes are looked at in the built pages (tests/book).

A rule is a function that gets a :class:`~notebook_rules.notebook.Notebook` and yields findings:
pairs of a cell number (None for the notebook as a whole) and a message. A new rule is added to
``RULES``. CONTRIBUTING.md says what the rules are good for.
"""

from collections.abc import Callable, Iterator

from .boxes import boxes_render
from .exercises import effort_is_stated, exercises_are_complete
from .layout import cell_length, starts_with_title
from .notebook import Finding, Notebook
from .randomness import randomness_is_seeded
from .reading import reading_time_is_stated
from .storage import cell_ids, gate_is_on, project_kernel

RULES: tuple[Callable[[Notebook], Iterator[Finding]], ...] = (
    project_kernel,
    cell_ids,
    gate_is_on,
    starts_with_title,
    cell_length,
    randomness_is_seeded,
    boxes_render,
    exercises_are_complete,
    effort_is_stated,
    reading_time_is_stated,
)

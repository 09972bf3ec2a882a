"""The book's rules for notebooks, a file for each concern.

A rule is a function that gets a :class:`~notebook_rules.notebook.Notebook` and yields findings:
pairs of a cell number (None for the notebook as a whole) and a message. A new rule is added to
``RULES``. CONTRIBUTING.md says what the rules are good for.
"""

from collections.abc import Callable, Iterator

from .boxes import boxes_render
from .exercises import exercises_are_complete
from .figures import figures_are_described, images_have_alt_text
from .layout import cell_length, code_parses, starts_with_title
from .links import links_lead_somewhere
from .notebook import Finding, Notebook
from .package_names import package_names_exist
from .quiz import quiz_is_complete
from .randomness import randomness_is_seeded
from .storage import cell_ids, gate_is_on, no_outputs, no_widget_state, project_kernel

RULES: tuple[Callable[[Notebook], Iterator[Finding]], ...] = (
    no_outputs,
    no_widget_state,
    project_kernel,
    cell_ids,
    gate_is_on,
    starts_with_title,
    code_parses,
    cell_length,
    figures_are_described,
    images_have_alt_text,
    randomness_is_seeded,
    package_names_exist,
    links_lead_somewhere,
    boxes_render,
    exercises_are_complete,
    quiz_is_complete,
)

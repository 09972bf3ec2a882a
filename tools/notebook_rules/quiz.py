"""Every choice of a quiz is explained, and every question has a right one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from .boxes import Box, boxes
from .notebook import Finding, Notebook

OPENING_WORDS = {"right": "**Right.**", "wrong": "**Not quite.**"}


def quiz_is_complete(notebook: Notebook) -> Iterator[Finding]:
    """A choice is a box of class ``quiz right`` or ``quiz wrong``; its name is the question's."""
    questions: dict[str, list[Box]] = defaultdict(list)
    first_cell: dict[str, int] = {}
    for cell in notebook.markdown:
        for choice in boxes(cell):
            if "quiz" not in choice.classes:
                continue
            for problem in _choice_problems(choice):
                yield cell.number, problem
            if choice.name:
                questions[choice.name].append(choice)
                first_cell.setdefault(choice.name, cell.number)
    for question, choices in questions.items():
        if not any("right" in choice.classes for choice in choices):
            yield first_cell[question], f"the question {question} has no right choice"
        if len(choices) < 2:
            yield first_cell[question], f"the question {question} has a single choice"


def _choice_problems(choice: Box) -> Iterator[str]:
    verdict = "right" if "right" in choice.classes else "wrong"
    opening = OPENING_WORDS[verdict]
    explanation = choice.body.strip()
    if verdict not in choice.classes:
        yield f"the choice {choice.summary!r} is neither class 'quiz right' nor 'quiz wrong'"
    elif not explanation.removeprefix(opening).strip():
        yield f"the choice {choice.summary!r} has no explanation"
    elif not explanation.startswith(opening):
        yield f"the explanation of {choice.summary!r} must start with {opening}"
    if not choice.name:
        yield f"the choice {choice.summary!r} does not say its question (name=...)"

"""For teachers: copies for students, marks for what they hand in, quizzes for their platform.

``python -m attn_utils.teach`` says what there is; ``book/teaching.md`` tells how to use it.

A submission is run by two processes that do not trust each other. The *room* runs the student's
cells; the *judge* holds the checks and the marks. They exchange plain values over a pipe
(:mod:`~attn_utils.teach.wire`): the judge sends inputs, the room sends back what the student's
function returned. No verdict is ever made in the room, so that nothing a student redefines there
can change a mark.
"""

from __future__ import annotations

__all__: list[str] = []

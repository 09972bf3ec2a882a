"""Moodle XML, which Moodle imports into its question bank.

https://docs.moodle.org/en/Moodle_XML_format
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from .questions import Question


def quiz(chapters: Mapping[str, Sequence[Question]]) -> str:
    """Write questions, in a category for each chapter's title."""
    parts = ['<?xml version="1.0" encoding="UTF-8"?>', "<quiz>"]
    for title, questions in chapters.items():
        category = f"$course$/top/Attention/{title.replace('/', '//')}"
        parts.append(
            f'<question type="category"><category><text>{escape(category)}</text></category>'
            "</question>"
        )
        parts += [_question(question) for question in questions]
    return "\n".join([*parts, "</quiz>", ""])


def _question(question: Question) -> str:
    one = question.has_one_answer
    right = sum(choice.is_right for choice in question.choices)
    wrong = len(question.choices) - right
    answers = []
    for choice in question.choices:
        # with several right choices, ticking all of them gives nothing
        share = 100 / right if choice.is_right else 0 if one else -100 / max(wrong, 1)
        answers.append(
            f'<answer fraction="{share:.5g}" format="html">{_text(choice.text)}'
            f'<feedback format="html">{_text(choice.explanation)}</feedback></answer>'
        )
    name = escape(f"{question.number} {question.chapter}")
    return "\n".join(
        [
            '<question type="multichoice">',
            f"<name><text>{name}</text></name>",
            f'<questiontext format="html">{_text(question.text)}</questiontext>',
            "<defaultgrade>1</defaultgrade>",
            f"<single>{'true' if one else 'false'}</single>",
            "<shuffleanswers>true</shuffleanswers>",
            "<answernumbering>abc</answernumbering>",
            *answers,
            "</question>",
        ]
    )


def _text(html: str) -> str:
    return f"<text><![CDATA[{html.replace(']]>', ']]]]><![CDATA[>')}]]></text>"

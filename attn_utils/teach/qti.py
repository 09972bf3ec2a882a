"""QTI 2.1 (IMS Global, 2012): an item for each question, a test for each chapter, in a package.

https://www.imsglobal.org/question/qtiv2p1/imsqti_infov2p1.html
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from html import escape

from .questions import Question

NAMESPACE = "http://www.imsglobal.org/xsd/imsqti_v2p1"
PACKAGING = "http://www.imsglobal.org/xsd/imscp_v1p1"
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_THEN = 1980, 1, 1, 0, 0, 0  # the same package each time


def item(question: Question) -> str:
    """Write a question as an assessmentItem; each choice answers with its explanation."""
    one = question.has_one_answer
    kind = 'cardinality="single"' if one else 'cardinality="multiple"'
    named = [(chr(ord("A") + i), choice) for i, choice in enumerate(question.choices)]
    right = "".join(f"<value>{name}</value>" for name, choice in named if choice.is_right)
    choices = "".join(
        f'<simpleChoice identifier="{name}">{choice.text}</simpleChoice>\n'
        for name, choice in named
    )
    explanations = "".join(
        f'<modalFeedback outcomeIdentifier="FEEDBACK" identifier="{name}" showHide="show">'
        f"{choice.explanation}</modalFeedback>\n"
        for name, choice in named
    )
    title = escape(f"{question.chapter}, question {question.number}")
    return f"""{_DECLARATION}<assessmentItem xmlns="{NAMESPACE}" identifier="{question.name}"
 title="{title}" adaptive="false" timeDependent="false">
<responseDeclaration identifier="RESPONSE" {kind} baseType="identifier">
<correctResponse>{right}</correctResponse>
</responseDeclaration>
<outcomeDeclaration identifier="SCORE" cardinality="single" baseType="float">
<defaultValue><value>0</value></defaultValue>
</outcomeDeclaration>
<outcomeDeclaration identifier="FEEDBACK" {kind} baseType="identifier"/>
<itemBody>
{question.text}
<choiceInteraction responseIdentifier="RESPONSE" shuffle="true" maxChoices="{1 if one else 0}">
{choices}</choiceInteraction>
</itemBody>
<responseProcessing>
<responseCondition>
<responseIf>
<match><variable identifier="RESPONSE"/><correct identifier="RESPONSE"/></match>
<setOutcomeValue identifier="SCORE"><baseValue baseType="float">1</baseValue></setOutcomeValue>
</responseIf>
</responseCondition>
<setOutcomeValue identifier="FEEDBACK"><variable identifier="RESPONSE"/></setOutcomeValue>
</responseProcessing>
{explanations}</assessmentItem>
"""


def test(name: str, title: str, questions: Sequence[Question]) -> str:
    """Write a chapter's test, which refers to its items."""
    items = "".join(
        f'<assessmentItemRef identifier="{q.name}" href="{q.name}.xml"/>\n' for q in questions
    )
    return f"""{_DECLARATION}<assessmentTest xmlns="{NAMESPACE}" identifier="test-{name}"
 title="{escape(title)}">
<testPart identifier="part-{name}" navigationMode="nonlinear" submissionMode="individual">
<itemSessionControl maxAttempts="0" showFeedback="true"/>
<assessmentSection identifier="section-{name}" title="{escape(title)}" visible="true">
{items}</assessmentSection>
</testPart>
</assessmentTest>
"""


def manifest(name: str, questions: Sequence[Question]) -> str:
    """Write the list of a package's files."""
    parts = "".join(f'<dependency identifierref="{q.name}"/>\n' for q in questions)
    items = "".join(
        f'<resource identifier="{q.name}" type="imsqti_item_xmlv2p1" href="{q.name}.xml">'
        f'<file href="{q.name}.xml"/></resource>\n'
        for q in questions
    )
    return f"""{_DECLARATION}<manifest xmlns="{PACKAGING}" identifier="manifest-{name}">
<metadata><schema>QTIv2.1 Package</schema><schemaversion>1.0.0</schemaversion></metadata>
<organizations/>
<resources>
<resource identifier="test-{name}" type="imsqti_test_xmlv2p1" href="test.xml">
<file href="test.xml"/>
{parts}</resource>
{items}</resources>
</manifest>
"""


def package(name: str, title: str, questions: Sequence[Question]) -> bytes:
    """Write a chapter's quiz as a zip file, the same bytes for the same questions."""
    files = {
        "imsmanifest.xml": manifest(name, questions),
        "test.xml": test(name, title, questions),
        **{f"{question.name}.xml": item(question) for question in questions},
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, text in files.items():
            archive.writestr(zipfile.ZipInfo(file, _THEN), text)
    return packed.getvalue()

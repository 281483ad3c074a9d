"""Error messages: each contains the value that was wrong, or says what would be right."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

import pytest

from tests.checkout import ROOT

WITH_SENTENCE: Final = frozenset(
    {"InvalidFieldError", "InputError", "ProofError", "AttachError", "Refused", "DamagedError"}
)
"""Errors whose last argument is the sentence; other classes make theirs of their attributes."""
WHAT_IS_RIGHT: Final = re.compile(r"[;:(]|\b(must|such as|of the form|needs|only)\b")
VERDICTS: Final = {
    "its folders differ from those of the events under its checkpoint": "what a verification found",
}


def sentences() -> Iterator[tuple[str, str]]:
    """The place and the text of each sentence without a value."""
    for room in ("domain", "projections", "infra"):
        for file in sorted((ROOT / room).rglob("*.py")):
            for call in ast.walk(ast.parse(file.read_text())):
                match call:
                    case ast.Call(
                        func=ast.Name(id=name) | ast.Attribute(attr=name),
                        args=[*_, ast.Constant(value=str(text))],
                    ) if name in WITH_SENTENCE:
                        yield f"{file.relative_to(ROOT)}:{call.lineno}", text


@pytest.mark.slow
def test_a_message_without_the_value_says_what_would_be_right() -> None:
    found = list(sentences())
    assert len(found) > 50
    assert [
        f"{place}: {text}"
        for place, text in found
        if not WHAT_IS_RIGHT.search(text) and text not in VERDICTS
    ] == []

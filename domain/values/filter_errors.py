"""Why a filter cannot be parsed, and what was probably meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    # Imported where text is parsed: most programs never filter, and lark takes long to import.
    from lark import UnexpectedInput

EXPECTED: Final = {
    "WORD": "a word",
    "STRING": "a string",
    "COMPARATOR": "a comparison",
    "LPAR": "'('",
    "RPAR": "')'",
    "_AND": "AND",
    "_OR": "OR",
}
"""The names of the grammar's symbols in messages."""

MEANT: Final = {
    "==": "= instead of ==",
    "=~": ": instead of =~",
    "~": ": instead of ~",
    "=>": ">= instead of =>",
    "=<": "<= instead of =<",
    "<>": "!= instead of <>",
    "!": "NOT instead of !",
    "&&": "AND instead of &&",
    "||": "OR instead of ||",
    "IS": "= instead of IS",
    "LIKE": ": instead of LIKE",
    "IN": "a comparison for each value, joined by OR, instead of IN",
}
"""What to write for the operators of other languages."""


_OF_OTHERS: Final = re.compile(r"=[=~><]|<>|&&|\|\||[~!]|\b(?:is|like|in)\b", re.IGNORECASE)
_WORDS: Final = re.compile(r"[^\s()=<>!]+")


def why_unreadable(text: str, error: UnexpectedInput) -> str:
    """Returns where the parser stopped, what it expected there, and a hint if there is one."""
    from lark import UnexpectedToken

    at_end = isinstance(error, UnexpectedToken) and error.token.type == "$END"
    place = "at its end" if at_end else f"at column {error.column}"
    expected = {EXPECTED[t] for t in _expected(error) if t in EXPECTED}
    wanted = f": {' or '.join(sorted(expected))} was expected" if expected else ""
    return f"cannot be read {place}{wanted}{_hint(text, error)}"


def _hint(text: str, error: UnexpectedInput) -> str:
    """Returns what was probably meant by the word that cannot be parsed, or by the one before it."""
    column = error.column - 1 if isinstance(error.column, int) and error.column > 0 else len(text)
    for operator in _OF_OTHERS.finditer(text):
        if operator.start() <= column < operator.end():
            return f"; write {MEANT[operator[0].upper()]}"
    words = [word for word in _WORDS.finditer(text) if word.start() <= column]
    for word in (word[0] for word in words[-2:]):
        if word.upper() in {"AND", "OR", "NOT"} and not word.isupper():
            return f"; {word.upper()} is written in capitals"
    last = words[-1] if words else None
    if last is None or column >= last.end() or last[0].isalnum() or '"' in last[0]:
        return ""
    return f'; a value of other characters is put in quotes: "{last[0]}"'


def _expected(error: UnexpectedInput) -> Iterable[str]:
    return getattr(error, "accepts", None) or getattr(error, "allowed", None) or ()

"""What may be written next in a filter, for a search box."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from jobledger.domain.values.filters import parser

if TYPE_CHECKING:
    from lark import Token

_WORD_AT_END: Final = re.compile(r"[\w*@/+\-.]*$")


class Completion(NamedTuple):
    """The possible continuations at a place in a filter's text."""

    begin: int
    """The index at which the word begins that is being written."""
    word: str
    may_follow: frozenset[str]
    """A subset of `field`, `comparison`, `value`, `AND`, `OR`, `)`."""
    field: str = ""
    """The field whose value is being written."""


def completion_at(text: str, caret: int) -> Completion:
    """Returns what may be written at an index; nothing if the text before it cannot be parsed."""
    before = text[:caret]
    found = _WORD_AT_END.search(before)
    assert found is not None
    begin, word = found.start(), found.group()
    from lark import UnexpectedInput

    parsing = parser().parse_interactive(before[:begin])
    try:
        tokens = list(parsing.exhaust_lexer())
        accepted = set[str](parsing.accepts())  # type: ignore[no-untyped-call]
    except UnexpectedInput:
        return Completion(begin, word, frozenset())
    if tokens and tokens[-1].type == "COMPARATOR":
        field = [str(token) for token in _field_before(tokens)]
        return Completion(begin, word, frozenset({"value"}), "".join(field))
    symbols = {"_AND": "AND", "_OR": "OR", "RPAR": ")", "COMPARATOR": "comparison"}
    may_follow = {value for symbol, value in symbols.items() if symbol in accepted}
    if "_EVER" in accepted:
        may_follow.add("field")
    return Completion(begin, word, frozenset(may_follow))


def _field_before(tokens: list[Token]) -> list[Token]:
    """The words and dots before the comparison at the end."""
    field: list[Token] = []
    for token in reversed(tokens[:-1]):
        joined = not field or (token.type == "DOT") != (field[-1].type == "DOT")
        if token.type not in {"WORD", "STRING", "DOT"} or not joined:
            break
        field.append(token)
    return field[::-1]

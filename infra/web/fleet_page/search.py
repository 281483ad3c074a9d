"""The search box: plain words, or a filter (AIP-160), and their terms."""

import re
from typing import Final

from jobledger.domain.values.filter_text import quoted
from jobledger.domain.values.filters import Restriction, parse_filter, parts_of

_OPERATORS: Final = re.compile(r"[=<>:()!\"']|\b(?:AND|OR|NOT)\b|(?:^|\s)-\w")
_TOKEN: Final = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|[()]|\bAND\b", re.DOTALL)
FIELDS: Final = ("name", "error_message", "spec.displayName")
"""Fields that plain words are searched in."""


def is_plain(text: str) -> bool:
    """Whether the text is plain words: it has no operator of filters."""
    return _OPERATORS.search(text) is None


def filter_of(text: str) -> str:
    """Returns the filter for the text; each plain word must be in a name or a message."""
    if not is_plain(text) or "\0" in text:
        return text
    return " AND ".join(_looked_for(word) for word in text.split())


def terms(text: str) -> list[str]:
    """Returns the words, or the parts of a filter that are joined by AND."""
    return text.split() if is_plain(text) else [*filter(None, map(str.strip, _parts(text)))]


def without(text: str, term: int) -> str:
    """Returns the text without one of its terms, given by its index."""
    kept = [each for n, each in enumerate(terms(text)) if n != term]
    return (" " if is_plain(text) else " AND ").join(kept)


def labels_in(text: str) -> list[str]:
    """Returns the keys of the labels that a valid filter names."""
    found = (part.field for part in parts_of(parse_filter(filter_of(text))) if isinstance(part, Restriction))  # fmt: skip
    return [*dict.fromkeys(field[1] for field in found if field[0] == "labels" and len(field) == 2)]


def _looked_for(word: str) -> str:
    inner = quoted(word)[1:-1]
    return "(" + " OR ".join(f'{field} = "*{inner}*"' for field in FIELDS) + ")"


def _parts(text: str) -> list[str]:
    """Returns the texts between the ANDs outside of strings and parentheses."""
    depth, begin, parts = 0, 0, list[str]()
    for token in _TOKEN.finditer(text):
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if token[0] == "AND" and depth == 0:
            parts.append(text[begin : token.start()])
            begin = token.end()
    return [*parts, text[begin:]]

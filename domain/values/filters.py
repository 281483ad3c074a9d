r"""List filters (AIP-160), parsed into a tree. What the fields mean in SQL is infra's business.

`state = RUNNING AND labels.team = "a" AND NOT name : "test*"`. OR binds tighter
than AND, as the AIP says; `-x` is `NOT x`; `*` at an end of a string is a wildcard, and `\*` an
asterisk (see filter_text.py).
`ever(state = PAUSED)` is true of a job that has been paused at any time up to now.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.arguments import text_of
from jobledger.domain.values.filter_errors import why_unreadable
from jobledger.domain.values.filter_text import Text, unquoted, without_strings

if TYPE_CHECKING:
    # Imported where text is parsed: most programs never filter, and lark takes long to import.
    from lark import Lark, Token


MAX_LENGTH: Final = 65_536
MAX_DEPTH: Final = 50

_GRAMMAR: Final = r"""
    start: expression
    expression: sequence (_AND sequence)*
    sequence: factor+
    factor: _term (_OR _term)*
    _term: _simple | negation
    negation: (_NOT | _MINUS) _simple
    _simple: restriction | ever | "(" expression ")"
    ever: _EVER "(" expression ")"
    restriction: field COMPARATOR value
    field: WORD ("." (WORD | STRING))*
    value: STRING | [MINUS] WORD ("." WORD)*

    COMPARATOR: "<=" | ">=" | "!=" | "=" | "<" | ">" | ":"
    STRING: /"[^"\\]*(\\(.|\n)[^"\\]*)*"/ | /'[^'\\]*(\\(.|\n)[^'\\]*)*'/
    WORD: /[\w*@\/+][\w*@\/+\-]*/
    MINUS: "-"
    _MINUS: "-"
    _AND.2: /AND(?![\w\-])/
    _OR.2: /OR(?![\w\-])/
    _EVER.2: /ever(?=\s*\()/
    _NOT.2: /NOT(?![\w\-])/
    %ignore /\s+/
"""


class Restriction(NamedTuple):
    """A comparison of `field` with `value`, as text; `labels.team` is ("labels", "team")."""

    field: tuple[str, ...]
    comparator: str
    value: str
    wild: tuple[bool, bool] | None = None
    """Whether its first, and its last, character is a wildcard; None: where it is `*`."""

    @property
    def wildcards(self) -> tuple[bool, bool]:
        """Whether the first and the last character are wildcards; a single `*` counts as the first."""
        begins, ends = self.wild or (self.value.startswith("*"), self.value.endswith("*"))
        return begins, ends and len(self.value) > begins

    @property
    def is_presence(self) -> bool:
        """Whether any value matches: `labels.team = *`, `labels.team : *`."""
        return self.value == "*" and self.wildcards[0] and self.comparator in ("=", ":")


class Not(NamedTuple):
    """True if `term` is false."""

    term: Filter


class All(NamedTuple):
    """True if all of `terms` are true; without terms always."""

    terms: tuple[Filter, ...]


class Some(NamedTuple):
    """True if at least one of `terms` is true."""

    terms: tuple[Filter, ...]


class Ever(NamedTuple):
    """True if `term` was true of the job after at least one of its events."""

    term: Filter


Filter = Restriction | Not | All | Some | Ever


def parse_filter(text: str) -> Filter:
    """Parses a filter (AIP-160); an empty one matches everything.

    Args:
        text: The filter, such as `state = RUNNING AND labels.team = "a"`.

    Returns:
        The filter's tree.

    Raises:
        InvalidFieldError: The filter cannot be parsed; the message says where and why.

    Examples:
        >>> from jobledger.domain.values.filters import parse_filter
        >>> parse_filter('labels.team = "a"').field
        ('labels', 'team')
    """
    return _parsed(text_of("filter", text))


@lru_cache(maxsize=256)
def _parsed(text: str) -> Filter:
    if len(text) > MAX_LENGTH:
        raise InvalidFieldError("filter", f"has {len(text)} characters; the limit is {MAX_LENGTH}")
    if "\0" in text or (not text.isascii() and _has_surrogate(text)):
        raise InvalidFieldError(
            "filter", "has a NUL character or half a surrogate pair, which no value has; remove it"
        )
    if not text.strip():
        return All(())
    if (depth := _depth(text)) > MAX_DEPTH:
        raise InvalidFieldError(
            "filter", f"has {depth} nested parentheses; the limit is {MAX_DEPTH}"
        )
    from lark import UnexpectedInput

    try:
        # The parser applies _Tree, and so returns no Tree of lark's.
        tree: Filter = parser().parse(text)  # type: ignore[assignment]
    except UnexpectedInput as error:
        raise InvalidFieldError("filter", why_unreadable(text, error)) from None
    return tree


def parts_of(tree: Filter) -> Iterator[Filter]:
    """Yields the tree and all its parts."""
    yield tree
    match tree:
        case All(terms=terms) | Some(terms=terms):
            for term in terms:
                yield from parts_of(term)
        case Not(term=term) | Ever(term=term):
            yield from parts_of(term)


def part_about(tree: Filter, field: tuple[str, ...]) -> Filter:
    """Returns what a filter requires of one field, whatever the others are.

    Args:
        tree: The filter.
        field: The field.

    Returns:
        A filter on this field alone, which matches all that the filter matches.

    Examples:
        >>> from jobledger.domain.values.filters import parse_filter, part_about
        >>> part_about(parse_filter("kind = jobs AND state = FAILED"), ("state",)).terms[0].value
        'FAILED'
        >>> part_about(parse_filter("kind = jobs OR state = FAILED"), ("state",))
        All(terms=())
    """
    if isinstance(tree, All):
        terms = (part_about(term, field) for term in tree.terms)
        return All(tuple(term for term in terms if term != All(())))
    parts = list(parts_of(tree))
    fields = {part.field for part in parts if isinstance(part, Restriction)}
    is_about = fields == {field} and not any(isinstance(part, Ever) for part in parts)
    return tree if is_about else All(())


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _depth(text: str) -> int:
    """Returns how deep the parentheses nest."""
    depth = deepest = 0
    for character in without_strings(text):
        depth += (character == "(") - (character == ")")
        deepest = max(deepest, depth)
    return deepest


class _Tree:
    """Builds the filter's tree: one method for each rule of the grammar."""

    def start(self, parts: list[Filter]) -> Filter:
        return parts[0]

    def expression(self, parts: list[Filter]) -> Filter:
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    sequence = expression

    def factor(self, parts: list[Filter]) -> Filter:
        return parts[0] if len(parts) == 1 else Some(tuple(parts))

    def negation(self, parts: list[Filter]) -> Filter:
        return Not(parts[0])

    def ever(self, parts: list[Filter]) -> Filter:
        return Ever(parts[0])

    def restriction(self, parts: list[Any]) -> Filter:
        field, comparator, value = parts
        usual = value.text.startswith("*"), value.text.endswith("*")
        wild = None if value[1:] == usual else (value.begins_wild, value.ends_wild)
        return Restriction(field, str(comparator), value.text, wild)

    def field(self, parts: list[Token]) -> tuple[str, ...]:
        return tuple(_text(part) for part in parts)

    def value(self, parts: list[Token | None]) -> Text:
        sign, *words = parts if parts[0] is None or parts[0].type == "MINUS" else (None, *parts)
        if words and words[0] is not None and words[0].type == "STRING":
            return unquoted(str(words[0]))
        text = ("-" if sign else "") + ".".join(str(word) for word in words if word)
        return Text(text, text.startswith("*"), text.endswith("*"))


def parse_field(text: str, argument: str = "field") -> tuple[str, ...]:
    """Parses a field such as `labels.team` or `spec."a.b"` into its parts; raises InvalidFieldError for no text."""
    text_of(argument, text)
    parts = [found[0] for found in _FIELD_PART.finditer(text)]
    if ".".join(parts) != text:
        return tuple(text.split("."))
    return tuple(unquoted(part).text if part[0] in "\"'" else part for part in parts)


_FIELD_PART: Final = re.compile(
    r"""(?<![^.])(?:"[^"\\]*(?:\\.[^"\\]*)*"|'[^'\\]*(?:\\.[^'\\]*)*'|[^."'][^.]*)(?![^.])"""
)


def _text(token: Token) -> str:
    """Returns the value of a word or a quoted string."""
    return unquoted(str(token)).text if token.type == "STRING" else str(token)


@cache
def parser() -> Lark:
    """Makes the parser when it is first needed: most programs never filter."""
    from lark import Lark

    making: Any = _Tree()
    return Lark(_GRAMMAR, parser="lalr", maybe_placeholders=True, transformer=making)

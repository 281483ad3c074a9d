"""Finds the jobs whose name, messages or display name may have a text, through signatures of blocks of events.

A signature shows which trigrams the texts of 1,024 events have, so that few blocks are read for a
rare text. What is found ever had it: the filter's own condition decides as of the moment.
"""

from collections.abc import Iterator
from typing import Final

import orjson
from jobledger.domain.values.filters import All, Filter, Restriction, Some
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, limit_queries
from jobledger.infra.read.lists.json_values import compares_otherwise
from jobledger.projections.search import trigram_hashes
from psycopg.errors import QueryCanceled
from psycopg.sql import SQL, Composable, Literal, Placeholder

MIN_EVENTS: Final = 10_000
"""In a ledger with fewer events, reading all jobs is as fast."""
MAX_NAMES: Final = 2_000
"""The most events that are looked up for one text. More frequent texts are found faster in the order of the list."""
MAX_BEHIND: Final = 50_000
"""The most events that are searched because no signature has them yet."""
MAX_TEXTS: Final = 3
"""The most texts of a filter that are searched for, the longest first."""
MAX_TRIGRAMS: Final = 8
"""The most trigrams of a text that are searched for."""
DISPLAY_NAME: Final = ("spec", "displayName")
FIELDS: Final = frozenset({
    ("name",), ("id",), ("error_message",), ("errorMessage",), ("display_name",), ("displayName",),
    DISPLAY_NAME,
})  # fmt: skip
"""Fields whose values are literally in the name of a job, or in the data of its events."""
COMPARATORS: Final = frozenset({"=", ":"})
READ_SEARCHED: Final = sql.load(__package__, "read_searched")
FIND_NAMES: Final = sql.template(__package__, "find_names")
HAS_TEXT: Final = sql.template(__package__, "has_text").format(
    text=Placeholder("text"), bytes=Placeholder("bytes")
)


def texts_of(tree: Filter) -> list[str]:
    """Returns texts that a job's name, messages or display name must have for the filter to match.

    Args:
        tree: The filter.

    Returns:
        The texts, the longest first; none if the filter also matches jobs without such a text.

    Examples:
        >>> from jobledger.domain.values.filters import parse_filter
        >>> texts_of(parse_filter('name = "*train*" AND state = FAILED'))
        ['train']
        >>> texts_of(parse_filter('name = "*train*" OR state = FAILED'))
        []
    """
    return sorted(dict.fromkeys(_texts(tree)), key=len, reverse=True)


def find_names_within(
    connection: Connection, tree: Filter, seconds: float
) -> tuple[str, ...] | None:
    """Does the same as `find_names`, but returns None if it would take longer."""
    if not any(map(_has_trigrams, texts_of(tree)[:MAX_TEXTS])):
        return None  # The text is searched in all events.
    try:
        with connection.transaction():
            limit_queries(connection, seconds)
            return find_names(connection, tree)
    except QueryCanceled:
        return None


def find_names(connection: Connection, tree: Filter) -> tuple[str, ...] | None:
    """Finds the jobs that a filter with a rare text can match, at any moment.

    Args:
        connection: A connection to the ledger's schema.
        tree: The filter.

    Returns:
        Their names and maybe some more; None if the filter has no rare text, or the ledger is small.
    """
    texts = texts_of(tree)
    if not texts:
        return None
    row = connection.execute(READ_SEARCHED).fetchone()
    assert row is not None, "each ledger has its head, and the projection"
    searched, size = row
    if size < MIN_EVENTS or size - searched > MAX_BEHIND:
        return None
    for text in texts[:MAX_TEXTS]:
        statement = FIND_NAMES.format(
            has_text=HAS_TEXT, allowed=_allowed(text), limit=Literal(MAX_NAMES + 1)
        )
        given = {"searched": searched, "size": size, "text": text, "bytes": text.encode()}
        found = connection.execute(statement, given, prepare=False).fetchall()
        if len(found) <= MAX_NAMES:
            return tuple({name for (name,) in found})
    return None


def _texts(tree: Filter) -> Iterator[str]:
    match tree:
        case All(terms=terms):
            for term in terms:
                yield from _texts(term)
        case Some(terms=terms):
            alternatives = {text for term in terms for text in _one_of(term)}
            if len(alternatives) == 1 and all(map(_one_of, terms)):
                yield from alternatives
        case Restriction():
            yield from _one_of(tree)


def _one_of(term: Filter) -> list[str]:
    """Returns the text of a comparison if the field must contain it; none if it may be written differently."""
    if not isinstance(term, Restriction) or term.field not in FIELDS:
        return []
    begins, ends = term.wildcards
    if term.field == DISPLAY_NAME and not (begins or ends) and compares_otherwise(term.value):
        return []
    text = term.value[begins : len(term.value) - ends]
    is_plain = orjson.dumps(text) == f'"{text}"'.encode()
    return [text] if text and is_plain and term.comparator in COMPARATORS else []


def _allowed(text: str) -> Composable:
    """Returns the test whether a signature has the trigrams of a text that begins at an even or an odd offset."""
    places = _trigrams(text)
    if not all(places):
        return SQL("true")
    have = SQL("has_trigram(signature, {})")
    of_each = [SQL(" AND ").join(have.format(Literal(each)) for each in hashes) for hashes in places]  # fmt: skip
    return SQL("({} OR {})").format(*of_each)


def _trigrams(text: str) -> list[list[int]]:
    # A name is two texts, before and after its last slash; a part without a slash is in one of them.
    part = max(text.split("/"), key=len)
    return [trigram_hashes(part, begin)[:MAX_TRIGRAMS] for begin in (0, 1)]


def _has_trigrams(text: str) -> bool:
    """Whether signatures can exclude blocks for the text; a short text may be in any block."""
    return all(_trigrams(text))

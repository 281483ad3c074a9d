"""Completions of a filter that is being typed: fields, comparisons, values."""

from collections.abc import Iterator
from functools import partial
from typing import Final, NamedTuple

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.states import JobState
from jobledger.domain.values.filter_completion import Completion, completion_at
from jobledger.domain.values.filters import MAX_LENGTH
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import translated
from jobledger.infra.read.lists.filter_fields import COLUMNS
from jobledger.infra.read.lists.filter_sql import OPERATORS
from jobledger.infra.read.lists.list_items import LISTS
from jobledger.infra.read.reader import Reader

READ_LABELS: Final = sql.load(__package__, "read_labels")
MAX_OFFERS: Final = 12
NAMES: Final = (*COLUMNS, *LISTS, "ever(", "NOT ")


class Offer(NamedTuple):
    """A text, and the range of characters in the filter that it replaces (from, up to)."""

    text: str
    begin: int
    end: int

    def json(self) -> dict[str, str | int]:
        """Returns the offer as JSON for the page."""
        return {"text": self.text, "from": self.begin, "to": self.end}


def offers(reader: Reader, text: str, caret: int, project: str | None) -> list[Offer]:
    """Returns at most 12 completions that begin with the word at the caret; labels are those of `project`, or all for None."""
    if len(text) > MAX_LENGTH:
        raise InvalidFieldError("filter", f"has more than {MAX_LENGTH} characters, the limit")
    place = completion_at(text, min(max(caret, 0), len(text)))
    known = partial(_labels, reader, project)
    end = place.begin + len(place.word)
    found = [
        Offer(offer, place.begin, end)
        for offer in dict.fromkeys(_texts(place, known))
        if offer.lower().startswith(place.word.lower()) and offer.strip() != place.word
    ]
    return found[:MAX_OFFERS]


def _texts(place: Completion, known: partial[dict[str, list[str]]]) -> Iterator[str]:
    if "comparison" in place.may_follow and not place.word:
        yield from (f"{operator} " for operator in OPERATORS)
    if "value" in place.may_follow:
        yield from _values(place.field, known)
    for word in ("AND", "OR"):
        if word in place.may_follow:
            yield f"{word} "
    if ")" in place.may_follow and not place.word:
        yield ") "
    if "field" in place.may_follow:
        yield from (name if name.endswith(("(", " ")) else f"{name} " for name in NAMES)
        yield from (f"labels.{key} " for key in known())


def _values(field: str, known: partial[dict[str, list[str]]]) -> Iterator[str]:
    if field == "state":
        yield from (f"{state.name} " for state in JobState)
    elif field.startswith("labels."):
        yield from (f"{value} " for value in known().get(field.removeprefix("labels."), ()))
    elif field == "kind":
        yield from (f"{kind} " for kind in known().get("", ()))


def _labels(reader: Reader, project: str | None) -> dict[str, list[str]]:
    """Returns the labels of the newest jobs with their values; the key "" has the kinds of these jobs."""
    with translated(), reader.connection() as connection:
        rows = connection.execute(READ_LABELS, {"project": project}).fetchall()
    return {key: sorted(values) for key, values in rows}

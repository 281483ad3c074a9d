"""The fields that a filter may name: their columns in SQL, and how their values are parsed."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, LiteralString, NamedTuple

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.states import JobState
from jobledger.domain.values.nearest import did_you_mean
from jobledger.domain.values.times import parse_iso
from jobledger.infra.read.lists.list_items import LISTS


class Column(NamedTuple):
    """A field in SQL, and how its values are parsed."""

    expression: LiteralString
    read: Callable[[str, str], Any]

    @property
    def is_text(self) -> bool:
        """Whether its values can be compared with a pattern."""
        return self.read in (_as_text, _as_state)


def _as_text(_: str, text: str) -> str:
    return text


def _as_state(field: str, text: str) -> str:
    if "*" not in text and text not in JobState.__members__:
        states = [text.upper()] if text.upper() in JobState.__members__ else JobState.__members__
        raise InvalidFieldError(
            "filter", f"{field} is never {text[:80]!r}: write {' or '.join(states)}"
        )
    return text


def _as_number(field: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidFieldError(
            "filter", f"{field} is compared with a number, not with {text!r}"
        ) from None


def _as_time(field: str, text: str) -> datetime:
    try:
        time = parse_iso(text)
    except ValueError:
        raise InvalidFieldError(
            "filter", f"{field} is compared with an RFC 3339 time, not with {text!r}"
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


COLUMNS: Final[dict[str, Column]] = {
    "name": Column("name", _as_text),
    "id": Column("split_part(name, '/', -1)", _as_text),
    "project": Column("project", _as_text),
    "kind": Column("kind", _as_text),
    "state": Column("state", _as_state),
    "version": Column("version", _as_number),
    "attempt": Column("attempt", _as_number),
    "create_time": Column("create_time", _as_time),
    "start_time": Column("start_time", _as_time),
    "end_time": Column("end_time", _as_time),
    "update_time": Column("update_time", _as_time),
    "error.code": Column("(error ->> 'code')::integer", _as_number),
    "error_message": Column("error_message", _as_text),
    "error_message.sha256": Column(
        "encode(sha256(convert_to(error_message, 'UTF8')), 'hex')", _as_text
    ),
    "etag": Column("etag", _as_text),
    "root": Column("coalesce(lineage ->> 'root', spec ->> 'root')", _as_text),
    "triggered_by": Column("coalesce(lineage ->> 'triggeredBy', spec ->> 'triggeredBy')", _as_text),
    "display_name": Column("spec ->> 'displayName'", _as_text),
}
"""The fields a filter may name, in snake or camel case; also `labels.KEY`, `spec.PATH` and `output.PATH`."""
JSON_FIELDS: Final = ("labels.KEY", "spec.PATH", "output.PATH")
"""How errors name the fields within a job's JSON."""
GOOGLE_LABELS: Final = "google_labels"
"""The field for labels by the keys and values that Google's APIs show; domain/values/labels.py maps them."""
KEYED: Final = {"labels": "labels", GOOGLE_LABELS: "labels", "spec": "spec", "output": "output"}
"""Fields for which `FIELD:KEY` tests whether they have the key, and `FIELD:*` whether they have any; and their columns."""
LABEL: Final = Column("", _as_text)


def column_of(field: tuple[str, ...], asked_by: str) -> Column:
    """Returns the column of a field; raises InvalidFieldError, about the argument `asked_by`, if there is none."""
    column = COLUMNS.get(".".join(_snake(part) for part in field))
    if column is None:
        raise InvalidFieldError(asked_by, _why_no_column(".".join(field)))
    return column


def _why_no_column(asked: str) -> str:
    if asked in KEYED:
        return f"{KEYED[asked]} has keys: name one, such as {KEYED[asked]}.KEY"
    if asked in LISTS:
        return f"{asked!r} is a list, of which only a filter can ask for an item"
    meant = did_you_mean(asked, (*COLUMNS, *LISTS, *JSON_FIELDS))
    return f"there is no field {asked!r}{meant}"


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)

"""The fields of a mapping: where the records are, and which histories each record has."""

from __future__ import annotations

import re
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.events import EVENT_TYPES
from jobledger.domain.values.nearest import did_you_mean
from jobledger.domain.values.validation import why_invalid
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
)

SHIPPED: Final = "jobledger.infra.sources.mapping.shipped"
ATTACHED: Final = "jobledger.infra.sources.attach.shipped"
"""Where the mappings of databases are."""
UNREPORTED: Final = frozenset({"Contradicted"})
WHITESPACE: Final = "whitespace"


class Kind(StrEnum):
    """The format of a source."""

    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"
    LINES = "lines"
    CHANGES = "changes"
    """Rows of a database, as they change: see jobledger attach."""
    SQL = "sql"


def _event_type(name: str) -> str:
    if name not in EVENT_TYPES or name in UNREPORTED:
        raise ValueError(f"there is no event type {name!r}{did_you_mean(name, EVENT_TYPES)}")
    return name


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(
            f"there is no time zone {name!r}; write one such as Europe/Berlin"
        ) from None
    return name


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return text


def _delimiter(text: str) -> str:
    if text != WHITESPACE and (len(text) != 1 or text in "\r\n"):
        raise ValueError(f"{text!r} is not one character, such as ';', or {WHITESPACE}")
    return text


def _template(value: Any) -> Any:
    """Checks the texts in a template."""
    if isinstance(value, dict):
        return {key: _template(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_template(part) for part in value]
    if isinstance(value, str) and value.count("{") != value.count("}"):
        raise ValueError(f"{value!r} has a brace without its counterpart: write {{FIELD}}")
    return value


Template = Annotated[str, AfterValidator(_template)]
Templates = Annotated[dict[str, Any], AfterValidator(_template)]
EventType = Annotated[str, AfterValidator(_event_type)]
Zone = Annotated[str, AfterValidator(_zone)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Delimiter = Annotated[str, AfterValidator(_delimiter)]


class Part(BaseModel):
    """A part of a mapping; unknown fields are refused."""

    # YAML reads a state such as 0 as a number.
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class Source(Part):
    """The source of the records."""

    kind: Kind
    delimiter: Delimiter = ","
    """For csv: the delimiter; `whitespace` for any number of blanks."""
    quotes: bool = True
    """For csv: whether a value can be in double quotes, and have delimiters and line ends then."""
    columns: tuple[str, ...] = ()
    """For csv: the names of the columns, if the file has no header."""
    nothing: tuple[str, ...] = ()
    """For csv: values that mean that a field has no value."""
    comment: str | None = None
    """The beginning of lines that are not records; `KEY: VALUE` in them is `header.KEY`."""
    pattern: Pattern | None = None
    """For lines: a regular expression; its named groups are the fields."""
    pairs: str | None = None
    """For lines: the group that holds KEY=VALUE pairs, separated by blanks, which are fields too."""
    byte_lists: bool = False
    """For jsonl: whether a field can be a list of bytes, which is read as a text in UTF-8."""
    records: str | None = None
    """For json: the path of the list of records; the document itself, if it is not given."""
    query: str | None = None
    """For sql: the query whose rows are the records."""
    tables: tuple[str, ...] = ()
    """For changes: the tables that are followed."""
    optional_tables: tuple[str, ...] = ()
    """For changes: tables that are followed if the source has them; not all of its versions do."""
    whole_rows: tuple[str, ...] = ()
    """For changes: the tables whose old rows are needed, by REPLICA IDENTITY FULL."""
    snapshot: dict[str, str] = {}
    """For changes: queries for the existing rows of a table, instead of the table itself."""
    version: str | None = None
    """For changes: a query that gives the version of the source's schema."""
    versions: tuple[str, ...] = ()
    """For changes: the known versions; if empty, any version is accepted."""


class Times(Part):
    """How times are written."""

    format: str = "iso"
    """`iso`, `epoch`, or a format of strptime."""
    unit: Literal["s", "ms", "us", "ns"] = "s"
    """The unit of epoch."""
    zone: Zone | None = None
    """The zone of times without one; if it is not given, such times are refused."""
    nothing: tuple[str, ...] = ()
    """Values that mean no time, in addition to null and the empty text."""


class Lookup(Part):
    """Determines the event type by a field's value."""

    field: str
    values: dict[str, EventType | None]
    """The types by value; `*` matches anything; null means no event."""


def _form(event: Any) -> str:
    return "type" if isinstance(event, str) else "lookup"


EventChoice = Annotated[
    Annotated[EventType, Tag("type")] | Annotated[Lookup, Tag("lookup")], Discriminator(_form)
]
"""An event type, or a lookup; an error is about the form that was given."""

Conditions = dict[str, tuple[str, ...]]
"""For each field, the values of which it must have one, with `*` for anything."""


class EventRule(Part):
    """One event of a record."""

    event: EventChoice
    time: str | tuple[str, ...]
    """The field of its time, or `FIELD | FIELD` for the first that has one; of several, the others are
    seconds after it."""
    for_each: str | None = None
    """The path of a list in the record: an event for each item, whose fields are `item.FIELD`."""
    when: Conditions = {}
    unless: Conditions = {}
    attempt: Template | None = None
    run_id: Template | None = None
    actor: Template | None = None
    data: Templates = {}
    """The event's data: templates, in objects and lists too."""


class History(Part):
    """The history of one job for each record, or for each item of a list in it."""

    name: Template
    """A template of the job's id."""
    for_each: str | None = None
    """The path of a list in the record: a job for each item, whose fields are `item.FIELD`."""
    when: Conditions = {}
    unless: Conditions = {}
    display_name: Template | None = None
    labels: dict[str, Template] = {}
    spec: Templates = {}
    parents: tuple[Template, ...] = ()
    """Templates of the ids of its parents."""
    root: Template | None = None
    """A template of the id of the first of its parents' parents."""
    triggered_by: Template | None = None
    """A template of what triggered it: a person, a program or a job's name."""
    in_order: bool = False
    """Whether the changes come in their order, so that a state after an end is a new attempt."""
    created: str | tuple[str, ...] | None = None
    """The field of the time it was created, or `FIELD & FIELD` for the earliest; else that of its first event."""
    events: tuple[EventRule, ...] = ()


class Mapping(Part):
    """A mapping file."""

    title: str
    """A short description of the records."""
    source: Source
    times: Times = Times()
    histories: tuple[History, ...] = Field(min_length=1)


def read_mapping(name: str, folder: str = SHIPPED) -> Mapping:
    """Reads a mapping.

    Args:
        name: A file, or the name of a mapping that comes with the program.
        folder: The package of those mappings.

    Returns:
        The mapping.

    Raises:
        InvalidFieldError: There is no such mapping, or a field of it is not valid.
    """
    import yaml
    from jobledger.infra.sources.mapping.unique_keys import load

    try:
        given = load(_text(name, folder))
        return Mapping.model_validate(given)
    except yaml.YAMLError as error:
        raise InvalidFieldError(
            "mapping", f"{name} is not YAML: {' '.join(str(error).split())}"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "mapping"
        raise InvalidFieldError(f"mapping {name}", f"{where}: {why_invalid(first)}") from None


def shipped(folder: str = SHIPPED) -> list[str]:
    """The names of the mappings that come with the program."""
    files = (file.name for file in resources.files(folder).iterdir())
    return sorted(name.removesuffix(".yaml") for name in files if name.endswith(".yaml"))


def _text(name: str, folder: str) -> str:
    if name in (known := shipped(folder)):
        return resources.files(folder).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise InvalidFieldError(
            "mapping",
            f"there is no mapping {name!r}, and no file that can be read{did_you_mean(name, known)}",
        ) from None

"""The output formats of lists (table, json, jsonl, csv, tsv), and the selected columns."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import chain, islice
from typing import Annotated, Any, Final

import typer
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.nearest import did_you_mean
from jobledger.infra.analytics.csv_file import as_text
from jobledger.infra.cli.context import OUT, print_json, print_json_lines
from jobledger.infra.eventstore.json_view import encode

_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
"""Control characters that move the cursor or break the line."""


class Form(StrEnum):
    """The output format of a list."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"


FormOption = Annotated[Form, typer.Option("--format", help="--json is the same as json.")]
ColumnsOption = Annotated[
    str | None,
    typer.Option(
        "--columns",
        metavar="FIELDS",
        help="Fields as in JSON, such as name,state,labels.team; for table, csv and tsv.",
    ),
]
WideOption = Annotated[bool, typer.Option("--wide", help="Show all columns in full width.")]


def parse_columns(text: str | None, known: Sequence[str]) -> list[str] | None:
    """Parses `--columns`; the first part of each field must be in `known`; raises InvalidFieldError."""
    if text is None:
        return None
    fields = [field.strip() for field in text.split(",") if field.strip()]
    for field in fields:
        if (first := field.partition(".")[0]) not in known:
            raise InvalidFieldError(
                "columns", f"there is no field {first!r}{did_you_mean(first, known)}"
            )
    if not fields:
        raise InvalidFieldError("columns", "is empty; name a field")
    return fields


def print_documents(documents: Iterable[JsonObject], form: Form, columns: Sequence[str]) -> None:
    """Prints the documents in the given form; `columns` are the fields of table, csv and tsv."""
    match form:
        case Form.JSON:
            print_json([*documents])
        case Form.JSONL:
            print_json_lines(documents)
        case Form.CSV | Form.TSV:
            _print_separated(documents, "excel" if form is Form.CSV else "excel-tab", columns)
        case Form.TABLE:
            rows = [[one_line(_text(_find(d, field))) for field in columns] for d in documents]
            OUT.print_long(align(columns, rows))


def _print_separated(documents: Iterable[JsonObject], dialect: str, columns: Sequence[str]) -> None:
    """Prints the header once the first document is read, so that nothing precedes an error."""
    writer = csv.writer(sys.stdout, dialect, lineterminator="\n")
    remaining = iter(documents)
    first = [*islice(remaining, 1)]
    writer.writerow(columns)
    for document in chain(first, remaining):
        writer.writerow(as_text(_text(_find(document, field))) for field in columns)
        sys.stdout.flush()  # A feed may never end.


def align(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table as plain text: one line for each row, of any length."""
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "".join(f" {cell:<{width}} " for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def one_line(text: str) -> str:
    """Returns the text without characters that would break its line."""
    return _CONTROLS.sub(" ", text)


def _find(document: JsonObject, field: str) -> Any:
    """Returns a field, or the part of it that a dotted path names; None if there is none."""
    value: Any = document
    for part in field.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _text(value: Any) -> str:
    """Returns a value as a cell: text unchanged, other values as JSON, empty values as ""."""
    if value is None or value == {}:
        return ""
    return value if isinstance(value, str) else encode(value).decode()

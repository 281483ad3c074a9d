"""Reads the records of a source one by one, each with its place for messages."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import zlib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.canonical import loads_given
from jobledger.infra.errors import InputError
from jobledger.infra.sources.mapping.model import WHITESPACE, Kind, Source
from jobledger.infra.sources.mapping.values import Record, find
from jobledger.infra.transfer.unpacking import unpacked

_HEADER: Final = re.compile(r"\s*([^:\s][^:]*?)\s*:\s*(.*)")
_BLANK: Final = re.compile(r"\s*")
_PAIR: Final = re.compile(r'([A-Za-z_][\w.]*)=("[^"]*"|\S*)')
DUCKDB: Final = (".duckdb", ".db")
ENCODING: Final = "utf-8-sig"
"""UTF-8, with or without the byte order mark that programs on Windows write."""

SEPARATOR: Final = "\x1e"
"""What each record of a JSON text sequence (RFC 7464) begins with."""


class Found(NamedTuple):
    """A record, or the error in its place."""

    place: str
    record: Record
    error: str | None = None


def read_records(source: Source, where: str, moved: Callable[[int], None]) -> Iterator[Found]:
    """Yields the records in a file (plain or gzip), or in a database.

    Args:
        source: How records are read.
        where: The file, or the connection string.
        moved: Called with the number of bytes read; with 0 if a pipe is read.

    Yields:
        Each record, with its place.

    Raises:
        InputError: The file cannot be read, or is cut off or broken.
        InvalidFieldError: The source is not one of records, or lacks what its kind needs.
    """
    if source.kind is Kind.CHANGES:
        raise InvalidFieldError(
            "source.kind", "changes are of a database: follow it by jobledger attach DSN --as FILE"
        )
    if source.kind is Kind.SQL:
        yield from _rows(source, where)
        return
    path = Path(where)
    try:
        with path.open("rb") as raw:
            text = _text(unpacked(raw))
            size = os.fstat(raw.fileno()).st_size
            for found in _records(
                source, where, text, lambda: os.fstat(raw.fileno()).st_size > size
            ):
                yield found
                moved(raw.tell() if raw.seekable() else 0)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(where, 0, getattr(error, "strerror", None) or str(error)) from None


def _text(content: io.BufferedReader | gzip.GzipFile) -> TextIO:
    """Returns the text of a file, by its byte order mark; without one it is UTF-8."""
    if content.peek(len(BOM_UTF16_LE)).startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return io.TextIOWrapper(content, "utf-16", errors="replace", newline="")
    return io.TextIOWrapper(content, ENCODING, errors="surrogateescape", newline="")


def _records(
    source: Source, where: str, text: TextIO, grows: Callable[[], bool]
) -> Iterator[Found]:
    """`grows` returns whether the file is still being written."""
    if source.kind is Kind.JSON:
        return _documents(source, where, text.read())
    lines = _Lines(source, text, grows)
    return chain(_of_lines(source, lines), _unfinished(lines))


def _of_lines(source: Source, lines: _Lines) -> Iterator[Found]:
    match source.kind:
        case Kind.JSONL:
            return _json_lines(source, lines)
        case Kind.LINES:
            return _matched(source, lines)
        case _:
            return _table(source, lines)


def _unfinished(lines: _Lines) -> Iterator[Found]:
    """Whether the last line is still being written."""
    if lines.unfinished is not None:
        yield lines.unfinished


class _Lines:
    """The lines of a text that are not comments."""

    def __init__(self, source: Source, text: TextIO, grows: Callable[[], bool]) -> None:
        self._grows = grows
        self.unfinished: Found | None = None
        self._comment = source.comment
        self._text = text
        self.number = 0
        self.header: dict[str, str] = {}

    def __iter__(self) -> Iterator[str]:
        for line in self._text:
            self.number += 1
            if self._comment is not None and line.startswith(self._comment):
                header = _HEADER.match(line.removeprefix(self._comment).rstrip("\r\n"))
                if header is not None:
                    self.header[header[1]] = header[2]
            elif not line.endswith(("\n", "\r")) and self._grows():
                why = "is not finished, as the file is being written: import it again later"
                self.unfinished = self.found({}, why)
            elif line.strip():
                yield line

    def found(self, record: dict[str, Any], error: str | None = None) -> Found:
        """Returns the record of this line."""
        header = {"header": self.header} if self.header else {}
        return Found(f"line {self.number}", record | header, error)


def _table(source: Source, lines: _Lines) -> Iterator[Found]:
    rows: Iterable[list[str] | csv.Error] = (
        (line.split() for line in lines)
        if source.delimiter == WHITESPACE
        else _separated(lines, source)
    )
    names: list[str] = list(source.columns)
    for row in rows:
        if isinstance(row, csv.Error):
            yield lines.found({}, f"is not CSV: {row}")
        elif not names:
            names = [name.strip() for name in row]
        elif len(row) < len(names) or any(row[len(names) :]):
            yield lines.found({}, f"has {len(row)} columns instead of {len(names)}")
        else:
            values = zip(names, row, strict=False)
            yield lines.found({name: text for name, text in values if text not in source.nothing})


def _separated(lines: _Lines, source: Source) -> Iterator[list[str] | csv.Error]:
    """Yields the values of each row, or why it cannot be read; the reader continues with the next line."""
    reader = csv.reader(
        lines,
        delimiter=source.delimiter,
        quoting=csv.QUOTE_MINIMAL if source.quotes else csv.QUOTE_NONE,
    )
    while True:
        try:
            yield from reader
        except csv.Error as error:
            yield error
        else:
            return


def _json_lines(source: Source, lines: _Lines) -> Iterator[Found]:
    for line in lines:
        try:
            given = loads_given(line.removeprefix(SEPARATOR))
        except ValueError as error:
            yield lines.found({}, f"is not JSON: {error}")
            continue
        for record in given if isinstance(given, list) else [given]:
            if not isinstance(record, dict):
                yield lines.found({}, "is not a JSON object")
            elif source.byte_lists:
                yield lines.found({key: _text_of(value) for key, value in record.items()})
            else:
                yield lines.found(record)


def _text_of(value: Any) -> Any:
    """Returns the text of a list of bytes, and any other value as it is."""
    try:
        return bytes(value).decode(errors="replace") if isinstance(value, list) else value
    except (TypeError, ValueError):
        return value


def _matched(source: Source, lines: _Lines) -> Iterator[Found]:
    if source.pattern is None:
        raise InvalidFieldError("source.pattern", "is missing; lines need a regular expression")
    pattern = re.compile(source.pattern)
    for line in lines:
        found = pattern.fullmatch(line.rstrip("\r\n"))
        if found is None:
            yield lines.found({}, "is not as source.pattern says")
            continue
        record: dict[str, Any] = found.groupdict()
        if source.pairs is not None:
            pairs = _PAIR.findall(record.get(source.pairs) or "")
            record |= {key: value.strip('"') for key, value in pairs}
        yield lines.found(record)


def _documents(source: Source, where: str, text: str) -> Iterator[Found]:
    """Yields the records of a JSON document, or of several consecutive ones."""
    records = (
        record for document in _each_document(where, text) for record in _listed(source, document)
    )
    for number, record in enumerate(records, 1):
        if isinstance(record, dict):
            yield Found(f"record {number}", record)
        else:
            yield Found(f"record {number}", {}, "is not a JSON object")


def _each_document(where: str, text: str) -> Iterator[Any]:
    try:
        document = loads_given(text)
    except ValueError:
        pass  # It may be several documents.
    else:
        yield document
        return
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        try:
            document, end = decoder.raw_decode(text, at)
        except ValueError as error:
            raise InputError(where, 0, f"is not JSON: {error}") from None
        except RecursionError:
            raise InputError(where, 0, "is not JSON: it nests too deep") from None
        yield document
        at = _BLANK.match(text, end).end()  # type: ignore[union-attr] # It matches nothing, too.


def _listed(source: Source, document: Any) -> list[Any]:
    """Returns the records of a document: those in its list, or the document itself if it is a list or one record."""
    if isinstance(document, list):
        return document
    if source.records is None or not isinstance(document, dict):
        return [document]
    found = find(document, source.records)
    if isinstance(found, list):
        return found
    return [] if found is None and _is_empty(document, source.records) else [document]


def _is_empty(document: Record, path: str) -> bool:
    """Whether a document has an empty list of records, or is what APIs answer that leave such a list out."""
    for each in path.split("|"):
        above, _, key = each.strip().rpartition(".")
        holder = find(document, above) if above else document
        if isinstance(holder, dict) and key in holder:
            return True
    return not document


def _rows(source: Source, where: str) -> Iterator[Found]:
    if source.query is None:
        raise InvalidFieldError("source.query", "is missing; sql needs a query")
    rows = (
        _duckdb(where, source.query) if where.endswith(DUCKDB) else _postgres(where, source.query)
    )
    for number, row in enumerate(rows):
        yield Found(f"row {number + 1}", row)


def _postgres(dsn: str, query: str) -> Iterator[dict[str, Any]]:
    import psycopg
    from jobledger.infra.postgres.connections import connect
    from psycopg.rows import dict_row

    with closing(connect(dsn)) as connection:
        try:
            with (
                connection.transaction(),
                connection.cursor("jobledger_import", row_factory=dict_row) as cursor,
            ):
                yield from cursor.execute(query.encode())
        except psycopg.Error as error:
            raise InputError("query", 0, error.diag.message_primary or str(error)) from None


def _duckdb(file: str, query: str) -> Iterator[dict[str, Any]]:
    try:
        import duckdb
    except ImportError:
        raise InputError(file, 0, "needs duckdb: pip install duckdb") from None
    try:
        with duckdb.connect(file, read_only=True) as connection:
            found = connection.execute(query)
            names = [column[0] for column in found.description or ()]
            while rows := found.fetchmany(1_000):
                yield from (dict(zip(names, row, strict=True)) for row in rows)
    except duckdb.Error as error:
        raise InputError(file, 0, str(error)) from None

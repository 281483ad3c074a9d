"""The messages of PostgreSQL's logical replication, as its plug-in `pgoutput` writes them (protocol 1).

https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, overload

import orjson
from psycopg.adapt import Transformer
from psycopg.pq import Format

EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
UNCHANGED: Final = object()
"""Stands for a large value that an update did not change, and that is not sent."""
NULL, SAME, NEW = b"nuN"
_OPS: Final = {b"I": "insert", b"U": "update", b"D": "delete"}
_read_length: Final = struct.Struct(">I").unpack_from


class Relation(NamedTuple):
    """A table: its columns by name, with the function that reads each column's type."""

    schema: str
    table: str
    columns: tuple[tuple[str, Callable[[bytes], Any] | None], ...]
    """The columns and their readers; None for a text."""


class RowChange(NamedTuple):
    """One row that was inserted, updated or deleted; `truncate` has none."""

    op: str
    schema: str
    table: str
    new: dict[str, Any]
    old: dict[str, Any]
    """The old row, or its key, as far as the table's replica identity includes it."""


class Changes(Sequence[RowChange]):
    """The changes of one transaction, each of which is decoded when it is read."""

    def __init__(self) -> None:
        self._messages: list[tuple[str, Relation, bytes]] = []

    def add(self, op: str, relation: Relation, message: bytes) -> None:
        """Adds the change in a message; its table was described before."""
        self._messages.append((op, relation, message))

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[RowChange]:
        return (_row_change(*each) for each in self._messages)

    @overload
    def __getitem__(self, index: int) -> RowChange: ...
    @overload
    def __getitem__(self, index: slice) -> list[RowChange]: ...
    def __getitem__(self, index: int | slice) -> RowChange | list[RowChange]:
        """One change, or a slice."""
        if isinstance(index, slice):
            return [_row_change(*each) for each in self._messages[index]]
        return _row_change(*self._messages[index])


class Transaction(NamedTuple):
    """The changes of one transaction, in their order."""

    commit_lsn: str
    """Where the stream continues after the transaction."""
    commit_time: datetime
    changes: Sequence[RowChange]


class Decoder:
    """Reads messages; tables are described before their first row."""

    def __init__(self) -> None:
        self._relations: dict[int, Relation] = {}
        self._changes = Changes()

    def read(self, message: bytes) -> Transaction | None:
        """Returns the transaction that ends with this message; None for any other message."""
        kind = message[:1]
        if (op := _OPS.get(kind)) is not None:
            relation = self._relations[int.from_bytes(message[1:5])]
            self._changes.add(op, relation, message)
            return None
        reader = _Reader(message)
        reader.skip(1)
        match kind:
            case b"B":
                self._changes = Changes()
            case b"R":
                id_, relation = _relation(reader)
                self._relations[id_] = relation
            case b"T":
                self._add_truncated(reader)
            case b"C":
                reader.skip(1 + 8)
                end = reader.lsn()
                return Transaction(end, reader.time(), self._changes)
        return None

    def _add_truncated(self, reader: _Reader) -> None:
        count = reader.uint32()
        reader.skip(1)
        for _ in range(count):
            self._changes.add("truncate", self._relations[reader.uint32()], b"")


def _row_change(op: str, relation: Relation, message: bytes) -> RowChange:
    schema, table, columns = relation
    new: dict[str, Any] = {}
    old: dict[str, Any] = {}
    at = 5
    while at < len(message):
        part = message[at]
        values: dict[str, Any] = {}
        at = _read_row(message, at + 1, columns, values)
        if part == NEW:
            new = values
        else:
            old = values
    if op == "update":
        new = {key: old.get(key) if value is UNCHANGED else value for key, value in new.items()}
    return RowChange(op, schema, table, new, old)


class _Reader:
    def __init__(self, message: bytes) -> None:
        self.message = message
        self.at = 0

    def skip(self, count: int) -> None:
        self.at += count

    def take(self, count: int) -> bytes:
        part = self.message[self.at : self.at + count]
        self.at += count
        return part

    def byte(self) -> bytes:
        return self.take(1)

    def uint16(self) -> int:
        return int.from_bytes(self.take(2))

    def uint32(self) -> int:
        return int.from_bytes(self.take(4))

    def lsn(self) -> str:
        high, low = struct.unpack(">II", self.take(8))
        return f"{high:X}/{low:X}"

    def time(self) -> datetime:
        return EPOCH + timedelta(microseconds=int.from_bytes(self.take(8), signed=True))

    def text(self) -> str:
        end = self.message.index(0, self.at)
        found = self.message[self.at : end].decode()
        self.at = end + 1
        return found


def _relation(reader: _Reader) -> tuple[int, Relation]:
    id_, schema, table = reader.uint32(), reader.text(), reader.text()
    reader.skip(1)
    columns = []
    for _ in range(reader.uint16()):
        reader.skip(1)
        name, type_ = reader.text(), reader.uint32()
        reader.skip(4)
        columns.append((name, _READERS.get(type_)))
    return id_, Relation(schema, table, tuple(columns))


def _read_row(
    message: bytes,
    at: int,
    columns: tuple[tuple[str, Callable[[bytes], Any] | None], ...],
    values: dict[str, Any],
) -> int:
    """Reads a row's columns into `values`; returns where it ends."""
    # This runs for each column of each row, so it calls as little as possible.
    at += 2
    for name, read in columns:
        kind = message[at]
        at += 1
        if kind == NULL:
            values[name] = None
        elif kind == SAME:
            values[name] = UNCHANGED
        else:
            (length,) = _read_length(message, at)
            begin = at + 4
            at = begin + length
            part = message[begin:at]
            values[name] = part.decode("utf-8", "surrogateescape") if read is None else read(part)
    return at


def _json(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text.decode("utf-8", "surrogateescape")


_ARRAYS: Final = (199, 1000, 1005, 1007, 1009, 1015, 1016, 3807)
"""json[], boolean[], smallint[], integer[], text[], varchar[], bigint[], jsonb[]."""
_READERS: Final[Mapping[int, Callable[[bytes], Any]]] = {
    16: lambda text: text == b"t",  # boolean
    20: int, 21: int, 23: int,  # bigint, smallint, integer
    700: float, 701: float,  # real, double precision
    114: _json, 3802: _json,  # json, jsonb
    **{type_: Transformer().get_loader(type_, Format.TEXT).load for type_ in _ARRAYS},
}  # fmt: skip

"""The ledger's own events about erasures, prunings and losses, and whether a checkpoint covers them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values import canonical
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.upkeep.findings import Finding

READ_ERASURES: Final = sql.load(__package__, "read_erasures")
READ_PRUNINGS: Final = sql.load(__package__, "read_prunings")
READ_RESUMPTIONS: Final = sql.load(__package__, "read_resumptions")
RECORDS: Final = {"erased": READ_ERASURES, "pruned": READ_PRUNINGS, "resumed": READ_RESUMPTIONS}


class Record(NamedTuple):
    """An event that records an erasure, a pruning, or that the log was resumed after a loss."""

    kind: str
    """erased, pruned or resumed"""
    position: int
    recorded_time: datetime
    actor: str | None
    data: dict[str, Any]
    """Its data; empty if it is not canonical JSON."""


def read_records(connection: Connection) -> list[Record]:
    """Returns all of them, by position."""
    found = []
    with translated():
        for kind, statement in RECORDS.items():
            for position, data, time, actor in connection.execute(statement):
                found.append(Record(kind, position, time, actor, _decoded(data)))
    return sorted(found, key=lambda record: record.position)


def check_signed(records: Sequence[Record], signed: int) -> list[Finding]:
    """Finds records after the first `signed` events: no signature covers them."""
    return [
        Finding(
            "unsigned",
            record.position,
            record.kind,
            f"says that something was {record.kind}, and no checkpoint covers it yet;"
            " the process that has the log's key signs within a second",
        )
        for record in records
        if record.position > signed
    ]


def _decoded(data: bytes) -> dict[str, Any]:
    try:
        return dict(canonical.decode(data))
    except InvalidFieldError:
        return {}

"""Checks that each range of pruned positions has its `Pruned` event."""

from collections import defaultdict
from typing import Final

from jobledger.domain.proof.leaves import digest_of_positions
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.proof.audit.records import Record, read_records
from jobledger.infra.upkeep.findings import Finding

READ_PRUNED: Final = sql.load(__package__, "read_pruned")


def pruned_ranges(connection: Connection) -> list[tuple[int, int]]:
    """Returns the first and the last position of each pruned range, in order."""
    return [(first, last) for first, last, _ in _ranges(connection)]


def check_records(connection: Connection) -> list[Finding]:
    """Finds pruned ranges without a matching `Pruned` event: events that were deleted without record."""
    value: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for first, last, record in _ranges(connection):
        value[record].append((first, last))
    digests = {
        record.position: _digest(record)
        for record in read_records(connection)
        if record.kind == "pruned"
    }
    findings = []
    for record, ranges in sorted(value.items()):
        if record not in digests:
            detail = f"positions from {ranges[0][0]} on are said to be pruned, and no event at {record} says so"
        elif digests[record] != digest_of_positions(ranges):
            detail = (
                f"the positions said to be pruned are not those that the event at {record} says"
            )
        else:
            continue
        findings.append(Finding("missing", ranges[0][0], "pruned", detail))
    for record in sorted(digests.keys() - value.keys()):
        detail = f"the positions that the event at {record} says were pruned are not there"
        findings.append(Finding("missing", record, "pruned", detail))
    return findings


def _ranges(connection: Connection) -> list[tuple[int, int, int]]:
    with translated():
        return [(first, last, record) for first, last, record in connection.execute(READ_PRUNED)]


def _digest(record: Record) -> str | None:
    """Returns the digest in a `Pruned` event; None if the event is not valid."""
    digest = record.said.get("digest")
    return digest if isinstance(digest, str) else None

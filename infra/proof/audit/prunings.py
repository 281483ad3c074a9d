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
            detail = f"positions from {ranges[0][0]} on are marked as pruned, and there is no event at {record} that says so"
        elif digests[record] != digest_of_positions(ranges):
            detail = f"the positions marked as pruned are not those in the event at {record}"
        else:
            continue
        findings.append(Finding("missing", ranges[0][0], "pruned", detail))
    for record in sorted(digests.keys() - value.keys()):
        detail = f"the positions in the event at {record} are not marked as pruned"
        findings.append(Finding("missing", record, "pruned", detail))
    return findings


def _ranges(connection: Connection) -> list[tuple[int, int, int]]:
    with translated():
        return [(first, last, record) for first, last, record in connection.execute(READ_PRUNED)]


def _digest(record: Record) -> str | None:
    """Returns the digest in a `Pruned` event; None if the event is not valid."""
    digest = record.data.get("digest")
    return digest if isinstance(digest, str) else None

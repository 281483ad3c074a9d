"""Whether what is said to be pruned was: each range of positions has its `Pruned` event, which vouches for it."""

from collections import defaultdict
from typing import Final

from jobledger.domain.proof.leaves import digest_of_positions
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.proof.audit.records import Record, read_records
from jobledger.infra.upkeep.findings import Finding

READ_PRUNED: Final = sql.load(__package__, "read_pruned")


def pruned_ranges(connection: Connection) -> list[tuple[int, int]]:
    """The first and the last position of each range whose events were pruned, in their order."""
    return [(first, last) for first, last, _ in _ranges(connection)]


def check_records(connection: Connection) -> list[Finding]:
    """Ranges that no event says were pruned, or others than it says: somebody hides what they deleted ("missing")."""
    told: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for first, last, record in _ranges(connection):
        told[record].append((first, last))
    digests = {
        record.position: _digest(record)
        for record in read_records(connection)
        if record.kind == "pruned"
    }
    findings = []
    for record, ranges in sorted(told.items()):
        if record not in digests:
            detail = f"positions from {ranges[0][0]} on are said to be pruned, and no event at {record} says so"
        elif digests[record] != digest_of_positions(ranges):
            detail = (
                f"the positions said to be pruned are not those that the event at {record} says"
            )
        else:
            continue
        findings.append(Finding("missing", ranges[0][0], "pruned", detail))
    for record in sorted(digests.keys() - told.keys()):
        detail = f"the positions that the event at {record} says were pruned are not there"
        findings.append(Finding("missing", record, "pruned", detail))
    return findings


def _ranges(connection: Connection) -> list[tuple[int, int, int]]:
    with translated():
        return [(first, last, record) for first, last, record in connection.execute(READ_PRUNED)]


def _digest(record: Record) -> str | None:
    """What an event says of its ranges; None, if somebody else wrote it."""
    digest = record.said.get("digest")
    return digest if isinstance(digest, str) else None

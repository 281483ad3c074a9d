"""Checks that no event is recorded in the future, or after its checkpoint was signed."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.proof.audit.verify_log import READ_RECORDED, KnownCheckpoint
from jobledger.infra.proof.signing.signer import MAX_AHEAD_SECONDS, READ_LAST_RECORDED
from jobledger.infra.upkeep.findings import Finding

READ_HEAD_TIME: Final = sql.load(__package__, "read_head_time")
MAX_AHEAD: Final = timedelta(seconds=MAX_AHEAD_SECONDS)


def check_clocks(
    connection: Connection, checkpoints: Sequence[KnownCheckpoint], now: datetime
) -> list[Finding]:
    """Returns findings of the kind "clock": times that contradict the auditor's or the signer's clock."""
    findings = [*_in_future(connection, now)]
    for each in checkpoints:
        if each.signed_time is None:
            continue
        if each.signed_time > now + MAX_AHEAD:
            detail = f"{each.source} says that it was signed at {each.signed_time:%Y-%m-%dT%H:%M:%SZ}, which is in the future"
            findings.append(Finding("clock", 0, "checkpoints", detail))
        findings += _recorded_after(connection, each, each.signed_time)
    return findings


def _in_future(connection: Connection, now: datetime) -> list[Finding]:
    with translated():
        head = connection.execute(READ_HEAD_TIME, {"time": now + MAX_AHEAD}).fetchone()
        first = connection.execute(READ_RECORDED, {"time": now + MAX_AHEAD}).fetchone()
    findings = []
    if first is not None:
        detail = "is recorded at a time in the future, like all later events"
        findings.append(Finding("clock", int(first[0]), "", detail))
    if head is not None:
        detail = (
            f"the ledger's clock is at {head[0]}, so the next event would be recorded at that time"
        )
        findings.append(Finding("clock", 0, "head", detail))
    return findings


def _recorded_after(
    connection: Connection, known: KnownCheckpoint, signed: datetime
) -> list[Finding]:
    """Returns the last event under a checkpoint if it was recorded after the checkpoint was signed."""
    with translated():
        row = connection.execute(READ_LAST_RECORDED, {"size": known.checkpoint.size}).fetchone()
    if row is None or row[1] <= signed + MAX_AHEAD:
        return []
    detail = f"is recorded at {row[1]}, and {known.source}, which covers it, was signed at {signed}"
    return [Finding("clock", int(row[0]), "", detail)]

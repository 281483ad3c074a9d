"""Checks that unreadable personal data was erased on record: each missing key has its `Erased` event."""

from collections.abc import Iterable
from typing import Final

from jobledger.infra.errors import BrokenLedgerError
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.privacy.envelope import Encrypted
from jobledger.infra.privacy.subject_keys import is_key_of
from jobledger.infra.proof.audit.records import Record, read_records
from jobledger.infra.upkeep.findings import Finding

COUNT_ERASED: Final = sql.load(__package__, "count_erased")
READ_OWN_KEYS: Final = sql.load(__package__, "read_own_keys")
READ_USED_KEYS: Final = sql.load(__package__, "read_used_keys")


def erased_keys(connection: Connection) -> dict[str, int]:
    """Returns the ids of the erased keys, and the positions of their `Erased` events."""
    return _erased(read_records(connection))


def erased_events(connection: Connection) -> int:
    """Returns how many events have erased personal data; reads all events if any key was erased."""
    erased = erased_keys(connection)
    if not erased:
        return 0
    with translated():
        row = connection.execute(COUNT_ERASED, (list(erased),)).fetchone()
    assert row is not None
    return int(row[0])


def check_keys(connection: Connection) -> list[Finding]:
    """Finds keys that are missing without an erasure, exist again after one, or were changed.

    A key stays in its ledger when events are imported from there, so a key of imported events may be
    missing. Reads all events.

    Args:
        connection: A connection to the ledger's schema.

    Returns:
        The findings.
    """
    erased = erased_keys(connection)
    with translated():
        used = connection.execute(READ_USED_KEYS, binary=True).fetchall()
    missing = [id_ for id_, *_, key, _ in used if key is None and id_ not in erased]
    own = _own_keys(connection, missing)
    findings = []
    for id_, position, events, encrypted, key, subject in used:
        if key is None and id_ in own:
            kind, what = "missing", "is missing, and no event says that it was erased"
        elif key is None:
            continue
        elif id_ in erased:
            kind, what = "extra", f"was erased at position {erased[id_]}, and exists again"
        elif not _opens(id_, encrypted, key):
            kind, what = "changed", "was replaced, and values encrypted with it cannot be read"
        elif not is_key_of(id_, key, subject):
            kind, what = "changed", f"is assigned to {subject}, and belongs to another subject"
        else:
            continue
        detail = f"key {id_} of {events} events {what}"
        findings.append(Finding(kind, position, "subject_keys", detail))
    return findings


def _own_keys(connection: Connection, ids: list[str]) -> set[str]:
    """Returns the keys that did not come with imported events; reads all events if there are any keys."""
    if not ids:
        return set()
    with translated():
        return {id_ for (id_,) in connection.execute(READ_OWN_KEYS, (ids,))}


def _opens(id_: str, encrypted: str, key: bytes) -> bool:
    try:
        Encrypted(id_, encrypted).decrypt(key)
    except BrokenLedgerError:
        return False
    return True


def _erased(records: Iterable[Record]) -> dict[str, int]:
    found: dict[str, int] = {}
    for record in records:
        keys = record.data.get("keys") if record.kind == "erased" else None
        for key in keys if isinstance(keys, list) else ():
            if isinstance(key, str):
                found.setdefault(key, record.position)
    return found

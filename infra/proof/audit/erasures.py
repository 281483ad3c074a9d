"""Whether personal data that cannot be read was erased, and nothing else: each key that is gone has its `Erased` event."""

from typing import Final

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values import canonical
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.upkeep.verify import Finding

READ_ERASURES: Final = sql.load(__package__, "read_erasures")
COUNT_ERASED: Final = sql.load(__package__, "count_erased")
READ_USED_KEYS: Final = sql.load(__package__, "read_used_keys")


def erased_keys(connection: Connection) -> dict[str, int]:
    """The ids of the keys that were erased, and the position of the event that says so."""
    found: dict[str, int] = {}
    with translated():
        rows = connection.execute(READ_ERASURES).fetchall()
    for position, data in rows:
        for key in _keys(data):
            found.setdefault(key, position)
    return found


def erased_events(connection: Connection) -> int:
    """How many events have personal parts that were erased. Reads all events, if any key was."""
    erased = erased_keys(connection)
    if not erased:
        return 0
    with translated():
        row = connection.execute(COUNT_ERASED, (list(erased),)).fetchone()
    assert row is not None
    return int(row[0])


def check_keys(connection: Connection) -> list[Finding]:
    """Keys that are not there and were never erased ("missing"), or were, and are there again ("extra").

    A key of another ledger is missing, too, where events were imported from there. Reads all events.
    """
    erased = erased_keys(connection)
    with translated():
        used = connection.execute(READ_USED_KEYS).fetchall()
    findings = []
    for key, position, events, is_there in used:
        if is_there and key in erased:
            detail = f"key {key} of {events} events was erased at position {erased[key]}, and is there again"
            findings.append(Finding("extra", position, "subject_keys", detail))
        elif not is_there and key not in erased:
            detail = f"key {key} of {events} events is gone, and no event says that it was erased"
            findings.append(Finding("missing", position, "subject_keys", detail))
    return findings


def _keys(data: bytes) -> list[str]:
    """What an event says that was erased; nothing, if somebody else wrote it."""
    try:
        keys = canonical.decode(data).get("keys")
    except InvalidFieldError:
        return []
    return [key for key in keys if isinstance(key, str)] if isinstance(keys, list) else []

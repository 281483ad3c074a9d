"""Erasing a subject: its key is destroyed, and an event says so. No other event changes, nor any proof.

Both happen in one transaction: there is no moment at which a key is gone and nothing says why, and
after a crash it was done or it was not. Whoever reads shows the values no longer than two seconds
more (subjects.SECONDS).

The table is written anew, so that its file holds the key no more. Backups, replicas and archived
write-ahead logs may: they forget when they are deleted.
"""

from contextlib import suppress
from typing import Final, NamedTuple

import psycopg
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.names import parse_text
from jobledger.infra.errors import SubjectNotFoundError
from jobledger.infra.eventstore.ledger_events import LedgerEventWrite, check_may_delete
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.read.reader import Reader
from jobledger.infra.read.store import Store

STREAM: Final = "ledger/erasures"
ERASED: Final = "Erased"
FIND_SUBJECT: Final = sql.load(__package__, "find_subject")
DELETE_KEY: Final = sql.load(__package__, "delete_subject_key")
REWRITE: Final = sql.load(__package__, "rewrite_subject_keys")


class Erasure(NamedTuple):
    """What was erased: the key's id, as it stands in the events, and the position of the `Erased` event."""

    key: str
    position: int


def erase(store: Store, subject: str, actor: str | None = None) -> Erasure:
    """Makes all personal data of the subject unreadable, for ever; `actor` asked for it.

    Raises SubjectNotFoundError if there is none (or none any more), InvalidFieldError for what is
    no subject, and OwnerNeededError for a role that only writes and reads.
    """
    check_subject(store.reader, subject)
    check_may_delete(store.reader.pool, ["subject_keys"], "to erase a subject")
    write = _Erase(subject, actor)
    store.writer.submit(write)
    assert write.placed is not None
    with store.reader.connection() as connection, suppress(psycopg.Error):
        # Whoever reads keys for long may stand in its way; the next erasure does it again.
        connection.execute("SET lock_timeout = '2s'")
        connection.execute(REWRITE)
    return Erasure(write.key, write.placed.first_position)


def check_subject(reader: Reader, subject: str) -> None:
    """Raises SubjectNotFoundError unless there is personal data of the subject."""
    parse_text("subject", subject)
    with translated(), reader.pool.connection() as connection:
        if connection.execute(FIND_SUBJECT, (subject,)).fetchone() is None:
            raise SubjectNotFoundError(subject)


class _Erase(LedgerEventWrite):
    stream = STREAM
    type = ERASED
    key: str

    def __init__(self, subject: str, actor: str | None) -> None:
        super().__init__(actor)
        self._subject = subject

    def do(self, connection: Connection) -> JsonObject:
        row = connection.execute(DELETE_KEY, (self._subject,)).fetchone()
        if row is None:
            raise SubjectNotFoundError(self._subject)
        self.key = row[0]
        return {"keys": [self.key]}

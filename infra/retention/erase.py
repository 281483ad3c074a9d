"""Erases a subject's personal data by destroying its key (crypto-shredding), and records that.

No other event changes, and all proofs stay valid. Key and event are written in one transaction, so
a crash leaves both or neither. Readers that cached the key may decrypt for two more seconds
(subject_keys.SECONDS).

The table is rewritten, so that its file does not contain the key any more. Backups, replicas and
archived write-ahead logs may contain it until they are deleted.
"""

from contextlib import suppress
from typing import Final, NamedTuple

import psycopg
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.names import parse_text
from jobledger.infra.errors import SubjectNotFoundError
from jobledger.infra.eventstore.ledger_events import LedgerEventWrite, check_owner
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
    """The result of an erasure.

    Attributes:
        key: The id of the destroyed key, as events contain it.
        position: The position of the `Erased` event.
    """

    key: str
    position: int


def erase(store: Store, subject: str, actor: str | None = None) -> Erasure:
    """Erases all personal data of a subject permanently.

    Args:
        store: The ledger.
        subject: The subject.
        actor: The user who asks for it.

    Returns:
        The id of the destroyed key, and the position of the `Erased` event.

    Raises:
        SubjectNotFoundError: The ledger has no personal data of the subject.
        InvalidFieldError: The subject is not 1 to 256 printable characters.
        OwnerNeededError: The database user may not delete keys.
    """
    check_subject(store.reader, subject)
    check_owner(store.reader.pool, "to erase a subject")
    write = _Erase(subject, actor)
    store.writer.submit(write)
    assert write.placed is not None
    with store.reader.connection() as connection, suppress(psycopg.Error):
        # A long read of keys may block it; the next erasure does it again.
        connection.execute("SET lock_timeout = '2s'")
        connection.execute(REWRITE)
    return Erasure(write.key, write.placed.first_position)


def check_subject(reader: Reader, subject: str) -> None:
    """Checks that there is personal data of the subject; raises SubjectNotFoundError."""
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

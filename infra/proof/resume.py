"""Resumes a log that lost its last events: after a failover to an asynchronous replica, or a restored backup.

A signed statement names what was lost. It is stored in an event, so that a verification finds it,
and takes the place of the last signed checkpoint. After a crash, run it again: it makes the
statement anew.
"""

from typing import Final, NamedTuple

from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.eventstore.ledger_events import LedgerEventWrite
from jobledger.infra.postgres.connections import Connection
from jobledger.infra.proof.audit.records import read_records
from jobledger.infra.proof.audit.resumptions import RESUMED
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.proof.signing.keys import (
    create_key,
    epoch_file,
    last_signed_file,
    require_keys,
    write_private,
)
from jobledger.infra.proof.signing.resumption import Resumption
from jobledger.infra.proof.signing.signed_database import check_database
from jobledger.infra.proof.signing.signer import Signer
from jobledger.infra.read.store import Store
from jobledger.infra.settings import Settings

STREAM: Final = "ledger/resumptions"


class LogResumption(NamedTuple):
    """The result of resuming a log after a loss.

    Attributes:
        epoch: The number of the part of history that begins now.
        first: The first position whose event may be missing or different.
        last: The last such position, which a checkpoint was signed for.
        record: The position of the `Resumed` event.
        statement: The signed statement, for all who hold receipts or checkpoints of the lost events.
    """

    epoch: int
    first: int
    last: int
    record: int
    statement: str


def lost(connection: Connection, settings: Settings) -> Resumption:
    """Returns an unsigned statement of what would be lost; raises ProofError if nothing is."""
    signer, epoch = _signer(connection, settings)
    return signer.statement(connection, Tree(), epoch)


def resume(
    store: Store, settings: Settings, actor: str | None = None, *, new_key: bool = False
) -> LogResumption:
    """Signs and records that the log is resumed without its lost events.

    Args:
        store: The ledger.
        settings: Where the log's keys are.
        actor: The user who accepts the loss.
        new_key: Whether to make a new key first; all keys sign from then on.

    Returns:
        What was lost, and the position of the `Resumed` event.

    Raises:
        ProofError: Nothing is lost, or no key of the log is on this machine.
        ForkedError: The log does not extend the last checkpoint in the database either.
        MissingGrantError: The database user may not write the ledger's own events.
    """
    with store.reader.connection() as connection:
        signer, epoch = _signer(connection, settings)
        signer.statement(connection, Tree(), epoch)  # Else a key would be made for nothing.
        if new_key:
            create_key(settings, signer.origin)
            signer, epoch = _signer(connection, settings)
        with signer.resuming(connection, Tree(), epoch) as resumption:
            write = _Resume(resumption, actor)
            store.writer.submit(write)
            if write.error is not None:
                raise write.error
            file = epoch_file(settings, signer.origin, epoch)
            write_private(file, str(resumption.note))
    assert write.placed is not None
    first, last = resumption.positions
    return LogResumption(epoch, first, last, write.placed.first_position, str(resumption.note))


def _signer(connection: Connection, settings: Settings) -> tuple[Signer, int]:
    origin = Tree().log_state(connection).origin
    keys = require_keys(settings, origin)
    check_database(settings, connection, origin)
    epochs = sum(record.kind == RESUMED for record in read_records(connection))
    return Signer(origin, keys, last_signed_file(settings, origin)), 2 + epochs


class _Resume(LedgerEventWrite):
    stream = STREAM
    type = "Resumed"

    def __init__(self, resumption: Resumption, actor: str | None) -> None:
        super().__init__(actor)
        self._resumption = resumption

    def do(self, _: Connection) -> JsonObject:
        """Writes only the record."""
        first, last = self._resumption.positions
        return {
            "epoch": self._resumption.epoch,
            "lost": {"first": first, "last": last},
            "statement": str(self._resumption.note),
        }

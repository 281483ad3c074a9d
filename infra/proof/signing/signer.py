"""Signs the log's tree; never signs two different histories.

What was signed last is stored outside the database, and each checkpoint is proved to be consistent
with it before it is signed.
"""

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from jobledger.domain.proof import merkle
from jobledger.infra.errors import ForkedError, ProofError
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.proof.signing.checkpoints import Checkpoint, open_checkpoint, signed_time
from jobledger.infra.proof.signing.keys import read_text, write_private
from jobledger.infra.proof.signing.notes import Note, SigningKey
from jobledger.infra.proof.signing.resumption import Resumption

KEEP_CHECKPOINT: Final = sql.load(__package__, "keep_checkpoint")
READ_CHECKPOINT: Final = sql.load(__package__, "read_checkpoint")
READ_LAST_RECORDED: Final = sql.load(__package__, "read_last_recorded")
MAX_WAIT_SECONDS: Final = 1.0
MAX_AHEAD_SECONDS: Final = 60
"""How far recorded times may run ahead of a clock that they are compared with."""
ADVICE: Final = (
    "; after a failover or a restored backup, go on with: jobledger log resume --accept-loss"
)
LOG: Final = logging.getLogger("jobledger.proof")


class Signer:
    """Signs for one log, with all its keys; `last_signed` is the file of what it signed last."""

    def __init__(
        self,
        origin: str,
        keys: Sequence[SigningKey],
        last_signed: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.origin = origin
        self._keys = keys
        self._path = last_signed
        self._clock = clock

    def sign(self, connection: Connection, tree: Tree) -> Note | None:
        """Signs the current tree.

        While the last event in the tree has a recorded time in the future, nothing is signed; that is
        logged.

        Args:
            connection: A connection to the ledger's schema.
            tree: The Merkle tree.

        Returns:
            The note; None if these keys have signed the tree already and that is stored.

        Raises:
            ForkedError: The tree does not extend the one that was signed last.
        """
        with self._alone():
            log = tree.log_state(connection)
            if self._is_ahead(connection, log.size):
                return None
            now = Checkpoint(self.origin, log.size, tree.root(connection, log.size))
            last = self._last(connection)
            if last is not None:
                before = Checkpoint.parse(last.text)
                check_growth(connection, tree, before, now)
                if before == now and self._all_signed(last):
                    if is_kept(connection, last):
                        return None
                    # The signer stopped here before: this checkpoint is neither stored in the database nor published.
                    keep(connection, last)
                    return last
            seconds = int(self._clock())
            text = now.text_at(seconds)
            note = Note(text, tuple(key.sign(text, seconds) for key in self._keys))
            # Stored on disk first: the signature must be known even if the database is lost.
            write_private(self._path, str(note))
            keep(connection, note)
            return note

    @contextmanager
    def resuming(self, connection: Connection, tree: Tree, epoch: int) -> Iterator[Resumption]:
        """Signs a statement that the log is resumed after a loss; nothing else is signed meanwhile.

        It takes the place of the checkpoint that was signed last once the block has ended.

        Args:
            connection: A connection to the ledger's schema.
            tree: The log's tree.
            epoch: The number of the epoch that begins.

        Yields:
            The signed statement.

        Raises:
            ProofError: Nothing is lost.
        """
        with self._alone():
            resumption = self.statement(connection, tree, epoch)
            yield resumption
            # The next signature is not dated before the statement, which may be a second ahead.
            ahead = resumption.time - self._clock()
            time.sleep(min(max(ahead, 0), MAX_WAIT_SECONDS))
            write_private(self._path, str(resumption.note))

    def statement(self, connection: Connection, tree: Tree, epoch: int) -> Resumption:
        """Signs the same without storing it; raises ProofError if nothing is lost."""
        log, last = tree.log_state(connection), self._last(connection)
        if last is None:
            raise ProofError(
                "checkpoint", "no checkpoint was signed before: there is nothing to resume"
            )
        before = Checkpoint.parse(last.text)
        now = Checkpoint(self.origin, log.size, tree.root(connection, log.size))
        try:
            check_growth(connection, tree, before, now)
        except ForkedError:
            kept = self._kept(connection, tree, now)
        else:
            why = f"the log extends the one of {before.size} events that was signed last"
            raise ProofError("checkpoint", f"{why}: nothing is lost")
        if kept.size >= before.size:
            why = f"the database has a checkpoint of {kept.size} events, and another one was signed"
            raise ForkedError("forked", before.size, why)
        # After the lost events, and not after the following ones.
        at = max(int(self._clock()), (signed_time(last.text) or 0) + 1)
        return Resumption.sign(epoch, kept, before, at, self._keys)

    def _kept(self, connection: Connection, tree: Tree, now: Checkpoint) -> Checkpoint:
        """The last checkpoint in the database, which the log extends; of no events without one."""
        note = read_kept(connection)
        if note is None:
            return Checkpoint(self.origin, 0, tree.root(connection, 0))
        kept = open_checkpoint(note, [key.verifier for key in self._keys])
        check_growth(connection, tree, kept, now)
        return kept

    def _is_ahead(self, connection: Connection, size: int) -> bool:
        with translated():
            row = connection.execute(READ_LAST_RECORDED, {"size": size}).fetchone()
        if row is None or row[1].timestamp() <= self._clock() + MAX_AHEAD_SECONDS:
            return False
        LOG.error(
            "no checkpoint: the event at position %s was recorded at %s, which is in the future by this machine's clock",
            *row,
        )
        return True

    def _last(self, connection: Connection) -> Note | None:
        """Returns the last signed checkpoint: of this machine, or else of the database."""
        verifiers = [key.verifier for key in self._keys]
        if self._path.exists():
            note = Note.parse(read_text(self._path, "checkpoint"))
            if Checkpoint.parse(note.text).origin != self.origin:
                raise ProofError("checkpoint", f"{self._path} is not of {self.origin!r}")
            return note
        kept = read_kept(connection)
        if kept is not None:
            open_checkpoint(kept, verifiers)
        return kept

    def _all_signed(self, note: Note) -> bool:
        ids = {(signature.name, signature.key_id) for signature in note.signatures}
        return all((key.verifier.name, key.verifier.id) in ids for key in self._keys)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Holds the lock of these keys against other processes."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def check_growth(connection: Connection, tree: Tree, before: Checkpoint, now: Checkpoint) -> None:
    """Raises ForkedError unless the present tree extends that of the checkpoint `before`."""
    if before.size > now.size:
        why = f"a checkpoint of {before.size} events was signed, and the log has {now.size}"
        raise ForkedError("rolled back", now.size, why, ADVICE)
    proof = tree.prove_consistency(connection, before.size, now.size)
    if not merkle.is_consistent(before.size, now.size, before.root, now.root, proof):
        why = f"the first {before.size} events are not those of the checkpoint of that size"
        raise ForkedError("forked", before.size, why, ADVICE)


def keep(connection: Connection, note: Note) -> None:
    """Stores a checkpoint of the log in the database."""
    size = Checkpoint.parse(note.text).size
    with translated():
        connection.execute(KEEP_CHECKPOINT, {"size": size, "note": str(note)})


def is_kept(connection: Connection, note: Note) -> bool:
    """Whether it is the last checkpoint in the database, by any signer."""
    with translated():
        row = connection.execute(READ_CHECKPOINT).fetchone()
    return row is not None and row[0].startswith(f"{note.text}\n")


def read_kept(connection: Connection) -> Note | None:
    """Returns the last checkpoint in the database; only its signatures make it trustworthy."""
    with translated():
        row = connection.execute(READ_CHECKPOINT).fetchone()
    return None if row is None else Note.parse(row[0])


def require_kept(connection: Connection) -> Note:
    """Returns the last checkpoint as `read_kept` does; raises ProofError also if there is none."""
    if (note := read_kept(connection)) is not None:
        return note
    raise ProofError(
        "checkpoint", "nothing was signed yet; sign on the machine that has the log's key"
    )

"""The transparency log of one ledger: checkpoints of it, and receipts for its events."""

from jobledger.domain.values import names
from jobledger.domain.values.arguments import parse_count
from jobledger.infra.errors import ProofError
from jobledger.infra.postgres.connections import Pool, translated
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.proof.publishing.checkpointer import Checkpointer
from jobledger.infra.proof.receipts import Receipt, make_receipt
from jobledger.infra.proof.signing.notes import Note


class TransparencyLog:
    """Signs checkpoints and makes receipts; any number of threads may use it."""

    def __init__(self, checkpointer: Checkpointer, pool: Pool) -> None:
        self._checkpointer = checkpointer
        self._pool = pool
        self._tree = Tree()

    def checkpoint(self) -> Note | None:
        """Signs a checkpoint of the log as it is now (C2SP tlog-checkpoint).

        Returns:
            The signed note, or None if this size was signed already or the log's key is not on this
            machine.

        Raises:
            ForkedError: The log does not extend the last signed checkpoint.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> ledger.checkpoint() is None  # This machine has no key of the log.
            True
        """
        return self._checkpointer.checkpoint()

    def checkpoint_if_possible(self) -> None:
        """Signs the log after a write; errors are logged, because the write is done already."""
        self._checkpointer.checkpoint_in_background(None)

    def receipt(self, name: str, version: int | None = None) -> Receipt:
        """Returns a receipt: an offline proof that an event is in the log (C2SP tlog-proof).

        A checkpoint is signed first if none covers the event yet.

        Args:
            name: The job's resource name (AIP-122).
            version: The event's version in its job, from 1; None is the last one.

        Returns:
            The receipt; `str(receipt)` is the file.

        Raises:
            JobNotFoundError: The job has no events.
            InvalidFieldError: The job has no such version.
            ProofError: No checkpoint covers the event, and none can be signed here.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> ledger.receipt("projects/demo/jobs/a")  # This machine has no key of the log.
            Traceback (most recent call last):
            jobledger.infra.errors.proof.ProofError: receipt: nothing was signed yet; the process that has the log's key signs within a second
        """
        parsed = names.parse_name(name)
        if version is not None:
            parse_count("version", version)
        with translated(), self._pool.connection() as connection:
            try:
                return make_receipt(connection, self._tree, parsed, version)
            except ProofError:
                self.checkpoint()
                return make_receipt(connection, self._tree, parsed, version)

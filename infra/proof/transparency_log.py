"""The transparency log of one ledger: checkpoints of it, and receipts for its events."""

from jobledger.domain.values import names
from jobledger.infra.errors import ProofError
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.proof.publishing.checkpointer import Checkpointer
from jobledger.infra.proof.receipts import Receipt, make_receipt
from jobledger.infra.proof.signing.notes import Note
from psycopg_pool import ConnectionPool


class TransparencyLog:
    """Signs checkpoints and makes receipts; any number of threads may use it."""

    def __init__(self, checkpointer: Checkpointer, pool: ConnectionPool[Connection]) -> None:
        self._checkpointer = checkpointer
        self._pool = pool
        self._tree = Tree()

    def checkpoint(self) -> Note | None:
        """Signs the log as it is now (C2SP tlog-checkpoint).

        Returns None if that was signed already, or no key of the log is here. Raises ForkedError
        if the log is not the one that was signed before.
        """
        return self._checkpointer.checkpoint()

    def checkpoint_if_possible(self) -> None:
        """The same after something that is done already, and stays done; what goes wrong is logged."""
        self._checkpointer.checkpoint_in_background(None)

    def receipt(self, name: str, version: int | None = None) -> Receipt:
        """Proof that an event of a job is in the log, to be checked offline; of the last, if no version is given.

        Signs a checkpoint if the event is not under one yet. Raises JobNotFoundError,
        InvalidFieldError for a version that does not exist, and ProofError where nothing can be
        signed.
        """
        parsed = names.parse_name(name)
        with translated(), self._pool.connection() as connection:
            try:
                return make_receipt(connection, self._tree, parsed, version)
            except ProofError:
                self.checkpoint()
                return make_receipt(connection, self._tree, parsed, version)

"""Sends checkpoints to witnesses, which cosign them, and then publishes them.

It runs in the background: slow or failing networks never stop the log.
"""

import logging
from collections.abc import Callable
from threading import Condition, Thread
from typing import Final

from jobledger.infra.postgres.connections import Connection, connect
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.proof.publishing.publisher import parse_places, publish
from jobledger.infra.proof.signing.checkpoints import Checkpoint
from jobledger.infra.proof.signing.notes import Note, Signature
from jobledger.infra.proof.signing.policy import Policy
from jobledger.infra.proof.signing.signer import keep
from jobledger.infra.proof.witness.cosigning import Prove, Witnesses
from jobledger.infra.settings import Settings

LOG: Final = logging.getLogger("jobledger.proof")
CLOSE_TIMEOUT_SECONDS: Final = 10.0
"""How long closing waits for a running announcement."""


class Announcer:
    """Announces one ledger's checkpoints in its own thread; if several wait, only the newest."""

    def __init__(self, info: str, settings: Settings) -> None:
        """Raises ProofError for a policy or places that cannot be read."""
        self._info = info
        self._policy = None if settings.policy is None else Policy.read(settings.policy)
        self._witnesses = None if self._policy is None else Witnesses(self._policy)
        self._places = parse_places(settings.publish)
        self._changed = Condition()
        self._waiting: tuple[Tree, Note] | None = None
        self._closed = False
        self._thread: Thread | None = None

    def after(self, _connection: Connection, tree: Tree, note: Note) -> None:
        """Queues a signed checkpoint; returns at once."""
        if self._witnesses is None and not self._places:
            return
        with self._changed:
            self._waiting = tree, note
            self._changed.notify()
            if self._thread is None:
                self._thread = Thread(target=self._run, name="announcer", daemon=True)
                self._thread.start()

    def close(self, seconds: float = CLOSE_TIMEOUT_SECONDS) -> None:
        """Announces the waiting checkpoint, within a number of seconds."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(seconds)
            if self._thread.is_alive():
                LOG.warning("the last checkpoint may not have been announced")

    def announce(self, note: Note, prove: Prove, kept: Callable[[Note], object]) -> Note:
        """Announces a note now; errors are logged.

        Args:
            note: The signed checkpoint.
            prove: Makes consistency proofs for witnesses.
            kept: Called with the cosigned note.

        Returns:
            The note with its cosignatures.
        """
        cosigned = note.with_signatures(self._cosignatures(note, prove))
        if cosigned != note:
            try:
                kept(cosigned)
            except Exception:
                LOG.exception("the cosignatures were not kept")
        if self._places:
            publish(str(cosigned), self._places)
        return cosigned

    def _cosignatures(self, note: Note, prove: Prove) -> list[Signature]:
        if self._policy is None or self._witnesses is None:
            return []
        found = self._witnesses.cosign(note, prove)
        keys = [witness.key for witness in self._policy.witnesses.values()]
        cosigned = note._replace(signatures=tuple(found)).signed_by(keys)
        if not self._policy.is_met([key for key, _ in cosigned]):
            names = ", ".join(key.name for key, _ in cosigned) or "none"
            LOG.warning("the witnesses are not the policy's quorum: %s cosigned", names)
        return found

    def _announce(self, tree: Tree, note: Note) -> None:
        size = Checkpoint.parse(note.text).size
        connection: Connection | None = None

        def connected() -> Connection:
            # Only needed for witnesses that have seen less; without the database the rest continues.
            nonlocal connection
            if connection is None:
                connection = connect(self._info)
            return connection

        try:
            self.announce(
                note,
                lambda old: tree.prove_consistency(connected(), old, size),
                lambda cosigned: keep(connected(), cosigned),
            )
        finally:
            if connection is not None:
                connection.close()

    def _run(self) -> None:
        while (next_ := self._next()) is not None:
            try:
                self._announce(*next_)
            except Exception:
                LOG.exception("a checkpoint was not announced")

    def _next(self) -> tuple[Tree, Note] | None:
        """Waits for the newest checkpoint; None when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting is not None)
            waiting, self._waiting = self._waiting, None
            return waiting

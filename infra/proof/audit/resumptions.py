"""Checks the events that resume the log after a loss: a key of the log must have signed each."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from jobledger.infra.errors import ProofError
from jobledger.infra.proof.audit.records import Record
from jobledger.infra.proof.audit.verify_log import KnownCheckpoint
from jobledger.infra.proof.signing.checkpoints import Checkpoint
from jobledger.infra.proof.signing.notes import Note, VerifierKey
from jobledger.infra.proof.signing.resumption import Resumption
from jobledger.infra.upkeep.findings import Finding

RESUMED: Final = "resumed"


class Resumed(NamedTuple):
    """The statements that known keys signed, and findings about the others."""

    resumptions: list[Resumption]
    findings: list[Finding]

    def split(
        self, checkpoints: Sequence[KnownCheckpoint], is_extended: Callable[[Checkpoint], bool]
    ) -> tuple[list[KnownCheckpoint], list[KnownCheckpoint]]:
        """Divides checkpoints into those to compare the log with, and those of lost history.

        Args:
            checkpoints: The checkpoints.
            is_extended: Whether the log extends a checkpoint, which is not of lost history then.

        Returns:
            The checkpoints to compare the log with, and those of lost history.
        """
        lost = [
            each for each in checkpoints if self._is_lost(each) and not is_extended(each.checkpoint)
        ]
        return [each for each in checkpoints if each not in lost], lost

    def _is_lost(self, known: KnownCheckpoint) -> bool:
        signed = None if known.signed_time is None else known.signed_time.timestamp()
        return any(each.covers(known.checkpoint, signed) for each in self.resumptions)


def resumed(records: Sequence[Record], keys: Sequence[VerifierKey]) -> Resumed:
    """Verifies the statements in the events; a statement without a known key's signature is a finding."""
    found = Resumed([], [])
    for record in records:
        if record.kind != RESUMED:
            continue
        try:
            statement = Note.parse(str(record.data.get("statement", "")))
            found.resumptions.append(Resumption.open(statement, keys))
        except ProofError as error:
            detail = (
                f"the statement that the log was resumed after a loss is not valid: {error.why}"
            )
            found.findings.append(Finding("forked", record.position, RESUMED, detail))
    return found

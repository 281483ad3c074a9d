"""A signed statement that a log is resumed after a loss: from which checkpoint, and what was lost.

It is a checkpoint of the size up to which history goes on, with three lines more:

    time SECONDS
    epoch NUMBER
    lost SIZE ROOT

`lost` is the last checkpoint of the history that was lost. Only signatures of the log's keys make a
statement trustworthy: who owns the database alone cannot excuse a log that was rolled back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Self

from jobledger.infra.errors import ProofError
from jobledger.infra.proof.signing.checkpoints import Checkpoint, open_checkpoint, signed_time
from jobledger.infra.proof.signing.notes import (
    Note,
    SigningKey,
    VerifierKey,
    decode_hash,
    encode_base64,
    parse_number,
)

WHAT: Final = "resumption"
_EPOCH: Final = "epoch "
_LOST: Final = "lost "


class Resumption(NamedTuple):
    """A statement whose signatures were made, or verified.

    Attributes:
        epoch: The number of the part of history that begins with it; the log's first part is 1.
        kept: The checkpoint up to which history goes on.
        lost: The last checkpoint that was signed of what was lost.
        time: When it was signed (POSIX seconds).
        note: The signed note.
    """

    epoch: int
    kept: Checkpoint
    lost: Checkpoint
    time: int
    note: Note

    @classmethod
    def sign(
        cls,
        epoch: int,
        kept: Checkpoint,
        lost: Checkpoint,
        time: int,
        keys: Sequence[SigningKey],
    ) -> Self:
        """Signs a statement with all keys at a POSIX time."""
        text = (
            f"{kept.text_at(time)}{_EPOCH}{epoch}\n{_LOST}{lost.size} {encode_base64(lost.root)}\n"
        )
        note = Note(text, tuple(key.sign(text, time) for key in keys))
        return cls(epoch, kept, lost, time, note)

    @classmethod
    def open(cls, note: Note, keys: Sequence[VerifierKey]) -> Self:
        """Reads a statement that a given key of its log signed.

        Args:
            note: The signed note.
            keys: The keys to trust.

        Returns:
            The statement.

        Raises:
            ProofError: The note is not such a statement, or none of the keys signed it.

        Examples:
            >>> from jobledger.infra.proof.signing.checkpoints import Checkpoint
            >>> from jobledger.infra.proof.signing.notes import SigningKey
            >>> key = SigningKey.generate("example.com/jobs")
            >>> kept, lost = (Checkpoint("example.com/jobs", size, bytes(32)) for size in (3, 6))
            >>> made = Resumption.sign(2, kept, lost, 1_700_000_000, [key])
            >>> Resumption.open(made.note, [key.verifier]).positions
            (4, 6)
        """
        kept = open_checkpoint(note, keys)
        time, lines = signed_time(note.text), note.text.removesuffix("\n").split("\n")[3:]
        epochs = [line.removeprefix(_EPOCH) for line in lines if line.startswith(_EPOCH)]
        losses = [line.removeprefix(_LOST) for line in lines if line.startswith(_LOST)]
        if time is None or len(epochs) != 1 or len(losses) != 1:
            raise ProofError(
                WHAT, "needs exactly one line each that begins with time, epoch and lost"
            )
        size, _, root = losses[0].partition(" ")
        lost = Checkpoint(kept.origin, parse_number(size, WHAT), decode_hash(root, WHAT))
        return cls(parse_number(epochs[0], WHAT), kept, lost, time, note)

    @property
    def positions(self) -> tuple[int, int]:
        """The first and the last position whose events may be missing or different now."""
        return self.kept.size + 1, self.lost.size

    def covers(self, checkpoint: Checkpoint, signed: float | None) -> bool:
        """Whether a checkpoint is of the lost history; `signed` is when it was signed (POSIX seconds)."""
        first, last = self.positions
        is_before = signed is None or signed < self.time
        return (
            checkpoint.origin == self.kept.origin and is_before and first <= checkpoint.size <= last
        )

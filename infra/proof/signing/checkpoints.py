"""Checkpoints: signed states of a log (C2SP tlog-checkpoint), with the time of signing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Self

from jobledger.infra.errors import ProofError
from jobledger.infra.proof.signing.notes import (
    NUMBER,
    Note,
    VerifierKey,
    decode_hash,
    encode_base64,
)

_TIME: Final = "time "
"""The prefix of the extension line with the time of signing."""


class Checkpoint(NamedTuple):
    """The state of a log.

    Attributes:
        origin: The log's name.
        size: The number of leaves.
        root: The root hash over them.
    """

    origin: str
    size: int
    root: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses a note's text; lines after the third are ignored. Raises ProofError."""
        lines = text.removesuffix("\n").split("\n")
        if len(lines) < 3 or not all(lines):
            raise ProofError("checkpoint", "must have three lines: origin, size and root")
        if NUMBER.fullmatch(lines[1]) is None:
            raise ProofError("checkpoint", f"{lines[1][:40]!r} is not a size")
        return cls(lines[0], int(lines[1]), decode_hash(lines[2], "checkpoint"))

    @property
    def text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"

    def text_at(self, time: int) -> str:
        """Returns the text with an extension line for the time of signing (POSIX seconds)."""
        return f"{self.text}{_TIME}{time}\n"


def signed_time(text: str) -> int | None:
    """Returns when a checkpoint was signed (POSIX seconds); None if it does not say."""
    for line in text.split("\n")[3:]:
        if line.startswith(_TIME) and NUMBER.fullmatch(line.removeprefix(_TIME)):
            return int(line.removeprefix(_TIME))
    return None


def open_checkpoint(note: Note, keys: Sequence[VerifierKey]) -> Checkpoint:
    """Returns the note's checkpoint; raises ProofError unless a given key of its log signed it."""
    checkpoint = Checkpoint.parse(note.text)
    of_log = [key for key in keys if key.signs_as_log(checkpoint.origin)]
    if not of_log:
        names = ", ".join(sorted({repr(k.name) for k in keys if k.algorithm.is_of_log})) or "none"
        raise ProofError(
            "checkpoint", f"is of {checkpoint.origin[:80]!r}, and the known keys are of {names}"
        )
    if not note.signed_by(of_log):
        raise ProofError(
            "checkpoint", f"none of the known keys of {checkpoint.origin[:80]!r} signed it"
        )
    return checkpoint

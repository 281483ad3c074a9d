"""Checkpoints: how a log stood, signed by it (C2SP tlog-checkpoint), and when that was."""

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
"""How the extension line begins that says when a checkpoint was signed."""


class Checkpoint(NamedTuple):
    """How a log stood: its origin, how many leaves, and the root over them."""

    origin: str
    size: int
    root: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """From a note's text; raises ProofError. Lines after the third are let be."""
        lines = text.removesuffix("\n").split("\n")
        if len(lines) < 3 or not all(lines):
            raise ProofError("checkpoint", "has not the three lines origin, size and root")
        if NUMBER.fullmatch(lines[1]) is None:
            raise ProofError("checkpoint", f"{lines[1][:40]!r} is no size")
        return cls(lines[0], int(lines[1]), decode_hash(lines[2], "checkpoint"))

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"

    def text_at(self, time: int) -> str:
        """The same with an extension line that says when it is signed (POSIX)."""
        return f"{self.text}{_TIME}{time}\n"


def signed_time(text: str) -> int | None:
    """When a checkpoint says it was signed (POSIX); None for one without such a line."""
    for line in text.split("\n")[3:]:
        if line.startswith(_TIME) and NUMBER.fullmatch(line.removeprefix(_TIME)):
            return int(line.removeprefix(_TIME))
    return None


def open_checkpoint(note: Note, keys: Sequence[VerifierKey]) -> Checkpoint:
    """What a log said in a note; raises ProofError unless one of its keys, which are among these, signed it."""
    checkpoint = Checkpoint.parse(note.text)
    of_log = [key for key in keys if key.signs_as_log(checkpoint.origin)]
    if not of_log:
        names = ", ".join(sorted({repr(k.name) for k in keys if k.algorithm.is_of_log})) or "none"
        raise ProofError(
            "checkpoint", f"is of {checkpoint.origin[:80]!r}, and the known keys are of {names}"
        )
    if not note.signed_by(of_log):
        raise ProofError("checkpoint", "no known key of its log signed it")
    return checkpoint

"""A witness: it cosigns checkpoints of logs that only grew since it saw them last (C2SP tlog-witness).

Submissions are decided here, whatever transport they came by.
"""

import hashlib
import time
from collections.abc import Sequence
from enum import Enum
from typing import Final, NamedTuple, Self

from jobledger.domain.proof import merkle
from jobledger.infra.errors import ProofError
from jobledger.infra.proof.signing import notes
from jobledger.infra.proof.signing.checkpoints import Checkpoint
from jobledger.infra.proof.witness.state_file import Memory

MAX_PROOF: Final = 63


class Reason(Enum):
    """Why a checkpoint is not cosigned."""

    MALFORMED = "it is no request"
    UNKNOWN_LOG = "its log is not known"
    UNSIGNED = "its log did not sign it"
    STALE = "another size was cosigned last"
    INCONSISTENT = "the log did not grow into it"


class RefusedError(ProofError):
    """A checkpoint was not cosigned; for STALE, `size` is that of the last cosigned one."""

    def __init__(self, reason: Reason, why: str, size: int = 0) -> None:
        self.reason = reason
        self.size = size
        super().__init__("checkpoint", why)


class Submission(NamedTuple):
    """A log's request: a checkpoint, the size that it grew from, and the consistency proof."""

    old: int
    proof: tuple[bytes, ...]
    note: notes.Note

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Parses a request; raises RefusedError (MALFORMED)."""
        head, blank, note = body.partition(b"\n\n")
        try:
            if not blank:
                raise ProofError("checkpoint", "is missing; it follows the empty line")
            lines = head.decode().split("\n")
            if not lines[0].startswith("old "):
                raise ProofError("request", "must begin with a line old SIZE")
            if len(lines) - 1 > MAX_PROOF:
                raise ProofError("request", f"has more than {MAX_PROOF} hashes")
            old = notes.parse_number(lines[0].removeprefix("old "), "request")
            proof = tuple(notes.decode_hash(line, "request") for line in lines[1:])
            return cls(old, proof, notes.Note.parse(note))
        except (ProofError, UnicodeError) as error:
            raise RefusedError(Reason.MALFORMED, str(error)) from None

    def __str__(self) -> str:
        return f"old {self.old}\n{notes.encode_hashes(self.proof)}\n{self.note}"


def check_growth(
    seen: Checkpoint | None, now: Checkpoint, old: int, proof: Sequence[bytes]
) -> None:
    """Verifies that the log grew from the last cosigned checkpoint; raises RefusedError."""
    size, root = (0, merkle.EMPTY_ROOT) if seen is None else (seen.size, seen.root)
    if old > now.size:
        raise RefusedError(Reason.MALFORMED, f"it has {now.size} leaves, and grew from {old}")
    if old != size:
        raise RefusedError(Reason.STALE, f"of {size} leaves is the last one cosigned", size)
    if not merkle.is_consistent(old, now.size, root, now.root, proof):
        why = f"no proof that the {now.size} leaves begin with the {old} that were cosigned"
        raise RefusedError(Reason.INCONSISTENT, why)


class Witness:
    """Cosigns for the logs of these keys; threads and processes may share one memory."""

    def __init__(
        self, key: notes.SigningKey, logs: Sequence[notes.VerifierKey], memory: Memory
    ) -> None:
        """Raises ProofError for a key that does not belong to a log."""
        for log in logs:
            if not log.algorithm.is_of_log:
                raise ProofError("key", f"the key of {log.name!r} is of a witness, not of a log")
        self.key = key
        self._logs = tuple(logs)
        self._memory = memory

    def cosign(self, submission: Submission) -> notes.Signature:
        """Cosigns a checkpoint, after it was stored durably.

        Args:
            submission: The checkpoint with its consistency proof.

        Returns:
            The cosignature.

        Raises:
            RefusedError: The checkpoint is not accepted.
            ProofError: The memory cannot be written; nothing is cosigned.
        """
        try:
            now = Checkpoint.parse(submission.note.text)
        except ProofError as error:
            raise RefusedError(Reason.MALFORMED, error.why) from None
        signed = self._verified(now.origin, submission.note)
        with self._memory.alone():
            last = self._memory.last(now.origin)
            seen = None if last is None else Checkpoint.parse(last.text)
            check_growth(seen, now, submission.old, submission.proof)
            cosignature = self.key.sign(submission.note.text, int(time.time()))
            note = notes.Note(submission.note.text, ()).with_signatures([*signed, cosignature])
            self._memory.keep(now.origin, note)
        return cosignature

    def latest(self, origin_hash: str) -> notes.Note | None:
        """Returns the last cosigned checkpoint of the log with that SHA-256 (hex) of its origin."""
        for origin, note in self._memory.all().items():
            if hashlib.sha256(origin.encode()).hexdigest() == origin_hash:
                return note
        return None

    def _verified(self, origin: str, note: notes.Note) -> list[notes.Signature]:
        """Returns the log's verified signatures."""
        keys = [key for key in self._logs if key.name == origin]
        if not keys:
            raise RefusedError(Reason.UNKNOWN_LOG, f"there is no log {origin[:80]!r} here")
        try:
            signed = [signature for _, signature in note.signed_by(keys)]
        except ProofError as error:
            raise RefusedError(Reason.UNSIGNED, error.why) from None
        if not signed:
            raise RefusedError(Reason.UNSIGNED, "no known key of its log signed it")
        return signed

"""A witness: it cosigns that a log only ever grew, as far as it has seen (C2SP tlog-witness).

What is sent to it is decided on here, whatever way it came; `witness_http` is the way.
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
    """A checkpoint that is not cosigned; `size` is that of the last one that was, where it is STALE."""

    def __init__(self, reason: Reason, why: str, size: int = 0) -> None:
        self.reason = reason
        self.size = size
        super().__init__("checkpoint", why)


class Submission(NamedTuple):
    """What a log asks to be cosigned: that it grew from a size to a checkpoint, and the proof."""

    old: int
    proof: tuple[bytes, ...]
    note: notes.Note

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Raises RefusedError (MALFORMED)."""
        head, blank, note = body.partition(b"\n\n")
        try:
            if not blank:
                raise ProofError("checkpoint", "there is none after an empty line")
            lines = head.decode().split("\n")
            if not lines[0].startswith("old "):
                raise ProofError("request", "does not begin with the line old")
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
    """Raises RefusedError unless the proof shows that the log grew from the last checkpoint seen into this one."""
    size, root = (0, merkle.EMPTY_ROOT) if seen is None else (seen.size, seen.root)
    if old > now.size:
        raise RefusedError(Reason.MALFORMED, f"it has {now.size} leaves, and grew from {old}")
    if old != size:
        raise RefusedError(Reason.STALE, f"of {size} leaves is the last one cosigned", size)
    if not merkle.is_consistent(old, now.size, root, now.root, proof):
        why = f"no proof that the {now.size} leaves begin with the {old} that were cosigned"
        raise RefusedError(Reason.INCONSISTENT, why)


class Witness:
    """Cosigns for the logs of these keys; any number of threads, and processes, may with one memory."""

    def __init__(
        self, key: notes.SigningKey, logs: Sequence[notes.VerifierKey], memory: Memory
    ) -> None:
        """Raises ProofError for a key that is no log's."""
        for log in logs:
            if not log.algorithm.is_of_log:
                raise ProofError("key", f"the one of {log.name!r} is a witness's, not a log's")
        self.key = key
        self._logs = tuple(logs)
        self._memory = memory

    def cosign(self, submission: Submission) -> notes.Signature:
        """Its cosignature, once the checkpoint is remembered for good.

        Raises RefusedError, and ProofError where the memory fails: then nothing is cosigned.
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
        """The last checkpoint cosigned of the log with that SHA-256 (hex) of its origin."""
        for origin, note in self._memory.all().items():
            if hashlib.sha256(origin.encode()).hexdigest() == origin_hash:
                return note
        return None

    def _verified(self, origin: str, note: notes.Note) -> list[notes.Signature]:
        """The log's signatures."""
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

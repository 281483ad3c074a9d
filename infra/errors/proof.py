"""The errors of proofs: keys, notes, checkpoints, receipts and the log itself."""

from typing import Literal

from jobledger.domain.errors import LedgerError


class ProofError(LedgerError):
    """A key, note, signature, checkpoint or receipt is not valid.

    Attributes:
        what: "key", "note", "signature", "checkpoint", "receipt", or a file.
        why: What is wrong with it.
    """

    def __init__(self, what: str, why: str) -> None:
        self.what = what
        self.why = why
        super().__init__(f"{what}: {why}")


class FileAccessError(ProofError):
    """The file of a key, checkpoint, receipt or report cannot be read or written."""


class LogFileNotFoundError(ProofError):
    """The log has no tile, bundle or checkpoint under that path."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__("log", f"there is no {path[:80]!r}")


class UnknownAlgorithmError(ProofError):
    """A public key is of an unknown type; it may be ignored where the other keys suffice."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            "key", f"{name[:80]!r} is of an unknown type; the types are Ed25519 and ML-DSA-44"
        )


class ForkedError(LedgerError):
    """The log does not extend the one that was signed or seen before; nothing more is signed.

    Attributes:
        kind: "rolled back" if events are missing, or "forked" if events differ.
        position: The last position that was signed or seen before.
        why: What differs.
        what: The kind and what differs, without advice.
    """

    def __init__(
        self,
        kind: Literal["rolled back", "forked"],
        position: int,
        why: str,
        advice: str = "",
    ) -> None:
        self.kind = kind
        self.position = position
        self.why = why
        self.what = f"the history is not the one that was signed or seen before ({kind}): {why}"
        super().__init__(f"{self.what}{advice}")

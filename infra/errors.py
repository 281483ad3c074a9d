"""What goes wrong outside the domain.

LedgerError (domain)
├── LedgerUnavailableError   the server cannot be reached, or went away: written, reason
├── StorageFullError         the server has no room; nothing of this was recorded
├── SchemaError              the ledger in the database is not one this program can use: ledger
├── BrokenLedgerError        what is stored cannot be right: name, position, why
└── InputError               a file that cannot be read: file, line, why
"""

from __future__ import annotations

from jobledger.domain.errors import LedgerError


class LedgerUnavailableError(LedgerError):
    """The server cannot be reached. `written`: False if nothing was, None if that is not known.

    With a request id the same call can be made again in both cases, and writes once.
    """

    def __init__(self, reason: str, *, written: bool | None = False) -> None:
        self.reason = " ".join(reason.split())
        self.written = written
        doubt = "" if written is False else "; whether this was recorded is not known"
        super().__init__(f"the ledger's server cannot be reached: {self.reason}{doubt}")


class StorageFullError(LedgerError):
    """The server has no room left; nothing of this was recorded."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the ledger's server has no room: {reason}")


class SchemaError(LedgerError):
    """The ledger in the database is missing, older, newer, or not what its migrations made."""

    def __init__(self, ledger: str, why: str) -> None:
        self.ledger = ledger
        self.why = why
        super().__init__(f"ledger {ledger!r} {why}")


class BrokenLedgerError(LedgerError):
    """What is stored cannot be right."""

    def __init__(self, name: str, position: int, why: str) -> None:
        self.name = name
        self.position = position
        self.why = why
        super().__init__(f"{name} at position {position}: {why}")


class InputError(LedgerError):
    """A file, or a line of one (from 1; 0 is the file as a whole), that cannot be read."""

    def __init__(self, file: str, line: int, why: str) -> None:
        self.file = file
        self.line = line
        self.why = why
        super().__init__(f"{file}, line {line}: {why}" if line else f"{file}: {why}")

"""The errors of what is read from elsewhere: files, and databases of other systems."""

from jobledger.domain.errors import LedgerError


class AttachError(LedgerError):
    """Another system's database cannot be followed.

    Attributes:
        what: The part that is wrong, such as `wal_level`.
        why: What is wrong with it, and what to do.
    """

    def __init__(self, what: str, why: str) -> None:
        self.what = what
        self.why = why
        super().__init__(f"{what}: {why}")


class SourceUnavailableError(AttachError):
    """The server of a database that is followed cannot be reached; nothing is lost by that."""

    def __init__(self, reason: str) -> None:
        super().__init__("source", f"its server cannot be reached: {reason}")


class InputError(LedgerError):
    """A file cannot be read.

    Attributes:
        file: The file's path.
        line: The line, from 1; 0 is the file as a whole.
        why: What is wrong with it.
    """

    def __init__(self, file: str, line: int, why: str) -> None:
        self.file = file
        self.line = line
        self.why = why
        super().__init__(f"{file}, line {line}: {why}" if line else f"{file}: {why}")

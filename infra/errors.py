"""The errors of storage, servers, proofs and access.

```
LedgerError (domain)
├── LedgerUnavailableError   the server cannot be reached: reason, written
│   ├── ClockError           the server's clock is far ahead of this machine's: reason
│   ├── LedgerClosedError    the ledger was closed
│   ├── QueryTimeoutError    the server ended the query, which took too long: reason
│   ├── StandbyBehindError   a hot standby has not replayed what the answer needs: position, reached
│   └── LoginRefusedError    the server refuses the login: reason
├── StorageFullError         the server's disk is full: reason
├── ServerInUseError         other processes use the embedded server: users
├── PoolerError              a connection pooler that does not keep a session for each client: why, advice
├── ReadOnlyServerError      the server accepts no writes: a hot standby, or set to be read only
├── LedgerBusyError          another session does this already, or holds a lock: what, why, holder
├── MissingGrantError        the database user lacks a privilege: reason
├── SchemaError              the ledger's schema is missing or of another version: ledger, why
│   └── LedgerNotFoundError  the database has no such ledger: ledger, others
├── BrokenLedgerError        stored data is damaged: name, position, why
├── OverloadedError          the server accepts no more requests now: why
├── DeadlineExceededError    the server did not answer in time: seconds
├── ProofError               a key, note, checkpoint or receipt is not valid: what, why
│   ├── FileAccessError      its file cannot be read or written
│   ├── LogFileNotFoundError  the log has no such tile or checkpoint: path
│   └── UnknownAlgorithmError  a public key is of an unknown type
├── ForkedError              the log is not the one that was signed before: kind, position, why
├── SubjectNotFoundError     the ledger has no personal data of the subject: subject
├── OwnerNeededError         the owner of the ledger's tables must do this: what
├── AttachError              another system's database cannot be followed: what, why
│   └── SourceUnavailableError  its server cannot be reached
├── InputError               a file cannot be read: file, line, why
├── TokenExistsError         the token's name is taken: name
├── UnauthenticatedError     the request has no valid token: reason, name
├── PermissionDeniedError    the token does not permit the request: name, role, project
└── ForeignRequestError      a browser sent the request for another site: header, value
```
"""

from collections.abc import Sequence
from typing import Final, Literal

from jobledger.domain.errors import LedgerError


class LedgerUnavailableError(LedgerError):
    """The server cannot be reached (google.rpc UNAVAILABLE).

    With a request id the same call can be repeated in any case, and writes once.

    Attributes:
        reason: The reason, in one line.
        written: False if nothing was recorded; None if that is not known.
        lost: Whether a connection broke that was open, so that another may do better.
    """

    def __init__(self, reason: str, *, written: bool | None = False, lost: bool = False) -> None:
        self.reason = " ".join(reason.split())
        self.written = written
        self.lost = lost
        doubt = "" if written is False else "; whether this was recorded is not known"
        super().__init__(f"the ledger's server cannot be reached: {self.reason}{doubt}")


class QueryTimeoutError(LedgerUnavailableError):
    """PostgreSQL ended the query (google.rpc DEADLINE_EXCEEDED).

    It took longer than JOBLEDGER_QUERY_TIMEOUT or the server's statement_timeout, or it was cancelled.
    """


class LedgerClosedError(LedgerUnavailableError):
    """The ledger was closed before; nothing was recorded."""

    def __init__(self) -> None:
        super().__init__("this ledger was closed")
        self.args = ("this ledger was closed; open it again with Ledger.open",)


class LoginRefusedError(LedgerUnavailableError):
    """The server refuses the user, the password or the database of the connection string."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        advice = "check the user, the password and the database in JOBLEDGER_DSN, --dsn, PGPASSWORD or ~/.pgpass"
        self.args = (f"the ledger's server refuses the login: {self.reason}; {advice}",)


class ClockError(LedgerUnavailableError):
    """The server's clock is implausibly far ahead; nothing was recorded, so that its times stay true."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        advice = "set the clocks by NTP, and try again"
        self.args = (f"nothing is recorded while {self.reason}; {advice}",)


class StandbyBehindError(LedgerUnavailableError):
    """A hot standby has not replayed what an answer takes; the primary has it, or will make it."""

    def __init__(self, position: int, reached: int) -> None:
        self.position = position
        self.reached = reached
        super().__init__(f"its intervals end at position {reached}")
        where = f"a hot standby whose intervals end at position {reached}"
        self.args = (
            f"this server is {where}, and the answer takes {position}; try again, or ask the primary",
        )


class PoolerError(LedgerError):
    """A connection pooler is set so that the ledger cannot work through it; nothing was recorded."""

    def __init__(self, why: str, advice: str) -> None:
        self.why = why
        self.advice = advice
        super().__init__(f"{why}, and the ledger needs a session of its own; {advice}")


class ReadOnlyServerError(LedgerError):
    """The server takes no writes: it is a hot standby, or its transactions are read only by default."""

    def __init__(self) -> None:
        super().__init__(
            "the server takes no writes: it is a hot standby, or default_transaction_read_only is on;"
            " connect to the primary, for example with target_session_attrs=read-write"
        )


class MissingGrantError(LedgerError):
    """The database user lacks a privilege on the ledger's tables (google.rpc PERMISSION_DENIED).

    Attributes:
        reason: PostgreSQL's message.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"the database user lacks a right on the ledger ({reason}); its owner grants it with:"
            " jobledger init --grant-to ROLE"
        )


class StorageFullError(LedgerError):
    """The server's disk is full (google.rpc RESOURCE_EXHAUSTED); nothing of this was recorded.

    Attributes:
        reason: PostgreSQL's message.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"the ledger's server has no room: {reason}; free disk space, and try again"
        )


class ServerInUseError(LedgerError):
    """The embedded server was not stopped, because other processes use it.

    Attributes:
        users: The ids of these processes; empty if they are not known.
    """

    def __init__(self, users: Sequence[int]) -> None:
        self.users = tuple(users)
        who = ", ".join(map(str, users)) or "with unknown ids"
        super().__init__(f"the server is used by processes: {who}; end them, or stop with --force")


class LedgerBusyError(LedgerError):
    """Another session does this already, or holds what it takes; nothing was changed.

    `what` was asked for, `why` it was refused, and `holder` is the other session, in words.
    """

    def __init__(self, what: str, why: str, holder: str = "") -> None:
        self.what = what
        self.why = why
        self.holder = holder
        by = f": {holder}" if holder else ""
        super().__init__(f"{what}: {why}{by}; try again when that has ended")


class SchemaError(LedgerError):
    """The ledger's schema is missing, older, newer, or not what its migrations made.

    Attributes:
        ledger: The ledger's name; empty for the ledger that is open.
        why: What is wrong with the schema, and what to do.
    """

    def __init__(self, ledger: str, why: str) -> None:
        self.ledger = ledger
        self.why = why
        super().__init__(f"ledger {ledger!r} {why}" if ledger else f"the ledger {why}")


class LedgerNotFoundError(SchemaError):
    """The database has no ledger of that name.

    Attributes:
        others: The names of the ledgers that it has.
    """

    def __init__(self, ledger: str, others: Sequence[str] = ()) -> None:
        self.others = tuple(others)
        there_are = f"; there are: {', '.join(others)}" if others else ""
        super().__init__(
            ledger, f"does not exist; make it with: jobledger --ledger {ledger} init{there_are}"
        )


class BrokenLedgerError(LedgerError):
    """Stored data is damaged or was changed (google.rpc DATA_LOSS).

    Attributes:
        name: The stream, table or file with the damage.
        position: The position of the damaged event; 0 if it is not about one event.
        why: What is wrong.
    """

    def __init__(self, name: str, position: int, why: str) -> None:
        self.name = name
        self.position = position
        self.why = why
        super().__init__(f"{name} at position {position}: {why}" if position else f"{name}: {why}")


class SubjectNotFoundError(LedgerError):
    """The ledger has no personal data of the subject, perhaps because it was erased.

    An erasure leaves no trace of the subject's name, so the two cases cannot be distinguished.

    Attributes:
        subject: The subject.
    """

    def __init__(self, subject: str) -> None:
        self.subject = subject
        super().__init__(
            f"the ledger has no personal data of {subject!r}: it never had any, or it was erased"
        )


class OwnerNeededError(LedgerError):
    """Only the owner of the ledger's tables can do this.

    Attributes:
        what: What was to be done, such as "to prune".
    """

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"{what} takes the owner of the ledger's tables; connect as that role")


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
    """A tile, a bundle or a checkpoint that the log has not, or not under that path."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__("log", f"there is no {path[:80]!r}")


class UnknownAlgorithmError(ProofError):
    """A public key is of an unknown type; it may be ignored where the other keys suffice."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            "key", f"{name[:80]!r} is of no type known here; the types are Ed25519 and ML-DSA-44"
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
        self.what = f"the history is not the one that was vouched for ({kind}): {why}"
        super().__init__(f"{self.what}{advice}")


class OverloadedError(LedgerError):
    """The server has too many requests or is stopping (google.rpc RESOURCE_EXHAUSTED).

    Nothing of this was recorded; try again later.

    Attributes:
        why: The limit that was reached.
    """

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"the server accepts no more requests now: {why}; try again later")


class DeadlineExceededError(LedgerError):
    """The server did not answer in time (google.rpc DEADLINE_EXCEEDED); a write may be recorded.

    Attributes:
        seconds: The time limit in seconds.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(
            f"no answer within {seconds:g} s; whether something was recorded is not known"
        )


class TokenExistsError(LedgerError):
    """The token's name is taken; a revoked token keeps its name.

    Attributes:
        name: The token's name.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"there is or was a token {name!r}; choose a name that was never used")


class UnauthenticatedError(LedgerError):
    """The request has no valid token (google.rpc UNAUTHENTICATED).

    Attributes:
        reason: "missing", "unknown", "revoked" or "expired".
        name: The token's name, if the token is or was known.
    """

    SENTENCES: Final = {
        "missing": "a token is needed, and none was given",
        "unknown": "there is no such token",
        "revoked": "token {name!r} was revoked",
        "expired": "token {name!r} has expired",
    }

    def __init__(
        self, reason: Literal["missing", "unknown", "revoked", "expired"], name: str | None = None
    ) -> None:
        self.reason = reason
        self.name = name
        super().__init__(self.SENTENCES[reason].format(name=name))


class PermissionDeniedError(LedgerError):
    """The token does not permit the request (google.rpc PERMISSION_DENIED).

    Attributes:
        name: The token's name; None for a request without a token.
        role: The role that the request needs, if the token's role is too low.
        project: The token's only project, if the request is about another one.
    """

    def __init__(
        self, name: str | None, *, role: str | None = None, project: str | None = None
    ) -> None:
        self.name = name
        self.role = role
        self.project = project
        why = (
            f"the request needs the role {role}" if role else f"it is for project {project!r} only"
        )
        super().__init__(f"token {name!r} does not permit this: {why}")


class ForeignRequestError(LedgerError):
    """A browser sent the request for a page of another site, or to a name that is not this server's.

    Attributes:
        header: The header that shows it.
        value: The header's value, cut to 80 characters.
    """

    def __init__(self, header: str, value: str, expected: str) -> None:
        self.header = header
        self.value = value[:80]
        super().__init__(f"{header} is {self.value!r}, and must be {expected}")

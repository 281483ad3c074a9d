"""What goes wrong outside the domain.

LedgerError (domain)
├── LedgerUnavailableError   the server cannot be reached, or went away: written, reason
│   ├── ClockError           the server's clock is far ahead of this machine's: reason
│   ├── LedgerClosedError    this ledger was closed: name
│   ├── StandbyBehindError   a hot standby has not replayed what the answer takes: position, reached
│   └── LoginRefusedError    the server refuses the user, the password or the database: reason
├── StorageFullError         the server has no room; nothing of this was recorded
├── ServerInUseError         the embedded server is not stopped while others use it: users
├── PoolerError              a connection pooler that does not keep a session for each client
├── ReadOnlyServerError      the server takes no writes: a hot standby, or set to be read only
├── LedgerBusyError          another session does this already, or holds what it takes: what, why, holder
├── MissingGrantError        the database user lacks a right on the ledger: reason
├── SchemaError              the ledger in the database is not one this program can use: ledger
│   └── LedgerNotFoundError  there is no such ledger: ledger, others
├── BrokenLedgerError        what is stored cannot be right: name, position, why
├── OverloadedError          the server has too much to do already: nothing was recorded
├── DeadlineExceededError    the server did not answer in time: seconds
├── ProofError               a key, note, checkpoint or receipt that proves nothing: what, why
│   └── FileAccessError      a file of one that cannot be read or written
├── UnknownAlgorithmError    a public key of an algorithm that is not known here: name
├── ForkedError              the log is not the one that was signed before: kind, position, why
├── SubjectNotFoundError     no personal data of such a subject: subject
├── OwnerNeededError         it takes the owner of the ledger's tables: what
├── InputError               a file that cannot be read: file, line, why
├── TokenExistsError         the token's name is taken: name
├── UnauthenticatedError     who asks has no token that serves: reason, name
└── PermissionDeniedError    who asks may not: name, role or project
"""

from collections.abc import Sequence
from typing import Final, Literal

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


class LedgerClosedError(LedgerUnavailableError):
    """`close` was called on the ledger that is used; nothing was recorded."""

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
    """The database user lacks a right on the ledger's tables (google.rpc PERMISSION_DENIED)."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"the database user lacks a right on the ledger ({reason}); its owner grants it with:"
            " jobledger init --grant-to ROLE"
        )


class StorageFullError(LedgerError):
    """The server has no room left; nothing of this was recorded."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the ledger's server has no room: {reason}")


class ServerInUseError(LedgerError):
    """The embedded server is not stopped, because other processes use it; `users` are their ids."""

    def __init__(self, users: Sequence[int]) -> None:
        self.users = tuple(users)
        who = ", ".join(map(str, users)) or "which are not known"
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
    """The ledger in the database is missing, older, newer, or not what its migrations made.

    `ledger` is empty where it is the one that is open.
    """

    def __init__(self, ledger: str, why: str) -> None:
        self.ledger = ledger
        self.why = why
        super().__init__(f"ledger {ledger!r} {why}" if ledger else f"the ledger {why}")


class LedgerNotFoundError(SchemaError):
    """There is no ledger of that name; `others` are the ledgers of the same database."""

    def __init__(self, ledger: str, others: Sequence[str] = ()) -> None:
        self.others = tuple(others)
        there_are = f"; there are: {', '.join(others)}" if others else ""
        super().__init__(
            ledger, f"does not exist; make it with: jobledger --ledger {ledger} init{there_are}"
        )


class BrokenLedgerError(LedgerError):
    """What is stored cannot be right; `position` is 0 where it is not about one event."""

    def __init__(self, name: str, position: int, why: str) -> None:
        self.name = name
        self.position = position
        self.why = why
        super().__init__(f"{name} at position {position}: {why}" if position else f"{name}: {why}")


class SubjectNotFoundError(LedgerError):
    """There is no personal data of the subject; or it was erased, which leaves no trace of whom it was of."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        super().__init__(f"there is no personal data of {subject!r}, or no longer")


class OwnerNeededError(LedgerError):
    """What is asked takes more rights on the ledger's tables than an application has."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"{what} takes the owner of the ledger's tables; connect as that role")


class InputError(LedgerError):
    """A file, or a line of one (from 1; 0 is the file as a whole), that cannot be read."""

    def __init__(self, file: str, line: int, why: str) -> None:
        self.file = file
        self.line = line
        self.why = why
        super().__init__(f"{file}, line {line}: {why}" if line else f"{file}: {why}")


class ProofError(LedgerError):
    """What was shown proves nothing: `what` is "key", "note", "signature", "checkpoint", "receipt" or a file."""

    def __init__(self, what: str, why: str) -> None:
        self.what = what
        self.why = why
        super().__init__(f"{what}: {why}")


class FileAccessError(ProofError):
    """A file of a key, checkpoint, receipt or report that cannot be read or written: `what` is it of."""


class UnknownAlgorithmError(ProofError):
    """A public key of a type that is not known here; it may be left out where others suffice."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__("key", f"{name[:80]!r} is of no type known here (Ed25519, ML-DSA-44)")


class ForkedError(LedgerError):
    """The log is not the one whose checkpoint was signed or seen before; nothing more is signed.

    `kind` is "rolled back" (there was more of it) or "forked" (there was another one);
    `position` is that up to which it was vouched for.
    """

    def __init__(self, kind: Literal["rolled back", "forked"], position: int, why: str) -> None:
        self.kind = kind
        self.position = position
        self.why = why
        super().__init__(f"the history is not the one that was vouched for ({kind}): {why}")


class OverloadedError(LedgerError):
    """The server has too much to do, or is stopping; nothing of this was recorded."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"the server takes no more just now: {why}")


class DeadlineExceededError(LedgerError):
    """No answer within that many seconds; a write may be recorded all the same."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(
            f"no answer within {seconds:g} s; whether something was recorded is not known"
        )


class TokenExistsError(LedgerError):
    """The name is taken; a token that was revoked keeps its name."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"there is or was a token {name!r}, and no name is given out twice")


class UnauthenticatedError(LedgerError):
    """Who asks brought no token that serves (google.rpc UNAUTHENTICATED).

    `name` is the token's, where there is or was one.
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
    """Who asks may not (google.rpc PERMISSION_DENIED).

    Either it takes `role`, or more; or `project` is all that they may see.
    """

    def __init__(
        self, name: str | None, *, role: str | None = None, project: str | None = None
    ) -> None:
        self.name = name
        self.role = role
        self.project = project
        why = f"this takes the role {role}" if role else f"it serves for project {project!r} only"
        super().__init__(f"token {name!r} may not: {why}")


class ForeignRequestError(LedgerError):
    """A browser sent the request for a page of another site, or to a name that is not this server's.

    `header` tells it, by its `value`.
    """

    def __init__(self, header: str, value: str, expected: str) -> None:
        self.header = header
        self.value = value[:80]
        super().__init__(f"{header} is {self.value!r}, and must be {expected}")

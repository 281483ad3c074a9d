"""The errors of PostgreSQL servers: unreachable, full, read only, or without a grant."""

from collections.abc import Sequence

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
        unknown = "" if written is False else "; whether this was recorded is not known"
        super().__init__(f"the ledger's server cannot be reached: {self.reason}{unknown}")


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
    """A hot standby has not replayed what an answer needs; ask the primary."""

    def __init__(self, position: int, reached: int) -> None:
        self.position = position
        self.reached = reached
        super().__init__(f"its intervals end at position {reached}")
        where = f"a hot standby whose intervals end at position {reached}"
        self.args = (
            f"this server is {where}, and the answer needs position {position}; try again, or ask the primary",
        )


class PoolerError(LedgerError):
    """A connection pooler is set so that the ledger cannot work through it; nothing was recorded."""

    def __init__(self, why: str, advice: str) -> None:
        self.why = why
        self.advice = advice
        super().__init__(f"{why}, and the ledger needs a session of its own; {advice}")


class ReadOnlyServerError(LedgerError):
    """The server accepts no writes: it is a hot standby, or its transactions are read only by default."""

    def __init__(self) -> None:
        super().__init__(
            "the server accepts no writes: it is a hot standby, or default_transaction_read_only is on;"
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


class OwnerNeededError(LedgerError):
    """Only the owner of the ledger's tables can do this.

    Attributes:
        what: What was to be done, such as "to prune".
    """

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"{what} needs the owner of the ledger's tables; connect as that role")


class StorageFullError(LedgerError):
    """The server's disk is full (google.rpc RESOURCE_EXHAUSTED); nothing of this was recorded.

    Attributes:
        reason: PostgreSQL's message.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"the ledger's server has no disk space: {reason}; free disk space, and try again"
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

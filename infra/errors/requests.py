"""The errors of requests to a server: refused, unauthenticated, or not answered in time."""

from typing import Final, Literal

from jobledger.domain.errors import LedgerError


class OverloadedError(LedgerError):
    """The server has too many requests or is stopping (google.rpc UNAVAILABLE).

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
        "missing": "a token is needed, and none was given; send Authorization: Bearer TOKEN",
        "unknown": "there is no such token in this ledger",
        "revoked": "token {name!r} was revoked; ask for a new one",
        "expired": "token {name!r} has expired; ask for a new one",
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

"""The errors of the domain: each one is a request that the ledger refuses.

```
LedgerError
├── InvalidFieldError           a value is not accepted: field, why
│   ├── UnknownEventTypeError   the event type is unknown: type
│   ├── DataTooLargeError       an event's data exceeds the limit: size, limit (bytes)
│   └── BeyondEndError          the ledger has not reached the position: position, end
├── JobNotFoundError            there is no such job, or it was deleted: name
├── JobExistsError              the name is taken: name
├── IllegalTransitionError      the job's state does not allow the command: name, state, event
├── NotSamplingError            the job samples no predictions: name, why
├── EtagMismatchError           the job has changed since the etag was read: name
├── VersionConflictError        another writer was first: name, expected, actual
├── PastNeededError             a late report needs the job's earlier events: name
└── RequestReusedError          the request id was used for something else: request_id, name
```

An error has attributes, and makes its message from them. An edge maps the class to an exit code or
an HTTP status.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from jobledger.domain.values.nearest import nearest


class LedgerError(Exception):
    """Any error that the ledger raises on purpose; catch it to catch all of them."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Lets it be pickled, as when another process raises it: its arguments are not those of its class."""
        return _unpickled, (type(self), self.args), self.__dict__


def _unpickled(error: type[LedgerError], args: tuple[Any, ...]) -> LedgerError:
    made = error.__new__(error)
    made.args = args
    return made


class InvalidFieldError(LedgerError):
    """A value is not accepted (google.rpc INVALID_ARGUMENT); nothing was recorded.

    Attributes:
        field: The path of the value in the request, such as `labels` or `data.output`.
        why: What is wrong with it, and what would be right.
    """

    def __init__(self, field: str, why: str) -> None:
        self.field = field
        self.why = why
        super().__init__(f"{field}: {why}")


class UnknownEventTypeError(InvalidFieldError):
    """The ledger does not know the event type.

    Attributes:
        type: The unknown event type.
    """

    def __init__(self, type_: str, known: Iterable[str] = ()) -> None:
        self.type = type_
        types = list(known)
        near = nearest(type_, types)
        meant = f"; did you mean {near!r}?" if near else "." if types else ""
        listed = f" Event types: {', '.join(types)}" if types else ""
        super().__init__("type", f"unknown event type {type_!r}{meant}{listed}")


def repr_of(value: object) -> str:
    """The value's repr, or its type if the value has none (an object of a closed session, for example)."""
    try:
        return repr(value)
    except Exception:
        return f"a {type(value).__name__}"


def shown(value: object) -> str:
    """The value's repr for an error message, cut to 80 characters."""
    text = repr_of(value)
    return text if len(text) <= 80 else text[:77] + "..."


class DataTooLargeError(InvalidFieldError):
    """An event's data, as canonical JSON, exceeds the limit.

    Attributes:
        size: The size of the data in bytes.
        limit: The greatest size in bytes.
    """

    def __init__(self, size: int, limit: int) -> None:
        self.size = size
        self.limit = limit
        super().__init__("data", f"{size} bytes of JSON; the limit for an event is {limit} bytes")


class BeyondEndError(InvalidFieldError):
    """The position is after the ledger's last: of another ledger, or of a newer copy of this one.

    It is also raised if the ledger lost the event that was read at the position, and has another one
    there: after a failover to an asynchronous replica, or a restored backup.

    Attributes:
        position: The position that was asked for.
        end: The ledger's last position.
    """

    def __init__(self, field: str, position: int, end: int) -> None:
        self.position = position
        self.end = end
        what = "is beyond the end" if position > end else "has another event than was read there"
        super().__init__(field, f"position {position} {what}: the ledger's last position is {end}")


class PastNeededError(LedgerError):
    """A late report can only be decided with the job's earlier events, which were not given.

    Attributes:
        name: The job's resource name.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"the earlier events of {name} are needed to decide a late report")


class JobNotFoundError(LedgerError):
    """There is no such job, or it was deleted (google.rpc NOT_FOUND).

    Attributes:
        name: The job's resource name.
        deleted: Whether it was deleted; its history is kept.
        pruned_before: Jobs that ended before this time (UTC) were pruned, perhaps this one; None
            if no job was pruned.
    """

    def __init__(
        self,
        name: str,
        *,
        deleted: bool = False,
        reported: bool = False,
        pruned_before: datetime | None = None,
    ) -> None:
        self.name = name
        self.deleted = deleted
        self.pruned_before = pruned_before
        why = f"{name} was deleted; its history is kept" if deleted else f"there is no job {name}"
        if reported:
            why += "; create it first, or report that it is Created"
        if pruned_before is not None:
            why += f"; jobs that ended before {pruned_before:%Y-%m-%dT%H:%M:%SZ} were pruned"
        super().__init__(why)


class JobExistsError(LedgerError):
    """The name is taken (google.rpc ALREADY_EXISTS); a deleted job keeps its name.

    Attributes:
        name: The job's resource name.
        deleted: Whether the job of that name was deleted.
    """

    def __init__(self, name: str, *, deleted: bool = False) -> None:
        self.name = name
        self.deleted = deleted
        super().__init__(
            f"{name} was deleted, and its name stays with its history;"
            f" create the job under another name, such as {name}-2"
            if deleted
            else f"the job {name} already exists; choose another name, or retry it once it has ended"
        )


class IllegalTransitionError(LedgerError):
    """The job's state does not allow the command (google.rpc FAILED_PRECONDITION).

    Attributes:
        name: The job's resource name.
        state: The job's state.
        event: The type of the event that the command would cause.
        allowed: The states that allow the event; empty if they are not known.
    """

    def __init__(self, name: str, state: str, event: str, allowed: Iterable[str] = ()) -> None:
        self.name = name
        self.state = state
        self.event = event
        self.allowed = tuple(allowed)
        states = f"; it is allowed in {', '.join(self.allowed)}" if self.allowed else ""
        super().__init__(f"{name} is {state}, and that state does not allow {event}{states}")


class NotSamplingError(LedgerError):
    """The job samples no predictions now (google.rpc FAILED_PRECONDITION); nothing was recorded.

    Attributes:
        name: The job's resource name.
        why: Why it samples none.
    """

    def __init__(self, name: str, why: str) -> None:
        self.name = name
        self.why = why
        super().__init__(f"{name} samples no predictions: {why}")


class EtagMismatchError(LedgerError):
    """The job has changed since the etag was read (google.rpc ABORTED, AIP-154).

    Attributes:
        name: The job's resource name.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"{name} has changed since its etag was read; read the job again, and decide again"
        )


class VersionConflictError(LedgerError):
    """Another writer wrote to the job first (google.rpc ABORTED); nothing of this was recorded.

    Attributes:
        name: The job's resource name.
        expected: The version that the writer expected the job to have.
        actual: The version that it has.
    """

    def __init__(self, name: str, expected: int, actual: int) -> None:
        self.name = name
        self.expected = expected
        self.actual = actual
        super().__init__(f"{name} is at version {actual}, and version {expected} was expected")


class RequestReusedError(LedgerError):
    """The request id (AIP-155) was used before, for another job or for something else.

    Attributes:
        request_id: The request id.
        name: The job that it was used for.
    """

    def __init__(self, request_id: str, name: str) -> None:
        self.request_id = request_id
        self.name = name
        super().__init__(
            f"request id {request_id!r} was already used, for {name}; use a new one for each request"
        )

"""What the ledger refuses, and why.

LedgerError
├── InvalidFieldError           a value that is not accepted: field, why
│   ├── UnknownEventTypeError   an event type the ledger has no meaning for: type
│   ├── DataTooLargeError       an event's data over the limit: size, limit
│   └── BeyondEndError          a position that the ledger has not reached: position, end
├── JobNotFoundError            no such job, or it was deleted: name
├── JobExistsError              the name is taken: name
├── IllegalTransitionError      the job's state does not allow what was asked: name, state, event
├── NotSamplingError            no predictions are sampled of it now: name, why
├── EtagMismatchError           the job is not as its etag says: name
├── VersionConflictError        somebody else wrote first: name, expected, actual
├── PastNeededError             a late report can only be decided on with the job's events: name
└── RequestReusedError          a request id that already wrote something else: request_id, name

Errors carry fields and make their sentence from them; what an edge answers for
each (an exit code, an HTTP status) is that edge's business.
"""

from collections.abc import Iterable
from datetime import datetime

from jobledger.domain.values.nearest import did_you_mean


class LedgerError(Exception):
    """Anything the ledger refuses, and knows why."""


class InvalidFieldError(LedgerError):
    """A value that is not accepted; nothing was recorded."""

    def __init__(self, field: str, why: str) -> None:
        self.field = field
        self.why = why
        super().__init__(f"{field}: {why}")


class UnknownEventTypeError(InvalidFieldError):
    """An event type the ledger has no meaning for."""

    def __init__(self, type_: str, known: Iterable[str] = ()) -> None:
        self.type = type_
        super().__init__("type", f"there is no event type {type_!r}{did_you_mean(type_, known)}")


def shown(value: object) -> str:
    """The value as an error message can bear it: 80 characters at most."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


class DataTooLargeError(InvalidFieldError):
    """An event's data, as canonical JSON, is over the limit (both in bytes)."""

    def __init__(self, size: int, limit: int) -> None:
        self.size = size
        self.limit = limit
        super().__init__("data", f"{size} bytes of JSON, and an event holds {limit} at most")


class BeyondEndError(InvalidFieldError):
    """A position after the ledger's last: what is followed is another ledger, or an older copy of it."""

    def __init__(self, field: str, position: int, end: int) -> None:
        self.position = position
        self.end = end
        super().__init__(
            field, f"position {position} is beyond the end: the ledger's last position is {end}"
        )


class PastNeededError(LedgerError):
    """Where a late report takes effect is found in the job's events, which were not given."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"what happened to {name} is needed to place a late report on it")


class JobNotFoundError(LedgerError):
    """No job of that name, or it was deleted (its history is kept all the same).

    `reported`: something was to be recorded of it. `pruned_before`: jobs that were over by that
    time were pruned; it may have been one of them.
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
            why += f"; jobs that were over before {pruned_before:%Y-%m-%dT%H:%M:%SZ} were pruned"
        super().__init__(why)


class JobExistsError(LedgerError):
    """The name is taken; a deleted job keeps its name, so that its history stays one job's."""

    def __init__(self, name: str, *, deleted: bool = False) -> None:
        self.name = name
        self.deleted = deleted
        super().__init__(
            f"{name} was deleted, and its name stays with its history;"
            f" create the job under another name, such as {name}-2"
            if deleted
            else f"there is already a job {name}"
        )


class IllegalTransitionError(LedgerError):
    """The job's state does not allow what was asked (google.rpc FAILED_PRECONDITION)."""

    def __init__(self, name: str, state: str, event: str) -> None:
        self.name = name
        self.state = state
        self.event = event
        super().__init__(f"{name} is {state}, and {event} may not follow that")


class NotSamplingError(LedgerError):
    """No predictions of the job are sampled now (google.rpc FAILED_PRECONDITION); nothing was recorded."""

    def __init__(self, name: str, why: str) -> None:
        self.name = name
        self.why = why
        super().__init__(f"{name} samples no predictions: {why}")


class EtagMismatchError(LedgerError):
    """The job changed since that etag was given out (google.rpc ABORTED, AIP-154)."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"{name} changed since: its etag is another one now")


class VersionConflictError(LedgerError):
    """Somebody else wrote to the job first (google.rpc ABORTED); nothing of this was recorded."""

    def __init__(self, name: str, expected: int, actual: int) -> None:
        self.name = name
        self.expected = expected
        self.actual = actual
        super().__init__(f"{name} was expected at version {expected} and stands at {actual}")


class RequestReusedError(LedgerError):
    """A request id (AIP-155) that already wrote to another job or asked for something else."""

    def __init__(self, request_id: str, name: str) -> None:
        self.request_id = request_id
        self.name = name
        super().__init__(f"request {request_id!r} was already used, for {name}")

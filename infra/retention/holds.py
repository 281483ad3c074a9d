"""Legal holds and pins: a job that has one is never pruned.

Each is an event in a stream of the ledger's own that is named after the job. The last event of a
stream says whether the job is held.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from jobledger.domain.errors import InvalidFieldError, JobNotFoundError
from jobledger.domain.values import canonical
from jobledger.domain.values.arguments import parse_count
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.names import parse_name, parse_text
from jobledger.infra.errors import JobHeldError
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.eventstore.ledger_events import LedgerEventWrite, check_owner
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.read.moments import read_pruned_before
from jobledger.infra.read.reader import Reader
from jobledger.infra.read.store import Store

READ_HOLDS: Final = sql.load(__package__, "read_holds")
READ_HOLDS_OF: Final = sql.load(__package__, "read_holds_of")
FIND_JOB: Final = sql.load(__package__, "find_job")


class HoldKind(NamedTuple):
    """A kind of hold: the prefix of its streams, its two types of events, and its name in messages."""

    prefix: str
    placed: str
    released: str
    title: str


LEGAL: Final = HoldKind("ledger/holds/", "Held", "Released", "under a legal hold")
PIN: Final = HoldKind("ledger/pins/", "Pinned", "Unpinned", "pinned")
KINDS: Final = (LEGAL, PIN)


class Hold(NamedTuple):
    """A hold or a pin that is in force.

    Attributes:
        name: The job's resource name.
        is_pin: Whether it is a pin; else it is a legal hold.
        reason: Why it was placed.
        actor: The user who placed it, if that is known.
        time: When it was placed (transaction time, UTC).
    """

    name: str
    is_pin: bool
    reason: str
    actor: str | None
    time: datetime

    @property
    def sentence(self) -> str:
        """The hold in words: `under a legal hold since … by ada (case 7)`."""
        kind = PIN if self.is_pin else LEGAL
        by = "" if self.actor is None else f" by {self.actor}"
        return f"{kind.title} since {time_text(self.time)}{by} ({self.reason})"

    def json(self) -> JsonObject:
        """Returns the hold as JSON."""
        return {
            "name": self.name,
            "isPin": self.is_pin,
            "reason": self.reason,
            "actor": self.actor,
            "time": time_text(self.time),
        }


def hold(
    store: Store,
    name: str,
    reason: str,
    *,
    pin: bool = False,
    actor: str | None = None,
    request_id: str | None = None,
) -> int:
    """Places a legal hold on a job, or pins it: it is not pruned until that is released.

    Args:
        store: The ledger.
        name: The job's resource name (AIP-122); the job may be deleted.
        reason: Why: 1 to 256 printable characters.
        pin: Whether it is a pin, which a job can have in addition to a legal hold.
        actor: The user who asks for it: 1 to 256 printable characters.
        request_id: Makes the call idempotent (AIP-155): a repeated call with the same id
            returns the first call's answer and writes nothing. 1 to 256 printable characters.

    Returns:
        The position of the event that records it.

    Raises:
        InvalidFieldError: The job is held already, or the reason is not valid.
        JobNotFoundError: There is no such job.
        RequestReusedError: The request id was used for another hold, or to release the job.
        OwnerNeededError: The database user does not own the ledger's tables.
        LedgerUnavailableError: The server cannot be reached.

    Examples:
        >>> _ = ledger.create("projects/demo/jobs/a")
        >>> ledger.hold("projects/demo/jobs/a", "case 4711")
        2
        >>> [each.reason for each in ledger.holds()]
        ['case 4711']
    """
    return _record(store, _Hold(PIN if pin else LEGAL, name, reason, actor, request_id))


def release(
    store: Store,
    name: str,
    reason: str = "",
    *,
    pin: bool = False,
    actor: str | None = None,
    request_id: str | None = None,
) -> int:
    """Releases a job's legal hold, or its pin.

    Args:
        store: The ledger.
        name: The job's resource name (AIP-122).
        reason: Why: up to 256 printable characters.
        pin: Whether the pin is released; else the legal hold is.
        actor: The user who asks for it: 1 to 256 printable characters.
        request_id: Makes the call idempotent (AIP-155): a repeated call with the same id
            returns the first call's answer and writes nothing. 1 to 256 printable characters.

    Returns:
        The position of the event that records it.

    Raises:
        InvalidFieldError: The job is not held so, or the reason is not valid.
        JobNotFoundError: There is no such job.
        RequestReusedError: The request id was used for another release, or to hold the job.
        OwnerNeededError: The database user does not own the ledger's tables.
        LedgerUnavailableError: The server cannot be reached.

    Examples:
        >>> _ = ledger.create("projects/demo/jobs/a")
        >>> _ = ledger.hold("projects/demo/jobs/a", "case 4711")
        >>> ledger.release("projects/demo/jobs/a", "case closed")
        3
        >>> ledger.holds()
        []
    """
    return _record(store, _Release(PIN if pin else LEGAL, name, reason, actor, request_id))


def holds(reader: Reader, name: str | None = None, *, position: int | None = None) -> list[Hold]:
    """Returns the legal holds and pins that are in force, by the names of jobs.

    Args:
        reader: The ledger to read.
        name: A job's resource name (AIP-122); None returns the holds on all jobs.
        position: The holds on the job as of this position; None is now.

    Returns:
        The holds.

    Raises:
        InvalidFieldError: The name is not valid, or a position is given without a name.
        LedgerUnavailableError: The server cannot be reached.

    Examples:
        >>> _ = ledger.create("projects/demo/jobs/a")
        >>> _ = ledger.hold("projects/demo/jobs/a", "reference run", pin=True)
        >>> [(each.name, each.is_pin) for each in ledger.holds()]
        [('projects/demo/jobs/a', True)]
    """
    at = None if position is None else parse_count("position", position)
    if name is None and at is not None:
        raise InvalidFieldError("position", f"{at} needs the name of its job")
    names = None if name is None else [parse_name(name)]
    with translated(), reader.pool.connection() as connection:
        return sorted(read_holds(connection, names, at))


def read_holds(
    connection: Connection, names: Iterable[str] | None = None, until: int | None = None
) -> list[Hold]:
    """Returns the holds on some jobs, as of a position, or on all; raw errors of PostgreSQL pass."""
    wanted = None if names is None else list(names)
    found = []
    for kind in KINDS:
        if wanted is None:
            asked = {"prefix": kind.prefix, "end": kind.prefix[:-1] + "0"}
            rows = connection.execute(READ_HOLDS, asked)
        else:
            asked_of = {"prefix": kind.prefix, "names": wanted, "until": until}
            rows = connection.execute(READ_HOLDS_OF, asked_of)
        for stream, type_, data, actor, time in rows:
            if type_ == kind.placed:
                reason = str(canonical.decode(data).get("reason", ""))
                name = stream.removeprefix(kind.prefix)
                found.append(Hold(name, kind is PIN, reason, actor, time))
    return found


def check_free(found: Sequence[Hold]) -> None:
    """Raises JobHeldError if there are holds on jobs that were to be pruned."""
    if not found:
        return
    first = min(found)
    raise JobHeldError(first.name, first.sentence, len({each.name for each in found}) - 1)


def _record(store: Store, write: "_HoldWrite") -> int:
    check_owner(store.reader.pool, "to hold a job or to release it")
    store.writer.submit(write)
    return write.position()


class _HoldWrite(LedgerEventWrite):
    def __init__(
        self, kind: HoldKind, name: str, reason: str, actor: str | None, request_id: str | None
    ) -> None:
        asked = {"job": parse_name(name), "reason": reason}
        super().__init__(parse_text("actor", actor), parse_text("requestId", request_id), asked)
        self._kind = kind
        self._name = asked["job"]
        self._data = asked
        self.stream = kind.prefix + self._name

    def do(self, connection: Connection) -> JsonObject:
        """Checks whether the job is held now."""
        if connection.execute(FIND_JOB, (self._name,)).fetchone() is None:
            raise JobNotFoundError(self._name, pruned_before=read_pruned_before(connection))
        is_pin = self._kind is PIN
        self.check([each for each in read_holds(connection, [self._name]) if each.is_pin is is_pin])
        return self._data

    def check(self, found: list[Hold]) -> None:
        """Raises InvalidFieldError if this cannot be done while the job has these holds."""


class _Hold(_HoldWrite):
    def __init__(
        self, kind: HoldKind, name: str, reason: str, actor: str | None, request_id: str | None
    ) -> None:
        if not reason:
            raise InvalidFieldError("reason", "is missing; give the reason of the hold")
        super().__init__(kind, name, str(parse_text("reason", reason)), actor, request_id)
        self.type = kind.placed

    def check(self, found: list[Hold]) -> None:
        for each in found:
            why = f"{self._name} is {self._kind.title} already, since {time_text(each.time)}: {each.reason}"
            raise InvalidFieldError("name", why)


class _Release(_HoldWrite):
    def __init__(
        self, kind: HoldKind, name: str, reason: str, actor: str | None, request_id: str | None
    ) -> None:
        given = reason and str(parse_text("reason", reason))
        super().__init__(kind, name, given, actor, request_id)
        self.type = kind.released

    def check(self, found: list[Hold]) -> None:
        if not found:
            raise InvalidFieldError(
                "name", f"{self._name} is not {self._kind.title}, so there is nothing to release"
            )

"""Methods of Google's APIs, independent of the transport: a `Call` is the same over HTTP and gRPC.

A method is found by the shape of its path: `/v1/projects/p/jobs/train_1:cancel` has the shape
`v1/projects/*/jobs/*:cancel` and the ids `p` and `train_1`.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Final, NamedTuple
from urllib.parse import unquote

from jobledger.domain.errors import InvalidFieldError, JobNotFoundError, LedgerError
from jobledger.domain.job import Job
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.moments import AsOf, AtTime, Clock, parse_as_of
from jobledger.infra.access.required import required_for_method
from jobledger.infra.access.tokens import Caller, Role, check
from jobledger.infra.async_ledger import AsyncLedger
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.eventstore.verbs import About
from jobledger.infra.google.wire.queue import SharedQueue
from jobledger.infra.read.moments import Given
from jobledger.infra.read.reader import Reader

AS_OF: Final = frozenset({"readTime", "validTime"})
"""Parameters of every GET and LIST in addition to Google's own."""


class UnknownMethodError(LedgerError):
    """The API has no method or resource of that name."""

    def __init__(self, http: str, path: str) -> None:
        self.method = http
        self.path = path
        shown = path if len(path) <= 200 else path[:197] + "..."
        super().__init__(f"there is no method {http} {shown}")


class UnimplementedError(LedgerError):
    """A method that Google's API has and this ledger does not."""

    def __init__(self, method: str) -> None:
        self.method = method
        super().__init__(f"{method} is not implemented by this ledger")


class Path(NamedTuple):
    """The target of a call: the shape of its path, and the ids in it."""

    shape: str
    ids: tuple[str, ...]


class Call(NamedTuple):
    """One call of a method; `about` names the caller."""

    ledger: AsyncLedger
    ids: tuple[str, ...]
    """The path's ids, in its order; the project is the first."""
    query: Mapping[str, str]
    """Parameters by their camelCase names; only those that the method accepts."""
    body: object
    """The JSON body, None if there is none."""
    about: About
    queue: SharedQueue
    """The queue positions of waiting jobs, which the server caches."""
    wait_seconds: float = 20.0
    """How long a method may wait; less than the server's deadline."""
    collection: str = ""
    """The collection in the path, for methods that serve several collections."""

    @property
    def reader(self) -> Reader:
        """The reader, for functions that run in a thread."""
        return self.ledger.ledger.reader

    @property
    def project(self) -> str:
        """The project's resource name."""
        return f"projects/{self.ids[0]}"

    async def job(self, name: str, as_of: Given | None = None, clock: Clock | None = None) -> Job:
        """Returns a job, now or as of a moment.

        In valid time, a report may precede the job's creation. Google's jobs have no such
        past, so the job does not exist at that time.

        Args:
            name: The job's resource name.
            as_of: The moment; None is now.
            clock: The clock of a time.

        Returns:
            The job.

        Raises:
            JobNotFoundError: There is no such job, or it was in no state yet.
        """
        job = await self.ledger.get(name, as_of=as_of, clock=clock)
        if job.state is None:
            raise JobNotFoundError(name)
        return job

    async def history(self, name: str) -> list[RecordedEvent]:
        """Returns the job's events with decrypted personal values."""
        return [await self.ledger.decrypted(event) for event in await self.ledger.history(name)]

    def number(self, parameter: str) -> int:
        """Returns an int32 parameter; 0 if it is not given."""
        text = self.query.get(parameter) or "0"
        if not (text.removeprefix("-").isdecimal() and text.isascii() and len(text) <= 11):
            raise InvalidFieldError(parameter, f"{text[:40]!r} is not a whole number")
        if not -(2**31) <= int(text) < 2**31:
            raise InvalidFieldError(
                parameter, f"{text} is not a number from -2147483648 to 2147483647"
            )
        return int(text)

    def expect_no_fields(self) -> None:
        """Raises InvalidFieldError if the body has fields, for methods whose body has none."""
        if self.body is None or self.body == {}:
            return
        field = next(iter(self.body), "body") if isinstance(self.body, dict) else "body"
        raise InvalidFieldError(
            str(field)[:80], "is not a field of the request, which has none; leave it out"
        )

    def page_size(self, usual: int, most: int) -> int:
        """Returns the page size (AIP-158): the requested one up to the maximum, or the default."""
        size = self.number("pageSize")
        if size < 0:
            raise InvalidFieldError(
                "pageSize", f"{size} is negative; give 0 for the default, or more"
            )
        return min(size or usual, most)


Face = Callable[[Call], Awaitable[JsonObject]]
"""A coroutine function that answers the calls of a method."""


def in_thread(answer: Callable[[Call], JsonObject]) -> Face:
    """Makes a coroutine function of a blocking one, which runs in a thread."""

    async def face(call: Call) -> JsonObject:
        return await call.ledger.run(partial(answer, call))

    return face


class Method(NamedTuple):
    """A method: the function and the role for one shape and HTTP method."""

    name: str
    """The name in Google's reference, such as `ml.projects.jobs.get`."""
    http: str
    shape: str
    call: Face | None
    """The function; None for methods that the API has and the ledger does not."""
    query: frozenset[str] = frozenset()
    body: str | None = None
    """The message in the body, for documentation; None if there is no body."""

    @property
    def role(self) -> Role:
        """The least role that may call the method."""
        return required_for_method(self.name)


def allowed(method: Method, caller: Caller, ids: tuple[str, ...]) -> Face:
    """Returns the function for a caller's call; raises PermissionDeniedError or UnimplementedError."""
    check(caller, method.role, f"projects/{ids[0]}")
    if method.call is None:
        raise UnimplementedError(method.name)
    return method.call


def said_by(caller: Caller, trace_parent: str | None) -> About:
    """Returns the metadata of a call's events: the token's name is their actor."""
    about: About = {}
    if caller.name is not None:
        about["actor"] = caller.name
    if trace_parent is not None:
        about["trace_parent"] = trace_parent
    return about


class Methods:
    """A closed table of methods."""

    def __init__(self, methods: Iterable[Method]) -> None:
        self.all = tuple(methods)
        self._table = {(method.http, method.shape): method for method in self.all}

    def find(self, http: str, path: str) -> tuple[Method, tuple[str, ...]]:
        """Returns the method and the path's ids; raises UnknownMethodError."""
        parsed = parse_path(path)
        method = None if parsed is None else self._table.get((http, parsed.shape))
        if parsed is None or method is None:
            raise UnknownMethodError(http, path)
        return method, parsed.ids


def parse_path(path: str) -> Path | None:
    """Parses the path of a request, which is still percent-encoded.

    It is split before it is decoded, because an encoded slash would be part of an id, which may not contain one.

    Args:
        path: The path.

    Returns:
        Its shape and ids; None if it is not the path of a resource.
    """
    version, *rest = path.removeprefix("/").split("/")
    if not rest or len(rest) > 12:
        return None
    last, colon, verb = rest[-1].rpartition(":")
    if colon:
        rest[-1] = last
    ids = tuple(unquote(segment) for segment in rest[1::2])
    if not all(ids) or any("/" in id_ or "\0" in id_ for id_ in ids):
        return None
    rest[1::2] = ["*"] * len(ids)
    return Path("/".join([version, *rest]) + colon + (verb if colon else ""), ids)


async def moment_of(call: Call) -> tuple[Given | None, Clock | None]:
    """Returns the requested moment of a GET or LIST, and its clock, as `Ledger.get` takes them.

    Args:
        call: `readTime` asks in transaction time, `validTime` in valid time. Both together ask for
            the valid time as far as was known at the read time.

    Returns:
        The moment and the clock; None and None for now.
    """
    read = _moment(call, "readTime", Clock.RECORDED)
    valid = _moment(call, "validTime", Clock.OCCURRED)
    if read is None:
        return valid, None if valid is None else Clock.OCCURRED
    if valid is None:
        return read, Clock.RECORDED
    known = await call.ledger.moment(read, Clock.RECORDED)
    time = (await call.ledger.moment(valid, Clock.OCCURRED)).time
    at: AsOf = AtTime(time, Clock.OCCURRED, known.position)
    return at, None


def _moment(call: Call, parameter: str, clock: Clock) -> str | None:
    """Parses the moment in a query parameter; raises InvalidFieldError."""
    text = call.query.get(parameter)
    if text is None:
        return None
    try:
        moment = parse_as_of(text, clock, datetime.now(UTC))
    except InvalidFieldError as error:
        raise InvalidFieldError(parameter, error.why) from error
    if clock is Clock.OCCURRED and not isinstance(moment, AtTime):
        raise InvalidFieldError(
            parameter, f"{text} is a version or position, which is transaction time; use readTime"
        )
    return text

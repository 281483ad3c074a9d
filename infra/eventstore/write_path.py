"""The write path, from the job's current state to the answer, for callers in threads and in tasks.

Each function is a generator. It yields what the caller must wait for, a `Step`: writes to
commit, or a read of the database. Its runner waits in its own way, and sends back what
the read returned (`Writer` in a thread, `AsyncWriter` in an asyncio task).
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import Any, Final, NamedTuple, Self, get_args

import orjson
from jobledger.domain.commands import JobCommand
from jobledger.domain.data import Data
from jobledger.domain.errors import (
    InvalidFieldError,
    LedgerError,
    PastNeededError,
    RequestReusedError,
    shown,
)
from jobledger.domain.events import Updated
from jobledger.domain.job.deciding import decide
from jobledger.domain.job.job import Job
from jobledger.domain.job.judging import judge
from jobledger.domain.observing import observe
from jobledger.domain.reports import encoded, mended
from jobledger.domain.values import names
from jobledger.infra.eventstore.attempts import with_attempt
from jobledger.infra.eventstore.commit.batch import JobCache
from jobledger.infra.eventstore.feed import Feed
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.eventstore.verbs import About, AboutReport
from jobledger.infra.eventstore.writes.job_write import Intent, JobsWrite, JobWrite, Provenance
from jobledger.infra.eventstore.writes.judge import Judge
from jobledger.infra.eventstore.writes.pending import Pending
from jobledger.infra.privacy.envelope import MARKER
from jobledger.infra.privacy.subject_keys import SubjectKeys
from pydantic import BaseModel

Step = Sequence[Pending] | Callable[[], Any]
_HOLDERS: Final = (dict, list, tuple, BaseModel)


class Recorded(NamedTuple):
    """The outcome of a command or report.

    Attributes:
        job: The job as it is now.
        events: The events that were written; empty if there was nothing to write.
    """

    job: Job
    events: list[RecordedEvent]

    @classmethod
    def by(cls, write: JobWrite) -> Self:
        """Returns the outcome of a settled write."""
        return cls(write.result, write.recorded())


class ReportedEvent(NamedTuple):
    """A report on one job.

    Attributes:
        name: The job's resource name.
        data: What happened, such as `Started(worker="node-7")`; its class is the event type.
        about: The keyword arguments of reports, by name: `occurred_time`, `actor`, `request_id`,
            `trace_parent`, `attempt` and `run_id`.
    """

    name: str
    data: Data
    about: AboutReport | About = {}


class ObservedEvent(NamedTuple):
    """A report of another system on one job; reports may be repeated and come in any order.

    Attributes:
        name: The job's resource name.
        data: What happened; its class is the event type.
        about: The keyword arguments of reports, by name, as in ReportedEvent.
        judge: The function that decides it, such as `observe`.
    """

    name: str
    data: Data
    about: AboutReport | About
    judge: Judge = observe


Report = ReportedEvent
"""Its name in version 0.1."""
REPORTS: Final = (ReportedEvent, ObservedEvent)
COMMANDS: Final = get_args(JobCommand)
REQUESTS: Final = (Data, *COMMANDS)


class _At(NamedTuple):
    """The origin of a request, and the time at which it occurred (UTC), if given."""

    provenance: Provenance
    given: datetime | None

    @classmethod
    def parse(cls, about: About) -> Self:
        """Raises InvalidFieldError."""
        if not about:
            return cls(Provenance(datetime.now(UTC)), None)
        provenance = provenance_of(about)
        given = about.get("occurred_time") is not None
        return cls(provenance, provenance.occurred_time if given else None)


class WritePath:
    """The steps of each kind of write; its runner does the waiting."""

    def __init__(self, cache: JobCache, feed: Feed, keys: SubjectKeys) -> None:
        self._cache = cache
        self._feed = feed
        self._keys = keys

    def write(
        self, name: str, request: Data | JobCommand, about: About, judge: Judge = judge
    ) -> Generator[Step, Any, JobWrite]:
        """Writes a command or a report on one job; returns the write, which was settled without an error."""
        _check_type(request, REQUESTS, "neither a command nor a report")
        if about and isinstance(request, Data):
            request, about = with_attempt(request, about)
        name, at = names.parse_name(name), _At.parse(about)
        # 1. Find the job's last known state.
        job = self._cache.find(name)
        # 2. Decide which events the request causes, and encode them.
        write = self._decided(name, request, at, judge, job)
        if _needs_encryption(write, request):
            write = yield from self._decided_encrypted(name, request, at, judge, job)
        # 3. Wait until it is committed, together with other waiting writes. If the job was
        #    outdated, the committer decides again.
        yield [write]
        # 4. Place a late report among the job's events; repeat if another writer was faster.
        tries = count()
        while isinstance(write.error, PastNeededError):
            history = yield partial(self._feed.history, name)
            write = write.among([event.event for event in history], next(tries))
            yield [write]
        # 5. Answer with the written events or those of the same earlier request, or raise the refusal.
        if write.used_for == name:
            history = yield partial(self._feed.history, name)
            write.repeat(history, self._keys.is_repeated)
        return _checked(write)

    def write_all(
        self, names_: Iterable[str], command: JobCommand, about: About
    ) -> Generator[Step, Any, tuple[list[Job], int]]:
        """Writes a command on several jobs, atomically."""
        _check_type(command, COMMANDS, "not a command")
        parsed = list(dict.fromkeys(map(names.parse_name, names_)))
        command = yield partial(self._keys.encrypt_request, command)
        write = JobsWrite(parsed, _intent(command, None), provenance_of(about), encrypted=True)
        yield [write]
        if write.error is not None:
            raise write.error
        if write.placed is None:
            return write.after, (yield self._feed.size)
        return write.after, write.placed.first_position + len(write.rows) - 1

    def write_many(
        self, reports: Iterable[ReportedEvent | ObservedEvent]
    ) -> Generator[Step, Any, list[Recorded | LedgerError]]:
        """Writes reports on any jobs in one commit; a refused report does not affect the others."""
        given, jobs = list(reports), dict[str, Job]()
        for report in given:
            _check_type(report, REPORTS, "not a ReportedEvent")
        counted = Counter(report.name for report in given)
        in_turn = _written_in_turn(given, counted)
        outcomes: list[JobWrite | LedgerError | None] = []
        for report in given:
            if report.name in in_turn:
                outcomes.append(None)
                continue
            try:
                _check_type(report.data, REQUESTS, "neither a command nor a report")
                data, about = with_attempt(report.data, report.about)
                name, at = names.parse_name(report.name), _At.parse(about)
            except LedgerError as error:
                outcomes.append(error)
                continue
            decide_on = report.judge if isinstance(report, ObservedEvent) else judge
            job = jobs.get(name) or self._cache.find(name)
            many = counted[report.name] > 1
            write = self._decided(name, data, at, decide_on, job, many=many)
            if _needs_encryption(write, data):
                write = yield from self._decided_encrypted(name, data, at, decide_on, job)
            if write.before is not None:
                jobs[name] = write.after
            outcomes.append(write)
        yield [write for write in outcomes if isinstance(write, JobWrite)]
        answers: list[Recorded | LedgerError] = []
        for report, outcome in zip(given, outcomes, strict=True):
            answers.append((yield from self._answer(report, outcome)))
        return answers

    def _answer(
        self, report: ReportedEvent | ObservedEvent, write: JobWrite | LedgerError | None
    ) -> Generator[Step, Any, Recorded | LedgerError]:
        """Returns the outcome of one of many reports."""
        if isinstance(write, LedgerError):
            return write
        try:
            if write is None or isinstance(write.error, PastNeededError):
                # The report is late, or must be written after the others.
                return Recorded.by((yield from self.write(*report)))
            if write.used_for == write.name:
                history = yield partial(self._feed.history, write.name)
                write.repeat(history, self._keys.is_repeated)
            return Recorded.by(_checked(write))
        except LedgerError as error:
            return error

    def _decided(
        self,
        name: str,
        request: Data | JobCommand,
        at: _At,
        judge: Judge,
        job: Job | None,
        *,
        many: bool = False,
    ) -> JobWrite:
        """Decides on the cached job."""
        intent, mend = _intent(request, at.given, judge), _mend_of(request, at, judge)
        write = JobWrite(name, intent, at.provenance, mend=mend, is_one_of_many=many)
        write.decide_ahead(job)
        return write

    def _decided_encrypted(
        self, name: str, request: Data | JobCommand, at: _At, judge: Judge, job: Job | None
    ) -> Generator[Step, Any, JobWrite]:
        """Does the same after encrypting the request's personal values."""
        intent = yield self._encrypt(name, request, at, judge)
        write = JobWrite(name, intent, at.provenance, encrypted=True)
        write.decide_ahead(job)
        return write

    def _encrypt(
        self, name: str, request: Data | JobCommand, at: _At, judge: Judge
    ) -> Callable[[], Intent]:
        """Makes the intent of the encrypted request; it refuses a request that cannot be encrypted."""

        def encrypt() -> Intent:
            try:
                return _intent(self._encrypted(name, request), at.given, judge)
            except InvalidFieldError as error:
                return partial(_refuse, error)

        return encrypt

    def _encrypted(self, name: str, request: Data | JobCommand) -> Data | JobCommand:
        """Returns the request with encrypted personal values; a report is mended if necessary."""
        if not isinstance(request, Data):
            return self._keys.encrypt_request(request, name)
        try:
            report = self._keys.encrypt_request(encoded(request)[0], name)
            report.encode()
        except InvalidFieldError:
            return self._keys.encrypt_request(mended(request), name)
        return report


def _check_type(request: object, types: tuple[type, ...], what: str) -> None:
    if not isinstance(request, types):
        raise InvalidFieldError("request", f"{shown(request)} is {what}")


def _mend_of(request: Data | JobCommand, at: _At, judge: Judge) -> Callable[[], Intent] | None:
    """Makes the intent of a mended report, which can be stored; None for a command."""
    return partial(_mended, request, at, judge) if isinstance(request, Data) else None


def _mended(report: Data, at: _At, judge: Judge) -> Intent:
    return _intent(mended(report), at.given, judge)


def provenance_of(about: About) -> Provenance:
    """Validates an event's metadata; without a time it occurred now."""
    now = datetime.now(UTC)
    if not about:
        return Provenance(now)
    occurred = about.get("occurred_time")
    if unknown := about.keys() - About.__annotations__.keys():
        raise TypeError(f"unexpected keyword argument {min(unknown)!r}")
    return Provenance(
        occurred_time=now if occurred is None else names.parse_time(occurred, now),
        actor=names.parse_text("actor", about.get("actor")),
        request_id=names.parse_text("request_id", about.get("request_id")),
        trace_parent=names.parse_trace_parent(about.get("trace_parent")),
    )


def _written_in_turn(
    reports: Sequence[ReportedEvent | ObservedEvent], counted: Mapping[str, int]
) -> set[str]:
    """Returns the jobs with several reports of which one ends an update, which needs the events before it."""
    ends = {report.name for report in reports if isinstance(report.data, Updated)}
    return {name for name in ends if counted[name] > 1}


def _checked(write: JobWrite) -> JobWrite:
    if write.used_for is not None and write.used_for != write.name:
        raise RequestReusedError(write.request_id or "", write.used_for)
    if write.error is not None:
        raise write.error
    return write


def _needs_encryption(write: JobWrite, request: Data | JobCommand) -> bool:
    """Whether there are unencrypted personal values, by the encoded bytes, or by the request if there are none."""
    return write.is_plain or (not write.rows and _holds_personal(request))


def _holds_personal(request: Data | JobCommand) -> bool:
    holders = [value for value in request.__dict__.values() if isinstance(value, _HOLDERS)]
    if request.__pydantic_extra__:
        holders.append(request.__pydantic_extra__)
    try:
        return bool(holders) and MARKER in orjson.dumps(holders, default=dict)
    except orjson.JSONEncodeError:
        return True  # The encryption will raise the error.


def _intent(request: Data | JobCommand, at: datetime | None, judge: Judge = judge) -> Intent:
    """Returns the intent of a report or a command; `at` is when it occurred, None for now."""
    if isinstance(request, Data):
        return partial(judge, request, at=at)
    return partial(decide, request, at=at)


def _refuse(error: LedgerError, _: Job, **__: object) -> tuple[Data, ...]:
    raise error

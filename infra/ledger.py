"""The ledger as Python sees it: what can be asked of a job, reported of it, and read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from threading import Event as Signal
from typing import Any, Final, NamedTuple, Self, Unpack

from jobledger.domain import names
from jobledger.domain.commands import JobCommand
from jobledger.domain.errors import (
    InvalidFieldError,
    JobNotFoundError,
    LedgerError,
    RequestReusedError,
)
from jobledger.domain.events import Data, Event
from jobledger.domain.job import Job, decide, judge
from jobledger.infra.bulk import bulk_writes
from jobledger.infra.committer import Committer
from jobledger.infra.errors import ProofError
from jobledger.infra.feed import Feed
from jobledger.infra.following import Behind
from jobledger.infra.methods import About, Commands, Reports
from jobledger.infra.past.reads import Reads
from jobledger.infra.personal import MARKER, UnsealedError
from jobledger.infra.postgres import migrate
from jobledger.infra.postgres.connections import (
    Connection,
    connect,
    conninfo,
    open_pool,
    schema_of,
    translated,
)
from jobledger.infra.postgres.embedded import server_dsn
from jobledger.infra.proof.naming import name_log
from jobledger.infra.proof.notes import Note
from jobledger.infra.proof.receipts import Receipt, make_receipt
from jobledger.infra.proof.sealing import Sealer
from jobledger.infra.proof.tree import Tree
from jobledger.infra.rebuild import rebuild
from jobledger.infra.rows import RecordedEvent
from jobledger.infra.settings import Settings
from jobledger.infra.subjects import Shown, Subjects
from jobledger.infra.writes import (
    AlreadyWrittenError,
    JobsWrite,
    JobWrite,
    Provenance,
    Waiting,
    Write,
)
from psycopg_pool import ConnectionPool

READERS: Final = 16

Intent = Callable[[Job], Sequence[Data]]


class Recorded(NamedTuple):
    """What came of a command or report: the job as it is now, and the events written for it."""

    job: Job
    events: list[RecordedEvent]


class Host:
    """Where callers wait for the ledger: each in its thread."""

    def pool(self, info: str, size: int) -> ConnectionPool[Connection]:
        """Connections for readers."""
        return open_pool(info, size)

    def committer(self, info: str) -> Committer:
        """Who writes for all callers."""
        return Committer(lambda: connect(info))

    def current(self, ledger: Reads, name: str) -> Job | None:
        """A job as it is, also a deleted one; None if there is none."""
        return ledger.read_current(name)

    def lock(self) -> Waiting | None:
        """What the caller of a write waits on; None: a lock that blocks its thread."""
        return None


class Report(NamedTuple):
    """What was seen of one job."""

    name: str
    data: Data
    about: About = {}


class Ledger(Commands, Reports, Reads):
    """One ledger, opened for writing and reading by any number of threads of this process."""

    follows = True
    """Whether a thread lets projections follow what is written; where not, who reads them does."""

    def __init__(self, info: str, ledger: str, host: Host | None = None) -> None:
        self.conninfo = info
        """libpq's connection string, with the search_path that makes it this ledger's."""
        self.name = ledger
        self._host = Host() if host is None else host
        super().__init__(self._host.pool(info, READERS))
        self._closed = Signal()
        self._subjects = Subjects(self.pool)
        self._feed = Feed(self.pool, self._closed)
        self._committer = self._host.committer(info)
        self._sealer = Sealer(info, Settings())
        self._tree = Tree()
        self._behind = self._works_behind()

    @classmethod
    def open(
        cls, dsn: str | None = None, ledger: str | None = None, host: Host | None = None
    ) -> Self:
        """Opens a ledger that `jobledger init` made.

        `dsn` is libpq's connection string; None means JOBLEDGER_DSN, and without
        that the embedded server under JOBLEDGER_HOME, where the ledger is made if
        it does not exist. `ledger` is its name ("default", or JOBLEDGER_LEDGER).
        `host` says where callers wait, if not in threads of their own.

        Raises SchemaError if the ledger is missing or of another version, and
        LedgerUnavailableError if the server cannot be reached.
        """
        settings = Settings()
        ledger = settings.ledger if ledger is None else ledger
        info = server(dsn, ledger)
        with connect(info) as connection:
            # A server of our own holds nobody else's data: nothing to be careful of.
            if not (dsn or settings.dsn) and not migrate.exists(connection, ledger):
                migrate.migrate(connection, ledger, rebuild)
                name_log(connection, settings)
            migrate.check(connection, ledger)
        return cls(info, ledger, host)

    def close(self) -> None:
        """Writes what still waits, ends all feeds and closes the connections."""
        self._closed.set()
        self._committer.close()
        for work in self._behind:
            work.close()
        self._sealer.close()
        self.pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def command(self, name: str, command: JobCommand, **about: Unpack[About]) -> Recorded:
        """Writes what the command makes happen; the methods of `Commands` say what they raise."""
        write = self._write(name, command, about)
        return Recorded(write.after, write.recorded())

    def report(self, name: str, data: Data, **about: Unpack[About]) -> Recorded:
        """Writes what was seen to happen, or that it contradicts what is known (`Contradicted`)."""
        write = self._write(name, data, about)
        return Recorded(write.after, write.recorded())

    def command_all(
        self, names_: Iterable[str], command: JobCommand, **about: Unpack[About]
    ) -> tuple[list[Job], int]:
        """Asks the same of several jobs: all of it is done, or nothing.

        Returns the jobs, and the position of the last event. Raises what `command` does.
        """
        parsed = list(dict.fromkeys(map(names.parse_name, names_)))
        write = JobsWrite(parsed, _intent(command), _provenance(about))
        try:
            self.submit(write)
        except UnsealedError:
            intent = _intent(self._subjects.sealed_said(command))
            write = JobsWrite(parsed, intent, _provenance(about), sealed=True)
            self.submit(write)
        placed = write.placed
        return write.after, placed.first_position + len(write.rows) - 1 if placed else self.size()

    def report_many(self, reports: Iterable[Report]) -> list[Recorded | LedgerError]:
        """Writes reports on any jobs in one go, in their order; what came of each.

        One that is refused (there is no such job, its request id was used otherwise) keeps no other back.
        """
        writes, believed = [], dict[str, Job]()
        for report in reports:
            name, about = names.parse_name(report.name), _provenance(report.about)
            write = JobWrite(name, self._sealed_intent(report.data), about, sealed=True)
            self._prepare(write, believed)
            writes.append(write)
        refusals = self._committer.submit_all(writes)
        self._wake()
        return [self._came_of(*each) for each in zip(writes, refusals, strict=True)]

    def append_many(self, events: Iterable[Event]) -> int:
        """Writes events that are decided already, as they are: an export, a migration.

        Each takes its place by its name and version. They are committed by the
        thousand, in their order; returns how many. Raises VersionConflictError at
        the first that does not follow what is there; what came before it stays.
        """
        written = 0
        for write in bulk_writes(events, self._subjects.sealed_event):
            self.submit(write)
            written += len(write)
        return written

    def submit(self, write: Write) -> None:
        """Writes something other than one decision on one job; returns once it is durable."""
        lock = self._host.lock()
        if lock is not None:
            write.wait_on(lock)
        self._committer.submit(write)
        self._wake()

    def history(self, name: str) -> list[RecordedEvent]:
        """All events of a job, oldest first, also of a deleted one. Raises JobNotFoundError."""
        events = self._feed.history(names.parse_name(name))
        if not events:
            raise JobNotFoundError(name)
        return events

    def events(self, after: int = 0, *, follow: bool = True) -> Iterator[RecordedEvent]:
        """The live feed: events after a position, in commit order, none missing and none twice.

        It waits for more until the ledger is closed; with `follow=False` it ends at the last one.
        """
        return self._feed.events(after, follow=follow)

    def reveal(self, value: Any) -> Any:
        """JSON that is stored with personal parts (`@personal`), as it is shown: with their values.

        A part whose subject was erased, at the latest some seconds ago, is `{"@erased": …}`.
        Raises BrokenLedgerError for one that is not what was sealed. What is read of the ledger
        otherwise, jobs and events, is as it is stored.
        """
        return self._subjects.reveal(value)

    def reveal_text(self, encoded: bytes) -> bytes:
        """The same of JSON that is encoded already; the very same bytes if it has no such parts."""
        return self._subjects.reveal_text(encoded)

    def opened(self, shown: Shown) -> Shown:
        """The same of a job or an event, to be shown: what is recorded again must stay as it is stored."""
        return self._subjects.opened(shown)

    def size(self) -> int:
        """How many events there are: the last position."""
        return self._feed.size()

    def seal(self) -> Note | None:
        """Lets the log's tree grow over all events now, and signs it: a C2SP tlog-checkpoint.

        Returns None where that was signed already, or no key of the log is here. Raises
        ForkedError where the log is not what was signed before.
        """
        return self._sealer.seal()

    def receipt(self, name: str, version: int | None = None) -> Receipt:
        """That an event of a job is in the log, to be checked offline; the last one if no version is said.

        Seals what is not sealed yet. Raises JobNotFoundError, InvalidFieldError for a version
        there is not, and ProofError where nothing can be signed here.
        """
        parsed = names.parse_name(name)
        with translated(), self.pool.connection() as connection:
            try:
                return make_receipt(connection, self._tree, parsed, version)
            except ProofError:
                self.seal()
                return make_receipt(connection, self._tree, parsed, version)

    def connection(self) -> Connection:
        """A connection of your own to this ledger's schema, in autocommit; close it after use."""
        return connect(self.conninfo)

    def _works_behind(self) -> list[Behind]:
        works = []
        if self.follows:
            works.append(Behind("jobledger-follower", self._follow_all, pause=1.0))
        if Settings().seal:
            sealing = Behind("jobledger-sealer", self._sealer.seal_all, at_end=True)
            self._sealer.is_busy = sealing.is_busy
            works.append(sealing)
        return works

    def _follow_all(self, closed: Signal) -> None:
        # Whoever writes or reads will say what is wrong with the server.
        with suppress(LedgerError):
            self._moments.follow_all(closed)

    def _wake(self) -> None:
        for work in self._behind:
            work.wake()

    def _current(self, name: str) -> Job | None:
        return self._host.current(self, name)

    def _command(self, name: str, command: JobCommand, about: About) -> Job:
        return self._write(name, command, about).after

    def _report(self, name: str, data: Data, about: About) -> Job:
        return self._write(name, data, about).after

    def _write(
        self, name: str, said: Data | JobCommand, about: About, *, sealed: bool = False
    ) -> JobWrite:
        write = JobWrite(names.parse_name(name), _intent(said), _provenance(about), sealed=sealed)
        try:
            self._prepare(write, {})
            try:
                self.submit(write)
            except AlreadyWrittenError as already:
                self._repeat(write, already)
        except UnsealedError:
            # Found where the data is encoded in any case: who has no personal parts pays nothing.
            return self._write(name, self._subjects.sealed_said(said), about, sealed=True)
        return write

    def _sealed_intent(self, data: Data) -> Intent:
        """That of a report among many, which must not wait for another try: others come behind it."""
        try:
            return _intent(self._subjects.sealed_data(data) if MARKER in data.encode() else data)
        except InvalidFieldError as error:
            return partial(_refused, error)

    def _prepare(self, write: JobWrite, after: dict[str, Job]) -> None:
        """Decides ahead, on the job as this process believes it is `after` other writes."""
        believed = after.get(write.name) or self._committer.believed(write.name)
        try:
            write.prepare(believed or Job(name=write.name))
        except UnsealedError:
            raise
        except LedgerError:
            return  # The committer will look at the job as it really is.
        after[write.name] = write.after
        if believed is None and write.before is not None:
            write.guesses = {write.name: write.before}

    def _repeat(self, write: JobWrite, already: AlreadyWrittenError) -> None:
        if already.name != write.name:
            raise RequestReusedError(already.request_id, already.name) from already
        write.repeat(self.history(write.name), self._subjects.is_repeated)

    def _came_of(self, write: JobWrite, refusal: BaseException | None) -> Recorded | LedgerError:
        try:
            if isinstance(refusal, AlreadyWrittenError):
                self._repeat(write, refusal)
            elif refusal is not None:
                raise refusal
        except LedgerError as error:
            return error
        return Recorded(write.after, write.recorded())


def _intent(said: Data | JobCommand) -> Intent:
    """What a report or a command makes happen to a job."""
    return partial(_judged, said) if isinstance(said, Data) else partial(decide, said)


def _judged(data: Data, job: Job) -> tuple[Data, ...]:
    return (judge(data, job),)


def _refused(error: LedgerError, _: Job) -> tuple[Data, ...]:
    raise error


def server(dsn: str | None, ledger: str) -> str:
    """The connection string of a ledger's schema, on the server that `Ledger.open` would use."""
    return conninfo(server_of(dsn), schema_of(ledger))


def server_of(dsn: str | None) -> str:
    """`dsn` if there is one, else JOBLEDGER_DSN, else the embedded server, started if need be."""
    settings = Settings()
    return dsn or settings.dsn or server_dsn(settings.home)


def _provenance(about: About) -> Provenance:
    """What is said about an event, checked; it occurred now if nobody says when."""
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

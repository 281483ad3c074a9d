"""The ledger as Python sees it: a writer, a reader and a transparency log, and a method for each use.

The rule: whatever reads or writes one ledger is a method of `Ledger`, and of `AsyncLedger` with
`await`. A method here hands this ledger's reader, or the ledger itself where it writes, to a
function of the rooms below.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from threading import Event as Signal
from typing import Any, Final, Self

from jobledger.domain.data import Data
from jobledger.domain.errors import LedgerError
from jobledger.domain.job import Job
from jobledger.domain.running import HEARTBEAT_SECONDS
from jobledger.domain.values.moments import Clock
from jobledger.infra.analytics import analysis
from jobledger.infra.background import Activity, BackgroundWorker
from jobledger.infra.evaluation.samples import recording
from jobledger.infra.eventstore.commit.committer import Committer
from jobledger.infra.eventstore.verbs import Verbs
from jobledger.infra.eventstore.writer import Writer
from jobledger.infra.forwarding import to_reader, to_writer
from jobledger.infra.history.bisect import Found, beginning, bisect_count, bisect_job
from jobledger.infra.history.blame import Blamed, blame
from jobledger.infra.history.diff import SHOWN, Change, FleetDiff, diff_fleet, diff_jobs
from jobledger.infra.history.explain import Why, why
from jobledger.infra.history.replay import Replay, replay_job
from jobledger.infra.history.timeline import Span, job_as_of, span
from jobledger.infra.history.tree import Tree, tree
from jobledger.infra.postgres import migrate
from jobledger.infra.postgres.connections import connect
from jobledger.infra.postgres.server import server
from jobledger.infra.programs.heartbeats import Heartbeats
from jobledger.infra.programs.job_function import Function, job_function
from jobledger.infra.programs.run_block import Run, new_run, run_block
from jobledger.infra.proof.publishing.checkpointer import Checkpointer
from jobledger.infra.proof.receipts import Receipt
from jobledger.infra.proof.signing.notes import Note
from jobledger.infra.proof.signing.origin import name_log
from jobledger.infra.proof.transparency_log import TransparencyLog
from jobledger.infra.read.moments import Given
from jobledger.infra.read.reader import Reader
from jobledger.infra.retention.archive import Export
from jobledger.infra.retention.erase import Erasure, erase
from jobledger.infra.retention.prune import Pruning, prune
from jobledger.infra.settings import DEFAULT_LEDGER, Settings
from jobledger.infra.transfer.export import export
from jobledger.infra.upkeep.rebuild import rebuild

CATCH_UP_PAUSE_SECONDS: Final = 1.0


class Ledger(Verbs[Job]):
    """One ledger, opened for writing and reading by any number of threads of this process.

    Commands and reports are methods of `Verbs`: `create`, `cancel`, `started`, `succeeded` …
    """

    def __init__(self, info: str, name: str, *, catch_up: bool = True) -> None:
        """`info` is libpq's connection string, with the search_path that makes it this ledger's.

        `catch_up` is as in `open`. Raises ProofError for settings of witnesses that cannot be read.
        """
        activity, settings = Activity(), Settings()
        self.reader = Reader(info, name)
        self._checkpointer = Checkpointer(info, settings, activity.is_recent)
        self.log = TransparencyLog(self._checkpointer, self.reader.pool)
        self._heartbeats = Heartbeats(self.reader.pool)
        self._workers = self._background_workers(catch_up=catch_up, seal=settings.seal)

        def written() -> None:
            activity.note()
            for worker in self._workers:
                worker.wake()

        committer = Committer(lambda: connect(info), written)
        self.writer = Writer(committer, self.reader.feed, self.reader.keys)
        super().__init__(lambda name, make, about: self.writer.write(name, make(), about).result)

    @classmethod
    def open(
        cls, dsn: str | None = None, ledger: str | None = None, *, catch_up: bool = True
    ) -> Self:
        """Opens a ledger that `jobledger init` made.

        `dsn` is libpq's connection string; None means JOBLEDGER_DSN, and without that the embedded
        server under JOBLEDGER_HOME, where the ledger "default" is made if it does not exist.
        `ledger` is its name (JOBLEDGER_LEDGER, or "default"). `catch_up`: whether a background worker folds what
        is written into the projections that catch up; if false, readers catch them up first.

        Raises LedgerNotFoundError if there is no such ledger, SchemaError if it is of another version, and
        LedgerUnavailableError if the server cannot be reached.
        """
        settings = Settings()
        name = settings.ledger if ledger is None else ledger
        info = server(dsn, name)
        with connect(info) as connection:
            # A server of our own holds nobody else's data; another name may be a typing error.
            is_own = not (dsn or settings.dsn) and name == DEFAULT_LEDGER
            if is_own and not migrate.exists(connection, name):
                migrate.migrate(connection, name, rebuild)
                name_log(connection, settings)
            migrate.check(connection, name)
        return cls(info, name, catch_up=catch_up)

    def close(self) -> None:
        """Writes what still waits, ends all feeds and closes the connections."""
        self.reader.end_feeds()
        self._heartbeats.close()
        self.writer.close()
        for worker in self._workers:
            worker.close()
        self._checkpointer.close()
        self.reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def name(self) -> str:
        """The ledger's name."""
        return self.reader.name

    @property
    def conninfo(self) -> str:
        """Libpq's connection string, with the search_path that makes it this ledger's."""
        return self.reader.conninfo

    @property
    def pool(self) -> Any:
        """Connections for readers."""
        return self.reader.pool

    # Write.
    command = to_writer(Writer.command)
    report = to_writer(Writer.report)
    command_all = to_writer(Writer.command_all)
    report_many = to_writer(Writer.report_many)
    append_many = to_writer(Writer.append_many)
    submit = to_writer(Writer.submit)

    def run(
        self,
        name: str,
        labels: Mapping[str, str] = {},
        spec: Mapping[str, Any] = {},
        *,
        actor: str | None = None,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> AbstractContextManager[Run]:
        """A block that is a job while it runs: `with ledger.run(name) as run:`.

        The job is created, or a new attempt at it begins, and is RUNNING. It ends as SUCCEEDED with
        `run.output`, as FAILED with the exception that the block was left by, or as CANCELLED by
        KeyboardInterrupt. Every `heartbeat_seconds` (0: never) it is reported that the block lives;
        where that stops, a server or a scheduler marks the job as EXPIRED. An end that cannot be
        recorded is spooled on this machine. `actor` is the user and the machine, if not said.

        Raises InvalidFieldError, and LedgerUnavailableError if the beginning cannot be recorded.
        """
        run = new_run(
            self,
            self._heartbeats,
            name,
            labels,
            spec,
            actor=actor,
            heartbeat_seconds=heartbeat_seconds,
        )
        return run_block(run)

    def job(
        self,
        name: str,
        labels: Mapping[str, str] = {},
        spec: Mapping[str, Any] = {},
        *,
        actor: str | None = None,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> Callable[[Function], Function]:
        """A decorator: each call of the function is a run of a job, as a block of `run` is.

        Args:
            name: The job's name; `{parameter}` in it is the value of the function's parameter.
            labels: Labels of the job, if the call creates it.
            spec: The job's spec, likewise. A job that begins within another names it in `parents`.
            actor: Who runs it; the user and the machine, if not given.
            heartbeat_seconds: Seconds between two heartbeats, 0 for none.

        Returns:
            The decorator. A dict that the function returns is the job's output.

        Raises:
            InvalidFieldError: for a function of the other form, and for a name that cannot be.
        """
        more = {"actor": actor, "heartbeat_seconds": heartbeat_seconds}
        return job_function(name, lambda found: self.run(found, labels, spec, **more))  # type: ignore[arg-type]

    # Read, now or as of a moment.
    get = to_reader(Reader.get)
    list = to_reader(Reader.list)
    scan = to_reader(Reader.scan)
    page = to_reader(Reader.page)
    count = to_reader(Reader.count)
    history = to_reader(Reader.history)
    events = to_reader(Reader.events)
    size = to_reader(Reader.size)
    check_reached = to_reader(Reader.check_reached)
    pruned = to_reader(Reader.pruned)
    moment = to_reader(Reader.moment)
    follow = to_reader(Reader.follow)
    read_current = to_reader(Reader.read_current)
    read_at = to_reader(Reader.read_at)
    event_at = to_reader(Reader.event_at)
    decrypt = reveal = to_reader(Reader.decrypt)
    decrypt_json = reveal_text = to_reader(Reader.decrypt_json)
    decrypted = opened = to_reader(Reader.decrypted)
    connection = to_reader(Reader.connection)

    # Take apart what happened.
    def diff(
        self, name: str, earlier: Given, later: Given | None = None, clock: Clock | None = None
    ) -> Sequence[Change]:
        """What changed of a job between two moments, None being now."""
        between = span(self.reader, earlier, later, clock, name)
        before, after = (job_as_of(self.reader, name, moment) for moment in between)
        return diff_jobs(before, after)

    def diff_fleet(
        self,
        earlier: Given,
        later: Given | None = None,
        clock: Clock | None = None,
        *,
        filter: str = "",
        limit: int = SHOWN,
    ) -> FleetDiff:
        """How many jobs changed state between two moments; names `limit` of each change."""
        return diff_fleet(self.reader, *span(self.reader, earlier, later, clock), filter, limit)

    def blame(
        self, name: str, as_of: Given | None = None, clock: Clock | None = None
    ) -> Sequence[Blamed]:
        """For each field of a job, the event that set it."""
        return blame(self.reader, name, self.moment(as_of, clock, name))

    def why(self, name: str, as_of: Given | None = None, clock: Clock | None = None) -> Why:
        """The events that led to the job's state, each with a sentence."""
        return why(self.reader, name, self.moment(as_of, clock, name))

    def tree(self, name: str, as_of: Given | None = None, clock: Clock | None = None) -> Tree:
        """The job, and the jobs below it by `spec.parents`."""
        return tree(self.reader, name, self.moment(as_of, clock, name))

    def replay(
        self,
        name: str,
        as_of: Given | None = None,
        clock: Clock | None = None,
        hypotheses: Iterable[Data] = (),
    ) -> Replay:
        """A job's events one by one, and as if `hypotheses` had been reported after them."""
        return replay_job(self.reader, name, self.moment(as_of, clock, name), hypotheses)

    def bisect(
        self,
        name: str,
        filter: str,
        earlier: Given | None = None,
        later: Given | None = None,
        clock: Clock | None = None,
    ) -> Found | None:
        """The first moment at which a filter was true of the job; `earlier` None is the beginning."""
        return bisect_job(self.reader, name, filter, *self._between(earlier, later, clock, name))

    def bisect_count(
        self,
        condition: str,
        earlier: Given | None = None,
        later: Given | None = None,
        clock: Clock | None = None,
    ) -> Found | None:
        """The first moment at which a condition, such as `running > 4000`, was true of the fleet."""
        return bisect_count(self.reader, condition, *self._between(earlier, later, clock))

    analyze = to_reader(analysis.report)
    export = to_reader(export)

    # Prove.
    def checkpoint(self) -> Note | None:
        """As TransparencyLog.checkpoint."""
        return self.log.checkpoint()

    seal = checkpoint

    def receipt(self, name: str, version: int | None = None) -> Receipt:
        """As TransparencyLog.receipt."""
        return self.log.receipt(name, version)

    # Forget.
    def erase(self, subject: str, actor: str | None = None) -> Erasure:
        """As retention.erase.erase."""
        erasure = erase(self, subject, actor)
        self.log.checkpoint_if_possible()
        return erasure

    def prune(self, before: datetime, export: Export, actor: str | None = None) -> Pruning:
        """As retention.prune.prune."""
        return prune(self, self.log, before, export, actor)

    # Evaluate.
    record_predictions = to_reader(recording.record_predictions)
    record_truths = to_reader(recording.record_truths)
    sampling = to_reader(recording.sampling)

    def _between(
        self, earlier: Given | None, later: Given | None, clock: Clock | None, name: str = ""
    ) -> Span:
        if earlier is not None:
            return span(self.reader, earlier, later, clock, name)
        end = self.moment(later, clock, name)
        return Span(beginning(end), end)

    def _background_workers(self, *, catch_up: bool, seal: bool) -> tuple[BackgroundWorker, ...]:
        workers = []
        if catch_up:
            pause = CATCH_UP_PAUSE_SECONDS
            workers.append(
                BackgroundWorker("jobledger-catch-up", self._catch_up, pause_seconds=pause)
            )
        if seal:
            work = self._checkpointer.checkpoint_in_background
            workers.append(BackgroundWorker("jobledger-checkpointer", work, at_end=True))
        return tuple(workers)

    def _catch_up(self, closed: Signal) -> None:
        # Whoever writes or reads reports what is wrong with the server.
        with suppress(LedgerError):
            self.reader.catch_up(closed)

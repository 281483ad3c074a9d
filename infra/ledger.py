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
from jobledger.infra.eventstore.ledger_events import check_may_delete
from jobledger.infra.eventstore.verbs import Verbs
from jobledger.infra.eventstore.writer import Writer
from jobledger.infra.forwarding import to_reader, to_store, to_writer
from jobledger.infra.history.bisect import Found, beginning, bisect_count, bisect_job
from jobledger.infra.history.blame import Blamed, blame
from jobledger.infra.history.diff import MAX_NAMED_JOBS, Change, FleetDiff, diff_fleet, diff_jobs
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
from jobledger.infra.proof.resume import LogResumption, resume
from jobledger.infra.proof.signing.notes import Note
from jobledger.infra.proof.signing.origin import name_log
from jobledger.infra.proof.transparency_log import TransparencyLog
from jobledger.infra.read.moments import Given
from jobledger.infra.read.reader import Reader
from jobledger.infra.retention.archive import Export
from jobledger.infra.retention.compact import Compaction, compact
from jobledger.infra.retention.erase import Erasure, erase
from jobledger.infra.retention.prune import TABLES, Pruning, prune
from jobledger.infra.settings import DEFAULT_LEDGER, Settings
from jobledger.infra.transfer.export import export
from jobledger.infra.transfer.import_history import import_history
from jobledger.infra.transfer.origins import export_origin, origins
from jobledger.infra.upkeep.rebuild import rebuild

CATCH_UP_PAUSE_SECONDS: Final = 1.0


class Ledger(Verbs[Job]):
    """One ledger, opened for writing and reading by any number of threads of this process.

    A job is a stream of events; its state is folded from them. Commands (`create`, `cancel`, …) ask
    for something and may be refused. Reports (`started`, `failed`, …) record what somebody saw, and
    are never refused because of the job's state. Reads return the present, or the past as of a
    moment on one of two clocks: valid time (`occurred_time`: when it happened) and transaction time
    (`recorded_time`: when the ledger stored it). All times are UTC.

    Examples:
        >>> from jobledger import Ledger
        >>> with Ledger.open(dsn, ledger_name) as ledger:
        ...     _ = ledger.create("projects/demo/jobs/a")
        ...     _ = ledger.started("projects/demo/jobs/a", {"worker": "node-7"})
        ...     ledger.succeeded("projects/demo/jobs/a", {"accuracy": 0.93}).state.name
        'SUCCEEDED'
    """

    def __init__(self, info: str, name: str, *, catch_up: bool = True) -> None:
        """Opens the ledger of a connection string; `Ledger.open` also checks that it exists.

        Args:
            info: libpq's connection string, with the search_path of the ledger's schema.
            name: The ledger's name.
            catch_up: Whether a background worker catches the projections up after writes.

        Raises:
            ProofError: The witness policy or a key in the settings cannot be read.
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
        """Opens a ledger that `jobledger init` created.

        Args:
            dsn: libpq's connection string. None is the setting JOBLEDGER_DSN; without that, the
                embedded server under JOBLEDGER_HOME, where the ledger "default" is created if it
                does not exist.
            ledger: The ledger's name; None is the setting JOBLEDGER_LEDGER, or "default".
            catch_up: Whether a background worker folds new events into the projections that catch
                up; if false, reads catch them up first.

        Returns:
            The open ledger; close it, or use it as a context manager.

        Raises:
            LedgerNotFoundError: The database has no ledger of that name.
            SchemaError: The ledger's schema is of another version.
            LoginRefusedError: The server refuses the user, the password or the database.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> from jobledger import Ledger
            >>> with Ledger.open(dsn, ledger_name) as ledger:
            ...     ledger.size()
            0
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
        """Commits the writes that wait, ends all feeds, and closes the connections.

        Examples:
            >>> from jobledger import Ledger
            >>> ledger = Ledger.open(dsn, ledger_name)
            >>> ledger.close()
            >>> ledger.create("projects/demo/jobs/a")
            Traceback (most recent call last):
            jobledger.infra.errors.LedgerClosedError: this ledger was closed; open it again with Ledger.open
        """
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
        """Runs a block as a job: `with ledger.run(name) as run:`.

        The job is created, or a new attempt at it begins, and it is RUNNING while the block runs.
        It ends as SUCCEEDED with `run.output`, as FAILED with the exception that left the block, or
        as CANCELLED by KeyboardInterrupt. If heartbeats stop, a server or scheduler marks the job
        as EXPIRED. An end that cannot be recorded is kept in the spool of this machine, and sent
        later.

        Args:
            name: The job's resource name (AIP-122).
            labels: The labels of a new job.
            spec: The configuration of a new job, as a JSON object.
            actor: The user or program that runs it; None is the user and the machine.
            heartbeat_seconds: Seconds between two heartbeats, up to 3600; 0 sends none.

        Returns:
            A context manager that yields the run.

        Raises:
            InvalidFieldError: A value is not accepted.
            LedgerUnavailableError: When the block is entered: the server cannot be reached.

        Examples:
            >>> with ledger.run("projects/demo/jobs/a", {"team": "vision"}) as run:
            ...     run.output = {"accuracy": 0.93}
            >>> job = ledger.get("projects/demo/jobs/a")
            >>> job.state.name, job.output
            ('SUCCEEDED', {'accuracy': 0.93})
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
        """Returns a decorator: each call of the function is a run of a job, as a block of `run` is.

        Args:
            name: The job's resource name; `{parameter}` in it is the value of the function's
                parameter.
            labels: The labels of a new job.
            spec: The configuration of a new job. A job that begins within another names it in
                `parents`.
            actor: The user or program that runs it; None is the user and the machine.
            heartbeat_seconds: Seconds between two heartbeats, up to 3600; 0 sends none.

        Returns:
            The decorator. A dict that the function returns is the job's output.

        Raises:
            InvalidFieldError: The function is of the other form (asyncio), or a value is not
                accepted.

        Examples:
            >>> @ledger.job("projects/demo/jobs/train_{day}")
            ... def train(day):
            ...     return {"accuracy": 0.93}
            >>> train("monday")
            {'accuracy': 0.93}
            >>> ledger.get("projects/demo/jobs/train_monday").state.name
            'SUCCEEDED'
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
        """Returns the fields of a job that differ between two moments.

        Args:
            name: The job's resource name (AIP-122).
            earlier: A version (`v7`), a position (`@4711`), a time, or text such as `2h ago`.
            later: The same; None is now.
            clock: The clock of times: `Clock.OCCURRED` (valid time, the default) or
                `Clock.RECORDED` (transaction time).

        Returns:
            A change for each differing field, with the value before and after.

        Raises:
            JobNotFoundError: The job has no events.
            InvalidFieldError: A moment cannot be parsed or is in the future, or `later` is before
                `earlier`.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> _ = ledger.started("projects/demo/jobs/a")
            >>> [(c.path, c.before, c.after) for c in ledger.diff("projects/demo/jobs/a", "v1")][:1]
            [('state', 'QUEUED', 'RUNNING')]
        """
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
        limit: int = MAX_NAMED_JOBS,
    ) -> FleetDiff:
        """Counts the jobs that changed state between two moments.

        Args:
            earlier: A position (`@4711`), a time, or text such as `2h ago`.
            later: The same; None is now.
            clock: The clock of times, as in `diff`.
            filter: An AIP-160 filter that a job must match at either moment; "" matches all jobs.
            limit: The most jobs to name for each change of state.

        Returns:
            The changes of state, the most frequent first, with counts.

        Raises:
            InvalidFieldError: The filter or a moment is not accepted.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> ledger.diff_fleet("@0").appeared
            1
        """
        return diff_fleet(self.reader, *span(self.reader, earlier, later, clock), filter, limit)

    def blame(
        self, name: str, as_of: Given | None = None, clock: Clock | None = None
    ) -> Sequence[Blamed]:
        """Returns, for each field of a job, the event that set it to its value.

        Args:
            name: The job's resource name (AIP-122).
            as_of: A version (`v7`), a position (`@4711`), a time, or text such as `2h ago`; None is
                now.
            clock: The clock of times, as in `diff`.

        Returns:
            The fields, their values and events; labels and configuration key by key.

        Raises:
            JobNotFoundError: The job had no events at the moment.
            InvalidFieldError: The moment cannot be parsed, or is in the future.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a", {"team": "vision"}, actor="ada")
            >>> [b.event.actor for b in ledger.blame("projects/demo/jobs/a") if b.field == "labels.team"]
            ['ada']
        """
        return blame(self.reader, name, self.moment(as_of, clock, name))

    def why(self, name: str, as_of: Given | None = None, clock: Clock | None = None) -> Why:
        """Explains how a job came to its state: the events that led to it, each with a sentence.

        Args:
            name: The job's resource name (AIP-122).
            as_of: A version (`v7`), a position (`@4711`), a time, or text such as `2h ago`; None is
                now.
            clock: The clock of times, as in `diff`.

        Returns:
            The job, the events with their sentences, a conclusion, and the offsets of reporters'
            clocks.

        Raises:
            JobNotFoundError: The job had no events at the moment.
            InvalidFieldError: The moment cannot be parsed, or is in the future.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> _ = ledger.failed("projects/demo/jobs/a", "out of memory")
            >>> [reason.event.type for reason in ledger.why("projects/demo/jobs/a").reasons]
            ['Created', 'Failed']
        """
        return why(self.reader, name, self.moment(as_of, clock, name))

    def tree(self, name: str, as_of: Given | None = None, clock: Clock | None = None) -> Tree:
        """Returns a job with the jobs below it, by the parents that their configurations name.

        Args:
            name: The job's resource name (AIP-122).
            as_of: A version (`v7`), a position (`@4711`), a time, or text such as `2h ago`; None is
                now.
            clock: The clock of times, as in `diff`.

        Returns:
            The tree of jobs; at most 10,000.

        Raises:
            JobNotFoundError: There was no such job at the moment, or it was deleted.
            InvalidFieldError: The moment cannot be parsed, or is in the future.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> _ = ledger.create("projects/demo/jobs/b", spec={"parents": ["projects/demo/jobs/a"]})
            >>> [(depth, job.name) for depth, job in ledger.tree("projects/demo/jobs/a").walk()]
            [(0, 'projects/demo/jobs/a'), (1, 'projects/demo/jobs/b')]
        """
        return tree(self.reader, name, self.moment(as_of, clock, name))

    def replay(
        self,
        name: str,
        as_of: Given | None = None,
        clock: Clock | None = None,
        hypotheses: Iterable[Data] = (),
    ) -> Replay:
        """Replays a job event by event, and then as if `hypotheses` had been reported.

        Nothing is recorded.

        Args:
            name: The job's resource name (AIP-122).
            as_of: The last moment to replay: a version, a position, a time, or text; None is now.
            clock: The clock of times, as in `diff`.
            hypotheses: Data of events that are supposed to follow.

        Returns:
            The job after each event, and what the event changed.

        Raises:
            JobNotFoundError: The job had no events at the moment.
            InvalidFieldError: The moment cannot be parsed, or is in the future.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> from jobledger.domain.events import Started
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> steps = ledger.replay("projects/demo/jobs/a", hypotheses=[Started()]).steps
            >>> [(step.job.state.name, step.hypothetical) for step in steps]
            [('QUEUED', False), ('RUNNING', True)]
        """
        return replay_job(self.reader, name, self.moment(as_of, clock, name), hypotheses)

    def bisect(
        self,
        name: str,
        filter: str,
        earlier: Given | None = None,
        later: Given | None = None,
        clock: Clock | None = None,
    ) -> Found | None:
        """Finds the first moment at which a filter matched a job.

        Args:
            name: The job's resource name (AIP-122).
            filter: An AIP-160 filter, such as `state = FAILED`.
            earlier: Search from here: a version, a position, a time, or text; None is the
                beginning.
            later: Search up to here; None is now.
            clock: The clock of times, as in `diff`.

        Returns:
            The moment and the event that made the filter match, or None if it never matched.

        Raises:
            JobNotFoundError: The job has no events.
            InvalidFieldError: The filter or a moment is not accepted.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> _ = ledger.failed("projects/demo/jobs/a", "out of memory")
            >>> ledger.bisect("projects/demo/jobs/a", "state = FAILED").event.version
            2
        """
        return bisect_job(self.reader, name, filter, *self._between(earlier, later, clock, name))

    def bisect_count(
        self,
        condition: str,
        earlier: Given | None = None,
        later: Given | None = None,
        clock: Clock | None = None,
    ) -> Found | None:
        """Finds the first moment at which a condition on the number of jobs held.

        Args:
            condition: Such as `running > 4000`, `jobs >= 10`, or `count(labels.team = "a") > 3`.
            earlier: Search from here: a position, a time, or text; None is the beginning.
            later: Search up to here; None is now.
            clock: The clock of times, as in `diff`.

        Returns:
            The moment, the event and the number of jobs, or None if the condition never held.

        Raises:
            InvalidFieldError: The condition or a moment is not accepted.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> for id in "abc":
            ...     _ = ledger.create(f"projects/demo/jobs/{id}")
            >>> ledger.bisect_count("queued > 1").moment.position
            2
        """
        return bisect_count(self.reader, condition, *self._between(earlier, later, clock))

    analyze = to_reader(analysis.report)
    export = to_reader(export)
    import_history = to_store(import_history)
    origins = to_reader(origins)
    export_origin = to_reader(export_origin)

    # Prove.
    def checkpoint(self) -> Note | None:
        """Signs a checkpoint of the log as it is now (C2SP tlog-checkpoint).

        Returns:
            The signed note, or None if this size was signed already or the log's key is not on this
            machine.

        Raises:
            ForkedError: The log does not extend the last signed checkpoint.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> ledger.checkpoint() is None  # This machine has no key of the log.
            True
        """
        return self.log.checkpoint()

    seal = checkpoint

    def resume_log(self, actor: str | None = None, *, new_key: bool = False) -> LogResumption:
        """Accepts that events were lost that a checkpoint covered, so that the log is signed again.

        After a failover to an asynchronous replica, or a restored backup. A statement that the
        log's keys sign names the lost positions; it is recorded as an event.

        Args:
            actor: The user who accepts the loss: 1 to 256 printable characters.
            new_key: Whether a new key of the log is made first, which then signs beside the others.

        Returns:
            What was lost, and the position of the `Resumed` event.

        Raises:
            ProofError: Nothing is lost, or no key of the log is on this machine.
            ForkedError: The log does not extend the last checkpoint in the database either.
            MissingGrantError: The database user may not write the ledger's own events.

        Examples:
            >>> ledger.resume_log()
            Traceback (most recent call last):
            jobledger.infra.errors.ProofError: key: no key of jobledger/... is on this machine, so nothing can be signed
        """
        resumption = resume(self, Settings(), actor, new_key=new_key)
        self.log.checkpoint_if_possible()
        return resumption

    def receipt(self, name: str, version: int | None = None) -> Receipt:
        """Returns a receipt: an offline proof that an event is in the log (C2SP tlog-proof).

        A checkpoint is signed first if none covers the event yet.

        Args:
            name: The job's resource name (AIP-122).
            version: The event's version in its job, from 1; None is the last one.

        Returns:
            The receipt; `str(receipt)` is the file.

        Raises:
            JobNotFoundError: The job has no events.
            InvalidFieldError: The job has no such version.
            ProofError: No checkpoint covers the event, and none can be signed here.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> ledger.receipt("projects/demo/jobs/a")  # This machine has no key of the log.
            Traceback (most recent call last):
            jobledger.infra.errors.ProofError: receipt: nothing was signed yet; the process that has the log's key signs within a second
        """
        return self.log.receipt(name, version)

    # Forget.
    def erase(self, subject: str, actor: str | None = None) -> Erasure:
        """Erases a person's data: destroys the key of their personal values (crypto-shredding).

        Events and proofs stay as they are; the values can no longer be decrypted.

        Args:
            subject: The subject of the personal values, as in `{"@personal": {"subject": …}}`.
            actor: The user who asks for it: 1 to 256 printable characters.

        Returns:
            The id of the destroyed key, and the position of the `Erased` event.

        Raises:
            SubjectNotFoundError: The ledger has no personal data of the subject.
            InvalidFieldError: `subject` is not 1 to 256 printable characters.
            OwnerNeededError: The database user may not delete keys.

        Examples:
            >>> spec = {"owner": {"@personal": {"subject": "ada", "value": "Ada L."}}}
            >>> _ = ledger.create("projects/demo/jobs/a", spec=spec)
            >>> ledger.erase("ada", actor="privacy-desk").position
            2
        """
        erasure = erase(self, subject, actor)
        self.log.checkpoint_if_possible()
        return erasure

    def prune(self, before: datetime, export: Export, actor: str | None = None) -> Pruning:
        """Removes jobs that ended before a time, after writing them to an export.

        A pruned job's events are deleted; proofs of the other events stay valid.

        Args:
            before: A time with a time zone (transaction time), not in the future: all events of a
                pruned job were recorded before it.
            export: The file that the events are written to, or that already holds them.
            actor: The user who asks for it: 1 to 256 printable characters.

        Returns:
            The numbers of pruned jobs and events, and the positions of the `Pruned` events.

        Raises:
            InvalidFieldError: `before` is in the future or has no time zone, or the file exists.
            InputError: The export does not hold what the ledger holds.
            ForkedError: The log does not extend the last signed checkpoint.
            OwnerNeededError: The database user may not delete events.

        Examples:
            >>> from datetime import UTC, datetime
            >>> from jobledger import Export
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> _ = ledger.succeeded("projects/demo/jobs/a")
            >>> ledger.prune(datetime.now(UTC), Export(folder / "old.jsonl", False)).jobs
            1
        """
        return prune(self, self.log, before, export, actor)

    def compact(self) -> Compaction:
        """Gives the disk of pruned events back to the file system.

        Each table is rewritten without the rows that were deleted; nobody reads or writes it
        meanwhile, and there must be room for a copy of the largest one.

        Returns:
            The bytes that the tables took before and after.

        Raises:
            LedgerBusyError: A table is in use all the time, or the ledger is being rebuilt.
            OwnerNeededError: The database user does not own the ledger's tables.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> before, after = ledger.compact()
            >>> after <= before
            True
        """
        check_may_delete(self.pool, TABLES, "to compact")
        with self.connection() as connection:
            return compact(connection, TABLES)

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
            workers.append(BackgroundWorker(self._catch_up, pause_seconds=pause))
        if seal:
            work = self._checkpointer.checkpoint_in_background
            workers.append(BackgroundWorker(work, at_end=True))
        return tuple(workers)

    def _catch_up(self, closed: Signal) -> None:
        # Writes and reads report what is wrong with the server.
        with suppress(LedgerError):
            self.reader.catch_up(closed)

"""The ledger as Python sees it: a writer, a reader and a transparency log, and a method for each use.

The rule: whatever reads or writes one ledger is a method of `Ledger`, and of `AsyncLedger` with
`await`. A method here hands this ledger's reader, or the ledger itself where it writes, to a
function of the rooms below.
"""

from contextlib import suppress
from threading import Event as Signal
from typing import Any, Final, Self

from jobledger.domain.errors import LedgerError
from jobledger.domain.job import Job
from jobledger.infra.analytics import analysis
from jobledger.infra.background import Activity, BackgroundWorker
from jobledger.infra.evaluation.samples import recording
from jobledger.infra.eventstore.commit.committer import Committer
from jobledger.infra.eventstore.verbs import Verbs
from jobledger.infra.eventstore.writer import Writer
from jobledger.infra.forking import make_again_in_children
from jobledger.infra.forwarding import to_self
from jobledger.infra.history.methods import compare, explain, search
from jobledger.infra.postgres import migrate, schema_versions
from jobledger.infra.postgres.connections import connect
from jobledger.infra.postgres.server import server
from jobledger.infra.programs import methods as programs
from jobledger.infra.programs.heartbeats import Heartbeats
from jobledger.infra.proof import methods as proof
from jobledger.infra.proof.logged_store import to_log
from jobledger.infra.proof.publishing.checkpointer import Checkpointer
from jobledger.infra.proof.signing.origin import name_log
from jobledger.infra.proof.transparency_log import TransparencyLog
from jobledger.infra.read.reader import Reader
from jobledger.infra.read.store import to_reader, to_writer
from jobledger.infra.retention import methods as retention
from jobledger.infra.retention.holds import hold, holds, release
from jobledger.infra.retention.rules import (
    drop_retention_rule,
    retention_rules,
    set_retention_rule,
)
from jobledger.infra.settings import DEFAULT_LEDGER, Settings
from jobledger.infra.transfer.exports.export import export
from jobledger.infra.transfer.imports.import_history import import_history
from jobledger.infra.transfer.imports.origins import export_origin, origins
from jobledger.infra.upkeep.rebuild import rebuild_all

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
        self._catches_up = catch_up
        super().__init__(lambda name, make, about: self.writer.write(name, make(), about).result)
        self._make_parts(info, name)
        make_again_in_children(self, Ledger._make_again)

    def _make_parts(self, info: str, name: str) -> None:
        activity, settings = Activity(), Settings()
        self.reader = Reader(info, name)
        self._checkpointer = Checkpointer(info, settings, activity.is_recent)
        self.log = TransparencyLog(self._checkpointer, self.reader.pool)
        self.heartbeats = Heartbeats(self.reader.pool)
        self._workers = self._background_workers(seal=settings.seal)

        def written() -> None:
            activity.note()
            for worker in self._workers:
                worker.wake()

        committer = Committer(lambda: connect(info), written)
        self.writer = Writer(committer, self.reader.feed, self.reader.keys)

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
            # The embedded server may create its default ledger; another name may be a typing error.
            is_own = not (dsn or settings.dsn) and name == DEFAULT_LEDGER
            if is_own and not schema_versions.exists(connection, name):
                migrate.migrate(connection, name, rebuild_all)
                name_log(connection, settings)
            schema_versions.check(connection, name)
        return cls(info, name, catch_up=catch_up)

    def close(self) -> None:
        """Commits the writes that wait, ends all feeds, and closes the connections.

        Examples:
            >>> from jobledger import Ledger
            >>> ledger = Ledger.open(dsn, ledger_name)
            >>> ledger.close()
            >>> ledger.create("projects/demo/jobs/a")
            Traceback (most recent call last):
            jobledger.infra.errors.server.LedgerClosedError: this ledger was closed; open it again with Ledger.open
        """
        self.reader.end_feeds()
        self.heartbeats.close()
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

    # Run programs as jobs.
    run = to_self(programs.run)
    job = to_self(programs.job)

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
    diff = to_reader(compare.diff)
    diff_fleet = to_reader(compare.diff_fleet)
    blame = to_reader(explain.blame)
    why = to_reader(explain.why)
    tree = to_reader(explain.tree)
    replay = to_reader(explain.replay)
    bisect = to_reader(search.bisect)
    bisect_count = to_reader(search.bisect_count)
    analyze = to_reader(analysis.report)
    export = to_reader(export)
    import_history = to_self(import_history)
    origins = to_reader(origins)
    export_origin = to_reader(export_origin)

    # Prove.
    checkpoint = seal = to_log(TransparencyLog.checkpoint)
    receipt = to_log(TransparencyLog.receipt)
    resume_log = to_self(proof.resume_log)

    # Forget.
    erase = to_self(retention.erase)
    prune = to_self(retention.prune)
    compact = to_self(retention.compact)
    hold = to_self(hold)
    release = to_self(release)
    holds = to_reader(holds)
    retention_rules = to_reader(retention_rules)
    set_retention_rule = to_self(set_retention_rule)
    drop_retention_rule = to_self(drop_retention_rule)
    apply_retention = to_self(retention.apply_retention)

    # Evaluate.
    record_predictions = to_reader(recording.record_predictions)
    record_truths = to_reader(recording.record_truths)
    sampling = to_reader(recording.sampling)

    def _make_again(self) -> None:
        if not self.pool.closed:
            self._make_parts(self.conninfo, self.name)

    def _background_workers(self, *, seal: bool) -> tuple[BackgroundWorker, ...]:
        workers = []
        if self._catches_up:
            pause = CATCH_UP_PAUSE_SECONDS
            workers.append(BackgroundWorker(self._catch_up, pause_seconds=pause))
        if seal:
            work = self._checkpointer.checkpoint_in_background
            workers.append(BackgroundWorker(work, at_end=True))
        return tuple(workers)

    def _catch_up(self, closed: Signal) -> None:
        # Writes and reads report errors of the server.
        with suppress(LedgerError):
            self.reader.catch_up(closed)

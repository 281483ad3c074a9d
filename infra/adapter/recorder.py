"""A ledger as eventsourcing's PostgreSQL recorder: PERSISTENCE_MODULE=jobledger.infra.recorder.

Configured by the library's own POSTGRES_* settings. POSTGRES_SCHEMA names the
ledger ("x" or "ledger_x"; "default" without one), and is another one for each application of a
System (ORDERS_POSTGRES_SCHEMA for the application "orders"). Any aggregate's events can be
written, as well as those of jobs; with MAPPER_TOPIC=jobledger.infra.mapping:JobMapper
an Application reads and writes jobs too. What views and snapshots need is kept by
the library's own recorders, in tables of the ledger's schema.
"""

import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event as Signal
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Final
from uuid import UUID

from eventsourcing import persistence, postgres
from eventsourcing.utils import Environment, EnvType
from jobledger.domain.errors import BeyondEndError, LedgerError, VersionConflictError
from jobledger.domain.job import Job
from jobledger.infra.adapter.mapper import notification_of, rows_of, stored_event_of
from jobledger.infra.errors import LedgerUnavailableError
from jobledger.infra.eventstore.commit.appender import Appender
from jobledger.infra.eventstore.commit.committer import Committer
from jobledger.infra.eventstore.commit.pending import DecidedWrite
from jobledger.infra.eventstore.feed import READ_SIZE
from jobledger.infra.eventstore.stored_event import Placed
from jobledger.infra.postgres import migrate, sql
from jobledger.infra.postgres.connections import Connection, connect, conninfo, schema_of
from jobledger.infra.upkeep.rebuild import rebuild
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

READ_STREAM: Final = sql.load(__package__, "read_stream")
READ_STREAM_BACKWARDS: Final = sql.load(__package__, "read_stream_backwards")
READ_NOTIFICATIONS: Final = sql.load(__package__, "read_notifications")
LOOK_EVERY: Final = 0.01
"""Seconds between a subscription's looks for new events."""


class LedgerApplicationRecorder(postgres.PostgresApplicationRecorder):
    """Writes through the group-committing writer; reads the one log of all aggregates."""

    def __init__(
        self, datastore: postgres.PostgresDatastore, committer: Committer, **kwargs: Any
    ) -> None:
        super().__init__(datastore, **kwargs)
        # The library would make tables of its own; the ledger's come from its migrations.
        self.sql_create_statements.clear()
        self._committer = committer

    def create_table(self) -> None:
        """Makes the ledger or brings it up to date, under a lock; any number may at once."""
        _make_ledger(self.datastore)
        with _one_at_a_time(self.datastore):
            super().create_table()

    def insert_events(
        self, stored_events: Sequence[persistence.StoredEvent], **_: Any
    ) -> Sequence[int]:
        """Positions of the events, written all or not at all; raises IntegrityError on a conflict."""
        with _library_errors():
            return self._write(DecidedWrite(*rows_of(stored_events)))

    def _write(self, write: DecidedWrite) -> list[int]:
        if not write.rows:
            return []
        self._committer.submit([write])
        if write.error is not None:
            raise write.error
        assert write.placed is not None
        first = write.placed.first_position
        return list(range(first, first + len(write.rows)))

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[persistence.StoredEvent]:
        """One aggregate's events, by version."""
        place = {"name": str(originator_id), "gt": gt, "lte": lte, "limit": limit}
        statement = READ_STREAM_BACKWARDS if desc else READ_STREAM
        with self.datastore.get_connection() as connection:
            rows = connection.execute(statement, place, prepare=True).fetchall()
        return [stored_event_of(row, self.datastore.originator_id_type) for row in rows]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[persistence.Notification]:
        """Events by position; none is seen before all that come before it are."""
        place = {
            "after": 0 if start is None else start - inclusive_of_start,
            "stop": stop,
            "topics": list(topics) or None,
            "limit": limit,
        }
        with self.datastore.get_connection() as connection:
            rows = connection.execute(READ_NOTIFICATIONS, place, prepare=True).fetchall()
        return [notification_of(row, self.datastore.originator_id_type) for row in rows]

    def max_notification_id(self) -> int | None:
        """The last position; None in an empty ledger."""
        with self.datastore.get_connection() as connection:
            row = connection.execute(READ_SIZE, prepare=True).fetchone()
        return None if row is None else row["size"] or None

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> persistence.Subscription[persistence.ApplicationRecorder]:
        """Events after a position, and then each new one; raises DataError for a position after the last."""
        if gt is not None and gt > (end := self.max_notification_id() or 0):
            raise persistence.DataError(str(BeyondEndError("gt", gt, end)))
        return LedgerSubscription(recorder=self, gt=gt, topics=topics)


class LedgerProcessRecorder(
    postgres.PostgresTrackingRecorder, LedgerApplicationRecorder, persistence.ProcessRecorder
):
    """Writes events, and how far their upstream was followed, in one transaction."""

    def insert_events(
        self, stored_events: Sequence[persistence.StoredEvent], **kwargs: Any
    ) -> Sequence[int]:
        """As its parent, with a `tracking` that is inserted too."""
        tracking: persistence.Tracking | None = kwargs.get("tracking")
        if tracking is None:
            return super().insert_events(stored_events)
        if not stored_events:
            self.insert_tracking(tracking)
            return []
        with _library_errors():
            return self._write(_TrackedWrite(self, tracking, stored_events))

    def track(self, connection: Connection, tracking: persistence.Tracking) -> None:
        """Inserts it in the connection's transaction; raises IntegrityError if it was before."""
        with connection.cursor(row_factory=dict_row) as cursor:
            self._insert_tracking(cursor, tracking)


class _TrackedWrite(DecidedWrite):
    alone = True

    def __init__(
        self,
        recorder: LedgerProcessRecorder,
        tracking: persistence.Tracking,
        stored: Sequence[persistence.StoredEvent],
    ) -> None:
        super().__init__(*rows_of(stored))
        self._recorder = recorder
        self._tracking = tracking

    def write(self, appender: Appender, jobs: dict[str, Job]) -> Placed | None:
        placed = super().write(appender, jobs)
        self._recorder.track(appender.connection, self._tracking)
        return placed


class LedgerSubscription(persistence.ListenNotifySubscription[LedgerApplicationRecorder]):
    """Polls for new events, so that writers need not notify anybody."""

    def __init__(
        self, recorder: LedgerApplicationRecorder, gt: int | None = None, topics: Sequence[str] = ()
    ) -> None:
        super().__init__(recorder=recorder, gt=gt, topics=topics)
        self._stopped = Signal()
        self._look_thread = Thread(target=self._look, daemon=True)
        self._look_thread.start()

    def stop(self) -> None:
        """Ends the iteration."""
        super().stop()
        self._stopped.set()

    def __exit__(self, *args: object, **kwargs: Any) -> None:
        try:
            super().__exit__(*args, **kwargs)
        finally:
            self._look_thread.join()

    def _look(self) -> None:
        seen: int | None = None
        try:
            while not self._stopped.wait(LOOK_EVERY):
                size = self._recorder.max_notification_id()
                if size != seen:
                    seen = size
                    self._has_been_notified.set()
        except BaseException as error:
            self._thread_error = self._thread_error or error
            self.stop()


class Applications:
    """Which application uses each ledger in this process: a ledger is the log of one.

    The stock recorder keeps the events of each application in tables of its own. A ledger has one log:
    of two applications on it each would be notified of its own events as of the other's, in an endless loop.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._names: dict[str, Counter[str]] = {}

    def enter(self, ledger: str, name: str, schema: str) -> None:
        """Notes one more recorder of that application; raises OSError where another one's is open."""
        with self._lock:
            names = self._names.setdefault(ledger, Counter())
            other = next((each for each in names if each != name), None)
            if other is not None:
                raise OSError(_refusal(name, other, schema))
            names[name] += 1

    def leave(self, ledger: str, name: str) -> None:
        """Forgets one recorder."""
        with self._lock:
            names = self._names[ledger]
            names[name] -= 1
            if names[name] == 0:
                del names[name]


def _refusal(name: str, other: str, schema: str) -> str:
    names, key = sorted((name, other)), Factory.POSTGRES_SCHEMA
    settings = " and ".join(f"{each.upper()}_{key}={each.lower()}" for each in names)
    return (
        f"the applications {names[0]!r} and {names[1]!r} are both configured to use the ledger"
        f" {_ledger_of(schema)!r}, and would take each other's events for their own: name a ledger"
        f" for each, such as {settings}, or {key}={APPLICATION} for all of them"
    )


APPLICATIONS: Final = Applications()
APPLICATION: Final = "{application}"
"""In POSTGRES_SCHEMA, it is replaced by the application's name in lower case."""


class Factory(postgres.PostgresFactory):
    """Makes the recorders of one environment; they share one committer.

    The only factory in this module's names, as the library demands of PERSISTENCE_MODULE.
    """

    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        named = self.env.get(self.POSTGRES_SCHEMA) or "default"
        schema = schema_of(_ledger_of(named.replace(APPLICATION, self.env.name.lower())))
        self.datastore.schema = schema
        # The ledger's statements are unqualified; the application's own tables may be in public.
        assert isinstance(self.datastore.pool.kwargs, dict)
        self.datastore.pool.kwargs["options"] = (
            f"-c search_path={schema},public -c TimeZone=UTC -c jit=off"
        )
        self._committer = Committer(lambda: connect(_conninfo(self.datastore)))
        self._entered: list[Callable[[], object]] = []

    def _enter(self) -> None:
        """Raises OSError where another application uses the ledger."""
        kwargs = self.datastore.pool.kwargs
        assert isinstance(kwargs, dict)
        place = [str(kwargs.get(key)) for key in ("host", "port", "dbname")]
        entered = "\0".join([*place, self.datastore.schema]), self.env.name
        APPLICATIONS.enter(*entered, self.datastore.schema)
        # Also if the factory is never closed.
        self._entered.append(weakref.finalize(self, APPLICATIONS.leave, *entered))

    def _leave(self) -> None:
        while self._entered:
            self._entered.pop()()

    def application_recorder(self) -> persistence.ApplicationRecorder:
        """Creates the recorder that reads and writes the ledger; creates the ledger unless CREATE_TABLE says no.

        Returns:
            The recorder.

        Raises:
            OSError: Another application of this process uses the same ledger.
        """
        self._enter()
        recorder = LedgerApplicationRecorder(self.datastore, self._committer)
        if self.env_create_table():
            recorder.create_table()
        return recorder

    def process_recorder(self) -> persistence.ProcessRecorder:
        """Creates a recorder that also tracks the positions of followed applications."""
        self._enter()
        table = f"{self.env.name.lower() or 'notification'}_tracking"
        recorder = LedgerProcessRecorder(
            self.datastore, committer=self._committer, tracking_table_name=table
        )
        if self.env_create_table():
            recorder.create_table()
        return recorder

    def tracking_recorder(
        self, tracking_recorder_class: type[postgres.TPostgresTrackingRecorder] | None = None
    ) -> postgres.TPostgresTrackingRecorder:
        """Creates the library's own tracking recorder; its table lies in the ledger's schema."""
        if self.env_create_table():
            _make_ledger(self.datastore)
        with _one_at_a_time(self.datastore):
            return super().tracking_recorder(tracking_recorder_class)

    def aggregate_recorder(self, purpose: str = "events") -> persistence.AggregateRecorder:
        """Creates the library's own recorder, for snapshots."""
        if self.env_create_table():
            _make_ledger(self.datastore)
        with _one_at_a_time(self.datastore):
            return super().aggregate_recorder(purpose)

    def close(self) -> None:
        """Commits the writes that are still waiting."""
        self._committer.close()
        self._leave()
        super().close()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self._committer.close()
        self._leave()
        super().__exit__(exc_type, exc_val, exc_tb)


def _ledger_of(schema: str) -> str:
    return schema.removeprefix("ledger_")


def _conninfo(datastore: postgres.PostgresDatastore) -> str:
    kwargs = datastore.pool.kwargs
    assert isinstance(kwargs, dict)
    given = {key: value for key, value in kwargs.items() if key not in ("row_factory", "options")}
    if datastore.pool.get_password_func:
        given["password"] = datastore.pool.get_password_func()
    return conninfo(make_conninfo(**given), datastore.schema)


def _make_ledger(datastore: postgres.PostgresDatastore) -> None:
    with connect(_conninfo(datastore)) as connection:
        migrate.migrate(connection, _ledger_of(datastore.schema), rebuild)


@contextmanager
def _one_at_a_time(datastore: postgres.PostgresDatastore) -> Iterator[None]:
    """The library's CREATE TABLE IF NOT EXISTS fails when several processes begin at once."""
    with connect(_conninfo(datastore)) as connection:
        migrate.lock(connection)
        yield


@contextmanager
def _library_errors() -> Iterator[None]:
    """Raises the ledger's errors as the library's."""
    try:
        yield
    except VersionConflictError as error:
        raise persistence.IntegrityError(str(error)) from error
    except LedgerUnavailableError as error:
        raise persistence.OperationalError(str(error)) from error
    except LedgerError as error:
        raise persistence.DataError(str(error)) from error

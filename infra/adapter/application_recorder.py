"""The recorders of eventsourcing applications whose events are in a ledger."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event as Signal
from threading import Thread
from typing import Any, Final, NoReturn
from uuid import UUID

from eventsourcing import persistence, postgres
from jobledger.domain.errors import BeyondEndError, LedgerError, VersionConflictError
from jobledger.domain.job import Job
from jobledger.infra.adapter.datastore import make_ledger, one_at_a_time
from jobledger.infra.adapter.mapper import notification_of, rows_of, stored_event_of
from jobledger.infra.errors import LedgerUnavailableError
from jobledger.infra.eventstore.commit.appender import Appender
from jobledger.infra.eventstore.commit.committer import Committer
from jobledger.infra.eventstore.feed import READ_SIZE
from jobledger.infra.eventstore.stored_event import Placed
from jobledger.infra.eventstore.writes.decided_write import DecidedWrite
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection
from psycopg.rows import dict_row

READ_STREAM: Final = sql.load(__package__, "read_stream")
READ_STREAM_BACKWARDS: Final = sql.load(__package__, "read_stream_backwards")
READ_NOTIFICATIONS: Final = sql.load(__package__, "read_notifications")
IS_PRUNED: Final = sql.load(__package__, "is_pruned")
POLL_SECONDS: Final = 0.01
"""How often a subscription looks for new events."""


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
        make_ledger(self.datastore)
        with one_at_a_time(self.datastore):
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

    def check_pruned(self, position: int) -> None:
        """Raises DataError if a missing event was not pruned, and is not still to come to a standby."""
        with self.datastore.get_connection() as connection:
            row = connection.execute(IS_PRUNED, {"position": position}).fetchone()
        if not row or not row["is_pruned"]:
            self.refuse_lost(position)

    def refuse_lost(self, position: int) -> NoReturn:
        """Raises DataError for an event that the ledger lost after it was read."""
        end = self.max_notification_id() or 0
        raise persistence.DataError(str(BeyondEndError("gt", position, end)))


class LedgerProcessRecorder(
    postgres.PostgresTrackingRecorder, LedgerApplicationRecorder, persistence.ProcessRecorder
):
    """Writes events, and how far their upstream was followed, in one transaction."""

    def insert_events(
        self, stored_events: Sequence[persistence.StoredEvent], **kwargs: Any
    ) -> Sequence[int]:
        """Inserts events as the parent class does, and a `tracking` with them."""
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
        self._last_read: persistence.Notification | None = None
        """The last notification; None if it was not read, or pruned."""
        # This begins to pull.
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

    def _pull(self) -> None:
        """Puts new notifications into the queue, as the library does.

        The last one is read again with them, to see whether the ledger lost it: after a failover or a
        restored backup, another event may be at its position.
        """
        while not self._has_been_stopped:
            self._has_been_notified.clear()
            found = self._recorder.select_notifications(
                start=self._last_notification_id or 0,
                limit=self._select_limit + 1,
                topics=self._topics,
            )
            if new := self._after_last(found):
                try:
                    self._notifications_queue.put(new)
                except persistence.ShutDown:
                    break
                self._last_read, self._last_notification_id = new[-1], new[-1].id
            if len(found) <= self._select_limit:
                break

    def _after_last(
        self, found: Sequence[persistence.Notification]
    ) -> Sequence[persistence.Notification]:
        """Returns the notifications after the last one; raises DataError if the ledger lost it."""
        last, position = self._last_read, self._last_notification_id
        if found and found[0].id == position:
            if last is not None and last != found[0]:
                self._recorder.refuse_lost(position)
            self._last_read = found[0]
            return found[1:]
        if last is not None:
            self._recorder.check_pruned(last.id)
            self._last_read = None
        return found

    def _look(self) -> None:
        seen: int | None = None
        try:
            while not self._stopped.wait(POLL_SECONDS):
                size = self._recorder.max_notification_id()
                if size != seen:
                    seen = size
                    self._has_been_notified.set()
        except BaseException as error:
            self._thread_error = self._thread_error or error
            self.stop()


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

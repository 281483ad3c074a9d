"""The connection that appends events: the statement `append`, and the reads that it needs first."""

import base64
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any, Final

import orjson
import psycopg
from jobledger.domain.errors import VersionConflictError
from jobledger.domain.events import Event
from jobledger.domain.job import Job
from jobledger.infra.errors import ClockError
from jobledger.infra.eventstore.stored_event import Placed, RecordedEvent, Row
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import PLAN_ONCE, Connection
from jobledger.projections.jobs import Change, job_of
from psycopg import pq
from psycopg.generators import execute

APPEND: Final = sql.load(__package__, "append")
LOCK_HEAD: Final = sql.load(__package__, "lock_head")
BEGIN_LOCKED: Final = sql.load(__package__, "begin_locked")
READ_JOBS: Final = sql.load(__package__, "read_jobs")
READ_VERSIONS: Final = sql.load(__package__, "read_versions")
FIND_REQUESTS: Final = sql.load(__package__, "find_requests")
FIND_EVENTS: Final = sql.load(__package__, "find_events")
ADVANCE_HEAD: Final = sql.load(__package__, "advance_head")
READ_HISTORY: Final = sql.load(__package__, "read_history")
MAY_COPY: Final = sql.load(__package__, "may_copy")
LIMIT_IDLE: Final = "SET idle_in_transaction_session_timeout = '30s'"
"""A process that is stopped, as a container may be, while it holds the head's lock, keeps others out no longer."""
OK: Final = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)
ENDED: Final = (pq.TransactionStatus.IDLE, pq.TransactionStatus.INERROR)
"""After these, what was sent is certain to be committed, or not to be."""
CANCEL_SECONDS: Final = 5.0
LAST_VERSION: Final = 2**31 - 1


class Appender:
    """One connection, used by one thread at a time."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        # psycopg must prepare nothing: it would deallocate all statements after a rollback.
        connection.prepare_threshold = None
        # In `append`, the look-up of request ids and the fold of a granted role would be planned for each commit.
        connection.execute(PLAN_ONCE)
        connection.execute(LIMIT_IDLE)
        self._pg = connection.pgconn
        self.outcome_unknown = False
        """Whether something was sent that the server has not answered for."""
        self._answer(partial(self._pg.send_prepare, b"append", APPEND))
        self.may_copy = connection.execute(MAY_COPY).fetchone() == (True,)
        """Whether this role may write rows itself; others only call `append`."""

    @property
    def broken(self) -> bool:
        """Whether the connection is lost."""
        return self._pg.status != pq.ConnStatus.OK

    def close(self) -> None:
        """Closes the connection."""
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Runs the block in a transaction. If the connection breaks during the commit, the outcome is unknown."""
        with self.connection.transaction():
            self.outcome_unknown = False
            yield
        self.outcome_unknown = False

    def lock(self) -> None:
        """Locks the head: other writers wait until the transaction ends."""
        self.connection.execute(LOCK_HEAD)

    @contextmanager
    def locked(self, names: Sequence[str]) -> Iterator[dict[str, Job]]:
        """Starts a transaction that other writers wait for, and yields the current state of these jobs."""
        cursor = psycopg.ClientCursor(self.connection)
        self.outcome_unknown = False
        try:
            cursor.execute(BEGIN_LOCKED, (list(names),))
            while cursor.nextset():
                pass
            yield jobs_by_name(names, cursor)
            self._answer(partial(self._pg.send_query, b"COMMIT"))
        except BaseException:
            if not self.broken:
                self._pg.exec_(b"ROLLBACK")
            raise
        self.outcome_unknown = False

    def load(self, names: Sequence[str]) -> dict[str, Job]:
        """Returns the current state of these jobs; a job that does not exist has version 0."""
        if not names:
            return {}
        return jobs_by_name(names, self.connection.execute(READ_JOBS, (list(names),)))

    def history(self, name: str, after: int = 0) -> list[Event]:
        """Returns the events of a job after a version, oldest first."""
        asked = {"name": name, "after": after, "until": LAST_VERSION}
        rows = self.connection.execute(READ_HISTORY, asked, binary=True)
        return [RecordedEvent(*row).event for row in rows]

    def find_requests(self, request_ids: Sequence[str]) -> dict[str, str]:
        """Returns the request ids that were used before, with the job that each was used for."""
        if not request_ids:
            return {}
        return dict(self.connection.execute(FIND_REQUESTS, (list(request_ids),)).fetchall())

    def versions(self, names: Sequence[str]) -> dict[str, int]:
        """Returns the last version of each of these names; names without events are left out."""
        return dict(self.connection.execute(READ_VERSIONS, (list(names),)).fetchall())

    def check_versions(self, first: Mapping[str, int]) -> None:
        """Raises VersionConflictError unless each name's first version follows its last stored version."""
        stored = self.versions(list(first))
        for name, version in first.items():
            if name not in stored and version <= 1:
                continue
            if version != stored.get(name, 0) + 1:
                raise VersionConflictError(name, version - 1, stored.get(name, 0))

    def find(self, rows: Sequence[Row]) -> Placed | None:
        """Returns where exactly these rows are stored already; None if they are not."""
        places = [row.name for row in rows], [row.version for row in rows]
        found = self.connection.execute(FIND_EVENTS, places).fetchall()
        if not rows or len(found) != len(rows):
            return None
        same = all(_is(row, stored[2:]) for row, stored in zip(rows, found, strict=True))
        return Placed(found[0][0], found[0][1]) if same else None

    def append(
        self, rows: Sequence[Row], request_ids: Sequence[str], changes: Iterable[Change]
    ) -> Placed:
        """Writes rows and the changes of their jobs, atomically.

        Args:
            rows: The events.
            request_ids: Their request ids; "" for none.
            changes: The changes of the jobs.

        Returns:
            The position of the first event, and the transaction time of all.

        Raises:
            psycopg.Error: UniqueViolation or SerializationFailure if another writer was first.
        """
        parameters = append_parameters(rows, request_ids, changes)
        self.outcome_unknown = True
        # This calls libpq directly: psycopg's cursor takes as long as the round trip itself.
        sent = partial(self._pg.send_query_prepared, b"append", parameters)
        return placed_of(self._answer(sent), len(rows))

    def advance(self, count: int) -> Placed:
        """Reserves the next positions for the events that this transaction will write."""
        row = self.connection.execute(ADVANCE_HEAD, (count, time.time())).fetchone()
        if row is None:
            raise ClockError("the server's clock is more than a day ahead of this machine's")
        self.outcome_unknown = True
        return Placed(row[0] - count + 1, row[1])

    def _answer(self, send: Callable[[], None]) -> pq.abc.PGresult:
        """Sends, and waits for the answer. Ctrl-C cancels the statement, and is raised once that has ended."""
        try:
            send()
            results = self.connection.wait(execute(self._pg))
        except BaseException:
            if self._pg.transaction_status == pq.TransactionStatus.ACTIVE:
                # Interrupted before the wait, which would have cancelled it.
                self.connection.cancel_safe(timeout=CANCEL_SECONDS)
                self.connection.close()
            raise
        finally:
            self.outcome_unknown = self._pg.transaction_status not in ENDED
        return checked(self._pg, results[-1])


def append_parameters(
    rows: Sequence[Row], request_ids: Sequence[str], changes: Iterable[Change]
) -> list[bytes | None]:
    """Returns the parameters of the statement `append`: events, request ids, new jobs, changed jobs."""
    events: list[bytes] = []
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    # The server compares its clock with this machine's.
    clock = b',"clock":%d' % time.time()
    for n, (name, _, json) in enumerate(rows):
        first_ = b"" if name in last else b',"first":true'
        events.append(b'%b,"n":%d%b%b}' % (json, n, first_, b"" if n else clock))
        first.setdefault(name, n)
        last[name] = n
    new: list[bytes] = []
    changed: list[bytes] = []
    for before, after, json in changes:
        name = after.name
        if before.version:
            changed.append(b'%b,"n":%d}' % (json, last[name]))
        else:
            new.append(b'%b,"n":%d,"first":%d}' % (json, last[name], first[name]))
    return [
        b"%d" % len(events),
        _json_array(events),
        _text_array(request_ids) if request_ids else None,
        _json_array(new) if new else None,
        _json_array(changed) if changed else None,
    ]


def placed_of(result: pq.abc.PGresult, count: int) -> Placed:
    """Returns where `append` wrote the events."""
    size, recorded = result.get_value(0, 0), result.get_value(0, 1)
    assert size is not None
    assert recorded is not None
    return Placed(int(size) - count + 1, datetime.fromisoformat(recorded.decode()))


def checked(connection: pq.abc.PGconn, result: pq.abc.PGresult) -> pq.abc.PGresult:
    """Returns the result of a statement; raises psycopg.Error if it failed or the connection broke."""
    if result.status in OK:
        return result
    if connection.status != pq.ConnStatus.OK:
        raise psycopg.OperationalError(connection.get_error_message() or "the connection broke")
    raise psycopg.errors.error_from_result(result)


def jobs_by_name(names: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> dict[str, Job]:
    """Returns the current state of these jobs; a job that does not exist has version 0."""
    return {name: Job(name=name) for name in names} | {row[0]: job_of(row) for row in rows}


def _json_array(objects: Iterable[bytes]) -> bytes:
    return b"[%b]" % b",".join(objects)


def _text_array(texts: Sequence[str]) -> bytes:
    """Returns an array literal. PostgreSQL uses the same escapes in a quoted element as JSON."""
    quoted = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return ("{" + ",".join(f'"{text}"' for text in quoted) + "}").encode()


def _is(row: Row, stored: tuple[Any, ...]) -> bool:
    """Whether a stored event is the same event that `row` would write."""
    mine: dict[str, Any] = orjson.loads(row.json + b"}")
    data = mine["data"].encode() if "data" in mine else base64.b64decode(mine["bytes"])
    occurred = mine.get("occurred_time")
    return stored == (
        row.name,
        row.version,
        mine["type"],
        data,
        None if occurred is None else datetime.fromisoformat(occurred),
        *(mine.get(key) for key in ("actor", "request_id", "trace_parent")),
    )

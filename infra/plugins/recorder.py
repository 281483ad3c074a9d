"""Records what a framework reports, by a thread of its own: the framework neither waits nor fails.

An event is written to a file first, so that it outlives the process while the ledger is away.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Condition, Thread
from typing import Any, Final, NamedTuple, Self

import orjson
import psycopg
from jobledger.domain.errors import LedgerError
from jobledger.domain.observing import introduce, observe
from jobledger.domain.reports import parse_report
from jobledger.domain.values.job_ids import display_name, job_id
from jobledger.infra.errors import LedgerUnavailableError
from jobledger.infra.eventstore.methods.request import AboutReport
from jobledger.infra.eventstore.observing import observe_many
from jobledger.infra.eventstore.write_path import ObservedEvent
from jobledger.infra.ledger import Ledger
from jobledger.infra.settings import Settings, spool_folder
from jobledger.infra.sources.event_queue import EventQueue
from jobledger.infra.sources.mapping.values import plain
from psycopg.conninfo import conninfo_to_dict

LOG: Final = logging.getLogger("jobledger.plugins")
MAX_WAITING: Final = 10_000
MAX_BYTES: Final = 64 * 1024 * 1024
"""The most bytes of events that wait for the ledger; further events are dropped and counted."""
BATCH_EVENTS: Final = 1_000
"""Events that are recorded at once."""
RETRY_SECONDS: Final = 1.0
CLOSE_TIMEOUT_SECONDS: Final = 5.0
_encode: Final = json.JSONEncoder(sort_keys=True, default=str).encode


class Counts(NamedTuple):
    """The outcomes of the events of this process."""

    written: int
    waiting: int
    refused: int
    dropped: int


class _Waiting(NamedTuple):
    """An event as it waits in a file."""

    name: str
    type: str
    data: dict[str, Any]
    time: str
    request_id: str
    actor: str

    @classmethod
    def parse(cls, stored: bytes) -> Self:
        """Parses the output of `encode`."""
        return cls(*orjson.loads(stored))

    def encode(self) -> bytes:
        """Encodes a value as JSON; values that JSON lacks become texts."""
        return json.dumps(list(self), default=str).encode()

    def observed(self) -> ObservedEvent:
        """The report; raises LedgerError."""
        about = AboutReport(
            occurred_time=datetime.fromisoformat(self.time),
            request_id=self.request_id,
            actor=self.actor,
        )
        judge = introduce if self.type == "Created" else observe
        return ObservedEvent(self.name, parse_report(self.type, self.data), about, judge)


_OF_PARENTS: Final[list[EventQueue]] = []
"""Queues of processes that this one was forked from: to close one here could damage its file."""


class Recorder:
    """Records events of one framework in one project, in their order.

    The thread starts with the first event of a process, also of one that was forked. While the ledger
    is away, events wait in a file of the spool; those that a process leaves there are recorded by
    the next one that reports.
    """

    def __init__(
        self,
        source: str,
        project: str = "default",
        open_: Callable[[], Ledger] = Ledger.open,
        folder: Path | None = None,
    ) -> None:
        """Makes a recorder; nothing is opened before the first event.

        Args:
            source: The name of the framework: the actor of events that name no other.
            project: The project of the jobs.
            open_: Opens the ledger; without it, the one that JOBLEDGER_DSN and JOBLEDGER_LEDGER name.
            folder: Where events wait; without it, a folder of the spool for that ledger.
        """
        self._folder = folder
        self._source = source
        self._prefix = f"projects/{project}/jobs/"
        self._open = open_
        self._reset()
        atexit.register(self.close)

    def _reset(self) -> None:
        self._process = os.getpid()
        self._changed = Condition()
        self._queue: EventQueue | None = None
        self._thread: Thread | None = None
        self._written = self._refused = self._dropped = 0
        self._closing = False

    def name(self, id_: str) -> str:
        """The name of the job that the framework calls so."""
        return self._prefix + job_id(id_)

    def created(
        self,
        id_: str,
        time: datetime,
        *,
        labels: Mapping[str, str] | None = None,
        spec: Mapping[str, Any] | None = None,
        parents: Sequence[str] = (),
        root: str | None = None,
        triggered_by: str | None = None,
    ) -> None:
        """Makes a job, unless it is there.

        Args:
            id_: The framework's id of it.
            time: When it was created.
            labels: Its labels; what the ledger does not take is mended.
            spec: Its configuration.
            parents: The framework's ids of the jobs that it is part of.
            root: The framework's id of the first of their parents.
            triggered_by: What began it: a person, or a program.
        """
        data: dict[str, Any] = {
            "labels": dict(labels or {}),
            "spec": {**display_name(id_), **(spec or {})},
        }
        if parents:
            data["parents"] = [self.name(each) for each in parents]
        if root:
            data["root"] = self.name(root)
        if triggered_by:
            data["triggeredBy"] = triggered_by
        self._put(id_, "Created", time, data, None)

    def report(
        self,
        id_: str,
        type_: str,
        time: datetime,
        *,
        run_id: str | None = None,
        actor: str | None = None,
        **data: Any,
    ) -> None:
        """Reports an event of a job; one that was reported before adds nothing.

        Args:
            id_: The framework's id of the job.
            type_: The event type, such as `Started`.
            time: When it happened.
            run_id: The framework's id of the attempt.
            actor: Who did it, if not the framework.
            **data: The event's data; None values are left out.
        """
        data = {key: value for key, value in data.items() if value is not None}
        if run_id is not None:
            data["runId"] = run_id
        self._put(id_, type_, time, data, actor)

    def _put(
        self, id_: str, type_: str, time: datetime, data: Mapping[str, Any], actor: str | None
    ) -> None:
        """Never raises: the framework has other things to do."""
        try:
            event = self._event(id_, type_, time, plain(data), actor)
        except LedgerError as error:
            LOG.warning("%s of %s is not recorded: %s", type_, id_, error)
            return
        if self._process != os.getpid():
            if self._queue is not None:
                _OF_PARENTS.append(self._queue)
            self._reset()
        with self._changed:
            if self._queue is None:
                folder = self._folder or _folder_of_ledger()
                self._queue = EventQueue(folder, MAX_WAITING, MAX_BYTES)
            if not self._queue.put(event.encode()):
                self._dropped += 1
                return
            if self._thread is None:
                self._thread = Thread(target=self._serve, name="jobledger-recorder", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def _event(
        self, id_: str, type_: str, time: datetime, data: dict[str, Any], actor: str | None
    ) -> _Waiting:
        name = self.name(id_)
        content = _encode([name, type_, time.isoformat(), data]).encode()
        request_id = f"{self._source}:{hashlib.sha256(content).hexdigest()[:32]}"
        at = time.astimezone(UTC).isoformat()
        event = _Waiting(name, type_, data, at, request_id, actor or self._source)
        event.observed()
        return event

    @property
    def _count(self) -> int:
        return 0 if self._queue is None else len(self._queue)

    def counts(self) -> Counts:
        """Returns the outcomes of the events of this process so far."""
        with self._changed:
            return Counts(self._written, self._count, self._refused, self._dropped)

    def flush(self, timeout_seconds: float = CLOSE_TIMEOUT_SECONDS) -> bool:
        """Waits until all events are recorded; false if that takes longer."""
        if self._process != os.getpid():
            return True
        with self._changed:
            return self._changed.wait_for(lambda: not self._count, timeout_seconds)

    def close(self) -> None:
        """Records what waits, for a few seconds at most; logs how many events are left for the next process."""
        if not self.flush():
            LOG.warning("%d events wait in the spool", self.counts().waiting)
        if self._process == os.getpid():
            with self._changed:
                self._closing = True
                self._changed.notify_all()
            if self._thread is not None:
                self._thread.join(CLOSE_TIMEOUT_SECONDS)
            with self._changed:
                queue, self._queue = self._queue, None
            if queue is not None:
                queue.close()
            self._reset()

    def _serve(self) -> None:
        while not self._closing:
            try:
                with self._open() as ledger:
                    self._record(ledger)
            except Exception as error:
                # Any error: neither the framework nor this thread may stop.
                LOG.warning("%s; trying again in %s s", str(error) or repr(error), RETRY_SECONDS)
                time.sleep(RETRY_SECONDS)

    def _record(self, ledger: Ledger) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._count or self._closing)
                if self._queue is None or not (batch := self._queue.oldest(BATCH_EVENTS)):
                    return
            written = refused = 0
            reports = (_Waiting.parse(stored).observed() for _, stored in batch)
            for event, outcome in observe_many(ledger.writer, reports):
                written += len(outcome.types)
                if outcome.error is not None:
                    if isinstance(outcome.error, LedgerUnavailableError):
                        raise outcome.error
                    LOG.warning("%s is refused: %s", event.name, outcome.error)
                    refused += 1
            with self._changed:
                if self._queue is not None:
                    self._queue.remove(batch)
                self._written += written
                self._refused += refused
                self._changed.notify_all()


def _folder_of_ledger() -> Path:
    """The folder of what waits for the ledger that the settings name; it is the same for each user."""
    settings = Settings()
    try:
        given = conninfo_to_dict(settings.dsn or "")
    except psycopg.Error:
        given = {}
    where = [given.get(key) for key in ("service", "host", "port", "dbname")]
    place = json.dumps([*where, settings.ledger, str(settings.home)])
    return spool_folder() / "plugins" / hashlib.sha256(place.encode()).hexdigest()[:16]

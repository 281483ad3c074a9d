"""`with ledger.run(...)`: a block of Python that runs as a job."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from threading import get_ident
from typing import Any, Final
from uuid import uuid4

import psycopg
from jobledger.domain.errors import InvalidFieldError, LedgerError
from jobledger.domain.events import lineage
from jobledger.domain.running import (
    HEARTBEAT_SECONDS,
    RunRecord,
    RunReport,
    actor_name,
    how_it_left,
)
from jobledger.domain.values.labels import parse_labels
from jobledger.domain.values.names import parse_name
from jobledger.infra.programs.delivery import Delivery
from jobledger.infra.programs.heartbeats import Heartbeats
from jobledger.infra.programs.run_store import destination_of
from jobledger.infra.programs.spool import Spool
from jobledger.infra.programs.users import user_name
from jobledger.infra.read.store import Store
from jobledger.infra.settings import spool_folder

LOG: Final = logging.getLogger("jobledger.runs")
_CURRENT: Final[ContextVar[Run | None]] = ContextVar("jobledger_run", default=None)
InThread = Callable[[Callable[[], None]], Awaitable[None]]
"""Runs a function that blocks, for a task."""


class Run:
    """One run of a block, as `with ledger.run(name) as run` gives it.

    Attributes:
        output: What the block produces, a JSON object; set it in the block. None: no output.
    """

    def __init__(
        self,
        store: Store,
        heartbeats: Heartbeats,
        record: RunRecord,
        seconds: float,
        lineage: Mapping[str, Any],
    ) -> None:
        """Sets the seconds between two heartbeats, 0 for none, and the facts on what it is part of."""
        self.output: dict[str, Any] | None = None
        self._lineage = lineage
        self._store = store
        self._heartbeats = heartbeats
        self._record = record
        self._seconds = seconds
        self._process = os.getpid()
        self._delivery = Delivery(store, record)

    @property
    def name(self) -> str:
        """The job's resource name."""
        return self._record.name

    @staticmethod
    def current() -> Run | None:
        """The run whose block the caller is in; None outside of one."""
        return _CURRENT.get()

    @property
    def root(self) -> str:
        """The name of the outermost job that this run is part of; its own, if it is part of none."""
        return str(self._record.spec.get("root") or self._lineage.get("root") or self.name)

    @property
    def run_id(self) -> str:
        """The id of this run; further reports name its attempt by it."""
        return self._record.run_id

    def begin(self) -> None:
        """Creates the job or a new attempt, and reports that it runs; raises as the writer does."""
        if self._seconds:
            self._heartbeats.begin(self.name, self.run_id, self._seconds)
        fields = {
            "host": os.uname().nodename,
            "pid": os.getpid(),
            "thread": get_ident(),
            **self._lineage,
        }
        self._record.reports.append(RunReport("Started", fields, datetime.now(UTC)))
        try:
            self._delivery.deliver()
        except BaseException:
            self._heartbeats.stop(self.name, self.run_id)
            raise
        for note in self._delivery.notes:
            LOG.warning("%s", note)

    def end(self, error: BaseException | None) -> None:
        """Reports the end; if it cannot be recorded, it is spooled, and a warning is logged.

        A forked child that leaves the block ends nothing: its parent is still in it.
        """
        if self._process != os.getpid():
            return
        is_cancelled = isinstance(error, asyncio.CancelledError)
        type_, data = how_it_left(error, self.output, is_cancelled=is_cancelled)
        self._record.reports.append(RunReport(type_, data, datetime.now(UTC)))
        self._heartbeats.stop(self.name, self.run_id)
        value = len(self._delivery.notes)
        try:
            self._delivery.deliver()
            if self._seconds:
                self._heartbeats.end(self.name, self.run_id)
        except (LedgerError, psycopg.Error) as failure:
            self._spool(failure)
        for note in self._delivery.notes[value:]:
            LOG.warning("%s", note)

    def _spool(self, failure: Exception) -> None:
        missing = ", ".join(self._delivery.missing)
        if not missing:
            return
        self._record.destination = destination_of(
            self._store.reader.conninfo, self._store.reader.name
        )
        try:
            Spool(spool_folder()).keep(self._record)
        except OSError as error:
            LOG.error("%s of %s is lost: %s; %s", missing, self.name, failure, error)  # noqa: TRY400
        else:
            LOG.warning("%s of %s is spooled: %s", missing, self.name, failure)


def new_run(
    store: Store,
    heartbeats: Heartbeats,
    name: str,
    labels: Mapping[str, str] = {},
    spec: Mapping[str, Any] = {},
    *,
    actor: str | None = None,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
) -> Run:
    """Makes a run that has not begun; raises InvalidFieldError."""
    if not 0 <= heartbeat_seconds <= 3600:
        why = f"{heartbeat_seconds!r} is not from 0 (none) to 3600 seconds"
        raise InvalidFieldError("heartbeat_seconds", why)
    who = actor_name(user_name(), os.uname().nodename) if actor is None else actor
    record = RunRecord(
        uuid4().hex,
        parse_name(name),
        who,
        datetime.now(UTC),
        parse_labels(labels),
        dict(spec),
    )
    return Run(store, heartbeats, record, heartbeat_seconds, _lineage_of(name, spec))


def _lineage_of(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the facts of a run within another one: its parent and root, unless the spec names them."""
    outer = _CURRENT.get()
    if outer is None:
        return {}
    facts = lineage(name, [outer.name], outer.root)
    return {key: value for key, value in facts.items() if key not in spec}


@contextmanager
def run_block(run: Run) -> Iterator[Run]:
    """Reports the beginning and the end of a block."""
    run.begin()
    try:
        with _as_current(run):
            yield run
    except BaseException as error:
        run.end(error)
        raise
    run.end(None)


@contextmanager
def _as_current(run: Run) -> Iterator[None]:
    token = _CURRENT.set(run)
    try:
        yield
    finally:
        _CURRENT.reset(token)


@asynccontextmanager
async def run_async_block(run: Run, in_thread: InThread) -> AsyncIterator[Run]:
    """Does the same in a task; a cancelled task reports its end before the block is left."""
    await in_thread(run.begin)
    try:
        with _as_current(run):
            yield run
    except BaseException as error:
        await asyncio.shield(in_thread(_ending(run, error)))
        raise
    await asyncio.shield(in_thread(_ending(run, None)))


def _ending(run: Run, error: BaseException | None) -> Callable[[], None]:
    return lambda: run.end(error)

"""Leases: rows that say until when a run counts as alive; heartbeats extend them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final, NamedTuple

import psycopg
from jobledger.domain.errors import JobNotFoundError, LedgerError
from jobledger.domain.leases import lost, lost_time
from jobledger.domain.running import lease_milliseconds
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.read.store import Store

KEEP_LEASE: Final = sql.load(__package__, "keep_lease")
END_LEASE: Final = sql.load(__package__, "end_lease")
IS_SILENT: Final = sql.load(__package__, "is_silent")
READ_ENDED_LEASES: Final = sql.load(__package__, "read_ended_leases")
LOG: Final = logging.getLogger("jobledger.leases")


class EndedLease(NamedTuple):
    """A run whose lease expired."""

    job: str
    run_id: str
    heartbeat_time: datetime


def keep_lease(connection: Connection, job: str, run_id: str, heartbeat_seconds: float) -> None:
    """Records one heartbeat of a run that sends one per interval."""
    with translated():
        connection.execute(KEEP_LEASE, (job, run_id, lease_milliseconds(heartbeat_seconds)))


def end_lease(
    connection: Connection, job: str, run_id: str, unless_after: datetime | None = None
) -> None:
    """Removes a run's lease, unless there was a heartbeat after `unless_after`."""
    with translated():
        connection.execute(END_LEASE, (job, run_id, unless_after))


def keep_lease_of(store: Store, job: str, run_id: str, heartbeat_seconds: float) -> None:
    """Records one heartbeat, by a connection of the store's."""
    with _connected(store) as connection:
        keep_lease(connection, job, run_id, heartbeat_seconds)


def end_lease_of(store: Store, job: str, run_id: str) -> None:
    """Removes a run's lease, by a connection of the store's."""
    with _connected(store) as connection:
        end_lease(connection, job, run_id)


def expire_lost(store: Store, actor: str) -> int:
    """Reports each run with an expired lease as lost; a failure of one run does not affect the others.

    A run that sends a heartbeat meanwhile is not lost.

    Args:
        store: The ledger.
        actor: Who reports.

    Returns:
        How many runs were reported.

    Raises:
        LedgerUnavailableError: The server cannot be reached.
    """
    with _connected(store) as connection:
        ended = [EndedLease(*row) for row in connection.execute(READ_ENDED_LEASES)]
    return sum(_expired(store, lease, actor) for lease in ended)


def _expired(store: Store, lease: EndedLease, actor: str) -> bool:
    try:
        is_lost = _is_silent(store, lease) and _reported(store, lease, actor)
        with _connected(store) as connection:
            end_lease(connection, *lease)
    except (LedgerError, psycopg.Error) as error:
        LOG.warning("the lease of %s cannot be ended: %s", lease.job, error)
        return False
    return is_lost


def _is_silent(store: Store, lease: EndedLease) -> bool:
    with _connected(store) as connection:
        return connection.execute(IS_SILENT, lease).fetchone() == (True,)


def _reported(store: Store, lease: EndedLease, actor: str) -> bool:
    """Reports a run as lost; returns false if it has ended already."""
    try:
        job = store.reader.get(lease.job)
    except JobNotFoundError:
        return False
    report = lost(job, lease.run_id, lease.heartbeat_time)
    if report is None:
        return False
    store.writer.report(
        lease.job,
        report,
        occurred_time=lost_time(job, lease.heartbeat_time),
        actor=actor,
        request_id=f"run.{lease.run_id}.lost.{lease.heartbeat_time.timestamp():.6f}",
    )
    LOG.warning("%s was lost: its run %s was last heard of at %s", *lease)
    return True


@contextmanager
def _connected(store: Store) -> Iterator[Connection]:
    with translated(), store.reader.pool.connection() as connection:
        yield connection

"""Ledgers to test on: made for a while, and dropped afterwards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any

import psycopg
from jobledger.domain.data import Status
from jobledger.domain.events import (
    Created,
    Deleted,
    Event,
    Expired,
    Failed,
    Paused,
    Resumed,
    Retried,
    Started,
    Succeeded,
    Updated,
    Updating,
)
from jobledger.infra import Ledger
from jobledger.infra.postgres import grants
from jobledger.infra.postgres.connections import schema_of
from jobledger.infra.transfer.traces.simulation import BEGIN
from psycopg.conninfo import make_conninfo

from tests.forms import Opener
from tests.schemas import Schemas, drop_ledger, make_ledger


@contextmanager
def new_ledger(dsn: str, *, unused: bool = False) -> Iterator[str]:
    """The name of an empty ledger; `unused` makes one that no test had before."""
    if not unused:
        with schemas_of(dsn).taken() as name:
            yield name
        return
    name = make_ledger(dsn)
    try:
        yield name
    finally:
        drop_ledger(dsn, name)


@cache
def schemas_of(dsn: str) -> Schemas:
    """The schemas that tests of this process take turns with."""
    return Schemas(dsn)


@contextmanager
def fresh_ledger(dsn: str) -> Iterator[Ledger]:
    with new_ledger(dsn) as name, Ledger.open(dsn, name) as ledger:
        yield ledger


@contextmanager
def application_of(
    dsn: str,
    ledger: Ledger,
    open_ledger: Opener = Ledger.open,
    right: grants.Right = grants.Right.APPEND,
) -> Iterator[Ledger]:
    """The same ledger, opened as a role with this right."""
    role, schema = f"app_{ledger.name}", schema_of(ledger.name)
    with ledger.connection() as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN".encode())
        grants.grant(connection, ledger.name, role, right)
    try:
        with open_ledger(make_conninfo(dsn, user=role), ledger.name) as application:
            yield application
    finally:
        with ledger.connection() as connection:
            for what in (
                f"ALL TABLES IN SCHEMA {schema}",
                f"ALL FUNCTIONS IN SCHEMA {schema}",
                f"SCHEMA {schema}",
            ):
                connection.execute(f"REVOKE ALL ON {what} FROM {role}".encode())
            connection.execute(f"DROP ROLE {role}".encode())


@contextmanager
def owned_ledger(dsn: str) -> Iterator[tuple[str, str]]:
    """A ledger whose owner is no superuser: its connection string and the ledger's name."""
    role = f"owner_{os.getpid()}"
    with psycopg.connect(dsn, autocommit=True) as superuser:
        superuser.execute(f"CREATE ROLE {role} LOGIN".encode())
        superuser.execute(f"GRANT CREATE ON DATABASE {superuser.info.dbname} TO {role}".encode())
        try:
            owner = make_conninfo(dsn, user=role)
            yield owner, make_ledger(owner)
        finally:
            superuser.execute(f"DROP OWNED BY {role} CASCADE".encode())
            superuser.execute(f"DROP ROLE {role}".encode())


def odd_jobs() -> Iterator[Event]:
    """What happened to jobs that were paused, updated, deleted, and told of too late."""

    def job(name: str, *facts: tuple[float, Any]) -> Iterator[Event]:
        for version, (hours, data) in enumerate(facts, 1):
            yield Event(f"projects/p/jobs/{name}", version, data, BEGIN + timedelta(hours=hours))

    labels = {"team": "odd"}
    yield from job(
        "paused", (1, Created(labels=labels)), (2, Started()), (5, Paused()), (9, Resumed()),
        (11.5, Started()), (12, Updating()), (13, Updated()), (40, Succeeded()),
    )  # fmt: skip
    yield from job(
        "deleted", (3, Created(labels=labels)), (4, Started()), (5, Expired(reason="late")),
        (6, Retried()), (30, Started()), (31, Expired()), (32, Deleted()),
    )  # fmt: skip
    # Told of in another order than it happened.
    yield from job("late", (10, Created(labels=labels)), (20, Succeeded()), (12, Started()))
    yield from job(
        "later", (10, Created()), (50, Started()), (49, Failed(error=Status(code=3, message="x"))),
        (51, Retried()), (48, Started()),
    )  # fmt: skip

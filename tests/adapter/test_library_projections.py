"""The cases that eventsourcing publishes for projections and their views, on a ledger and on its own recorder."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event
from typing import Any, ClassVar

import psycopg
import pytest
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresFactory, PostgresTrackingRecorder
from eventsourcing.projection import ProjectionRunner
from eventsourcing.tests import projection as published
from eventsourcing.utils import Environment
from jobledger.infra.adapter.recorder import Factory
from psycopg.sql import SQL, Identifier

CREATED, SUBSEQUENT = "created", "subsequent"


class Counters(PostgresTrackingRecorder, published.EventCountersView):  # type: ignore[misc]
    """A view of two counters, which are updated in one transaction with the position."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._table = Identifier(self.datastore.schema, "event_counters")
        self.sql_create_statements.append(
            SQL("CREATE TABLE IF NOT EXISTS {} (name text PRIMARY KEY, value bigint)").format(
                self._table
            )
        )

    def wait(
        self,
        application_name: str,
        notification_id: int | None,
        timeout: float = 5.0,
        interrupt: Event | None = None,
    ) -> None:
        """Waits longer than a second by default: the machine may be busy."""
        super().wait(application_name, notification_id, timeout, interrupt)

    def get_created_event_counter(self) -> int:
        return self._read(CREATED)

    def get_subsequent_event_counter(self) -> int:
        return self._read(SUBSEQUENT)

    def incr_created_event_counter(self, tracking: Tracking) -> None:
        self._increment(CREATED, tracking)

    def incr_subsequent_event_counter(self, tracking: Tracking) -> None:
        self._increment(SUBSEQUENT, tracking)

    def _read(self, name: str) -> int:
        select = SQL("SELECT value FROM {} WHERE name = %s").format(self._table)
        with self.datastore.get_connection() as connection, connection.cursor() as cursor:
            row = cursor.execute(select, (name,)).fetchone()
        return 0 if row is None else int(row["value"])

    def _increment(self, name: str, tracking: Tracking) -> None:
        upsert = SQL(
            "INSERT INTO {0} AS t VALUES (%s, 1) ON CONFLICT (name) DO UPDATE SET value = t.value + 1"
        ).format(self._table)
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(upsert, (name,))


class PatientRunner(ProjectionRunner[Any, Any]):
    """Waits longer for an error than the five seconds of the published cases: the machine may be busy."""

    def run_forever(self, timeout: float | None = None) -> None:
        super().run_forever(timeout and 60)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "ProjectionRunner", PatientRunner)


@pytest.fixture(autouse=True)
def case(request: pytest.FixtureRequest, env: dict[str, str], dsn: str) -> Iterator[None]:
    """The settings of the case's class; the stock recorder has a schema of its own."""
    schema = env["POSTGRES_SCHEMA"]
    if request.cls.factory is PostgresFactory:
        schema = f"stock_{schema}"
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(schema)))
    more = {"PERSISTENCE_MODULE": request.cls.factory.__module__, "POSTGRES_SCHEMA": schema}
    request.cls.env = env | more
    yield
    if request.cls.factory is PostgresFactory:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(schema)))


class Case:
    factory: ClassVar[type[PostgresFactory]]
    env: ClassVar[dict[str, str]]
    view_class = Counters


class View(Case):
    """Makes the view of the published case, and closes its connections."""

    def construct_event_counters_view(self) -> Counters:
        factory = self.factory(Environment("counters", self.env))
        self.addCleanup(factory.close)  # type: ignore[attr-defined]
        return factory.tracking_recorder(Counters)


@pytest.mark.slow
class TestViewOnLedger(View, published.EventCountersViewTestCase):  # type: ignore[misc]
    factory = Factory


@pytest.mark.one_server
@pytest.mark.slow
class TestViewOnStock(View, published.EventCountersViewTestCase):  # type: ignore[misc]
    factory = PostgresFactory


@pytest.mark.slow
class TestProjectionOnLedger(Case, published.AggregateEventCountersProjectionTestCase):  # type: ignore[misc]
    factory = Factory


@pytest.mark.one_server
@pytest.mark.slow
class TestProjectionOnStock(Case, published.AggregateEventCountersProjectionTestCase):  # type: ignore[misc]
    factory = PostgresFactory

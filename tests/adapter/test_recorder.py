"""eventsourcing's published test cases, and a stock Application, on a ledger."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import DataError, IntegrityError, StoredEvent, Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from eventsourcing.tests.persistence import (
    ApplicationRecorderTestCase,
    NonInterleavingNotificationIDsBaseCase,
    ProcessRecorderTestCase,
    TrackingRecorderTestCase,
)
from jobledger.domain.errors import BeyondEndError
from jobledger.domain.events import Created
from jobledger.domain.events import Event as JobEvent
from jobledger.domain.job import Job, project_job
from jobledger.infra import Ledger
from jobledger.infra.adapter.recorder import Factory
from jobledger.infra.retention.archive import Export


@pytest.fixture
def factory(env: dict[str, str]) -> Iterator[Factory]:
    made = Factory(env)
    yield made
    made.close()


@pytest.fixture
def with_factory(request: pytest.FixtureRequest, factory: Factory) -> None:
    """Sets the factory on the library's unittest classes."""
    request.cls.factory = factory


@pytest.mark.usefixtures("with_factory")
class TestApplicationRecorder(ApplicationRecorderTestCase):  # type: ignore[misc]
    factory: Factory

    def create_recorder(self) -> Any:
        return self.factory.application_recorder()

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


@pytest.mark.usefixtures("with_factory")
class TestNonInterleaving(NonInterleavingNotificationIDsBaseCase):  # type: ignore[misc]
    factory: Factory

    def create_recorder(self) -> Any:
        return self.factory.application_recorder()


@pytest.mark.usefixtures("with_factory")
class TestTrackingRecorder(TrackingRecorderTestCase):  # type: ignore[misc]
    factory: Factory

    def create_recorder(self) -> Any:
        return self.factory.tracking_recorder()


@pytest.mark.usefixtures("with_factory")
class TestProcessRecorder(ProcessRecorderTestCase):  # type: ignore[misc]
    factory: Factory

    def create_recorder(self) -> Any:
        return self.factory.process_recorder()


class Training(Aggregate):
    """An aggregate of another application, in the library's own style."""

    @event("Registered")
    def __init__(self, name: str) -> None:
        self.name = name
        self.steps = 0

    @event("Stepped")
    def step(self) -> None:
        self.steps += 1


class Trainings(Application[UUID]):
    def register(self, name: str) -> UUID:
        training = Training(name)
        self.save(training)
        return training.id

    def step(self, training_id: UUID) -> None:
        training: Training = self.repository.get(training_id)
        training.step()
        self.save(training)


class SeenEvents(PostgresTrackingRecorder):
    """A view that counts how often it was shown each event."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.seen: dict[tuple[str, int], int] = {}

    def show(self, seen: Any, tracking: Tracking) -> None:
        place = (str(seen.originator_id), seen.originator_version)
        self.insert_tracking(tracking)
        self.seen[place] = self.seen.get(place, 0) + 1


class Watching(Projection[SeenEvents]):
    topics = ()

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        self.view.show(domain_event, tracking)


@pytest.mark.slow
def test_a_stock_projection_misses_nothing_and_sees_nothing_twice_under_16_writers(
    env: dict[str, str],
) -> None:
    with ProjectionRunner(
        application_class=Trainings, projection_class=Watching, view_class=SeenEvents, env=env
    ) as runner:

        def work(number: int) -> None:
            for n in range(10):
                training = runner.app.register(f"{number}-{n}")
                for _ in range(4):
                    runner.app.step(training)

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(work, range(16)))
        last = runner.app.recorder.max_notification_id()
        runner.wait(last, timeout=60)

        assert last == 16 * 10 * 5
        assert len(runner.projection.view.seen) == last
        assert set(runner.projection.view.seen.values()) == {1}


@pytest.mark.slow
def test_a_version_taken_by_another_process_is_an_integrity_error(env: dict[str, str]) -> None:
    one, other = Factory(env), Factory(env)
    first, second = one.application_recorder(), other.application_recorder()
    originator = uuid4()
    first.insert_events([StoredEvent(originator, 1, "topic", b"\x00\xff")])

    with pytest.raises(IntegrityError):
        second.insert_events([StoredEvent(originator, 1, "topic", b"x")])
    with pytest.raises(IntegrityError):
        second.insert_events([StoredEvent(originator, 3, "topic", b"x")])
    second.insert_events([StoredEvent(originator, 2, "topic", b"x")])

    assert [e.state for e in first.select_events(originator)] == [b"\x00\xff", b"x"]
    one.close()
    other.close()


@pytest.mark.slow
def test_processes_that_begin_at_once_all_find_their_tables(dsn: str, env: dict[str, str]) -> None:
    env = env | {"POSTGRES_SCHEMA": f"race_{os.getpid()}"}

    def begin(_: int) -> int | None:
        application = Application[UUID](env=env)
        try:
            return application.recorder.max_notification_id()
        finally:
            application.close()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(begin, range(8))) == [None] * 8
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA ledger_race_{os.getpid()} CASCADE".encode())


def test_an_application_reads_and_writes_jobs(
    env: dict[str, str], dsn: str, ledger_name: str
) -> None:
    env = env | {
        "MAPPER_TOPIC": "jobledger.infra.mapping:JobMapper",
        "ORIGINATOR_ID_TYPE": "text",
    }
    name, at = "projects/p/jobs/x", datetime(2026, 6, 1, tzinfo=UTC)
    with Ledger.open(dsn, ledger_name) as ledger, Application[str](env=env) as application:
        application.save(JobEvent(name, 1, Created(labels={"a": "b"}), at, "ana", "r1"))
        ledger.started(name, {"worker": "w1"})

        job: Job = application.repository.get(name, projector_func=project_job)

        assert job == ledger.get(name)
        assert (job.id, job.version, job.labels) == (name, 2, {"a": "b"})
        first, second = application.recorder.select_notifications(1, 10)
        assert application.mapper.to_domain_event(first) == ledger.history(name)[0].event
        assert (second.id, second.topic, second.state) == (2, "Started", b'{"worker":"w1"}')
        with pytest.raises(IntegrityError):
            application.save(JobEvent(name, 2, Created(), at))
        with pytest.raises(DataError, match="canonical JSON"):
            application.recorder.insert_events([StoredEvent(name, 3, "Started", b'{ "x":1}')])


def test_a_consumer_ahead_of_the_ledger_gets_its_last_position(
    env: dict[str, str], dsn: str, ledger_name: str
) -> None:
    with Ledger.open(dsn, ledger_name) as ledger:
        ledger.create("projects/p/jobs/a")
        with pytest.raises(BeyondEndError, match="beyond the end: the ledger's last position is 1"):
            next(ledger.events(2))
        with pytest.raises(BeyondEndError) as caught:
            [*ledger.events(10**9, follow=False)]
        assert (caught.value.position, caught.value.end) == (10**9, 1)
        assert [*ledger.events(1, follow=False)] == []
    env = env | {"PERSISTENCE_MODULE": "jobledger.infra.recorder"}
    with Application[str](env=env) as application:
        with pytest.raises(DataError, match="last position is 1"):
            application.recorder.subscribe(gt=2)
        with application.recorder.subscribe(gt=1):
            pass


@pytest.mark.parametrize("new", [0, 1, 3])
def test_a_subscription_gets_an_error_if_the_ledger_lost_what_it_read(
    env: dict[str, str], dsn: str, ledger_name: str, new: int
) -> None:
    with Factory(env) as factory, Ledger.open(dsn, ledger_name) as ledger:
        recorder = factory.application_recorder()
        for number in range(3):
            recorder.insert_events([StoredEvent(uuid4(), 1, "topic", f"lost{number}".encode())])
        with recorder.subscribe() as subscription:
            assert [each.id for each in islice(subscription, 3)] == [1, 2, 3]
            with ledger.connection() as connection, connection.transaction():
                connection.execute("SET LOCAL session_replication_role = replica")
                connection.execute("DELETE FROM events WHERE position > 1")
                connection.execute("UPDATE head SET size = 1")
                for position in range(2, 2 + new):
                    connection.execute(
                        "INSERT INTO events (position, name, version, type, schema, recorded_time, data)"
                        " VALUES (%s, %s, 1, 'topic', 0, now(), 'new')",
                        (position, str(uuid4())),
                    )
                connection.execute("UPDATE head SET size = %s", (1 + new,))
            with pytest.raises(DataError, match=f"the ledger's last position is {1 + new}"):
                next(subscription)


def test_a_subscription_goes_on_if_what_it_read_was_pruned(
    env: dict[str, str], dsn: str, ledger_name: str, tmp_path: Path
) -> None:
    of_texts = env | {"ORIGINATOR_ID_TYPE": "text"}
    with Factory(of_texts) as factory, Ledger.open(dsn, ledger_name) as ledger:
        recorder = factory.application_recorder()
        ledger.create("projects/p/jobs/a")
        ledger.succeeded("projects/p/jobs/a")
        with recorder.subscribe() as subscription:
            assert [each.topic for each in islice(subscription, 2)] == ["Created", "Succeeded"]
            ledger.prune(datetime.now(UTC), Export(tmp_path / "old.jsonl", is_there=False))
            assert next(subscription).originator_id == "ledger/prunings"

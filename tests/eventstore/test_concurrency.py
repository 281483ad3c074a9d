"""Many writers: nothing lost, nothing twice, positions in commit order and without gaps."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest
from jobledger.domain.errors import BeyondEndError, IllegalTransitionError
from jobledger.domain.states import JobState
from jobledger.infra import Ledger
from jobledger.infra.eventstore.commit.appender import LOCK_HEAD
from jobledger.infra.eventstore.feed import Feed
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.eventstore.writes import job_write
from jobledger.infra.retention.archive import Export
from jobledger.infra.upkeep.verify import verify

from tests.forms import Opener

pytestmark = [pytest.mark.both_forms, pytest.mark.usefixtures("signing_in_background")]

NAME = "projects/p/jobs/one"


def assert_sound(ledger: Ledger, events: int) -> None:
    with ledger.connection() as connection:
        verdict = verify(connection)
    assert verdict.findings == []
    assert verdict.events == events


@pytest.mark.slow
def test_64_threads_report_on_one_job(ledger: Ledger) -> None:
    ledger.create(NAME)
    with ThreadPoolExecutor(64) as pool:
        versions = list(
            pool.map(lambda n: ledger.progress_reported(NAME, {"n": n}).version, range(640))
        )

    assert sorted(versions) == list(range(2, 642))
    assert {e.json["output"]["n"] for e in ledger.history(NAME)[1:]} == set(range(640))
    assert_sound(ledger, 641)


@pytest.mark.slow
def test_64_threads_report_on_many_jobs(ledger: Ledger) -> None:
    def live(number: int) -> None:
        name = f"projects/p/jobs/j{number}"
        ledger.create(name)
        ledger.started(name)
        ledger.succeeded(name)

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(live, range(640)))

    assert len(ledger.list("state = SUCCEEDED")) == 640
    assert_sound(ledger, 1920)


@pytest.mark.slow
def test_one_of_64_starts_is_recorded_and_the_others_are_contradicted(
    ledger: Ledger,
) -> None:
    ledger.create(NAME)
    with ThreadPoolExecutor(64) as pool:
        list(pool.map(lambda n: ledger.started(NAME, {"worker": n}), range(64)))
    assert Counter(e.type for e in ledger.history(NAME)) == {
        "Created": 1,
        "Started": 1,
        "Contradicted": 63,
    }
    assert_sound(ledger, 65)


@pytest.mark.slow
def test_64_threads_with_one_request_id_write_once(ledger: Ledger) -> None:
    with ThreadPoolExecutor(64) as pool:
        jobs = list(pool.map(lambda _: ledger.create(NAME, request_id="same"), range(64)))
    assert all(job == jobs[0] for job in jobs)
    assert_sound(ledger, 1)


@pytest.mark.slow
def test_processes_that_know_nothing_of_each_other_take_turns(
    ledger: Ledger, dsn: str, ledger_name: str, open_ledger: Opener
) -> None:
    ledger.create(NAME)
    with open_ledger(dsn, ledger_name) as second, open_ledger(dsn, ledger_name) as third:
        writers = (ledger, second, third)

        def work(number: int) -> int:
            writer = writers[number % 3]
            writer.create(f"projects/p/jobs/own{number}")
            return writer.progress_reported(NAME, {"n": number}).version

        with ThreadPoolExecutor(24) as pool:
            versions = list(pool.map(work, range(240)))
    assert sorted(versions) == list(range(2, 242))
    assert_sound(ledger, 481)


@pytest.mark.slow
def test_one_callers_refusal_does_not_fail_its_neighbours(ledger: Ledger) -> None:
    ledger.create(NAME)

    def work(number: int) -> str:
        try:
            if number % 2:
                ledger.resume(NAME)
            else:
                ledger.create(f"projects/p/jobs/j{number}")
        except IllegalTransitionError:
            return "refused"
        return "written"

    with ThreadPoolExecutor(32) as pool:
        assert Counter(pool.map(work, range(200))) == {"refused": 100, "written": 100}
    assert_sound(ledger, 101)


@pytest.mark.slow
def test_a_reader_never_passes_over_an_event_still_in_flight(
    ledger: Ledger, dsn: str, ledger_name: str, open_ledger: Opener
) -> None:
    """The race that loses events elsewhere: a later position becomes visible before an earlier one."""
    with ledger.connection() as slow, open_ledger(dsn, ledger_name) as quick:
        slow.execute("BEGIN")
        slow.execute(LOCK_HEAD)
        slow.execute("UPDATE head SET size = size + 1")
        slow.execute(
            "INSERT INTO events (position, recorded_time, version, schema, type, name, data)"
            " SELECT size, now(), 1, 0, 'slow', 'other', '' FROM head"
        )
        written = threading.Event()

        def write() -> None:
            quick.create(NAME)
            written.set()

        writer = threading.Thread(target=write)
        writer.start()

        # The quick writer cannot have a position before the slow one commits or gives up.
        assert not written.wait(0.3)
        assert list(ledger.events(follow=False)) == []

        slow.execute("COMMIT")
        assert written.wait(60)
        writer.join()
    assert [(e.position, e.type) for e in ledger.events(follow=False)] == [
        (1, "slow"),
        (2, "Created"),
    ]


@pytest.mark.slow
def test_the_live_feed_misses_nothing_and_shows_nothing_twice_under_16_writers(
    ledger: Ledger, dsn: str, ledger_name: str, open_ledger: Opener
) -> None:
    seen: list[tuple[int, str, JobState | None]] = []
    with open_ledger(dsn, ledger_name) as reader:
        feed = islice(reader.events(), 16 * 20 * 3)
        follower = threading.Thread(
            target=lambda: seen.extend((e.position, e.type, e.state) for e in feed)
        )
        follower.start()

        def live(number: int) -> None:
            for n in range(20):
                name = f"projects/p/jobs/j{number}-{n}"
                ledger.create(name)
                ledger.progress_reported(name)
                ledger.failed(name)

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(live, range(16)))
        follower.join(60)
    assert [position for position, _, _ in seen] == list(range(1, 961))
    assert {(type_, state) for _, type_, state in seen} == {
        ("Created", JobState.QUEUED),
        ("ProgressReported", JobState.QUEUED),
        ("Failed", JobState.FAILED),
    }


def test_a_feed_that_begins_in_the_middle_knows_the_states(ledger: Ledger) -> None:
    ledger.create(NAME)
    ledger.started(NAME)
    ledger.progress_reported(NAME)
    ledger.started(NAME)
    states = [(e.type, e.state) for e in ledger.events(after=2, follow=False)]
    assert states == [("ProgressReported", JobState.RUNNING), ("Contradicted", JobState.RUNNING)]


@pytest.mark.slow
@pytest.mark.parametrize("new", [0, 1, 2, 3])
def test_a_follower_gets_an_error_if_the_ledger_lost_what_it_read(ledger: Ledger, new: int) -> None:
    for number in range(3):
        ledger.create(f"projects/p/jobs/lost{number}")
    feed = ledger.events()
    assert [event.position for event in islice(feed, 3)] == [1, 2, 3]
    with ledger.connection() as connection, connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute("DELETE FROM events WHERE position > 1")
        connection.execute("UPDATE head SET size = 1")
    for number in range(new):
        ledger.create(f"projects/p/jobs/new{number}")
    with pytest.raises(BeyondEndError, match=f"the ledger's last position is {1 + new}"):
        next(feed)


@pytest.mark.slow
def test_a_follower_goes_on_if_what_it_read_was_pruned(ledger: Ledger, tmp_path: Path) -> None:
    ledger.create(NAME)
    ledger.cancel(NAME)
    feed = ledger.events()
    assert [event.type for event in islice(feed, 3)] == ["Created", "Cancelling", "Cancelled"]
    ledger.prune(datetime.now(UTC), Export(tmp_path / "old.jsonl", is_there=False))
    assert next(feed).name == "ledger/prunings"


def test_a_feed_ends_when_the_ledger_is_closed(
    dsn: str, ledger_name: str, open_ledger: Opener
) -> None:
    follows = threading.Event()

    def follow() -> None:
        for _ in reader.events():
            follows.set()

    with open_ledger(dsn, ledger_name) as reader:
        reader.create("projects/p/jobs/j")
        follower = threading.Thread(target=follow)
        follower.start()
        assert follows.wait(60)
    follower.join(60)
    assert not follower.is_alive()


@pytest.mark.slow
def test_a_rebuild_goes_on_while_writers_do(ledger: Ledger) -> None:
    from jobledger.infra.upkeep.rebuild import rebuild
    from jobledger.projections.catalogue import PROJECTIONS

    stop = threading.Event()
    written: list[str] = []

    def write() -> None:
        number = 0
        while not stop.is_set():
            name = f"projects/p/jobs/j{threading.get_ident()}-{number}"
            ledger.create(name)
            ledger.started(name)
            written.append(name)
            number += 1

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    with ledger.connection() as connection:
        for _ in range(5):
            rebuild(connection, PROJECTIONS[0])
    stop.set()
    for writer in writers:
        writer.join()
    assert len(ledger.list("state = RUNNING")) == len(written)
    assert_sound(ledger, 2 * len(written))


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 8])
def test_a_cancel_that_races_with_a_worker_is_answered_consistently(
    ledger: Ledger, threads: int
) -> None:
    for n in range(20):
        name = f"projects/p/jobs/r{n}"
        ledger.create(name)
        ledger.started(name)
        with ThreadPoolExecutor(threads) as pool:
            done = pool.submit(ledger.succeeded, name)
            try:
                pool.submit(ledger.cancel, name).result()
            except IllegalTransitionError as refused:
                assert refused.state == "SUCCEEDED"
            assert done.result().state is JobState.SUCCEEDED
    assert_sound(ledger, ledger.size())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("many", "expected"), [(job_write.MANY_EVENTS, 2), (2, job_write.TRIES_WITH_MANY + 1)]
)
def test_a_late_report_is_placed_though_others_never_stop_writing(
    ledger: Ledger, dsn: str, monkeypatch: pytest.MonkeyPatch, many: int, expected: int
) -> None:
    """Each time the job's events were read, somebody else adds one before the report is written."""
    monkeypatch.setattr(job_write, "MANY_EVENTS", many)
    begin = datetime(2026, 6, 1, 12, tzinfo=UTC)
    ledger.create(NAME, occurred_time=begin)
    ledger.started(NAME, occurred_time=begin + timedelta(minutes=1))
    ledger.progress_reported(NAME, {"n": 0}, occurred_time=begin + timedelta(minutes=3))
    read, reads = Feed.history, count(1)
    with Ledger.open(dsn, ledger.name) as other:

        def history(feed: Feed, *args: Any) -> list[RecordedEvent]:
            found = read(feed, *args)
            assert next(reads) <= expected
            other.progress_reported(NAME, {"n": 1})
            return found

        monkeypatch.setattr(Feed, "history", history)
        ledger.paused(NAME, occurred_time=begin + timedelta(minutes=2))
        monkeypatch.undo()
    events = ledger.history(NAME)
    assert [event.type for event in events if event.placed_after is not None] == ["Paused"]
    assert next(reads) == expected + 1
    with ledger.connection() as connection:
        assert verify(connection).findings == []

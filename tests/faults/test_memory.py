"""What a writer keeps in memory is bounded by bytes, whatever the number of jobs and events."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from jobledger import Ledger
from jobledger.domain.events import Created, Event, ProgressReported
from jobledger.domain.job import Job
from jobledger.infra.eventstore.commit import batch
from jobledger.infra.eventstore.commit.batch import JobCache
from jobledger.infra.eventstore.writes import bulk
from jobledger.infra.eventstore.writes.weight import weight_of_data, weight_of_job

AT = datetime(2026, 6, 1, tzinfo=UTC)
KILOBYTE = 1_024


def cached(ledger: Ledger) -> list[Job]:
    """The jobs that a writer remembers, on a loop or in threads."""
    on_loop = getattr(ledger, "_ledger", None)
    writer = ledger.writer if on_loop is None else on_loop.writer
    return list(writer.committer.cache._jobs.values())


def test_a_job_weighs_at_least_what_it_holds() -> None:
    text = "x" * 100 * KILOBYTE
    small = Job(name="projects/p/jobs/a")
    for values in ({"spec": {"a": [{"b": text}]}}, {"output": {text: 1}}, {"labels": {"k": text}}):
        large = small.model_copy(update=values)
        assert weight_of_job(large) - weight_of_job(small) >= len(text)
    assert weight_of_data(Created(spec={"a": [text]})) >= len(text)
    assert weight_of_data(ProgressReported(output={"a": {"b": text}})) >= len(text)
    assert weight_of_data(Created.model_validate({"more": {"a": text}})) >= len(text)


@pytest.mark.slow
@pytest.mark.both_forms
def test_large_jobs_are_forgotten_before_there_are_many(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "MAX_CACHED_BYTES", 500 * KILOBYTE)
    for number in range(60):
        ledger.create(f"projects/p/jobs/j{number}", spec={"x": "y" * 20 * KILOBYTE})
    assert 5 < sum(bool(job.spec) for job in cached(ledger)) <= 30
    assert sum(map(weight_of_job, cached(ledger))) <= 600 * KILOBYTE
    # Those that were forgotten are read again.
    for number in range(60):
        assert ledger.started(f"projects/p/jobs/j{number}").version == 2
    assert sum(map(weight_of_job, cached(ledger))) <= 600 * KILOBYTE


def test_small_jobs_that_are_written_again_and_again_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events that replace each other add up to the bound; the job does not."""
    monkeypatch.setattr(batch, "MAX_CACHED_BYTES", 500 * KILOBYTE)
    cache = JobCache()
    for version in range(2_000):
        job = Job(name="projects/p/jobs/one", version=version, output={"x": "y" * KILOBYTE})
        cache.store([job], None, 2 * KILOBYTE)
        assert cache.find(job.name) is job


def test_large_events_are_appended_in_smaller_transactions(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BATCH_BYTES", 500 * KILOBYTE)
    ahead = drawn = 0

    def events() -> Iterator[Event]:
        nonlocal ahead, drawn
        for number in range(60):
            spec = {"x": "y" * 50 * KILOBYTE}
            drawn += 1
            ahead = max(ahead, drawn - ledger.size())
            yield Event(f"projects/p/jobs/j{number}", 1, Created(spec=spec), AT)

    assert ledger.append_many(events()) == 60
    assert ledger.size() == 60
    # One transaction is written while the next is prepared and the one after that is drawn.
    assert ahead <= 3 * 10
    assert len({event.recorded_time for event in ledger.events(follow=False)}) >= 6


@pytest.mark.slow
@pytest.mark.both_forms
def test_large_events_of_many_callers_are_committed_in_smaller_batches(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    for module in ("committer", "async_committer"):
        where = f"jobledger.infra.eventstore.commit.{module}.MAX_BATCH_BYTES"
        monkeypatch.setattr(where, 100 * KILOBYTE)
    with ThreadPoolExecutor(32) as pool:
        create = lambda n: ledger.create(f"projects/p/jobs/j{n}", spec={"x": "y" * 60 * KILOBYTE})  # noqa: E731
        assert len(list(pool.map(create, range(64)))) == 64
    batches: dict[datetime, int] = {}
    for event in ledger.events(follow=False):
        batches[event.recorded_time] = batches.get(event.recorded_time, 0) + len(event.stored)
    assert max(batches.values()) <= (100 + 2 * 61) * KILOBYTE

"""A filter on a label's value is answered through an index, and as without one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from jobledger.domain.events import Created, Event
from jobledger.infra import Ledger
from jobledger.infra.read.lists import job_lists

JOBS = 3_000
AT = datetime(2026, 6, 1, tzinfo=UTC)
RARE, FREQUENT = 'labels.owner = "o7"', 'labels.env = "dev"'


@contextmanager
def plans(ledger: Ledger) -> Iterator[list[str]]:
    """The plans of the statements that lists and counts send meanwhile."""
    found: list[str] = []
    execute = psycopg.Connection.execute

    def explained(self: psycopg.Connection[Any], query: Any, *args: Any, **more: Any) -> Any:
        text = query.as_string(self) if hasattr(query, "as_string") else ""
        if "FROM jobs" in text:
            rows = execute(self, b"EXPLAIN " + text.encode(), *args, prepare=False)
            found.append("\n".join(str(row[0]) for row in rows))
        return execute(self, query, *args, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Connection, "execute", explained)
        yield found


def fill(ledger: Ledger) -> None:
    names = [f"projects/p/jobs/j{n:05}" for n in range(JOBS)]
    ledger.append_many(
        Event(
            name,
            1,
            Created(labels={"owner": f"o{n // 10}", "env": "prod" if n % 10 == 0 else "dev"}),
            AT + timedelta(seconds=n),
        )
        for n, name in enumerate(names)
    )
    with ledger.connection() as connection:
        connection.execute("ANALYZE jobs")


@pytest.mark.slow
@pytest.mark.unused_schema
def test_a_rare_value_is_looked_up_and_a_frequent_one_met_in_order(ledger: Ledger) -> None:
    fill(ledger)
    with plans(ledger) as found:
        assert len(ledger.page(RARE, page_size=20).jobs) == 10
        assert len(ledger.list(RARE)) == 10
        assert ledger.count("state", RARE).counts == {"QUEUED": 10}
        assert ledger.page(f"{RARE} AND state = QUEUED", page_size=20).jobs
    assert len(found) >= 3
    assert all("jobs_labels" in plan for plan in found), found
    with plans(ledger) as found:
        ledger.page(FREQUENT, page_size=20)
    assert all("jobs_created" in plan and "jobs_labels" not in plan for plan in found), found


@pytest.mark.slow
@pytest.mark.unused_schema
def test_a_rebuilt_projection_has_the_index(ledger: Ledger) -> None:
    from jobledger.infra.upkeep.rebuild import rebuild
    from jobledger.projections.catalogue import JOBS as PROJECTION

    fill(ledger)
    with ledger.connection() as connection:
        rebuild(connection, PROJECTION)
    with plans(ledger) as found:
        assert len(ledger.page(RARE).jobs) == 10
    assert all("jobs_labels" in plan for plan in found), found


@pytest.mark.slow
@pytest.mark.parametrize("limit", [10_000, -1], ids=["recent", "long ago"])
def test_both_statements_give_the_same_answers_at_each_position(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(job_lists, "RECENT_EVENTS", limit)
    for number in range(6):
        name = f"projects/p/jobs/j{number}"
        ledger.create(name, {"team": f"t{number % 2}"})
        if number % 3:
            ledger.started(name)
        if number == 4:
            ledger.change_labels(name, {"team": "t1"})
        if number == 5:
            ledger.succeeded(name)
            ledger.delete(name)
    for position in range(1, ledger.size() + 1):
        at = f"@{position}"
        everything = ledger.list(as_of=at)
        for team in ("t0", "t1", "t2"):
            wanted = [job.name for job in everything if job.labels.get("team") == team]
            for filter_ in (
                f"labels.team = {team}",
                f'labels.team : "{team}" AND version > 0',
                f'labels.team = {team} AND (state = RUNNING OR NOT state = RUNNING) AND etag != "x"',
            ):
                found = ledger.list(filter_, as_of=at)
                assert [job.name for job in found] == wanted, (at, filter_)
                assert found == [job for job in everything if job.name in set(wanted)]
            counts = ledger.count("labels.team", f"labels.team = {team}", as_of=at).counts
            assert counts == ({team: len(wanted)} if wanted else {})


@pytest.mark.slow
@pytest.mark.parametrize("value", ["1", "1.0", "2026-01-01T00:00:00Z", 'a"b', "a\\b", "größe", "%"])
def test_any_value_is_found(ledger: Ledger, value: str) -> None:
    ledger.append_many(
        [Event("projects/p/jobs/a", 1, Created.model_construct(labels={"k": value}), AT)]
    )
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    assert [job.name for job in ledger.list(f'labels.k = "{escaped}"')] == ["projects/p/jobs/a"]
    assert ledger.list('labels.k = "other"') == []

"""A rehearsed rebuild tells what would change, and changes nothing."""

from __future__ import annotations

import pytest
from jobledger.infra import Ledger
from jobledger.infra.upkeep.rehearse import rehearse
from jobledger.infra.upkeep.verify import verify
from jobledger.projections.catalogue import INTERVALS, JOBS


def schemas(ledger: Ledger) -> set[str]:
    with ledger.connection() as connection:
        rows = connection.execute("SELECT nspname FROM pg_namespace").fetchall()
    return {row[0] for row in rows if row[0].startswith(f"ledger_{ledger.name}")}


def some_jobs(ledger: Ledger) -> None:
    for id_ in "abc":
        ledger.create(f"projects/p/jobs/{id_}", {"team": id_})
        ledger.started(f"projects/p/jobs/{id_}")
    ledger.count()


@pytest.mark.slow
@pytest.mark.plain_server
def test_nothing_would_change_in_a_sound_ledger(ledger: Ledger) -> None:
    some_jobs(ledger)
    with ledger.connection() as connection:
        for projection in (JOBS, INTERVALS):
            outcome = rehearse(connection, projection)
            assert (outcome.events, outcome.changed, outcome.changes) == (6, 0, [])
        assert rehearse(connection, JOBS).rows == 3
        assert verify(connection).ok
    assert schemas(ledger) == {f"ledger_{ledger.name}"}


@pytest.mark.slow
def test_a_changed_fold_is_reported_and_not_applied(ledger: Ledger) -> None:
    some_jobs(ledger)
    meant, other_state = "WHEN 'Started' THEN 'RUNNING'", "WHEN 'Started' THEN 'PENDING'"
    changed = [f._replace(text=f.text.replace(meant, other_state)) for f in JOBS.functions]
    other = JOBS._replace(functions=tuple(changed))
    with ledger.connection() as connection:
        outcome = rehearse(connection, other, limit=2)
        assert (outcome.rows, outcome.changed) == (3, 3)
        assert [change.fields["state"] for change in outcome.changes] == [
            ("RUNNING", "PENDING")
        ] * 2
        assert verify(connection).ok  # With the functions it had.
    ledger.create("projects/p/jobs/d")
    assert ledger.count().counts == {"RUNNING": 3, "QUEUED": 1}
    assert schemas(ledger) == {f"ledger_{ledger.name}"}


@pytest.mark.slow
@pytest.mark.plain_server
def test_wrong_missing_and_extra_rows_are_reported(ledger: Ledger) -> None:
    some_jobs(ledger)
    with ledger.connection() as connection:
        connection.execute("UPDATE jobs SET labels = '{}' WHERE name LIKE '%/a'")
        connection.execute("DELETE FROM jobs WHERE name LIKE '%/b'")
        connection.execute("DELETE FROM intervals WHERE position = 1")
        changes = {change.key: change.fields for change in rehearse(connection, JOBS).changes}
        assert changes["projects/p/jobs/a"] == {"labels": ({}, {"team": "a"})}
        assert changes["projects/p/jobs/b"]["state"] == (None, "RUNNING")
        assert set(changes) == {"projects/p/jobs/a", "projects/p/jobs/b"}
        (change,) = rehearse(connection, INTERVALS).changes
        assert (change.table, change.key) == ("intervals", "1")
        assert connection.execute("SELECT count(*) FROM jobs").fetchone() == (2,)


@pytest.mark.slow
def test_documents_that_are_only_spaced_differently_do_not_change(ledger: Ledger) -> None:
    some_jobs(ledger)
    ledger.cancelled("projects/p/jobs/a", "stopped by SIGTERM")
    with ledger.connection() as connection:
        outcome = rehearse(connection, JOBS)
    assert (outcome.changed, outcome.changes) == (0, [])

"""What verification finds, in ledgers that somebody damaged with a superuser's rights."""

from __future__ import annotations

import pytest
from jobledger.infra import Ledger
from jobledger.infra.upkeep.verify import verify

UNLOCK = "ALTER TABLE events DISABLE TRIGGER ALL; "


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "kinds"),
    [
        ("UPDATE jobs SET state = 'FAILED' WHERE name LIKE '%a'", {"differs"}),
        ("UPDATE jobs SET etag = 'x' WHERE name LIKE '%a'", {"differs"}),
        ("UPDATE jobs SET labels = '{\"x\": \"y\"}' WHERE name LIKE '%b'", {"differs"}),
        ("UPDATE jobs SET last_position = 2 WHERE name LIKE '%a'", {"differs"}),
        ("DELETE FROM jobs WHERE name LIKE '%a'", {"missing"}),
        ("UPDATE intervals SET occurred_before = 1 WHERE position = 3", {"differs"}),
        ("DELETE FROM intervals WHERE position = 1", {"differs"}),
        ("UPDATE state_changes SET change = change + 1 WHERE level = 2", {"differs"}),
        ("INSERT INTO intervals SELECT 9, now(), 1, 1, 1, 1, now()", {"differs"}),
        ("INSERT INTO jobs SELECT 'projects/p/jobs/c', project, kind, state, version, attempt, create_time,"
         " start_time, end_time, update_time, effective_time, delete_time, error, error_message, labels, spec, output, etag,"
         " first_position, last_position FROM jobs WHERE name LIKE '%a'", {"extra"}),
        (f"{UNLOCK} DELETE FROM events WHERE position = 2", {"gap", "differs"}),
        (f"{UNLOCK} DELETE FROM events WHERE position = 4", {"gap", "missing", "extra", "differs"}),
        (f"{UNLOCK} UPDATE events SET data = '{{}}' WHERE position = 1", {"differs"}),
        (f"{UNLOCK} UPDATE events SET data = '[]' WHERE position = 1", {"unreadable", "differs"}),
        (f"{UNLOCK} UPDATE events SET type = 'Exploded' WHERE position = 2", {"unreadable", "differs"}),
        (f"{UNLOCK} UPDATE events SET recorded_time = '2000-01-01' WHERE position = 3", {"clock", "differs"}),
        ("UPDATE head SET size = 9", {"gap"}),
    ],
)  # fmt: skip
def test_damage_is_found_and_named(ledger: Ledger, damage: str, kinds: set[str]) -> None:
    ledger.create("projects/p/jobs/a", {"team": "x"})
    ledger.started("projects/p/jobs/a")
    ledger.succeeded("projects/p/jobs/a")
    ledger.create("projects/p/jobs/b")
    ledger.count()  # Intervals follow.
    with ledger.connection() as connection:
        assert verify(connection).ok
        connection.execute(damage.encode())
        verdict = verify(connection)
        with ledger.connection() as second:
            assert verify(connection, second=second) == verdict
    assert not verdict.ok
    assert {finding.kind for finding in verdict.findings} <= kinds
    assert verdict.findings

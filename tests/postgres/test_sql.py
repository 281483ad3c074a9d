"""The statements: each is sent by its neighbour, says what it does, and keeps its index in a large ledger."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from jobledger.domain.events import Created, Event, Started
from jobledger.infra import Ledger
from jobledger.infra.eventstore.appender import FIND_REQUESTS, READ_JOBS
from jobledger.infra.eventstore.feed import READ_EVENTS, READ_HISTORY
from jobledger.infra.read.reader import READ_JOB

from tests.checkout import ROOT

pytestmark = pytest.mark.unused_schema

FILES = sorted((ROOT / "infra").rglob("*.sql"))


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_a_statement_begins_with_a_sentence(file: Path) -> None:
    assert file.read_text().startswith("-- ")


@pytest.mark.parametrize(
    "file", [f for f in FILES if f.parent.name != "migrations"], ids=lambda f: f.name
)
def test_a_statement_is_loaded_once_and_by_a_module_beside_it(file: Path) -> None:
    load = f'sql.load(__package__, "{file.stem}")'
    beside = [module for module in file.parent.glob("*.py") if load in module.read_text()]
    assert len(beside) == 1


def test_no_statement_is_loaded_from_another_room() -> None:
    loads = re.compile(r"sql\.load\(([^,]+),")
    for module in (ROOT / "infra").rglob("*.py"):
        assert set(loads.findall(module.read_text())) <= {"__package__"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("statement", "parameters", "index"),
    [
        (READ_JOB, "('projects/p/jobs/j77')", "jobs_pkey"),
        (READ_JOBS, "(ARRAY['projects/p/jobs/j77'])", "jobs_pkey"),
        (READ_HISTORY, "('projects/p/jobs/j77', 0, 99)", "events_version"),
        (READ_EVENTS, "(5000, 100)", "events_pkey"),
        (FIND_REQUESTS, "(ARRAY['r1'])", "events_request"),
    ],
)
def test_hot_statements_keep_their_index(
    ledger: Ledger, statement: bytes, parameters: str, index: str
) -> None:
    at = datetime(2026, 6, 1, tzinfo=UTC)
    jobs = [f"projects/p/jobs/j{n}" for n in range(5_000)]
    ledger.append_many(Event(j, 1, Created(), at, None, f"r{n}") for n, j in enumerate(jobs))
    ledger.append_many(Event(j, 2, Started(), at) for j in jobs)
    text = statement.decode()
    numbers: dict[str, str] = {}
    text = re.sub(
        r"%(\(\w+\))?s",
        lambda m: numbers.setdefault(m[0] if m[1] else f"{m.start()}", f"${len(numbers) + 1}"),
        text,
    )
    with ledger.connection() as connection:
        connection.execute("ANALYZE")
        connection.execute("SET plan_cache_mode = force_generic_plan")
        connection.execute(f"PREPARE statement AS {text}".encode())
        plan = connection.execute(f"EXPLAIN EXECUTE statement{parameters}".encode()).fetchall()
    assert index in str(plan)
    assert "Seq Scan" not in str(plan)

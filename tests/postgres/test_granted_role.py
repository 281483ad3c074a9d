"""Rights of a role that the ledger is granted to: every table and function is tried, and compared with a list."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jobledger.infra import Ledger
from jobledger.infra.postgres import grants
from jobledger.infra.postgres.connections import connect, conninfo, schema_of
from jobledger.infra.upkeep.verify import verify
from psycopg.conninfo import make_conninfo

from tests.ledgers import new_ledger

pytestmark = pytest.mark.plain_server

MAY_CHANGE = {
    "append": {"events", "jobs", "head"},
    "delete_spec_set": {"annotation_spec_sets", "events", "head"},
    "end_lease": {"leases"},
    "find_subject_key": {"subject_keys"},
    "follow": {"intervals", "state_changes", "late_jobs", "projections"},
    "keep_attachment": {"attachments"},
    "keep_lease": {"leases"},
    "keep_spec_set": {"annotation_spec_sets", "events", "head"},
    "lock_head": set(),
    "mail_sent": {"alert_mails"},
    "position_recorded": {"head"},
    "record_answers": {"answers", "sampling"},
    "record_samples": {"samples", "spoilt_predictions", "sampling"},
    "record_truths": {"samples", "sampling"},
    "settle_samples": set(),
    "keep_evaluations": {"evaluations", "alert_mails"},
}
"""The tables that a granted role can change by each function."""
VALUES: dict[str, tuple[str, ...]] = {
    "integer": ("0", "1", "-1", "2147483647"),
    "bigint": ("0", "1", "-5", "9223372036854775807"),
    "smallint": ("0", "2"),
    "boolean": ("true",),
    "pg_lsn": ("'16/B374D848'", "NULL"),
    "text": ("'projects/p/jobs/j'", "'projects/p/jobs/attach.x'", "'jobs'", "'intervals'", "''", "NULL"),
    "text[]": ("'{}'", "'{a}'", "NULL"),
    "json": ("'[]'", "'{}'", "NULL"),
    "bytea": ("''", "decode(repeat('00', 32), 'hex')"),
    "bytea[]": ("'{}'",),
    "bigint[]": ("'{0}'",),
    "smallint[]": ("'{0}'",),
    "integer[]": ("'{1}'",),
    "timestamp with time zone": ("now()", "'2000-01-01'", "'infinity'"),
}  # fmt: skip


class Role:
    """A ledger with some history, and a connection of a role that it is granted to."""

    def __init__(
        self, ledger: Ledger, owner: psycopg.Connection[Any], app: psycopg.Connection[Any]
    ) -> None:
        self.ledger = ledger
        self.owner = owner
        self.app = app
        self.tables = [
            str(name) for (name,) in owner.execute(
                "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"
            )
        ]  # fmt: skip

    def contents(self) -> dict[str, str]:
        """A digest of each table."""
        digest = "SELECT md5(coalesce(string_agg(t::text, ' ' ORDER BY t::text), '')) FROM {} AS t"
        return {table: str(_one(self.owner, digest.format(table))) for table in self.tables}

    def changed(self, statement: str) -> set[str]:
        """The tables that the role changed by a statement, which is then taken back."""
        before = self.contents()
        with self.app.transaction(force_rollback=True):
            try:
                with self.app.transaction():
                    self.app.execute(statement.encode())
            except psycopg.Error:
                return set()
            digest = (
                "SELECT md5(coalesce(string_agg(t::text, ' ' ORDER BY t::text), '')) FROM {} AS t"
            )
            after = {t: _one(self.app, digest.format(t)) for t in self.tables}
        return {table for table in self.tables if before[table] != after[table]}


def _one(connection: psycopg.Connection[Any], statement: str) -> Any:
    row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return row[0]


@pytest.fixture(scope="module")
def role(dsn: str) -> Iterator[Role]:
    with new_ledger(dsn, unused=True) as name, Ledger.open(dsn, name) as ledger:
        app, info = f"granted_{name}", conninfo(dsn, schema_of(name))
        ledger.create("projects/p/jobs/j")
        ledger.started("projects/p/jobs/j")
        ledger.count()
        with connect(info) as owner:
            owner.execute(f"CREATE ROLE {app} LOGIN".encode())
            grants.grant(owner, name, app)
            with connect(make_conninfo(info, user=app)) as connection:
                yield Role(ledger, owner, connection)
            owner.execute(f"DROP OWNED BY {app}".encode())
            owner.execute(f"DROP ROLE {app}".encode())


@pytest.mark.slow
@pytest.mark.parametrize(
    "what",
    [
        "INSERT INTO {} SELECT * FROM {}",
        "DELETE FROM {}",
        "UPDATE {} SET {1} = {1}",
        "TRUNCATE {}",
        "DROP TABLE {}",
        "ALTER TABLE {} DISABLE TRIGGER ALL",
    ],
)
def test_no_table_can_be_written_to(role: Role, what: str) -> None:
    for table in role.tables:
        column = role.owner.execute(f"SELECT * FROM {table} LIMIT 0".encode()).description[0].name  # type: ignore[index]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            role.app.execute(what.replace("{}", table).replace("{1}", column).encode())


@pytest.mark.slow
def test_no_function_changes_more_than_the_list_says(role: Role) -> None:
    functions = role.owner.execute(
        "SELECT proname, array(SELECT format_type(t, NULL) FROM unnest(proargtypes) AS t) FROM pg_proc"
        " WHERE pronamespace = current_schema()::regnamespace AND prorettype <> 'trigger'::regtype"
    ).fetchall()
    assert len(functions) > 30
    for name, types in functions:
        for turn in range(5):
            values = [VALUES.get(str(type_), ("NULL",)) for type_ in types]
            given = ", ".join(
                f"{v[turn % len(v)]}::{t}" for v, t in zip(values, types, strict=True)
            )
            changed = role.changed(f"SELECT {name}({given})")
            assert changed <= MAY_CHANGE.get(str(name), set()), (name, given)


def event(n: int, name: str, version: int, **more: Any) -> dict[str, Any]:
    return {
        "n": n, "name": name, "version": version, "schema": 1, "type": "Started", "data": "{}",
        "occurred_time": "2026-01-01T00:00:00Z", "first": True,
    } | more  # fmt: skip


EVENTS = st.lists(
    st.builds(
        event,
        st.integers(-1, 3),
        st.sampled_from(["projects/p/jobs/j", "projects/p/jobs/new", "ledger/erasures", "x"]),
        st.integers(-1, 5),
        schema=st.sampled_from([0, 1]),
        data=st.sampled_from(["{}", "[]", "no JSON"]),
        first=st.sampled_from([True, None]),
        occurred_time=st.sampled_from(["2026-01-01T00:00:00Z", None]),
        type=st.sampled_from(["Started", "Succeeded", "Created"]),
    ),
    max_size=3,
)
ROW = {
    "name": "projects/p/jobs/j", "state": "FAILED", "version": 2, "attempt": 1, "etag": "x", "n": 0,
    "create_time": "2020-01-01T00:00:00Z", "update_time": "2020-01-01T00:00:00Z", "keep_output": True,
}  # fmt: skip


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(EVENTS, st.integers(-1, 4), st.booleans())
def test_a_ledger_verifies_after_any_append_of_a_granted_role(
    role: Role, events: list[dict[str, Any]], count: int, rows: bool
) -> None:
    """Also what the owner then reads: no gap, no row without its events, nothing in the ledger's own streams."""
    changed = json.dumps([ROW]) if rows else None
    try:
        role.app.execute(
            "SELECT append(%s, %s, NULL, NULL, %s)", (count, json.dumps(events), changed)
        )
    except psycopg.Error:
        return
    found = verify(role.owner)
    assert found.ok, (events, count, found.findings)
    assert role.owner.execute("SELECT FROM events WHERE name LIKE 'ledger/%'").fetchone() is None

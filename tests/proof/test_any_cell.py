"""A superuser changes a cell, or drops or replaces an object: verification names it, or the change is harmless."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jobledger.infra import Ledger
from jobledger.infra.upkeep.definitions import check_definitions

from tests.ledgers import new_ledger
from tests.proof.rich_ledger import Rich, make_rich

NOT_SHOWN = "only the process that works with it reads it, and nobody is shown it"
SLOWER = "a job that is said to be late is folded from its events, with the same outcome"
NEVER_READ = "nobody is shown it"
ACCESS = (
    "who may do what is not part of the history; revoked and made tokens are the administrator's"
)
UNDER_NO_DIGEST = "no event holds it: the threat model says so"

HARMLESS = {
    ("alert_mails", "*"): NOT_SHOWN,
    ("annotation_spec_sets", "delete_time"): "that it was deleted is recorded; when is not shown",
    ("answers", "time"): NEVER_READ,
    ("attachments", "*"): NOT_SHOWN,
    ("checkpoints", "hour"): NEVER_READ,
    ("checkpoints", "signed_time"): NEVER_READ,
    ("checkpoints", "size"): "what is believed is the note, which is signed",
    ("head", "recorded_time"): "moved ahead by less than a minute it is as if somebody had asked for that moment",
    ("imports", "*"): NOT_SHOWN,
    ("late_jobs", "name"): SLOWER,
    ("leases", "*"): "nobody is shown it; that a job was lost is an event, and its end still follows that",
    ("migrations", "name"): NEVER_READ,
    ("migrations", "applied_time"): NEVER_READ,
    ("migrations", "checksum"): "the program refuses to open such a ledger",
    ("migrations", "number"): "the program refuses to open such a ledger",
    ("projections", "version"): "the program refuses to open such a ledger",
    ("projections", "name"): "the program refuses to open such a ledger",
    ("projections", "position"): "back by some events it folds them again, to the same rows; beyond the end it is named",
    ("samples", "key"): UNDER_NO_DIGEST,
    ("samples", "model"): UNDER_NO_DIGEST,
    ("samples", "model_version"): UNDER_NO_DIGEST,
    ("samples", "recorded_time"): UNDER_NO_DIGEST,
    ("sampling", "repeated"): UNDER_NO_DIGEST,
    ("sampling", "passed_over"): UNDER_NO_DIGEST,
    ("sampling", "beyond_count"): UNDER_NO_DIGEST,
    ("secrets", "*"): "page tokens that were handed out are refused",
    ("spoilt_predictions", "*"): UNDER_NO_DIGEST,
    ("subject_keys", "create_time"): NEVER_READ,
    ("tokens", "*"): ACCESS,
    ("tracking", "*"): NOT_SHOWN,
}  # fmt: skip
"""Cells whose change is not reported: table and column, and why it is harmless."""

CHANGES = {
    "text": ("{} || 'x'", "upper({})", "'x'"),
    "bytea": ("set_byte({0}, 0, get_byte({0}, 0) # 1)", "substr({}, 2)", "{} || '\\x00'::bytea"),
    "json": ("""'{{"x":1}}'::json""",),
    "jsonb": ("""'{{"x":"1"}}'::jsonb""",),
    "boolean": ("NOT {}",),
    "bigint": ("{} + 1", "{} - 1"),
    "integer": ("{} + 1", "{} - 1"),
    "smallint": ("({} + 1)::smallint", "({} - 1)::smallint"),
    "timestamp with time zone": ("{} + interval '1 hour'", "{} - interval '1 microsecond'", "'2100-01-01'"),
}  # fmt: skip
"""What a cell of each type may become."""


@pytest.fixture(scope="module")
def rich(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rich]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JOBLEDGER_HOME", str(tmp_path_factory.mktemp("home")))
        # Nothing catches up meanwhile: what is changed is put back by the test alone.
        with new_ledger(dsn, unused=True) as name, Ledger.open(dsn, name, catch_up=False) as ledger:
            rich = make_rich(ledger)
            assert rich.findings() == []
            yield rich


def columns(rich: Rich) -> list[tuple[str, str, str, bool]]:
    """All columns: the table, the name, the type, and whether it may be null."""
    with rich.ledger.connection() as connection:
        rows = connection.execute(
            "SELECT table_name, column_name, data_type, is_nullable = 'YES' FROM information_schema.columns"
            " WHERE table_schema = current_schema() AND table_name = ANY (%s) ORDER BY 1, ordinal_position",
            (rich.tables,),
        ).fetchall()
    return [(str(t), str(c), str(y), bool(n)) for t, c, y, n in rows]


@pytest.mark.slow
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_changed_cell_is_found_or_listed_as_harmless(rich: Rich, data: st.DataObject) -> None:
    table, column, type_, nullable = data.draw(st.sampled_from(columns(rich)))
    rows = rich.rows(table)
    assume(rows)
    row = data.draw(st.integers(0, rows - 1))
    changes = [*CHANGES[type_], *(["NULL"] if nullable else [])]
    changed = data.draw(st.sampled_from(changes)).format(column)
    # A count of nothing may be anywhere, or not be there.
    counts = " AND change <> 0" if table == "state_changes" else ""
    with rich.restored(table), rich.ledger.connection() as connection:
        try:
            with connection.transaction():
                connection.execute("SET LOCAL session_replication_role = replica")
                done = connection.execute(
                    f"UPDATE {table} SET {column} = {changed} WHERE ctid = (SELECT ctid FROM {table}"
                    f" ORDER BY {table}::text OFFSET {row} LIMIT 1) AND {column}::text IS DISTINCT FROM ({changed})::text{counts}".encode()
                )
        except psycopg.Error:
            assume(
                False
            )  # No constraint allows it; without the constraint the schema is another one.
        assume(done.rowcount == 1)
        found = _findings(rich)
    if not found:
        assert (table, column) in HARMLESS or (table, "*") in HARMLESS, (
            table,
            column,
            changed,
            row,
        )


def _findings(rich: Rich) -> object:
    """What is found; a ledger that does not even open or answer counts as found."""
    try:
        return rich.findings()
    except Exception as error:
        return error


OBJECTS = {
    "trigger": "SELECT format('DROP TRIGGER %I ON %I', tgname, c.relname) FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = tgrelid"
    " WHERE NOT tgisinternal AND relnamespace = current_schema()::regnamespace",
    "trigger off": "SELECT format('ALTER TABLE %I DISABLE TRIGGER %I', c.relname, tgname) FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = tgrelid"
    " WHERE NOT tgisinternal AND relnamespace = current_schema()::regnamespace",
    "function": "SELECT format('DROP FUNCTION %s CASCADE', oid::regprocedure) FROM pg_proc WHERE pronamespace = current_schema()::regnamespace",
    "function replaced": "SELECT pg_get_functiondef(oid) || ' -- x' FROM pg_proc WHERE false",
    "function's rights": "SELECT format('ALTER FUNCTION %s SECURITY %s', oid::regprocedure, CASE WHEN prosecdef THEN 'INVOKER' ELSE 'DEFINER' END)"
    " FROM pg_proc WHERE pronamespace = current_schema()::regnamespace",
    "function's path": "SELECT format('ALTER FUNCTION %s SET search_path = public', oid::regprocedure) FROM pg_proc WHERE pronamespace = current_schema()::regnamespace",
    "function's grant": "SELECT format('GRANT EXECUTE ON FUNCTION %s TO PUBLIC WITH GRANT OPTION', oid::regprocedure) FROM pg_proc WHERE false",
    "view": "SELECT format('DROP VIEW %I CASCADE', viewname) FROM pg_views WHERE schemaname = current_schema()",
    "view replaced": "SELECT format('CREATE OR REPLACE VIEW %I AS SELECT * FROM (%s) AS x WHERE true LIMIT 1', viewname, rtrim(definition, ';'))"
    " FROM pg_views WHERE schemaname = current_schema()",
    "view in the place of a table": "SELECT format('ALTER TABLE %1$I RENAME TO %1$s_; CREATE VIEW %1$I AS TABLE %1$I_', relname) FROM pg_class"
    " WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'",
    "table": "SELECT format('DROP TABLE %I CASCADE', relname) FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'",
    "rule": "SELECT format('CREATE RULE quiet AS ON UPDATE TO %I DO INSTEAD NOTHING', relname) FROM pg_class"
    " WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'",
    "policy": "SELECT format('ALTER TABLE %1$I ENABLE ROW LEVEL SECURITY; CREATE POLICY hidden ON %1$I USING (false)', relname) FROM pg_class"
    " WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'",
    "child": "SELECT format('CREATE TABLE more () INHERITS (%I)', relname) FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'",
    "constraint": "SELECT format('ALTER TABLE %s DROP CONSTRAINT %I CASCADE', conrelid::regclass, conname) FROM pg_constraint"
    " WHERE connamespace = current_schema()::regnamespace AND contype <> 'n'",
    "index": "SELECT format('DROP INDEX %s CASCADE', indexrelid::regclass) FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid"
    " WHERE relnamespace = current_schema()::regnamespace AND indexrelid NOT IN (SELECT conindid FROM pg_constraint)",
    "default": "SELECT format('ALTER TABLE %I ALTER %I SET DEFAULT NULL', table_name, column_name) FROM information_schema.columns AS c"
    " JOIN pg_tables AS t ON t.tablename = c.table_name AND t.schemaname = c.table_schema"
    " WHERE table_schema = current_schema() AND column_default IS NOT NULL",
    "null": "SELECT format('ALTER TABLE %I ALTER %I DROP NOT NULL', c.table_name, c.column_name) FROM information_schema.columns AS c"
    " JOIN pg_tables AS t ON t.tablename = c.table_name AND t.schemaname = c.table_schema WHERE table_schema = current_schema()"
    " AND is_nullable = 'NO' AND NOT EXISTS (SELECT FROM information_schema.key_column_usage AS k WHERE k.table_schema = c.table_schema"
    " AND k.table_name = c.table_name AND k.column_name = c.column_name)",
    "grant": "SELECT format('GRANT UPDATE ON %I TO PUBLIC', relname) FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'v')",
    "overload": "SELECT format('CREATE FUNCTION %I(anyelement, smallint DEFAULT 1) RETURNS text LANGUAGE sql AS ''SELECT 1::text''', proname)"
    " FROM pg_proc WHERE pronamespace = current_schema()::regnamespace AND proname = 'state_after'",
    "operator": "SELECT 'CREATE OPERATOR === (FUNCTION = texteq, LEFTARG = text, RIGHTARG = text)'",
}  # fmt: skip
"""What changes each object of a kind: a query of the statements."""
del OBJECTS["function replaced"], OBJECTS["function's grant"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", OBJECTS)
def test_a_dropped_or_replaced_object_is_found(rich: Rich, kind: str) -> None:
    """All of a kind, one after the other, each taken back; compared with what was installed once."""
    with rich.ledger.connection() as connection:
        statements = [str(s) for (s,) in connection.execute(OBJECTS[kind].encode())]
        assert statements
        for statement in statements:
            with connection.transaction(force_rollback=True):
                try:
                    connection.execute(statement.encode())
                except psycopg.errors.FeatureNotSupported:
                    continue
                assert check_definitions(connection, rich.installed), statement
        # A schema that is installed for the one comparison shows the same.
        with connection.transaction(force_rollback=True):
            connection.execute(statements[0].encode())
            assert check_definitions(connection)
        assert check_definitions(connection) == []


@pytest.mark.slow
def test_the_stored_checkpoint_is_compared_whatever_the_logs_name(
    rich: Rich, tmp_path: Path
) -> None:
    with rich.restored("log", "checkpoints", "tiles"):
        rich.attack(
            "DELETE FROM tiles", "DELETE FROM checkpoints",
            "UPDATE log SET size = 0, origin = 'jobledger/default/000000000000'",
        )  # fmt: skip
        kinds = {(finding.kind, finding.name) for finding in rich.findings()}
        assert ("forked", "log") in kinds
    assert rich.findings() == []

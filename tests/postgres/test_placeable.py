"""Every statement keeps to the rules for a ledger on one node of several (infra/README.md).

Statements are those in .sql files, in strings of Python, and in the functions of an installed ledger,
which tell more than the migrations that made them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from typing import Final, NamedTuple

import pytest
from jobledger.infra import Ledger
from jobledger.infra.postgres.connections import schema_of

from tests.checkout import ROOT

ROOMS: Final = ("infra", "projections")
OF_OTHERS: Final = ("infra/bench/", "infra/sources/attach/")
"""Code whose statements go to other databases than a ledger's."""
SYSTEM: Final = ("pg_catalog", "information_schema")
ADVISORY: Final = {
    "infra/evaluation/runs/try_leading.sql": "two leaders cost time: versions of jobs keep their events apart",
    "infra/postgres/migrate.py": "init is run on one node, as it makes tables",
    "infra/proof/publishing/wait_for_growth.sql": "two that grow the log cost time: grow_log compares its size",
    "infra/retention/try_keeping.sql": "two that apply rules cost time: pruning locks jobs by updates",
    "infra/upkeep/try_rebuild_lock.sql": "rebuild is run on one node, and locks the tables, too",
    "infra/upkeep/end_rebuild_lock.sql": "as try_rebuild_lock",
    "infra/upkeep/read_rebuilder.sql": "as try_rebuild_lock",
}
"""Where advisory locks are taken or shown, which each node has of its own, and why that is enough."""
FUNCTIONS: Final = """
    SELECT p.oid::regprocedure::text, pg_get_functiondef(p.oid) FROM pg_proc AS p
    WHERE p.pronamespace = current_schema()::regnamespace AND p.prokind = 'f'
"""
FOREIGN_KEYS: Final = """
    SELECT conrelid::regclass::text FROM pg_constraint AS c
    JOIN pg_class AS mine ON mine.oid = c.conrelid JOIN pg_class AS other ON other.oid = c.confrelid
    WHERE c.connamespace = current_schema()::regnamespace AND other.relnamespace <> mine.relnamespace
"""
DEPENDENCIES: Final = """
    SELECT DISTINCT r.ev_class::regclass::text, t.relnamespace::regnamespace::text
    FROM pg_rewrite AS r JOIN pg_class AS v ON v.oid = r.ev_class
    JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
    JOIN pg_class AS t ON d.refclassid = 'pg_class'::regclass AND t.oid = d.refobjid
    WHERE v.relnamespace = current_schema()::regnamespace
      AND t.relnamespace NOT IN (v.relnamespace, 'pg_catalog'::regnamespace)
"""
_IS_STATEMENT: Final = re.compile(
    r"\s*(?:SELECT|INSERT|UPDATE|DELETE|WITH|CREATE|ALTER|DROP|LOCK|COPY|GRANT|REVOKE|SET|TRUNCATE|DO|LISTEN|NOTIFY)\s"
)
_COMMENT: Final = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_QUALIFIED: Final = re.compile(
    r"\b(?:FROM|JOIN|INSERT\s+INTO|UPDATE|TABLE|TRUNCATE|REFERENCES)\s+(?:ONLY\s+)?(\w+)\.(\w+)"
)
_ALIAS: Final = re.compile(r"\bAS\s+(\w+)")
_ROW_LOCK: Final = re.compile(
    r"\bFOR\s+(?:NO\s+KEY\s+)?(?:UPDATE|SHARE|KEY\s+SHARE)\b(?!\s+SKIP\s+LOCKED)"
)
_PER_NODE: Final = re.compile(
    r"\bpg_(?:try_)?advisory\w+|\bpg_notify\b|\bNOTIFY\s+\w|\bLISTEN\s+\w|'advisory'"
)
_HEAD: Final = re.compile(r"\bUPDATE\s+head\s+SET\s+size\b")
_COMPUTED: Final = re.compile(
    r"\bUPDATE\b[^;]*?(?:\b(?:random|clock_timestamp|gen_random_\w+|nextval|uuidv7)\(|\w*_time\s*[-+]\s*interval)"
)
_INSERTED: Final = re.compile(r"\bINSERT\s+INTO\b[^;]*\bSELECT\b[^;]*\bunnest\s*\(", re.DOTALL)
_TOLD_BY_NAME: Final = {"constraint_name", "message_primary", "message_detail", "message_hint"}


class Statement(NamedTuple):
    """A text that is sent to PostgreSQL, or stored there, and where it stands."""

    place: str
    text: str


@cache
def sent() -> tuple[Statement, ...]:
    """The statements that the program sends; to find them takes longer than all tests of them."""
    return (*files(), *strings())


def files() -> Iterator[Statement]:
    """The .sql files that are sent; migrations are seen by what they install."""
    for room in ROOMS:
        for file in sorted((ROOT / room).rglob("*.sql")):
            place = file.relative_to(ROOT).as_posix()
            if "/migrations/" not in place:
                yield Statement(place, _COMMENT.sub(" ", file.read_text()))


def modules() -> Iterator[tuple[str, ast.Module]]:
    for room in ROOMS:
        for file in sorted((ROOT / room).rglob("*.py")):
            place = file.relative_to(ROOT).as_posix()
            if not place.startswith(OF_OTHERS):
                yield place, ast.parse(file.read_text())


def strings() -> Iterator[Statement]:
    """Strings of Python that begin as a statement does; what is filled in counts as one word."""
    for place, module in modules():
        for node in ast.walk(module):
            if isinstance(node, ast.JoinedStr):
                parts = (
                    p.value if isinstance(p, ast.Constant) else "filled_in" for p in node.values
                )
                text = "".join(map(str, parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
            else:
                continue
            if _IS_STATEMENT.match(text):
                yield Statement(place, text)


def installed(ledger: Ledger) -> list[Statement]:
    """The functions of a ledger."""
    with ledger.connection() as connection:
        return [
            Statement(name, _COMMENT.sub(" ", text))
            for name, text in connection.execute(FUNCTIONS).fetchall()
        ]


@pytest.fixture
def statements(ledger: Ledger) -> list[Statement]:
    found = [*sent(), *installed(ledger)]
    assert len(found) > 200
    return found


def other_schemas(text: str, own: str = "") -> list[str]:
    """The relations that a text names with a schema that is neither PostgreSQL's own nor the ledger's.

    FROM also stands before a column, in `extract` and IS DISTINCT FROM, with the alias of its table.
    """
    known = {*SYSTEM, own, *_ALIAS.findall(text)}
    return [f"{schema}.{name}" for schema, name in _QUALIFIED.findall(text) if schema not in known]


def unchecked_heads(text: str) -> list[str]:
    """The updates of the head's size in a function after which nobody looks whether there was a row."""
    parts = [" ".join(part.split()) for part in text.split(";")]
    return [
        part
        for part, following in zip(parts, [*parts[1:], ""], strict=True)
        if _HEAD.search(part)
        and "INTO STRICT" not in part
        and not following.startswith("IF NOT FOUND")
    ]


@pytest.mark.slow
def test_no_statement_names_another_schema(statements: list[Statement], ledger: Ledger) -> None:
    own = schema_of(ledger.name)
    found = {each.place: other_schemas(each.text, own) for each in statements}
    assert {place: names for place, names in found.items() if names} == {}


def test_no_table_or_view_refers_to_another_schema(ledger: Ledger) -> None:
    with ledger.connection() as connection:
        assert connection.execute(FOREIGN_KEYS).fetchall() == []
        assert connection.execute(DEPENDENCIES).fetchall() == []


def test_locks_of_rows_are_updates(statements: list[Statement]) -> None:
    """SELECT FOR UPDATE does not hold while a ledger is moved to another node; with SKIP LOCKED it only saves time."""
    assert [each.place for each in statements if _ROW_LOCK.search(each.text)] == []


def test_the_heads_update_is_checked(statements: list[Statement]) -> None:
    of_head = [each for each in statements if _HEAD.search(each.text)]
    functions = [each for each in of_head if "FUNCTION" in each.text]
    assert len(functions) >= 2
    assert {each.place: found for each in functions if (found := unchecked_heads(each.text))} == {}
    sent = [each for each in of_head if each not in functions]
    assert [each.place for each in sent] == ["infra/eventstore/commit/advance_head.sql"]
    assert "RETURNING size" in sent[0].text


def test_the_update_that_is_sent_is_checked() -> None:
    """The row that it returns is compared with None where it is fetched."""
    module = ast.parse((ROOT / "infra/eventstore/commit/appender.py").read_text())
    checked = [
        function.name
        for function in ast.walk(module)
        if isinstance(function, ast.FunctionDef)
        and "ADVANCE_HEAD" in (source := ast.unparse(function))
        and "row is None" in source
    ]
    assert len(checked) == 1


def test_only_what_may_differ_between_nodes_is_locked_or_told_by_node(
    statements: list[Statement],
) -> None:
    assert {each.place for each in statements if _PER_NODE.search(each.text)} == ADVISORY.keys()


def test_updates_take_values_that_are_the_same_everywhere(statements: list[Statement]) -> None:
    """No volatile function, and no time plus an interval of a column, which is STABLE."""
    found = [(each.place, m[0][:80]) for each in statements for m in _COMPUTED.finditer(each.text)]
    assert found == []


def test_what_is_inserted_is_computed_first(statements: list[Statement], ledger: Ledger) -> None:
    """INSERT … SELECT of a table of the ledger and unnest fails on Citus 14.0.1."""
    with ledger.connection() as connection:
        names = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
        tables = "|".join(name for (name,) in connection.execute(names.encode()))
    reads = re.compile(rf"\b(?:FROM|JOIN|,)\s+(?:{tables})\b")
    found = [
        each.place
        for each in statements
        for part in each.text.split(";")
        if _INSERTED.search(part) and reads.search(part[part.index("INSERT") :])
    ]
    assert found == []


@pytest.mark.slow
def test_errors_are_told_apart_by_sqlstate() -> None:
    """Names of constraints get a shard's number, and messages are translated."""
    found = [
        (place, ast.unparse(node))
        for place, module in modules()
        for node in ast.walk(module)
        if isinstance(node, ast.Compare)
        and any(
            isinstance(part, ast.Attribute) and part.attr in _TOLD_BY_NAME
            for part in ast.walk(node)
        )
    ]
    # A name that append gives to an error of its own, and no constraint's.
    assert found == [("infra/postgres/connections.py", "error.diag.constraint_name == CLOCK")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("SELECT 1 FROM ledger_b.events", ["ledger_b.events"]),
        ("INSERT INTO other.jobs (name) SELECT name FROM jobs", ["other.jobs"]),
        ("SELECT a FROM jobs AS j WHERE j.a IS DISTINCT FROM j.b", []),
        ("SELECT extract(day FROM j.create_time) FROM jobs AS j", []),
        ("SELECT 1 FROM pg_catalog.pg_class JOIN information_schema.columns USING (x)", []),
    ],
)
def test_another_schema_is_seen(text: str, found: list[str]) -> None:
    assert other_schemas(text) == found


def test_a_broken_rule_is_found() -> None:
    assert unchecked_heads("UPDATE head SET size = size + 1 WHERE one; SELECT 1;") != []
    assert (
        unchecked_heads("UPDATE head SET size = size + 1; IF NOT FOUND THEN RAISE x; END IF;") == []
    )
    assert _ROW_LOCK.search("SELECT FROM jobs FOR NO KEY UPDATE")
    assert _COMPUTED.search("UPDATE jobs SET name = gen_random_uuid()")
    assert _COMPUTED.search("UPDATE head SET a = 1 WHERE now() < recorded_time + interval '1 day'")
    assert _PER_NODE.search("SELECT pg_notify('x', '')")
    assert _INSERTED.search("INSERT INTO jobs SELECT * FROM unnest(%s) AS n")

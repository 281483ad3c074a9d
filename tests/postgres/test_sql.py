"""The statements: each is sent by its neighbour, says what it does, and keeps its index in a large ledger."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime
from pathlib import Path
from string import Formatter

import pytest
from jobledger.domain.events import Created, Event, Started
from jobledger.infra import Ledger
from jobledger.infra.eventstore.commit.appender import FIND_REQUESTS, READ_HISTORY, READ_JOBS
from jobledger.infra.eventstore.feed import READ_EVENTS
from jobledger.infra.read.one_job import READ_JOB
from jobledger.projections.jobs import COLUMNS

from tests.checkout import ROOT

pytestmark = pytest.mark.unused_schema

FILES = sorted((ROOT / "infra").rglob("*.sql"))
STATEMENTS = [file for file in FILES if file.parent.name != "migrations"]
MODULES = sorted(
    module
    for room in ("infra", "projections")
    for module in (ROOT / room).rglob("*.py")
    if "bench" not in module.relative_to(ROOT).parts  # Its peers are programs that take scripts.
)
COLUMN_LIST = re.compile(r"error_message,\s+(?P<rest>(?:\w+\.)?labels,\s(?:\w|[.,]|\s)+)")
"""The columns of `jobs` one by one, as a statement names them; `rest` are those after the error's message."""
WITHOUT_TEXTS = re.compile(r"'[^']*'|--.*")


def loaders(file: Path) -> list[str]:
    """How modules beside it load a statement."""
    load = re.compile(rf'sql\.(load|template)\(__package__, "{file.stem}"\)')
    return [how for module in file.parent.glob("*.py") for how in load.findall(module.read_text())]


def otherwise_filled(tree: ast.Module) -> list[str]:
    """Where a module changes a loaded statement, or fills places of a text by itself."""
    loaded = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign) and is_load(node.value)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }

    def is_statement(node: ast.AST) -> bool:
        return is_load(node) or (isinstance(node, ast.Name) and node.id in loaded)

    def is_changed(node: ast.AST) -> bool:
        match node:
            case ast.Attribute(value=value):
                return is_statement(value)
            case ast.BinOp(left=left, right=right):
                return is_statement(left) or is_statement(right)
            case ast.Call(func=ast.Name(id="SQL"), args=[ast.Call(func=ast.Attribute(attr=how))]):
                return how in {"decode", "format", "replace"}
            case ast.Call(func=ast.Attribute(attr="replace"), args=[what, *_]):
                return "{" in ast.unparse(what)
        return False

    return [ast.unparse(node) for node in ast.walk(tree) if is_changed(node)]


def is_load(node: ast.AST | None) -> bool:
    """`sql.load(...)`, whose answer is sent as it is."""
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "sql.load"


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_a_statement_begins_with_a_sentence(file: Path) -> None:
    assert file.read_text().startswith("-- ")


@pytest.mark.slow
@pytest.mark.parametrize("file", STATEMENTS, ids=lambda f: f.name)
def test_a_statement_is_loaded_once_and_by_a_module_beside_it(file: Path) -> None:
    assert len(loaders(file)) == 1


def test_no_statement_is_loaded_from_another_room() -> None:
    loads = re.compile(r"sql\.(?:load|template)\(([^,]+),")
    for module in (ROOT / "infra").rglob("*.py"):
        assert set(loads.findall(module.read_text())) <= {"__package__"}


@pytest.mark.slow
@pytest.mark.parametrize("file", STATEMENTS, ids=lambda f: f.name)
def test_a_statement_with_places_is_a_template_and_no_other_is(file: Path) -> None:
    if loaders(file) == ["template"]:
        places = [name for _, name, _, _ in Formatter().parse(file.read_text()) if name is not None]
        assert places
        assert all(place.isidentifier() for place in places)
    else:
        assert re.findall(r"(?<!\{)\{\w*\}(?!\})", WITHOUT_TEXTS.sub("", file.read_text())) == []


@pytest.mark.parametrize(
    "file", [f for f in STATEMENTS if COLUMN_LIST.search(f.read_text())], ids=lambda f: f.name
)
def test_a_list_of_the_columns_of_jobs_has_all_of_them(file: Path) -> None:
    """One that lacks the newest column makes no job, or fits no UNION with a function that has it."""
    rest = COLUMNS[COLUMNS.index("error_message") + 1 :]
    for listed in COLUMN_LIST.finditer(file.read_text()):
        names = re.findall(r"(?:\w+\.)?(\w+)", listed["rest"])
        assert tuple(names[: len(rest)]) == rest


@pytest.mark.slow
def test_psycopg_alone_fills_places() -> None:
    """What is loaded is sent as it is; what has places is filled by `SQL.format`."""
    found = {str(f.relative_to(ROOT)): otherwise_filled(ast.parse(f.read_text())) for f in MODULES}
    assert {module: how for module, how in found.items() if how} == {
        "infra/postgres/sql.py": ["SQL(load(package, name).decode())"]
    }


@pytest.mark.parametrize(
    "text",
    [
        'X: Final = sql.load(__package__, "x")\ny = SQL(X.decode()).format(a=b)',
        'X = sql.load(__package__, "x").decode()', 'X = sql.load(__package__, "x")\ny = X + b" LIMIT 1"',
        'y = read("x").replace("{{" + part + "}}", filled)', 'y = read("x").replace("{part}", filled)',
        'X: Final = sql.load(__package__, "x")\ny = X % 7', "y = SQL(file.read_text().format(a=1))",
    ],
)  # fmt: skip
def test_another_way_to_fill_places_is_found(text: str) -> None:
    assert otherwise_filled(ast.parse(text))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("statement", "parameters", "index"),
    [
        (READ_JOB, "('projects/p/jobs/j77')", "jobs_pkey"),
        (READ_JOBS, "(ARRAY['projects/p/jobs/j77'])", "jobs_pkey"),
        (READ_HISTORY, "('projects/p/jobs/j77', 0, 99)", "events_version"),
        (READ_EVENTS, "(5000, 100)", "events_pkey"),
        (FIND_REQUESTS, "(ARRAY['p/r1'])", "events_request_key"),
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

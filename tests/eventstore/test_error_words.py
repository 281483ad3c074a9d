"""Each error names what was wrong and what would be right, without a chained traceback."""

from __future__ import annotations

import inspect
import io
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from jobledger import (
    AsyncLedger,
    InvalidFieldError,
    JobExistsError,
    JobNotFoundError,
    Ledger,
    LedgerClosedError,
    LedgerError,
    LedgerNotFoundError,
    LedgerUnavailableError,
    LoginRefusedError,
    MissingGrantError,
    RetentionRule,
    SchemaError,
)
from jobledger.domain.commands import CancelJob
from jobledger.domain.events import Event, Started
from jobledger.domain.values.moments import Clock, Moment
from jobledger.infra.eventstore.write_path import ReportedEvent
from jobledger.infra.postgres.connections import connect, schema_of
from jobledger.infra.postgres.embedded_server.starting import server_dsn
from jobledger.infra.transfer.exports.export import Format
from jobledger.infra.transfer.exports.selection import Selection
from psycopg.conninfo import make_conninfo

from tests.forms import FORMS, opened
from tests.ledgers import new_ledger

NAME = "projects/p/jobs/a"
AT = datetime(2026, 6, 1, tzinfo=UTC)
CHAINED = ("During handling of the above exception", "direct cause of the following exception")
ARGUMENTS: dict[str, Any] = {
    "name": NAME, "filter": "state = RUNNING", "earlier": "v1", "condition": "running > 0",
    "labels": {"a": "b"}, "spec": {}, "policy": {}, "subject": "user:7", "position": 1,
    "command": CancelJob(), "names": [NAME], "data": Started(), "after": 0, "until": 1,
    "events": [Event(NAME, 1, Started(), AT)], "reports": [ReportedEvent(NAME, Started())],
    "before": AT, "export": lambda *_: None, "predictions": [], "truths": [("1", "x")], "note": "a note",
    "reason": "case 7", "rule": RetentionRule("old", 1.0),
    "ledger": "other", "to": Path("none.jsonl"), "file": Path("none.jsonl"),
}  # fmt: skip
"""Arguments for parameters without a default."""
OTHERS: dict[str, tuple[Any, ...]] = {
    "analyze": ("throughput",),
    "check_reached": (1,),
    "diff_fleet": ("@1",),
    "events": (),
    "export": (Selection("x", Moment(1, AT, Clock.RECORDED), NAME), Format.JSONL, io.BytesIO()),
    "record_predictions": (NAME, []),
}
"""Arguments of methods whose parameters are none of those."""
NEED_NO_SERVER = {
    "open", "close", "submit", "decrypt", "decrypt_json", "decrypted", "opened", "reveal", "reveal_text",
    "run", "job",
}  # fmt: skip
"""Methods that open or close, answer by another way, begin with a block, or only look at what they are given."""
METHODS = sorted(
    name
    for name in dir(Ledger)
    if not name.startswith("_")
    and inspect.isroutine(getattr(Ledger, name))
    and name not in NEED_NO_SERVER
)


def arguments(name: str) -> tuple[Any, ...]:
    if name in OTHERS:
        return OTHERS[name]
    parameters = [*inspect.signature(getattr(Ledger, name)).parameters.values()][1:]
    needed = [p for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    return tuple(ARGUMENTS[parameter.name] for parameter in needed)


def raise_first(answers: list[Any]) -> None:
    """A batch answers each of its reports by itself."""
    if isinstance(answers[0], Exception):
        raise answers[0]


def call(ledger: Ledger, name: str) -> object:
    answer = getattr(ledger, name)(*arguments(name))
    if name == "report_many":
        raise_first(answer)
    return list(answer) if isinstance(answer, Iterator) else answer


@contextmanager
def raises(kind: type[LedgerError], *wanted: str) -> Iterator[None]:
    """Checks the kind, the words, and that the traceback shows nobody else's error."""
    try:
        yield
    except LedgerError as error:
        printed = "".join(traceback.format_exception(error))
        assert type(error) is kind, repr(error)
        assert all(word in str(error) for word in wanted), str(error)
        assert "\n" not in str(error)
        assert not [words for words in CHAINED if words in printed], printed
        assert "psycopg.errors" not in printed
        return
    pytest.fail(f"no {kind.__name__} was raised")


@pytest.fixture(scope="module")
def closed(dsn: str) -> Iterator[Ledger]:
    with new_ledger(dsn) as name:
        ledger = Ledger.open(dsn, name)
        ledger.create(NAME)
        ledger.close()
        yield ledger


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_closed_ledger_raises_an_error_that_says_it_is_closed(
    closed: Ledger, method: str
) -> None:
    with raises(LedgerClosedError, "this ledger was closed", "Ledger.open"):
        call(closed, method)


async def test_a_closed_async_ledger_raises_an_error_that_says_it_is_closed(
    dsn: str, ledger_name: str
) -> None:
    ledger = await AsyncLedger.open(dsn, ledger_name)
    await ledger.close()
    for method in METHODS:
        if hasattr(ledger, method):
            with raises(LedgerClosedError, "this ledger was closed", "Ledger.open"):
                answer = getattr(ledger, method)(*arguments(method))
                if inspect.isasyncgen(answer):
                    _ = [each async for each in answer]
                elif method == "report_many":
                    raise_first(await answer)
                else:
                    await answer


@pytest.fixture(scope="module")
def unread(dsn: str) -> Iterator[Ledger]:
    """A ledger opened by a role that may see its version, and nothing else."""
    with new_ledger(dsn, unused=True) as name, Ledger.open(dsn, name) as ledger:
        ledger.create(NAME)
        role, schema = f"unread_{name}", schema_of(name)
        with ledger.connection() as owner:
            owner.execute(f"CREATE ROLE {role} LOGIN".encode())
            owner.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}".encode())
            owner.execute(f"GRANT SELECT ON migrations, projections TO {role}".encode())
            with Ledger.open(make_conninfo(dsn, user=role), name, catch_up=False) as opened:
                yield opened
            owner.execute(f"DROP OWNED BY {role}".encode())
            owner.execute(f"DROP ROLE {role}".encode())


NEED_NO_RIGHT = {"connection", "checkpoint", "seal", "follow"}
"""A connection is only made, nothing has to be followed, and who may not sign leaves that to others."""
OF_OWNERS = {
    "compact", "drop_retention_rule", "hold", "import_history", "prune", "release", "set_retention_rule",
}  # fmt: skip
"""Methods that need the owner, and say so."""


@pytest.mark.slow
@pytest.mark.parametrize("method", [m for m in METHODS if m not in NEED_NO_RIGHT | OF_OWNERS])
def test_a_missing_grant_is_named_and_how_to_get_it(unread: Ledger, method: str) -> None:
    with raises(MissingGrantError, "permission denied for", "jobledger init --grant-to ROLE"):
        call(unread, method)


@pytest.mark.parametrize("form", FORMS)
def test_an_existing_job_is_refused_in_one_line(dsn: str, ledger_name: str, form: str) -> None:
    with opened(form, dsn, ledger_name) as ledger:
        ledger.create(NAME)
        with raises(JobExistsError, f"the job {NAME} already exists"):
            ledger.create(NAME)
        with raises(JobNotFoundError, "there is no job projects/p/jobs/b"):
            ledger.get("projects/p/jobs/b")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda ledger: ledger.create("x"), "projects/PROJECT/jobs/ID"),
        (lambda ledger: ledger.list("state = "), "cannot be read at its end"),
        (lambda ledger: ledger.list("create_time > soon"), "RFC 3339"),
        (lambda ledger: ledger.list("attempt > many"), "is compared with a number"),
        (lambda ledger: ledger.list("nothing = 1"), "there is no field"),
        (lambda ledger: ledger.get(NAME, as_of="soon"), "ISO 8601"),
        (lambda ledger: ledger.get(NAME, as_of="2026-13-01"), "as_of"),
        (lambda ledger: ledger.create(NAME, {"A B": "x"}), "is not a label's key"),
        (lambda ledger: ledger.create(NAME, spec={"x": object()}), "data"),
    ],
)
def test_an_argument_that_is_refused(
    ledger: Ledger, call: Callable[[Ledger], object], expected: str
) -> None:
    with raises(InvalidFieldError, expected):
        call(ledger)


UNREACHABLE = {
    "port=1": ("host=127.0.0.1 port=1", LedgerUnavailableError, "cannot be reached"),
    "host": ("host=no.such.host.invalid", LedgerUnavailableError, "no.such.host.invalid"),
    "text": ("nonsense", InvalidFieldError, "is not a connection string"),
}


@pytest.mark.parametrize("case", UNREACHABLE)
def test_an_unreachable_server(case: str) -> None:
    dsn, kind, expected = UNREACHABLE[case]
    with raises(kind, expected):
        Ledger.open(dsn)


@pytest.mark.parametrize("what", ["user", "dbname"])
def test_a_login_that_is_refused(dsn: str, ledger_name: str, what: str) -> None:
    with raises(
        LoginRefusedError, "nobody_at_all", "check the user, the password and the database"
    ):
        Ledger.open(make_conninfo(dsn, **{what: "nobody_at_all"}), ledger_name)


@pytest.mark.slow
def test_a_password_that_is_wrong_or_missing(tmp_path: Path) -> None:
    dsn = server_dsn(tmp_path)
    with connect(dsn) as owner:
        owner.execute("CREATE ROLE worker LOGIN PASSWORD 'right'")
        row = owner.execute("SHOW hba_file").fetchone()
        assert row is not None
        rules = Path(row[0])
        rules.write_text(f"local all worker scram-sha-256\n{rules.read_text()}")
        owner.execute("SELECT pg_reload_conf()")
    as_worker = make_conninfo(dsn, user="worker")
    for given in ({}, {"password": "wrong"}):
        with raises(LoginRefusedError, "password", "PGPASSWORD", "JOBLEDGER_DSN"):
            Ledger.open(make_conninfo(as_worker, **given))
    as_worker = make_conninfo(as_worker, password="right")
    with raises(LedgerNotFoundError, "init"):
        Ledger.open(as_worker)
    with connect(dsn) as owner:
        owner.execute("ALTER ROLE worker CONNECTION LIMIT 0")
    with raises(LedgerUnavailableError, "cannot be reached", "too many connections for role"):
        Ledger.open(as_worker)
    with connect(dsn) as owner:
        owner.execute("ALTER ROLE worker CONNECTION LIMIT -1")
        owner.execute("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")
    with raises(LoginRefusedError, 'permission denied for database "postgres"'):
        Ledger.open(as_worker)


def test_a_missing_ledger(dsn: str, ledger_name: str) -> None:
    with raises(LedgerNotFoundError, "make it with: jobledger --ledger typo init", ledger_name):
        Ledger.open(dsn, "typo")


@pytest.mark.unused_schema
def test_a_table_that_is_not_there(ledger: Ledger) -> None:
    with ledger.connection() as connection:
        connection.execute("ALTER TABLE jobs RENAME TO jobs_of_before")
        with raises(SchemaError, "the ledger lacks", "jobledger init"):
            ledger.get(NAME)
        connection.execute("ALTER TABLE jobs_of_before RENAME TO jobs")


TYPED_ELSEWHERE = {"compact", "follow", "export", "prune"}
"""Methods that take what only Python can make, such as a selection or an open file, or that wait."""
WRONG = (object(), 7, "?", [1], {"a": object()}, 1.5)


@pytest.fixture(scope="module")
def mistyped(dsn: str) -> Iterator[Ledger]:
    """A ledger that is called with arguments of other types than its methods take."""
    with new_ledger(dsn) as name, Ledger.open(dsn, name) as ledger:
        ledger.create(NAME)
        yield ledger


@pytest.mark.slow
@pytest.mark.parametrize("method", sorted(set(METHODS) - TYPED_ELSEWHERE))
def test_an_argument_of_another_type_is_refused_in_words(mistyped: Ledger, method: str) -> None:
    """Each argument in its turn; where Python iterates or opens it, its own TypeError will do."""
    parameters = [*inspect.signature(getattr(Ledger, method)).parameters.values()][1:]
    for wrong, (place, parameter) in product(WRONG, enumerate(parameters)):
        given, named = [*arguments(method)], dict[str, Any]()
        if method == "events":
            named["follow"] = False
        if place < len(given):
            given[place] = wrong
        else:
            named[parameter.name] = wrong
        try:
            answer = getattr(mistyped, method)(*given, **named)
            if isinstance(answer, Iterator):
                next(answer, None)
        except LedgerError as error:
            assert str(error)
        except TypeError as error:
            assert re.search(r"not iterable|has no len|PathLike", str(error)), (parameter, wrong)

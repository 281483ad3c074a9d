"""A real server for all tests: the one JOBLEDGER_TEST_DSN names, or an embedded one of their own."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
from collections.abc import Generator, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from jobledger.infra import Ledger
from jobledger.infra.proof.signing.origin import name_log
from jobledger.infra.settings import Settings
from jobledger.infra.transfer.traces.simulation import simulate
from playwright.sync_api import Browser

from tests.browsing import Visitor, chromium, visiting
from tests.checkout import shared
from tests.command_line import Cli
from tests.databases import GIVEN, find_server, new_database, prepare_home
from tests.desks import Desk
from tests.exports import write_past
from tests.forker import end
from tests.forms import FORMS, Opener, opened, opened_unchecked
from tests.grpc_clients import Clients, connected
from tests.ledgers import new_ledger, odd_jobs, schemas_of
from tests.loops import FACTORIES, Factory, run
from tests.selection import (
    is_left_out,
    keep_postgres,
    mark_postgres,
    mark_slow,
    put_long_files_first,
)
from tests.servers import Server, new_server, serving
from tests.traces import Answer, drop_trace, opened_trace
from tests.workers import pytest_testnodedown  # noqa: F401 -- pytest calls it.

# On a busy machine an example may take as long as it likes; all else is as Hypothesis has it, here or in CI.
settings.register_profile(
    "patient", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")

_projects = count(1)


@pytest.fixture(scope="session", autouse=True)
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A home without keys, and no signing in the background but for `signing_in_background`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JOBLEDGER_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("JOBLEDGER_SEAL", "false")
        yield


@pytest.fixture
def signing_in_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets each ledger that the test opens grow its log and sign it, as it does by default."""
    monkeypatch.delenv("JOBLEDGER_SEAL")


@pytest.fixture(scope="session")
def dsn() -> Iterator[str]:
    """A database of this process."""
    with new_database(find_server()) as made, schemas_of(made).connected():
        yield made


@pytest.fixture(scope="session")
def server_version(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        return connection.info.server_version


@pytest.fixture
def ledger_name(request: pytest.FixtureRequest, dsn: str) -> Iterator[str]:
    """The name of an empty ledger: of one that no test had before, where `unused_schema` marks it."""
    unused = request.node.get_closest_marker("unused_schema") is not None
    with new_ledger(dsn, unused=unused) as name:
        yield name


@pytest.fixture
def form(request: pytest.FixtureRequest) -> str:
    """The form of the ledgers under test: "threads", and also "asyncio" where `both_forms` marks it."""
    return getattr(request, "param", FORMS[0])


@pytest.fixture
def open_ledger(form: str) -> Opener:
    """Opens further ledgers of the same form."""
    return partial(opened, form)


@pytest.fixture
def ledger(dsn: str, ledger_name: str, form: str) -> Iterator[Ledger]:
    with opened_unchecked(form, dsn, ledger_name) as ledger:
        yield ledger


@pytest.fixture(params=FACTORIES)
def loop_factory(request: pytest.FixtureRequest) -> Factory:
    """Lets a test that is a coroutine run on each kind of loop."""
    return FACTORIES[request.param]


@pytest.fixture
def cli(dsn: str, ledger_name: str) -> Cli:
    """The command line on a ledger of its own."""
    return Cli(dsn, ledger_name)


@pytest.fixture
def busy(ledger: Ledger) -> Ledger:
    """A ledger with a simulated week, and with paused, updated, deleted and late jobs."""
    ledger.append_many(simulate(150, 7, "p"))
    ledger.append_many(odd_jobs())
    return ledger


@pytest.fixture
def past(ledger: Ledger) -> Ledger:
    """A ledger with the history of tests/exports.py."""
    write_past(ledger)
    return ledger


@pytest.fixture
def desk(
    dsn: str, ledger_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    """An empty ledger with its log's key, and its command line."""
    monkeypatch.setenv("JOBLEDGER_HOME", str(tmp_path / "home"))
    with Ledger.open(dsn, ledger_name) as ledger:
        with ledger.connection() as connection:
            name_log(connection, Settings())
        yield Desk(ledger, dsn, tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def server(dsn: str) -> Iterator[Server]:
    """One server for all tests that only use it, each in projects of its own; it starts as an operator starts it."""
    with new_server(dsn, forked=False) as started:
        yield started


@pytest.fixture(scope="session")
def grpc_server(server: Server, dsn: str) -> Iterator[Server]:
    """The same ledger over gRPC."""
    with serving(server.ledger, dsn, command="serve-grpc") as started:
        yield started


@pytest.fixture(scope="session")
def google(grpc_server: Server) -> Iterator[Clients]:
    """Google's clients of it."""
    with connected(grpc_server) as clients:
        yield clients


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser, which runs an event loop in the tests' thread as long as it is open."""
    with chromium() as started:
        yield started


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Visitor]:
    with visiting(browser) as somebody:
        yield somebody


@pytest.fixture
def project() -> str:
    """A project that nobody else has."""
    return f"p{next(_projects)}"


@pytest.fixture(scope="session")
def trace_and_answers(dsn: str) -> Iterator[tuple[Ledger, list[Answer]]]:
    """The jobs of the trace, imported once for all tests, which only read them."""
    with opened_trace(shared("traces/google-cluster-2011/job_events")) as opened:
        yield opened


@pytest.fixture(scope="session")
def trace(trace_and_answers: tuple[Ledger, list[Answer]]) -> Ledger:
    return trace_and_answers[0]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--only-postgres", action="store_true",
        help="run only tests that depend on the version of PostgreSQL",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        prepare_home()


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        end(0)  # What it reports is sent.
    if GIVEN in os.environ:
        drop_trace()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marked = metafunc.definition.get_closest_marker("both_forms") is not None
    if marked and "form" in metafunc.fixturenames:
        metafunc.parametrize("form", FORMS, indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs a test that is a coroutine."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    given: dict[str, Any] = pyfuncitem.funcargs
    arguments = {name: given[name] for name in inspect.signature(pyfuncitem.obj).parameters}
    run(pyfuncitem.obj(**arguments), given.get("loop_factory", asyncio.new_event_loop))
    return True


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Spares each process of the second pass to load tests that it leaves out."""
    left_out = config.getoption("--only-postgres") and is_left_out(collection_path)
    return True if left_out else None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Collects no garbage while tests are loaded, and a worker none of what they loaded, which stays."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        if hasattr(session.config, "workerinput"):
            gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    mark_slow(items)
    mark_postgres(items)
    if config.getoption("--only-postgres"):
        keep_postgres(config, items)
    put_long_files_first(items)


def pytest_report_header() -> str:
    return f"{GIVEN}: {os.environ.get(GIVEN, 'not set, embedded server')}"

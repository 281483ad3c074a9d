"""Rows of the command line: its run time, beside a program that imports the same libraries."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from jobledger.infra.bench.arena import Arena
from jobledger.infra.bench.pairs import Sides
from jobledger.infra.postgres.server import server
from jobledger.infra.transfer.traces.simulation import simulate

JOBS: Final = 200
PEER: Final = """
import sys, psycopg, pydantic
with psycopg.connect(sys.argv[1]) as connection:
    print(connection.execute("SELECT name, state FROM jobs ORDER BY create_time DESC LIMIT 1").fetchone())
"""


@contextmanager
def cli_list(arena: Arena) -> Iterator[Sides]:
    """Milliseconds of `jobledger list --limit 1`, beside the peer."""
    with arena.ledger() as name:
        with arena.open(name) as ledger:
            ledger.append_many(simulate(JOBS, 1, "bench"))
        options = ["--dsn", arena.dsn, "--ledger", name]
        ours = [sys.executable, "-m", "jobledger", *options, "list", "--limit", "1"]
        theirs = [sys.executable, "-c", PEER, server(arena.dsn, name)]
        environment = _environment(arena)
        yield Sides(
            lambda: arena.milliseconds(lambda: _run(ours, environment)),
            lambda: arena.milliseconds(lambda: _run(theirs, environment)),
        )


def _environment(arena: Arena) -> Mapping[str, str]:
    """Returns the environment of a program whose bytecode is cached, until the arena is closed."""
    given = {key: os.environ[key] for key in os.environ if key != "PYTHONDONTWRITEBYTECODE"}
    return given | {"PYTHONPYCACHEPREFIX": str(arena.scratch / "bytecode")}


def _run(command: Sequence[str], environment: Mapping[str, str]) -> None:
    subprocess.run(command, env=environment, check=True, capture_output=True)

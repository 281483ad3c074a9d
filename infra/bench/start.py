"""How long the command line takes from its start to its end, beside a program that imports the same libraries."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final

from jobledger.infra.bench.arena import Arena, Pair
from jobledger.infra.postgres.server import server
from jobledger.infra.transfer.simulation import simulate

JOBS: Final = 200
MIN_RUNS: Final = 5
PEER: Final = """
import sys, psycopg, pydantic
with psycopg.connect(sys.argv[1]) as connection:
    print(connection.execute("SELECT name, state FROM jobs ORDER BY create_time DESC LIMIT 1").fetchone())
"""


def cli_list(arena: Arena) -> Pair:
    """Medians in milliseconds of `jobledger list --limit 1` and the peer, run in turn."""
    with arena.ledger() as name:
        with arena.open(name) as ledger:
            ledger.append_many(simulate(JOBS, 1, "bench"))
        options = ["--dsn", arena.dsn, "--ledger", name]
        ours = [sys.executable, "-m", "jobledger", *options, "list", "--limit", "1"]
        theirs = [sys.executable, "-c", PEER, server(arena.dsn, name)]
        environment = _environment(arena)
        for command in (ours, theirs):
            _milliseconds(command, environment)
        pairs: list[Pair] = []
        end = time.monotonic() + arena.seconds
        while len(pairs) < MIN_RUNS or time.monotonic() < end:
            pairs.append((_milliseconds(ours, environment), _milliseconds(theirs, environment)))
    return median(ours for ours, _ in pairs), median(theirs for _, theirs in pairs)


def _environment(arena: Arena) -> Mapping[str, str]:
    """That of a program that was run before: its bytecode is kept, here until the arena is closed."""
    given = {key: os.environ[key] for key in os.environ if key != "PYTHONDONTWRITEBYTECODE"}
    return given | {"PYTHONPYCACHEPREFIX": str(arena.scratch / "bytecode")}


def _milliseconds(command: Sequence[str], environment: Mapping[str, str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return (time.perf_counter() - begin) * 1_000

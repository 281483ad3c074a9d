"""Load on the ledger and on its peers, from processes that take turns."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Final

import orjson
from jobledger.infra.bench.arena import Arena
from jobledger.infra.bench.meter import Reading
from jobledger.infra.errors import LedgerUnavailableError

PEERS: Final = "jobledger.infra.bench.peers"
END_SECONDS: Final = 60.0


class Load:
    """Processes that work at the same time, and are idle in between."""

    def __init__(self, arena: Arena, processes: list[subprocess.Popen[str]]) -> None:
        self._arena = arena
        self._processes = processes

    def run(self) -> Reading:
        """Runs them for one measurement; returns their events a second, and their CPU."""
        self._tell(str(self._arena.seconds))
        self._heard()
        with self._arena.meter() as meter:
            self._tell("go")
            done = [orjson.loads(line) for line in self._heard()]
        self._heard()
        rate = sum(events / seconds for events, seconds, _ in done)
        return meter.reading(rate, sum(each[0] for each in done), sum(each[2] for each in done))

    def _tell(self, line: str) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(f"{line}\n")
            process.stdin.flush()

    def _heard(self) -> list[str]:
        return [_read_line(process) for process in self._processes]


@contextmanager
def loading(
    arena: Arena, program: str, *arguments: str, processes: int = 1, options: str = ""
) -> Iterator[Load]:
    """`program` is one of peers/ and its workload, such as "load append"; `options` are the server's."""
    module, workload = program.split()
    command = [sys.executable, "-m", f"{PEERS}.{module}", workload, *arguments]
    environment = os.environ | arena.library_settings() | {"PGOPTIONS": options}
    with ExitStack() as stack:
        started = [stack.enter_context(_process(command, environment)) for _ in range(processes)]
        yield Load(arena, started)


@contextmanager
def _process(command: list[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Ends when its input does."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True)
    try:
        yield process
    finally:
        try:
            process.communicate(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise LedgerUnavailableError("a process that works for the benchmark ended early")
    return line

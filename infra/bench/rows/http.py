"""Rows of the HTTP server: one server process, loaded from another one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, Final, NamedTuple

import httpx
import orjson
from jobledger.domain.events import Event, Preparing, Retried, Started, Succeeded
from jobledger.infra.bench.arena import Arena
from jobledger.infra.bench.meter import Reading
from jobledger.infra.bench.pairs import Sides
from jobledger.infra.bench.peers.http_load import INPUT, LABELS, REPORTS, VERBS
from jobledger.infra.bench.serving import Serving, finished, load_on, peer, served, start_load
from jobledger.infra.ledger import Ledger

CONNECTIONS: Final = 16
WRITERS: Final = 64
JOB: Final = "projects/bench/jobs/j1"
PATH: Final = f"/v1/{JOB}"
AHEAD_SECONDS: Final = 1.0
"""How long writers write before the first GET, and after the last."""
FACTS: Final = (Preparing(), Started(), Succeeded(), Retried())


class Site(NamedTuple):
    """A server and its ledger, which has a job that runs."""

    server: Serving
    ledger: Ledger


@contextmanager
def get(arena: Arena) -> Iterator[Sides]:
    """GET of one ml v1 job, beside a fastapi endpoint that returns a constant of the same size."""
    with beside_peer(arena, PATH, CONNECTIONS) as sides:
        yield sides


@contextmanager
def create(arena: Arena) -> Iterator[Sides]:
    """POST of ml v1 jobs over 64 connections, beside the same endpoint taking the same body."""
    with beside_peer(arena, "create", WRITERS) as sides:
        yield sides


@contextmanager
def batch(arena: Arena) -> Iterator[Sides]:
    """Reports by the hundred, beside the same events through `append_many`, a hundred a call."""
    with site(arena) as (server, ledger):
        for number in range(REPORTS // len(VERBS)):
            ledger.create(f"projects/bench/jobs/r{number}")
        turns = count()
        yield Sides(
            lambda: load_on(arena, server, "report", 1, REPORTS),
            lambda: _append_hundreds(arena, ledger, next(turns)),
        )


@contextmanager
def latency(arena: Arena) -> Iterator[Sides]:
    """Milliseconds of 99 of 100 gets while 64 writers create jobs, beside those of half when nobody does."""
    with site(arena) as (server, _):

        def gets() -> Any:
            return finished(start_load(server, PATH, 1, arena.seconds))

        def busy() -> Reading:
            writing = start_load(server, "create", WRITERS, arena.seconds + 2 * AHEAD_SECONDS)
            time.sleep(AHEAD_SECONDS)
            taken = gets()
            finished(writing)
            return Reading(taken.most * 1e3)

        yield Sides(busy, lambda: Reading(gets().half * 1e3))


@contextmanager
def site(arena: Arena) -> Iterator[Site]:
    """A server of a fresh ledger with a job that runs."""
    with arena.opened() as ledger:
        ledger.create(JOB.replace("j1", "j0"))
        ledger.create(JOB, LABELS, {"trainingInput": INPUT})
        ledger.started(JOB)
        with served(arena, ledger.name) as server:
            yield Site(server, ledger)


@contextmanager
def beside_peer(arena: Arena, what: str, connections: int) -> Iterator[Sides]:
    """A load on the server, beside an endpoint that returns what the server answers now, always."""
    with site(arena) as (server, _):
        constant = orjson.dumps(httpx.get(f"{server.url}{PATH}").json()).decode()
        with peer("http_peer", constant) as other:
            yield Sides(
                lambda: load_on(arena, server, what, connections),
                lambda: load_on(arena, other, what, connections),
            )


def _append_hundreds(arena: Arena, ledger: Ledger, turn: int) -> Reading:
    names = [f"projects/bench/jobs/a{turn}_{n}" for n in range(REPORTS // len(VERBS))]
    at = [ledger.create(name) for name in names][-1].update_time
    assert at is not None
    written, version = 0, 1
    with arena.meter() as meter:
        end = time.monotonic() + arena.seconds
        while time.monotonic() < end:
            written += ledger.append_many(
                Event(name, version + place, fact, at)
                for name in names
                for place, fact in enumerate(FACTS, start=1)
            )
            version += len(FACTS)
    return meter.rate(written)

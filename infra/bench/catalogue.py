"""What is measured, and what stands beside it. Ids and their order are stable; later ones are added at the end."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Final, NamedTuple

from jobledger.infra.bench import http, measures, past, proof, start
from jobledger.infra.bench.arena import Arena, Pair


def _recording(arena: Arena) -> Pair:
    from jobledger.infra.bench import evaluation

    return evaluation.recording(arena)


def _in_a_browser(name: str) -> Callable[[Arena], Pair]:
    def run(arena: Arena) -> Pair:
        from jobledger.infra.bench import web

        measured: Pair = getattr(web, name)(arena)
        return measured

    return run


def _evaluating(arena: Arena) -> Pair:
    from jobledger.infra.bench import evaluation

    return evaluation.evaluating(arena)


class Measure(NamedTuple):
    """One figure. `ratio` is ours through the other's; `must` and `aim` are lower bounds of it,
    upper ones where less is better.
    """

    id: str
    measure: str
    unit: str
    beside: str
    must: float
    aim: float
    run: Callable[[Arena], Pair]
    less_is_better: bool = False


PGBENCH: Final = "pgbench, one-row prepared inserts"
STOCK: Final = "eventsourcing's own recorder"
MEASURES: Final = (
    Measure(
        "append64",
        "durable appends, 64 callers",
        "events/s",
        f"{PGBENCH}, 64 clients",
        0.55,
        0.8,
        measures.append64,
    ),
    Measure(
        "append64_stock",
        "durable appends, 64 callers",
        "events/s",
        f"{STOCK}, best of 1, 2, 8 processes",
        8,
        15,
        measures.append64_stock,
    ),
    Measure(
        "append64_slow_disk",
        "the same, a disk of 1 ms",
        "events/s",
        f"{PGBENCH}, 64 clients",
        0.5,
        1,
        measures.append64_slow_disk,
    ),
    Measure(
        "append1_stock",
        "durable appends, 1 caller",
        "events/s",
        f"{STOCK}, 1 process",
        2,
        4,
        measures.append1_stock,
    ),
    Measure(
        "import",
        "bulk import of ready events",
        "events/s",
        "COPY of the same rows by psql",
        0.4,
        0.8,
        measures.bulk_import,
    ),
    Measure(
        "rebuild",
        "rebuild of jobs, 200,000 events",
        "events/s",
        "eventsourcing's ProjectionRunner",
        100,
        400,
        measures.rebuild_jobs,
    ),
    Measure(
        "get",
        "get of one job",
        "calls/s",
        "psycopg, select of one row by key",
        0.6,
        0.9,
        measures.get,
    ),
    Measure(
        "feed",
        "live feed read from Python",
        "events/s",
        "COPY of the same rows to psql",
        0.2,
        0.5,
        measures.feed,
    ),
    Measure(
        "bytes_per_event",
        "on disk, indexes, projections, proof in",
        "bytes/event",
        "the same events in eventsourcing's table",
        1.5,
        1,
        measures.bytes_per_event,
        less_is_better=True,
    ),
)
PAST: Final = (
    Measure(
        "count_as_of",
        "count by state as of T, 2 million events",
        "calls/s",
        "SELECT DISTINCT ON over events up to T",
        30,
        200,
        past.count_as_of,
    ),
    Measure(
        "count_scale",
        "the same, at 2 million events",
        "ms",
        "at 200,000 events",
        2,
        1.2,
        past.count_scale,
        less_is_better=True,
    ),
    Measure(
        "list_as_of",
        "next page of 100 jobs with a filter as of T",
        "ms",
        "the same on current rows",
        3,
        1.3,
        past.list_as_of,
        less_is_better=True,
    ),
    Measure(
        "version_as_of",
        "one job as of vN, 7,000-event job",
        "ms",
        "one select of its events by key",
        2,
        1.1,
        past.version_as_of,
        less_is_better=True,
    ),
    Measure(
        "intervals_cost",
        "appends, 64 callers, intervals up to date",
        "events/s",
        "appends without them",
        0.75,
        0.9,
        past.intervals_cost,
    ),
    Measure(
        "queue_time",
        "queue time percentiles by day, 2 million events",
        "reports/s",
        "the same SQL by hand over events",
        5,
        50,
        past.queue_time,
    ),
)
HTTP: Final = (
    Measure(
        "http_get",
        "GET of one ml v1 job, 16 connections",
        "requests/s",
        "a fastapi endpoint returning as much",
        0.5,
        0.8,
        http.get,
    ),
    Measure(
        "http_create",
        "POST of ml v1 jobs, 64 connections",
        "requests/s",
        "a fastapi endpoint taking as much",
        0.5,
        0.7,
        http.create,
    ),
    Measure(
        "http_batch",
        "batches of 100 reports over HTTP",
        "events/s",
        "append_many in process, 100 a call",
        0.5,
        0.8,
        http.batch,
    ),
    Measure(
        "http_latency",
        "99 of 100 GETs while 64 writers create",
        "ms",
        "half of the GETs when nobody does",
        10,
        4,
        http.latency,
        less_is_better=True,
    ),
)
PROOF: Final = (
    Measure(
        "append_sealed",
        "appends, 64 callers, sealed and signed",
        "events/s",
        "appends without that",
        0.85,
        0.97,
        proof.append_sealed,
    ),
    Measure(
        "verify_proof",
        "verify --proof, 200,000 events, before rows",
        "events/s",
        "SHA-256 over the same bytes from COPY",
        0.3,
        0.6,
        proof.verify_proof,
    ),
    Measure(
        "inclusion",
        "inclusion proof, half of them, 2 million events",
        "ms",
        "the same at 2,000 events",
        3,
        1.5,
        proof.inclusion,
        less_is_better=True,
    ),
    Measure(
        "receipt_size",
        "a receipt at 2 million events",
        "KiB",
        "one KiB",
        4,
        2,
        proof.receipt_size,
        less_is_better=True,
    ),
)
EVALUATION: Final = (
    Measure(
        "recording",
        "predictions recorded and sampled, 1,000 a call",
        "rows/s",
        "INSERTs of the same rows, 1,000 a transaction",
        0.5,
        1,
        _recording,
    ),
    Measure(
        "evaluating",
        "100,000 examples evaluated, as they are stored",
        "s",
        "scikit-learn's measures of ready matrices",
        2,
        1,
        _evaluating,
        less_is_better=True,
    ),
)
WEB: Final = (
    Measure(
        "first_paint",
        "fleet page to first contentful paint",
        "ms",
        "a static page with the same assets",
        2,
        1.3,
        _in_a_browser("first_paint"),
        less_is_better=True,
    ),
    Measure(
        "cursor_moved",
        "cursor moved to list repainted",
        "ms",
        "the API calls alone: jobs and counts",
        2,
        1.3,
        _in_a_browser("cursor_moved"),
        less_is_better=True,
    ),
    Measure(
        "long_job",
        "page of a 7,000-event job to interactive",
        "ms",
        "page of a 3-event job",
        3,
        1.5,
        _in_a_browser("long_job"),
        less_is_better=True,
    ),
    Measure(
        "first_load",
        "first load of the fleet page, compressed",
        "kB",
        "one kB",
        300,
        120,
        _in_a_browser("first_load"),
        less_is_better=True,
    ),
)
START: Final = (
    Measure(
        "cli_list",
        "jobledger list --limit 1, whole process, server up",
        "ms",
        'python -c "import psycopg, pydantic" and a select',
        2.5,
        1.5,
        start.cli_list,
        less_is_better=True,
    ),
)
ASYNCIO: Final = (
    Measure(
        "append_async64",
        "durable appends through AsyncLedger, 64 tasks",
        "events/s",
        f"{PGBENCH}, 64 clients",
        0.7,
        1,
        measures.append_async64,
    ),
)
ALL: Final = (*MEASURES, *PAST, *HTTP, *PROOF, *EVALUATION, *WEB, *START, *ASYNCIO)
GROUPS: Final = {
    "writing": MEASURES,
    "past": PAST,
    "http": HTTP,
    "proof": PROOF,
    "evaluation": EVALUATION,
    "web": WEB,
    "start": START,
    "asyncio": ASYNCIO,
}
"""Measures that are asked for together, by one word."""


def run(measure: Measure, arena: Arena, times: int) -> Pair:
    """Medians of so many runs, ours and the other's in turn."""
    pairs = [measure.run(arena) for _ in range(times)]
    return median(ours for ours, _ in pairs), median(theirs for _, theirs in pairs)

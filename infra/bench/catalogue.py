"""What is measured, and what stands beside it. Ids and their order are stable; later ones are added at the end."""

from importlib import import_module
from statistics import median
from typing import Final, NamedTuple

from jobledger.infra.bench.arena import Arena, Pair


class Measure(NamedTuple):
    """One figure.

    `ratio` is our value divided by the other one's; `must` and `aim` are its lower bounds, or its
    upper bounds if less is better.
    """

    id: str
    source: str
    """`module.function` of this room; imported when it is run, for some need libraries of their own."""
    measure: str
    beside: str
    unit: str
    less_is_better: bool
    must: float
    aim: float

    def run(self, arena: Arena) -> Pair:
        """One run of it."""
        module, _, function = self.source.partition(".")
        pair: Pair = getattr(import_module(f"{__package__}.{module}"), function)(arena)
        return pair


TABLE: Final = """
writing    | append64           | measures.append64           | durable appends, 64 callers | pgbench, one-row prepared inserts, 64 clients | events/s | >= | 0.55 | 0.8
writing    | append64_stock     | measures.append64_stock     | durable appends, 64 callers | eventsourcing's own recorder, best of 1, 2, 8 processes | events/s | >= | 8 | 15
writing    | append64_slow_disk | measures.append64_slow_disk | the same, a disk of 1 ms | pgbench, one-row prepared inserts, 64 clients | events/s | >= | 0.5 | 1
writing    | append1_stock      | measures.append1_stock      | durable appends, 1 caller | eventsourcing's own recorder, 1 process | events/s | >= | 2 | 4
writing    | import             | measures.bulk_import        | bulk import of ready events | COPY of the same rows by psql | events/s | >= | 0.4 | 0.8
writing    | rebuild            | measures.rebuild_jobs       | rebuild of jobs, 200,000 events | eventsourcing's ProjectionRunner | events/s | >= | 100 | 400
writing    | get                | measures.get                | get of one job | psycopg, select of one row by key | calls/s | >= | 0.6 | 0.9
writing    | feed               | measures.feed               | live feed read from Python | COPY of the same rows to psql | events/s | >= | 0.2 | 0.5
writing    | bytes_per_event    | measures.bytes_per_event    | on disk, indexes, projections, proof in | the same events in eventsourcing's table | bytes/event | <= | 1.5 | 1
past       | count_as_of        | past.count_as_of            | count by state as of T, 2 million events | SELECT DISTINCT ON over events up to T | calls/s | >= | 30 | 200
past       | count_scale        | past.count_scale            | the same, at 2 million events | at 200,000 events | ms | <= | 2 | 1.2
past       | list_as_of         | past.list_as_of             | next page of 100 jobs with a filter as of T | the same on current rows | ms | <= | 3 | 1.3
past       | version_as_of      | past.version_as_of          | one job as of vN, 7,000-event job | one select of its events by key | ms | <= | 2 | 1.1
past       | intervals_cost     | past.intervals_cost         | appends, 64 callers, intervals up to date | appends without them | events/s | >= | 0.75 | 0.9
past       | queue_time         | past.queue_time             | queue time percentiles by day, 2 million events | the same SQL by hand over events | reports/s | >= | 5 | 50
http       | http_get           | http.get                    | GET of one ml v1 job, 16 connections | a fastapi endpoint returning as much | requests/s | >= | 0.5 | 0.8
http       | http_create        | http.create                 | POST of ml v1 jobs, 64 connections | a fastapi endpoint taking as much | requests/s | >= | 0.5 | 0.7
http       | http_batch         | http.batch                  | batches of 100 reports over HTTP | append_many in process, 100 a call | events/s | >= | 0.5 | 0.8
http       | http_latency       | http.latency                | 99 of 100 GETs while 64 writers create | half of the GETs when nobody does | ms | <= | 10 | 4
proof      | append_sealed      | proof.append_sealed         | appends, 64 callers, sealed and signed | appends without that | events/s | >= | 0.85 | 0.97
proof      | verify_proof       | proof.verify_proof          | verify --proof, 200,000 events, before rows | SHA-256 over the same bytes from COPY | events/s | >= | 0.3 | 0.6
proof      | inclusion          | proof.inclusion             | inclusion proof, half of them, 2 million events | the same at 2,000 events | ms | <= | 3 | 1.5
proof      | receipt_size       | proof.receipt_size          | a receipt at 2 million events | one KiB | KiB | <= | 4 | 2
evaluation | recording          | evaluation.recording        | predictions recorded and sampled, 1,000 a call | INSERTs of the same rows, 1,000 a transaction | rows/s | >= | 0.5 | 1
evaluation | evaluating         | evaluation.evaluating       | 100,000 examples evaluated, as they are stored | scikit-learn's measures of ready matrices | s | <= | 2 | 1
web        | first_paint        | web.first_paint             | fleet page to first contentful paint | a static page with the same assets | ms | <= | 1.6 | 1.3
web        | cursor_moved       | web.cursor_moved            | cursor moved to list repainted | the API calls alone: jobs and counts | ms | <= | 2 | 1.5
web        | long_job           | web.long_job                | page of a 5,000-event job to interactive | page of a 3-event job | ms | <= | 2 | 1.3
web        | first_load         | web.first_load              | first load of the fleet page, compressed | one kB | kB | <= | 80 | 80
start      | cli_list           | start.cli_list              | jobledger list --limit 1, whole process, server up | python -c "import psycopg, pydantic" and a select | ms | <= | 2.5 | 1.5
asyncio    | append_async64     | measures.append_async64     | durable appends through AsyncLedger, 64 tasks | pgbench, one-row prepared inserts, 64 clients | events/s | >= | 0.7 | 1
web        | search             | web.search                  | search box: key to list, a million jobs | one ms | ms | <= | 300 | 100
"""
"""Group, id, function, what is measured, what stands beside it, unit, which bound, must, aim."""


def _groups() -> dict[str, tuple[Measure, ...]]:
    groups: dict[str, tuple[Measure, ...]] = {}
    for line in TABLE.strip().splitlines():
        group, id_, source, what, beside, unit, bound, must, aim = map(str.strip, line.split("|"))
        measure = Measure(id_, source, what, beside, unit, bound == "<=", float(must), float(aim))
        groups[group] = (*groups.get(group, ()), measure)
    return groups


GROUPS: Final = _groups()
"""Measures that are asked for together, by one word."""
ALL: Final = tuple(measure for group in GROUPS.values() for measure in group)


def run(measure: Measure, arena: Arena, times: int) -> Pair:
    """Medians of so many runs, ours and the other's in turn."""
    pairs = [measure.run(arena) for _ in range(times)]
    return median(ours for ours, _ in pairs), median(theirs for _, theirs in pairs)

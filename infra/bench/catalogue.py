"""The rows of the benchmark: what is measured, and its peer or limit. Ids are stable."""

from __future__ import annotations

from contextlib import AbstractContextManager
from fnmatch import fnmatchcase
from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple

from jobledger.domain.errors import InvalidFieldError
from jobledger.infra.bench.sizes import Sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobledger.infra.bench.arena import Arena
    from jobledger.infra.bench.pairs import Sides


class Measure(NamedTuple):
    """One row. `must` and `aim` bound our value divided by the other one's, or our value itself."""

    group: str
    id: str
    source: str
    """`module.function` of rows/; imported when it is measured, because some need libraries of their own."""
    measure: str
    beside: str
    """Empty if the row has no peer."""
    unit: str
    bound: str
    """`>=` or `<=`, and `value` after it if our value is bounded instead of the ratio."""
    must: float
    aim: float

    @property
    def is_absolute(self) -> bool:
        """Whether our value is bounded, instead of the ratio."""
        return self.bound.endswith("value")

    def is_met(self, figure: float, *, aim: bool = False) -> bool:
        """Whether a ratio, or a value, is as good as it must be, or as it should be."""
        bound = self.aim if aim else self.must
        return figure <= bound if self.bound.startswith("<=") else figure >= bound

    def sides(self, arena: Arena) -> AbstractContextManager[Sides]:
        """Prepares the row, and yields its two sides."""
        module, _, function = self.source.partition(".")
        made: AbstractContextManager[Sides] = getattr(
            import_module(f"{__package__}.rows.{module}"), function
        )(arena)
        return made

    def described(self, sizes: Sizes) -> dict[str, object]:
        """The row without figures."""
        texts = {"measure": sizes.describe(self.measure), "beside": sizes.describe(self.beside)}
        names = ("id", "group", "unit", "bound", "must", "aim")
        return {name: getattr(self, name) for name in names} | texts


TABLE: Final = """
writing    | append_async64     | writing.append_async64     | durable appends, `AsyncLedger`, 64 tasks | pgbench, one-row prepared inserts, 64 clients | events/s | >= | 0.8 | 1
writing    | append64           | writing.append64           | durable appends, `Ledger`, 64 threads | pgbench, one-row prepared inserts, 64 clients | events/s | >= | 0.6 | 0.8
writing    | append_processes4  | writing.append_processes4  | durable appends, 4 processes of 8 threads | pgbench, one-row prepared inserts, 64 clients | events/s | >= | 0.6 | 1
writing    | append_processes16 | writing.append_processes16 | durable appends, 16 processes of 8 threads | pgbench, one-row prepared inserts, 64 clients | events/s | >= | 0.6 | 1
writing    | append_shared4     | writing.append_shared4     | 4 processes of 8 threads, 1/4 of writes on 8 shared jobs | one process of 32 threads doing the same | events/s | >= | 0.8 | 1
writing    | append_shared16    | writing.append_shared16    | 16 processes of 8 threads, 1/4 of writes on 8 shared jobs | one process of 128 threads doing the same | events/s | >= | 0.8 | 1
writing    | append64_slow_disk | writing.append64_slow_disk | 64 threads, a disk of 1 ms | pgbench, one-row prepared inserts, 64 clients | events/s | >= | 0.6 | 1
writing    | append_async64_slow_disk | writing.append_async64_slow_disk | 64 tasks, a disk of 1 ms | pgbench, one-row prepared inserts, 64 clients | events/s | >= | 0.6 | 1
writing    | append64_stock     | writing.append64_stock     | durable appends, 64 threads | eventsourcing's own recorder, best of 1, 2, 8 processes | events/s | >= | 8 | 15
writing    | append1_stock      | writing.append1_stock      | durable appends, 1 caller | eventsourcing's own recorder, 1 process | events/s | >= | 4 | 6
writing    | import             | writing.bulk_import        | bulk import of ready events | COPY of the same rows by psql | events/s | >= | 0.5 | 0.8
writing    | append_sealed      | proof.append_sealed        | appends, 64 threads, hashed and signed | appends without that | events/s | >= | 0.92 | 0.97
writing    | intervals_cost     | past.intervals_cost        | appends, 64 threads, intervals up to date | appends without them | events/s | >= | 0.9 | 0.95
reading    | rebuild            | reading.rebuild_jobs       | rebuild of `jobs`, {events} events | eventsourcing's ProjectionRunner | events/s | >= | 200 | 400
reading    | rebuild_fold       | reading.rebuild_fold       | rebuild of `jobs`, {events} events | the fold in SQL alone | events/s | >= | 0.5 | 0.8
reading    | verify             | reading.verify_rows        | `verify` of {events} events | rebuild of `jobs` | events/s | >= value | 100000 | 250000
reading    | verify_proof       | proof.verify_proof         | `verify --proof` of {events} events, before the rows | SHA-256 over the same bytes from COPY | events/s | >= | 0.5 | 0.7
reading    | get                | reading.get                | get of one job | psycopg, select of one row by key | calls/s | >= | 0.8 | 0.95
reading    | feed               | reading.feed               | live feed read from Python | COPY of the same rows to psql | events/s | >= | 0.5 | 0.7
reading    | bytes_per_event    | reading.bytes_per_event    | on disk, indexes, projections and proof in | the same events in eventsourcing's table | bytes/event | <= | 1.2 | 1
past       | count_as_of        | past.count_as_of           | count by state as of T, {history} events | SELECT DISTINCT ON over events up to T | calls/s | >= | 30 | 200
past       | count_scale        | past.count_scale           | the same, at {history} events | at a tenth of them | ms | <= | 2 | 1.2
past       | list_as_of         | past.list_as_of            | next page of {page} jobs with a filter as of T | the same on current rows | ms | <= | 2 | 1.3
past       | version_as_of      | past.version_as_of         | one job as of vN, {long_job}-event job | one select of its events by key | ms | <= | 2 | 1.1
past       | queue_time         | past.queue_time            | queue time percentiles by day, {history} events | the same SQL by hand over events | reports/s | >= | 20 | 50
past       | inclusion          | proof.inclusion            | inclusion proof, half of them, {history} events | the same at {log} events | ms | <= | 3 | 1.5
past       | receipt_size       | proof.receipt_size         | a receipt at {history} events | | KiB | <= value | 4 | 2
http       | http_get           | http.get                   | GET of one ml v1 job, 16 connections | a fastapi endpoint returning as much | requests/s | >= | 0.5 | 0.8
http       | http_create        | http.create                | POST of ml v1 jobs, 64 connections | a fastapi endpoint taking as much | requests/s | >= | 0.5 | 0.7
http       | http_batch         | http.batch                 | batches of 100 reports over HTTP | append_many in process, 100 a call | events/s | >= | 0.5 | 0.8
http       | http_latency       | http.latency               | 99 of 100 GETs while 64 writers create | half of the GETs when nobody does | ms | <= | 10 | 4
evaluation | recording          | evaluation.recording       | predictions recorded and sampled, 1,000 a call | INSERTs of the same rows, 1,000 a transaction | rows/s | >= | 0.5 | 1
evaluation | evaluating         | evaluation.evaluating      | {examples} examples evaluated, as they are stored | scikit-learn's measures of ready matrices | s | <= | 2 | 1
start      | cli_list           | start.cli_list             | jobledger list --limit 1, whole process, server up | python -c "import psycopg, pydantic" and a select | ms | <= | 2.5 | 1.5
web        | first_paint        | web.first_paint            | fleet page to first contentful paint | a static page with the same assets | ms | <= | 1.6 | 1.3
web        | cursor_moved       | web.cursor_moved           | cursor moved to the rows in view repainted | the API calls alone: jobs and counts | ms | <= | 2 | 1.5
web        | cursor_work        | web.cursor_work            | the same less the wait for a frame, at 60 Hz | the API calls alone: jobs and counts | ms | <= | 2 | 1.5
web        | long_job           | web.long_job               | page of a {page_job}-event job to interactive | page of a 3-event job | ms | <= | 2 | 1.3
web        | first_load         | web.first_load             | first load of the fleet page, compressed | | kB | <= value | 80 | 80
web        | search             | web.search                 | search box: key to list, {jobs} jobs | | ms | <= value | 300 | 100
sources    | lineage            | sources.lineage            | OpenLineage events through the endpoint, 16 connections | a fastapi endpoint taking the same body | events/s | >= | 0.35 | 0.6
sources    | attach             | sources.attach             | changes of a followed database carried over | the same read by pg_recvlogical to a file | changes/s | >= | 0.2 | 0.5
sources    | attach_source      | sources.attach_source      | the source's own transactions while followed, 1 client | the same when not followed | transactions/s | >= | 0.95 | 0.98
sources    | import_mapping     | sources.import_mapping     | import of a file by a mapping (SWF) | import of a trace by its own importer | events/s | >= | 0.7 | 1
growth     | growth_append      | growth.append              | create of a job, {grown} events | at {young} events | ms | <= | 1.5 | 1.1
growth     | growth_get         | growth.get                 | get of a job, {grown} events | at {young} events | ms | <= | 1.5 | 1.1
growth     | growth_history     | growth.history_of_job      | history of a job, {grown} events | at {young} events | ms | <= | 1.5 | 1.1
growth     | growth_count       | growth.count_as_of         | count as of T, {grown} events | at {young} events | ms | <= | 1.5 | 1.1
growth     | growth_list        | growth.list_as_of          | page of {page} as of T with a filter, {grown} events | at {young} events | ms | <= | 1.5 | 1.1
growth     | growth_inclusion   | growth.inclusion           | inclusion proof, {grown} events | at {young} events | ms | <= | 1.5 | 1.1
growth     | growth_feed        | growth.feed                | last 10,000 events of the feed, {grown} events | at {young} events | ms | <= | 1.5 | 1.1
growth     | growth_page        | growth.page                | fleet page, {grown} events | at {young} events | ms | <= | 1.5 | 1.1
growth     | growth_server_memory | growth.server_memory     | memory of a server in use, {grown} events | at {young} events | MiB | <= | 1.5 | 1.1
growth     | growth_export_memory | growth.export_memory     | memory of an export of all, {grown} events | at {young} events | MiB | <= | 1.5 | 1.1
growth     | growth_upgrade     | upkeep.upgrade             | longest wait of a writer during `init`, {grown} events | | ms | <= value | 1000 | 200
growth     | growth_disk        | upkeep.pruned_disk         | disk given back by pruning 90 % of {grown} events | their share of the disk | MiB | >= | 0.8 | 0.95
"""
"""The columns: group, id, function, measure, comparison, unit, kind of bound, required bound, target."""


def _measures() -> tuple[Measure, ...]:
    return tuple(_measure(line) for line in TABLE.strip().splitlines())


def _measure(line: str) -> Measure:
    group, id_, source, what, beside, unit, bound, must, aim = map(str.strip, line.split("|"))
    return Measure(group, id_, source, what, beside, unit, bound, float(must), float(aim))


ALL: Final = _measures()
ASKED_FOR: Final = frozenset({"growth"})
"""Groups that are measured only if they are named, because they take hours and much disk."""
CORE: Final = frozenset({"writing", "reading", "past"})
"""Groups that the quick form measures unless others are named."""
MANY_PROCESSES: Final = frozenset({"append_processes16", "append_shared16", "append64_stock"})
"""Rows whose processes take too long to start for the quick form."""


def select(patterns: Sequence[str], *, quick: bool = False) -> list[Measure]:
    """Selects rows of the table.

    Args:
        patterns: Ids, groups and globs; none for the default rows.
        quick: Only the core rows that start few processes, if there are no patterns.

    Returns:
        The rows, in the table's order.

    Raises:
        InvalidFieldError: A pattern matches no row.

    Examples:
        >>> [measure.id for measure in select(["append_shared*", "web"])][:3]
        ['append_shared4', 'append_shared16', 'first_paint']
    """
    usual = (
        [m for m in ALL if m.group in CORE and m.id not in MANY_PROCESSES]
        if quick
        else [m for m in ALL if m.group not in ASKED_FOR]
    )
    for pattern in patterns:
        if not any(_matches(measure, pattern) for measure in ALL):
            why = f"there is no measure {pattern!r}; jobledger bench --list names them"
            raise InvalidFieldError("id", why)
    return [
        measure
        for measure in ALL
        if any(_matches(measure, pattern) for pattern in patterns)
        or (not patterns and measure in usual)
    ]


def _matches(measure: Measure, pattern: str) -> bool:
    return measure.group == pattern or fnmatchcase(measure.id, pattern)

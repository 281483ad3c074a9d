"""The statistics over many jobs: the statement and the columns of each."""

from typing import Any, Final, LiteralString, NamedTuple

from jobledger.domain.states import (
    ANY,
    EXECUTING,
    TERMINAL,
    UNSUCCESSFUL,
    WAITING,
    JobState,
    state_after,
)
from jobledger.infra.postgres import sql
from psycopg.sql import SQL

THROUGHPUT: Final = sql.template(__package__, "throughput")
DURATIONS: Final = sql.template(__package__, "durations")
FAILURES: Final = sql.template(__package__, "failures")
CONCURRENCY: Final = sql.template(__package__, "concurrency")
ATTEMPTS: Final = sql.template(__package__, "attempts")
REPORTERS: Final = sql.template(__package__, "reporters")

TOLERANCE_SECONDS: Final = 1.0
"""Seconds that a reporter's clock may run ahead or jump back without being flagged."""
MAX_REPORTERS: Final = 1_000
DELETED_STATE: Final = 0
"""The number of a deleted job's state in `intervals`."""


class Kind(NamedTuple):
    """One kind of statistic: its statement, and its columns after the time and the group."""

    statement: SQL
    columns: tuple[str, ...]
    parameters: dict[str, Any] = {}
    bucketed: bool = True
    by_state: LiteralString | None = None
    """The column of `--by state` in SQL; None if each row has it anyway, or there is only one state."""
    until_now: bool = False
    """Whether the default window ends now, as events that change no state count, too."""


SECONDS: Final = ("count", "p50Seconds", "p90Seconds", "p99Seconds")
ENDINGS: Final = {
    "succeeded": JobState.SUCCEEDED,
    "partiallySucceeded": JobState.PARTIALLY_SUCCEEDED,
    "failed": JobState.FAILED,
    "cancelled": JobState.CANCELLED,
    "expired": JobState.EXPIRED,
}
"""The columns of throughput, and the state whose entries each counts."""
CLOCK: Final = (
    "actor", "worker", "count", "lastTime", "p50Seconds", "leastSeconds", "trendSecondsPerDay",
    "aheadSeconds", "backSeconds", "flag",
)  # fmt: skip
REPORTS: Final[dict[str, Kind]] = {
    "throughput": Kind(THROUGHPUT, ("ended", *ENDINGS), {"ended": sorted(TERMINAL), **ENDINGS}),
    "queue-time": Kind(
        DURATIONS, SECONDS, {"within": sorted(WAITING), "into": [state_after("Started")]}
    ),
    "run-time": Kind(
        DURATIONS,
        SECONDS,
        {"within": sorted(EXECUTING), "into": [DELETED_STATE, *sorted(ANY - EXECUTING)]},
        by_state="state_name(i.occurred_state)",
    ),
    "failures": Kind(
        FAILURES,
        ("state", "message", "count", "lastTime", "example"),
        {"unsuccessful": sorted(UNSUCCESSFUL)},
        bucketed=False,
    ),
    "concurrency": Kind(CONCURRENCY, ("jobs",), by_state="state_name(change.state)"),
    "attempts": Kind(ATTEMPTS, ("attempts", "state", "jobs"), bucketed=False),
    "reporters": Kind(
        REPORTERS,
        CLOCK,
        {"tolerance": TOLERANCE_SECONDS, "top": MAX_REPORTERS},
        bucketed=False,
        until_now=True,
    ),
}
"""On the occurred clock, deleted jobs included; times are where buckets begin (UTC).

throughput: jobs that ended (each time: a job retried ends again), by how.
queue-time: seconds from QUEUED or PENDING (created, retried, resumed) until RUNNING, of the waits
that led there, by when it began to run.
run-time: seconds in RUNNING and UPDATING without a break, by when it left them for another state.
failures: error messages of jobs that FAILED or EXPIRED, the most frequent first.
concurrency: jobs in a state (RUNNING) at just the instants buckets begin at.
attempts: how many attempts the jobs that ended took, and the states of these jobs.
reporters: the clock of each actor and worker: the offset of its reports, which is the time they were
recorded less the time they occurred (a delay, and the difference of the clocks), its change in a day,
how far the clock ran ahead of the server's, how far a report occurred before one that was recorded
earlier, and a flag where either is a second or more.
"""

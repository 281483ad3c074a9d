"""Compares a job, or all jobs, at two moments."""

from collections.abc import Sequence

from jobledger.domain.values.moments import Clock
from jobledger.domain.values.names import parse_name
from jobledger.infra.history import diff as differences
from jobledger.infra.history.diff import MAX_NAMED_JOBS, Change, FleetDiff, diff_jobs
from jobledger.infra.history.timeline import job_as_of, span
from jobledger.infra.read.moments import Given
from jobledger.infra.read.reader import Reader


def diff(
    reader: Reader,
    name: str,
    earlier: Given,
    later: Given | None = None,
    clock: Clock | None = None,
) -> Sequence[Change]:
    """Returns the fields of a job that differ between two moments.

    Args:
        reader: The ledger.
        name: The job's resource name (AIP-122).
        earlier: A version (`v7`), a position (`@4711`), a time, or text such as `2h ago`.
        later: The same; None is now.
        clock: The clock of times: `Clock.OCCURRED` (valid time, the default) or
            `Clock.RECORDED` (transaction time).

    Returns:
        A change for each differing field, with the value before and after.

    Raises:
        JobNotFoundError: The job has no events.
        InvalidFieldError: A moment cannot be parsed or is in the future, or `later` is before
            `earlier`.
        LedgerUnavailableError: The server cannot be reached.

    Examples:
        >>> _ = ledger.create("projects/demo/jobs/a")
        >>> _ = ledger.started("projects/demo/jobs/a")
        >>> [(c.path, c.before, c.after) for c in ledger.diff("projects/demo/jobs/a", "v1")][:1]
        [('state', 'QUEUED', 'RUNNING')]
    """
    between = span(reader, earlier, later, clock, parse_name(name))
    before, after = (job_as_of(reader, name, moment) for moment in between)
    return diff_jobs(before, after)


def diff_fleet(
    reader: Reader,
    earlier: Given,
    later: Given | None = None,
    clock: Clock | None = None,
    *,
    filter: str = "",
    limit: int = MAX_NAMED_JOBS,
) -> FleetDiff:
    """Counts the jobs that changed state between two moments.

    Args:
        reader: The ledger.
        earlier: A position (`@4711`), a time, or text such as `2h ago`.
        later: The same; None is now.
        clock: The clock of times, as in `diff`.
        filter: An AIP-160 filter that a job must match at either moment; "" matches all jobs.
        limit: The most jobs to name for each change of state.

    Returns:
        The changes of state, the most frequent first, with counts.

    Raises:
        InvalidFieldError: The filter or a moment is not accepted.
        LedgerUnavailableError: The server cannot be reached.

    Examples:
        >>> _ = ledger.create("projects/demo/jobs/a")
        >>> ledger.diff_fleet("@0").appeared
        1
    """
    return differences.diff_fleet(reader, *span(reader, earlier, later, clock), filter, limit)

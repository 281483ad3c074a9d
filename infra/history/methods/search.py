"""Finds the first moment at which something held."""

from jobledger.domain.values.moments import Clock
from jobledger.infra.history import bisect as bisection
from jobledger.infra.history.bisect import Found, beginning, bisect_job
from jobledger.infra.history.timeline import Span, span
from jobledger.infra.read.moments import Given
from jobledger.infra.read.reader import Reader


def bisect(
    reader: Reader,
    name: str,
    filter: str,
    earlier: Given | None = None,
    later: Given | None = None,
    clock: Clock | None = None,
) -> Found | None:
    """Finds the first moment at which a filter matched a job.

    Args:
        reader: The ledger.
        name: The job's resource name (AIP-122).
        filter: An AIP-160 filter, such as `state = FAILED`.
        earlier: Search from here: a version, a position, a time, or text; None is the
            beginning.
        later: Search up to here; None is now.
        clock: The clock of times, as in `diff`.

    Returns:
        The moment and the event that made the filter match, or None if it never matched.

    Raises:
        JobNotFoundError: The job has no events.
        InvalidFieldError: The filter or a moment is not accepted.
        LedgerUnavailableError: The server cannot be reached.

    Examples:
        >>> _ = ledger.create("projects/demo/jobs/a")
        >>> _ = ledger.failed("projects/demo/jobs/a", "out of memory")
        >>> ledger.bisect("projects/demo/jobs/a", "state = FAILED").event.version
        2
    """
    return bisect_job(reader, name, filter, *between(reader, earlier, later, clock, name))


def bisect_count(
    reader: Reader,
    condition: str,
    earlier: Given | None = None,
    later: Given | None = None,
    clock: Clock | None = None,
) -> Found | None:
    """Finds the first moment at which a condition on the number of jobs held.

    Args:
        reader: The ledger.
        condition: Such as `running > 4000`, `jobs >= 10`, or `count(labels.team = "a") > 3`.
        earlier: Search from here: a position, a time, or text; None is the beginning.
        later: Search up to here; None is now.
        clock: The clock of times, as in `diff`.

    Returns:
        The moment, the event and the number of jobs, or None if the condition never held.

    Raises:
        InvalidFieldError: The condition or a moment is not accepted.
        LedgerUnavailableError: The server cannot be reached.

    Examples:
        >>> for id in "abc":
        ...     _ = ledger.create(f"projects/demo/jobs/{id}")
        >>> ledger.bisect_count("queued > 1").moment.position
        2
    """
    return bisection.bisect_count(reader, condition, *between(reader, earlier, later, clock))


def between(
    reader: Reader, earlier: Given | None, later: Given | None, clock: Clock | None, name: str = ""
) -> Span:
    """Returns the two moments of a search; None is the ledger's beginning, and now."""
    if earlier is not None:
        return span(reader, earlier, later, clock, name)
    end = reader.moment(later, clock, name)
    return Span(beginning(end), end)

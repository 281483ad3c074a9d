"""Explains a job as of a moment: which events made its fields, its state and its tree."""

from collections.abc import Iterable, Sequence

from jobledger.domain.data import Data
from jobledger.domain.values.moments import Clock
from jobledger.infra.history import blame as blaming
from jobledger.infra.history import explain as explaining
from jobledger.infra.history import tree as trees
from jobledger.infra.history.blame import Blamed
from jobledger.infra.history.explain import Why
from jobledger.infra.history.replay import Replay, replay_job
from jobledger.infra.history.tree import Tree
from jobledger.infra.read.moments import Given
from jobledger.infra.read.reader import Reader


def blame(
    reader: Reader, name: str, as_of: Given | None = None, clock: Clock | None = None
) -> Sequence[Blamed]:
    """Returns, for each field of a job, the event that set it to its value.

    Args:
        reader: The ledger.
        name: The job's resource name (AIP-122).
        as_of: A version (`v7`), a position (`@4711`), a time, or text such as `2h ago`; None is
            now.
        clock: The clock of times, as in `diff`.

    Returns:
        The fields, their values and events; labels and configuration key by key.

    Raises:
        JobNotFoundError: The job had no events at the moment.
        InvalidFieldError: The moment cannot be parsed, or is in the future.
        LedgerUnavailableError: The server cannot be reached.

    Examples:
        >>> _ = ledger.create("projects/demo/jobs/a", {"team": "vision"}, actor="ada")
        >>> [b.event.actor for b in ledger.blame("projects/demo/jobs/a") if b.field == "labels.team"]
        ['ada']
    """
    return blaming.blame(reader, name, reader.moment(as_of, clock, name))


def why(reader: Reader, name: str, as_of: Given | None = None, clock: Clock | None = None) -> Why:
    """Explains how a job came to its state: the events that led to it, each with a sentence.

    Args:
        reader: The ledger.
        name: The job's resource name (AIP-122).
        as_of: A version (`v7`), a position (`@4711`), a time, or text such as `2h ago`; None is
            now.
        clock: The clock of times, as in `diff`.

    Returns:
        The job, the events with their sentences, a conclusion, and the offsets of reporters'
        clocks.

    Raises:
        JobNotFoundError: The job had no events at the moment.
        InvalidFieldError: The moment cannot be parsed, or is in the future.
        LedgerUnavailableError: The server cannot be reached.

    Examples:
        >>> _ = ledger.create("projects/demo/jobs/a")
        >>> _ = ledger.failed("projects/demo/jobs/a", "out of memory")
        >>> [reason.event.type for reason in ledger.why("projects/demo/jobs/a").reasons]
        ['Created', 'Failed']
    """
    return explaining.why(reader, name, reader.moment(as_of, clock, name))


def tree(reader: Reader, name: str, as_of: Given | None = None, clock: Clock | None = None) -> Tree:
    """Returns a job with the jobs below it, by the parents that their configurations name.

    Args:
        reader: The ledger.
        name: The job's resource name (AIP-122).
        as_of: A version (`v7`), a position (`@4711`), a time, or text such as `2h ago`; None is
            now.
        clock: The clock of times, as in `diff`.

    Returns:
        The tree of jobs; at most 10,000.

    Raises:
        JobNotFoundError: There was no such job at the moment, or it was deleted.
        InvalidFieldError: The moment cannot be parsed, or is in the future.
        LedgerUnavailableError: The server cannot be reached.

    Examples:
        >>> _ = ledger.create("projects/demo/jobs/a")
        >>> _ = ledger.create("projects/demo/jobs/b", spec={"parents": ["projects/demo/jobs/a"]})
        >>> [(depth, job.name) for depth, job in ledger.tree("projects/demo/jobs/a").walk()]
        [(0, 'projects/demo/jobs/a'), (1, 'projects/demo/jobs/b')]
    """
    return trees.tree(reader, name, reader.moment(as_of, clock, name))


def replay(
    reader: Reader,
    name: str,
    as_of: Given | None = None,
    clock: Clock | None = None,
    hypotheses: Iterable[Data] = (),
) -> Replay:
    """Replays a job event by event, and then as if `hypotheses` had been reported.

    Nothing is recorded.

    Args:
        reader: The ledger.
        name: The job's resource name (AIP-122).
        as_of: The last moment to replay: a version, a position, a time, or text; None is now.
        clock: The clock of times, as in `diff`.
        hypotheses: Data of events that are supposed to follow.

    Returns:
        The job after each event, and what the event changed.

    Raises:
        JobNotFoundError: The job had no events at the moment.
        InvalidFieldError: The moment cannot be parsed, or is in the future.
        LedgerUnavailableError: The server cannot be reached.

    Examples:
        >>> from jobledger.domain.events import Started
        >>> _ = ledger.create("projects/demo/jobs/a")
        >>> steps = ledger.replay("projects/demo/jobs/a", hypotheses=[Started()]).steps
        >>> [(step.job.state.name, step.hypothetical) for step in steps]
        [('QUEUED', False), ('RUNNING', True)]
    """
    return replay_job(reader, name, reader.moment(as_of, clock, name), hypotheses)

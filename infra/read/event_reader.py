"""Reads events: of one job, of the whole ledger, and from the live feed."""

from collections.abc import Callable, Iterator
from contextlib import suppress

from jobledger.domain.errors import BeyondEndError, JobNotFoundError
from jobledger.domain.values.arguments import parse_count
from jobledger.domain.values.names import parse_name
from jobledger.infra.eventstore.feed import LAST_VERSION, Feed, Ranges
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.read.one_job import OneJob


class EventReader:
    """Reads events; any number of threads may use it."""

    def __init__(self, feed: Feed, job: OneJob, check_open: Callable[[], None]) -> None:
        """`check_open` raises LedgerClosedError once the ledger is closed."""
        self._feed = feed
        self._job = job
        self._check_open = check_open

    def size(self) -> int:
        """Returns the number of events of the ledger, which is the last position.

        Returns:
            The last position; 0 for an empty ledger. Pruned events count.

        Raises:
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> ledger.size()
            1
        """
        return self._feed.size()

    def check_reached(self, position: int, field: str = "after") -> None:
        """Checks that the ledger has reached a position.

        Args:
            position: A position, from 0.
            field: The name of the argument that the error is about.

        Raises:
            BeyondEndError: The position is after the last one.

        Examples:
            >>> ledger.check_reached(0)
            >>> ledger.check_reached(1)
            Traceback (most recent call last):
            jobledger.domain.errors.BeyondEndError: after: position 1 is beyond the end: the ledger's last position is 0
        """
        self._feed.check_reached(parse_count(field, position), field)

    def pruned(self, after: int, until: int) -> Ranges:
        """Returns the ranges of positions whose events were pruned.

        Args:
            after: Positions after this one, from 0.
            until: Positions up to this one, inclusive.

        Returns:
            At most 1,000 ranges of first and last positions, both inclusive, in order.

        Raises:
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> ledger.pruned(0, ledger.size())
            []
        """
        return self._feed.pruned(parse_count("after", after), parse_count("until", until))

    def history(self, name: str, after: int = 0, until: int = LAST_VERSION) -> list[RecordedEvent]:
        """Returns the events of a job in the order of versions, also of a deleted job.

        Args:
            name: The job's resource name (AIP-122).
            after: Events after this version, from 0.
            until: Events up to this version, inclusive.

        Returns:
            The events, oldest first; each with its position, times (UTC) and data.

        Raises:
            JobNotFoundError: The job has no such events.
            InvalidFieldError: `name` is not a job's resource name.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> _ = ledger.started("projects/demo/jobs/a", {"worker": "node-7"})
            >>> [(event.version, event.type, event.stored) for event in ledger.history("projects/demo/jobs/a")]
            [(1, 'Created', b'{}'), (2, 'Started', b'{"worker":"node-7"}')]
        """
        parsed, after = parse_name(name), parse_count("after", after)
        events = self._feed.history(parsed, after, parse_count("until", until))
        if not events:
            raise self._job.missing(name)
        return events

    def history_page(self, name: str, after: int, limit: int) -> tuple[list[RecordedEvent], bool]:
        """Returns some events of a job in the order of versions, and whether more follow.

        Args:
            name: The job's resource name (AIP-122).
            after: Events after this version, from 0.
            limit: The most events to return; fewer are returned if they are large.

        Returns:
            The events, oldest first, and whether more follow.

        Raises:
            JobNotFoundError: The job has no events.
        """
        events, more = self._feed.history_page(parse_name(name), after, limit)
        if not events and self._job.read_current(parse_name(name)) is None:
            raise JobNotFoundError(name)
        return events, more

    def events(self, after: int = 0, *, follow: bool = True) -> Iterator[RecordedEvent]:
        """Iterates over all events in commit order: a gapless change feed.

        Each event is returned exactly once. To continue later, keep the position of the last event.

        Args:
            after: Events after this position; 0 is the beginning.
            follow: Whether to wait for new events until the ledger is closed; if false, the
                iteration ends after the last event.

        Returns:
            An iterator of events.

        Raises:
            BeyondEndError: When the iteration begins: `after` is past the last position. Later: the
                ledger lost the last event that was read, after a failover or a restored backup.
            LedgerClosedError: The ledger was closed.
            LedgerUnavailableError: When an event is read: the server cannot be reached.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> [(event.position, event.type) for event in ledger.events(follow=False)]
            [(1, 'Created')]
        """
        self._check_open()
        return self._feed.events(parse_count("after", after), follow=follow)

    def event_at(self, position: int) -> RecordedEvent | None:
        """Returns the event at a position.

        Args:
            position: A position of the ledger, from 1.

        Returns:
            The event, or None if there is none or it was pruned.

        Raises:
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> ledger.event_at(1).type
            'Created'
        """
        event = None
        with suppress(BeyondEndError):
            event = (
                next(self.events(position - 1, follow=False), None)
                if parse_count("position", position)
                else None
            )
        return event if event is not None and event.position == position else None

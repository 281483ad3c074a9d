"""Resolves a moment to the position up to which events count, and the time on the clock."""

import time
from datetime import UTC, datetime
from threading import Event as Signal
from typing import Any, Final, NamedTuple

from jobledger.domain.errors import InvalidFieldError, JobNotFoundError, shown
from jobledger.domain.values.arguments import parse_count
from jobledger.domain.values.moments import (
    AsOf,
    AtPosition,
    AtTime,
    AtVersion,
    Clock,
    Moment,
    parse_as_of,
    parse_clock,
    parse_place,
)
from jobledger.domain.values.names import EARLIEST
from jobledger.infra.errors import StandbyBehindError
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, Pool, reading_again, translated
from jobledger.infra.read.standby import READ_FOLLOWED, Followed, fold_next, pin_time
from jobledger.projections.catalogue import INTERVALS, SEARCH, Projection

READ_NOW: Final = sql.load(__package__, "read_now")
FOLLOWING: Final = (INTERVALS.name,)
READ_PRUNED_BEFORE: Final = sql.load(__package__, "read_pruned_before")
READ_PLACE: Final = sql.load(__package__, "read_place")
BATCH_EVENTS: Final = 20_000
"""The events folded in one transaction."""
SEARCH_STEP: Final = 8_192
"""The number of new events after which signatures of blocks are made in the background."""
STANDBY_WAIT_SECONDS: Final = 5.0
"""How long a reader of a hot standby waits for the primary to fold events, and for their replay."""
STANDBY_PAUSE_SECONDS: Final = 0.1

Given = AsOf | Moment | datetime | str
"""How a moment may be given: parsed, as text (see parse_as_of), or as a time with a zone."""


class Seen(NamedTuple):
    """What the statement that read a page saw of the ledger."""

    size: int
    """The last position."""
    prunings: int | None
    """How many times jobs were pruned."""
    followed: int
    """The position of `intervals`, up to which late reports are known."""


class _Pruned(NamedTuple):
    """How many prunings there were, before which time jobs had ended, and the last one's position."""

    prunings: int | None
    before: datetime | None
    position: int


class Moments:
    """Resolves the moments of one ledger; any number of threads may use it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._pruned = _Pruned(None, None, 0)

    def find(
        self, as_of: Given | None = None, clock: Clock | str | None = None, name: str = ""
    ) -> Moment:
        """Pins a moment: reads as of the result always return the same.

        Args:
            as_of: A version of the job `name` (`v7`), a position (`@4711`), a time, or text such as
                `2h ago`; None is now.
            clock: "occurred" (valid time) or "recorded" (transaction time), for times; None is
                "occurred" for a time, and "recorded" for now.
            name: The job's resource name, if `as_of` may be a version.

        Returns:
            The position up to which events count, and the time (UTC).

        Raises:
            InvalidFieldError: The moment is in the future, or cannot be parsed.
            JobNotFoundError: `as_of` is a version, and the job has no events.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> moment = ledger.moment("@1")
            >>> moment.position, moment.clock
            (1, <Clock.RECORDED: 'recorded'>)
            >>> ledger.get("projects/demo/jobs/a", as_of=moment).version
            1
        """
        wanted = parse_clock(clock)
        if (place := _place_of(as_of, wanted)) is not None:
            return self._at_place(place, name)
        now, size, prunings, followed = self._row(READ_NOW, FOLLOWING)
        found = self._find(_parsed(as_of, wanted, now), now, size, followed)
        return self._with_prunings(found, prunings)

    def holding(self, moment: Moment, seen: Seen) -> Moment | None:
        """Returns a moment that was found before as `find` does; None if `find` has to catch up first.

        Raises:
            InvalidFieldError: The ledger ends before the moment.
        """
        _check_recorded(moment.position, seen.size)
        if moment.clock is Clock.OCCURRED and seen.followed < moment.position:
            return None
        return self._with_prunings(moment, seen.prunings)

    def pruned_before(self) -> datetime | None:
        """Returns the time before which ended jobs were pruned (UTC); None if no job was."""
        return self._pruned_before(self._row(READ_NOW, FOLLOWING)[2])

    def _with_prunings(self, moment: Moment, prunings: int | None) -> Moment:
        _, before, position = self._read_pruned(prunings)
        return moment._replace(pruned_before=before, pruned_since=moment.position < position)

    def _pruned_before(self, prunings: int | None) -> datetime | None:
        return self._read_pruned(prunings).before

    def _read_pruned(self, prunings: int | None) -> _Pruned:
        """Returns what was pruned; it is read only if there were further prunings."""
        pruned = self._pruned
        if prunings != pruned.prunings:
            found = (None, 0) if prunings is None else self._row(READ_PRUNED_BEFORE)
            pruned = self._pruned = _Pruned(prunings, *found)
        return pruned

    def _find(
        self, meant: AtTime | Moment | None, now: datetime, size: int, followed: int
    ) -> Moment:
        match meant:
            case None:
                return Moment(size, now, Clock.RECORDED)
            case Moment() as moment:
                return self._known(moment, size, followed)
            case AtTime() as at:
                return self._at_time(at, now, size, followed)

    def follow(self, position: int) -> int:
        """Catches up the projections that are folded after the commit, such as `intervals`.

        Args:
            position: The position that they must reach.

        Returns:
            The position that they have reached: at least the lower of `position` and the ledger's
            last one.

        Raises:
            InvalidFieldError: The position is not a whole number, negative or too large.
            LedgerUnavailableError: The server cannot be reached.
            StandbyBehindError: The server is a hot standby, and the primary has not folded them
                for some seconds.

        Examples:
            >>> _ = ledger.create("projects/demo/jobs/a")
            >>> ledger.follow(1)
            1
        """
        position = parse_count("position", position)
        deadline = time.monotonic() + STANDBY_WAIT_SECONDS
        while True:
            reached, writable = self.follow_if_possible(position)
            if reached >= position or writable:
                return reached
            if time.monotonic() > deadline:
                raise StandbyBehindError(position, reached)
            time.sleep(STANDBY_PAUSE_SECONDS)

    def follow_if_possible(self, position: int) -> Followed:
        """Does the same as `follow`, but a hot standby returns its current position at once."""
        before, (reached, writable) = -1, self._follow(position)
        while writable and before < reached < position:
            before, (reached, writable) = reached, self._follow(position)
        return Followed(reached, writable)

    def follow_all(self, closed: Signal) -> None:
        """Catches the projections up with the ledger, until it is closed."""
        size = self._row(READ_NOW, FOLLOWING)[1]
        reached, writable = self._follow(size)
        while writable and reached < size and not closed.is_set():
            reached, writable = self._follow(size)
        (searched,) = self._row(READ_FOLLOWED, (SEARCH.name,))
        while writable and size - searched >= SEARCH_STEP and not closed.is_set():
            searched, writable = self._follow(size, SEARCH)

    def _follow(self, position: int, projection: Projection = INTERVALS) -> Followed:
        """Folds one batch in one transaction; returns the position reached."""
        return fold_next(self._row, projection.name, position, BATCH_EVENTS)

    def _known(self, moment: Moment, size: int, followed: int) -> Moment:
        """Returns the moment, after catching up with late reports in valid time."""
        _check_recorded(moment.position, size)
        if moment.clock is Clock.OCCURRED and followed < moment.position:
            self.follow(moment.position)
        return moment

    def _at_time(self, at: AtTime, now: datetime, size: int, followed: int) -> Moment:
        if at.time > now:
            why = f"{time_text(at.time)} is in the future: it is {time_text(now)} now"
            raise InvalidFieldError("as_of", why)
        if at.clock is Clock.RECORDED:
            position, time_ = pin_time(self._row, at.time)
            # Now is after all that is recorded, also if the server's clock was set back since.
            return Moment(max(position, size) if at.time == now else position, time_, at.clock)
        if at.known is None:
            # The position is that of `intervals`, whose rows are then exactly as of this moment.
            if followed < size:
                followed = self.follow_if_possible(size).position
            return Moment(followed, at.time, at.clock)
        return self._known(Moment(at.known, at.time, at.clock), size, followed)

    def _at_place(self, place: AtVersion | AtPosition, name: str) -> Moment:
        """Finds a position, or a version of the job, in one round trip."""
        version, position = None, None
        if isinstance(place, AtPosition):
            position = place.position
        else:
            version = place.version
            if not name:
                why = f"v{version} is a version of one job; give a position (@N) or a time for all jobs"
                raise InvalidFieldError("as_of", why)
        asked = {"position": position, "name": name, "version": version}
        now, size, prunings, found, last, recorded = self._row(READ_PLACE, asked)
        if version is not None and last is None:
            raise JobNotFoundError(name, pruned_before=self._pruned_before(prunings))
        if found is None:
            why = f"there is no version {version}: {name} is at v{last}"
            raise InvalidFieldError("as_of", why)
        _check_recorded(found, size)
        time_ = EARLIEST if recorded is None else min(recorded, now)
        return self._with_prunings(Moment(found, time_, Clock.RECORDED), prunings)

    @reading_again
    def _row(self, statement: bytes, parameters: Any = None) -> tuple[Any, ...]:
        with translated(), self._pool.connection() as connection:
            row = connection.execute(statement, parameters).fetchone()
        assert row is not None
        return row


def is_pinned(given: Given | None) -> bool:
    """Whether the moment is a time with the position up to which events count."""
    if isinstance(given, AtTime):
        return given.known is not None
    return isinstance(given, Moment) or (isinstance(given, str) and "@" in given)


def _place_of(given: Given | None, clock: Clock | None) -> AtVersion | AtPosition | None:
    """Returns the given version or position; None for a time, and for now."""
    place = parse_place(given) if isinstance(given, str) else given
    if not isinstance(place, AtVersion | AtPosition):
        return None
    if clock is Clock.OCCURRED:
        raise InvalidFieldError(
            "clock",
            "occurred, and a version or position is transaction time: use the clock recorded",
        )
    return place


def _parsed(given: Given | None, clock: Clock | None, now: datetime) -> AtTime | Moment | None:
    """Returns the given time; None for now."""
    if given is None:
        return AtTime(now, clock) if clock is Clock.OCCURRED else None
    if isinstance(given, str):
        given = parse_as_of(given, clock, now)
    elif isinstance(given, datetime):
        if given.utcoffset() is None:
            raise InvalidFieldError("as_of", f"{given} has no time zone; give one, such as UTC")
        given = AtTime(given.astimezone(UTC), clock or Clock.OCCURRED)
    if not isinstance(given, AtTime | Moment):
        why = f"{shown(given)} is not a moment; give a time, a position, or text such as '2h ago'"
        raise InvalidFieldError("as_of", why)
    return given


def _check_recorded(position: int, size: int) -> None:
    if position > size:
        why = f"there is no position {position} yet: the ledger ends at {size}"
        raise InvalidFieldError("as_of", why)


def read_pruned_before(connection: Connection) -> datetime | None:
    """Returns the time before which ended jobs were pruned (UTC); None if no job was."""
    row = connection.execute(READ_PRUNED_BEFORE).fetchone()
    return None if row is None else row[0]

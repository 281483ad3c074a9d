"""Finds the moment that is meant: the position up to which events count, and the time on the clock."""

from __future__ import annotations

from datetime import UTC, datetime
from threading import Event as Signal
from typing import Any, Final

from jobledger.domain.errors import InvalidFieldError, JobNotFoundError
from jobledger.domain.moments import (
    AsOf,
    AtPosition,
    AtTime,
    AtVersion,
    Clock,
    Moment,
    parse_as_of,
    parse_clock,
)
from jobledger.domain.names import EARLIEST
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.projections.catalogue import INTERVALS
from psycopg_pool import ConnectionPool

_SQL: Final = "jobledger.infra.past"
READ_NOW: Final = sql.load(_SQL, "read_now")
READ_RECORDED: Final = sql.load(_SQL, "read_recorded")
FIND_VERSION: Final = sql.load(_SQL, "find_version")
SEAL: Final = sql.load(_SQL, "seal")
FOLLOW: Final = sql.load(_SQL, "follow")
STRETCH: Final = 20_000
"""Events folded in one transaction by who follows."""

Given = AsOf | Moment | datetime | str
"""How a moment may be given: parsed, as text (see parse_as_of), or as a time with a zone."""


class Moments:
    """Reads through a pool; any number of threads may."""

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool

    def find(self, given: Given | None, clock: Clock | str | None, name: str = "") -> Moment:
        """The moment meant; None is now, on the recorded clock. Only a job's `name` makes sense of a version.

        Raises InvalidFieldError for one that is not yet, or cannot be read; one before the
        ledger began is position 0.
        """
        wanted = parse_clock(clock)
        now, size = self._row(READ_NOW)
        match _parsed(given, wanted, now):
            case None:
                return Moment(size, now, Clock.RECORDED)
            case Moment() as moment:
                self._follow(moment)
                return moment
            case AtVersion(version=version):
                return self._at_position(self._position_of(name, version), now)
            case AtPosition(position=position):
                if position > size:
                    raise InvalidFieldError(
                        "as_of", f"position {position} is not yet: the ledger is at {size}"
                    )
                return self._at_position(position, now)
            case AtTime(time=time, clock=on, known=known):
                if time > now:
                    raise InvalidFieldError(
                        "as_of", f"{_shown(time)} is not yet: it is {_shown(now)}"
                    )
                if on is Clock.RECORDED:
                    return Moment(int(self._row(SEAL, (time,))[0]), time, on)
                if known is not None and known > size:
                    raise InvalidFieldError(
                        "as_of", f"position {known} is not yet: the ledger is at {size}"
                    )
                moment = Moment(size if known is None else known, time, on)
                self._follow(moment)
                return moment

    def follow(self, position: int) -> None:
        """Lets `intervals` come as far as that position."""
        done = -1
        while done < position:
            done = int(self._row(FOLLOW, (INTERVALS.name, STRETCH))[0])

    def follow_all(self, closed: Signal) -> None:
        """Lets `intervals` come as far as the ledger, unless that is closed meanwhile."""
        _, size = self._row(READ_NOW)
        done = -1
        while done < size and not closed.is_set():
            done = int(self._row(FOLLOW, (INTERVALS.name, STRETCH))[0])

    def _follow(self, moment: Moment) -> None:
        # Which jobs' reports came late is known from `intervals`.
        if moment.clock is Clock.OCCURRED:
            self.follow(moment.position)

    def _at_position(self, position: int, now: datetime) -> Moment:
        with translated(), self._pool.connection() as connection:
            row = connection.execute(READ_RECORDED, (position,)).fetchone()
        return Moment(position, min(row[0], now) if row else EARLIEST, Clock.RECORDED)

    def _position_of(self, name: str, version: int) -> int:
        if not name:
            raise InvalidFieldError("as_of", f"v{version} is a moment of one job, not of all")
        position, last = self._row(FIND_VERSION, {"name": name, "version": version})
        if last is None:
            raise JobNotFoundError(name)
        if position is None:
            raise InvalidFieldError("as_of", f"there is no version {version}: {name} is at v{last}")
        return int(position)

    def _row(self, statement: bytes, parameters: Any = None) -> tuple[Any, ...]:
        with translated(), self._pool.connection() as connection:
            row = connection.execute(statement, parameters).fetchone()
        assert row is not None
        return row


def _parsed(given: Given | None, clock: Clock | None, now: datetime) -> AsOf | Moment | None:
    if isinstance(given, str):
        given = parse_as_of(given, clock, now)
    elif isinstance(given, datetime):
        if given.utcoffset() is None:
            raise InvalidFieldError("as_of", f"{given} has no time zone")
        given = AtTime(given.astimezone(UTC), clock or Clock.OCCURRED)
    on_versions = isinstance(given, AtVersion | AtPosition)
    if clock is Clock.OCCURRED and on_versions:
        raise InvalidFieldError(
            "clock", "versions and positions are moments of the recorded clock only"
        )
    return given


def _shown(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")

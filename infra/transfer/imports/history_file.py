"""One job's history from an exported file: the job as of any moment that the file covers."""

from datetime import UTC, datetime
from typing import NamedTuple

from jobledger.domain.errors import InvalidFieldError, JobNotFoundError
from jobledger.domain.job import Job, fold
from jobledger.domain.values.moments import (
    AtPosition,
    AtTime,
    AtVersion,
    Clock,
    Moment,
    parse_as_of,
)
from jobledger.domain.values.names import EARLIEST
from jobledger.infra.eventstore.stored_event import RecordedEvent, up_to


class History(NamedTuple):
    """A job's events, oldest first, as of the moment of the export."""

    file: str
    ledger: str
    moment: Moment
    name: str
    events: list[RecordedEvent]

    def get(self, as_of: str | None = None, clock: Clock | str | None = None) -> tuple[Job, Moment]:
        """Returns the job as of a moment, and the moment.

        Args:
            as_of: A moment as `parse_as_of` takes it; None is the moment of the file.
            clock: The clock of a time: valid time or transaction time.

        Returns:
            The job and the moment.

        Raises:
            JobNotFoundError: The job did not exist at the moment, or was deleted.
            InvalidFieldError: The file does not cover the moment: it is later than the file or, in a file
                in valid time, in transaction time.
        """
        moment = self.moment if as_of is None else self._moment(as_of, clock)
        events = up_to(self.events, moment)
        if not events:
            raise JobNotFoundError(self.name)
        job = fold(Job(name=self.name), (event.event for event in events))
        if job.delete_time is not None:
            raise JobNotFoundError(self.name, deleted=True)
        return job, moment

    def _moment(self, as_of: str, clock: Clock | str | None) -> Moment:
        now = datetime.now(UTC)
        meant = parse_as_of(as_of, clock, now)
        if isinstance(meant, AtTime) and meant.clock is Clock.OCCURRED:
            return self._in_valid_time(meant, now)
        if self.moment.clock is Clock.OCCURRED:
            raise InvalidFieldError(
                "as_of", f"{self.file} has only moments in valid time (clock occurred)"
            )
        if clock == Clock.OCCURRED:
            raise InvalidFieldError(
                "clock",
                "occurred, and a version or position is transaction time: use the clock recorded",
            )
        match meant:
            case AtVersion(version=version):
                return self._at_position(self._position_of(version))
            case AtPosition(position=position):
                return self._at_position(position)
            case AtTime(time=time):
                return self._in_transaction_time(time)

    def _in_valid_time(self, meant: AtTime, now: datetime) -> Moment:
        position = self.moment.position if meant.known is None else meant.known
        latest = self.moment.time if self.moment.clock is Clock.OCCURRED else now
        if meant.time > latest or position > self.moment.position:
            raise self._unknown()
        return Moment(position, meant.time, Clock.OCCURRED)

    def _in_transaction_time(self, time: datetime) -> Moment:
        if time > self.moment.time:
            raise self._unknown()
        if time == self.moment.time:
            return self.moment
        known = [event.position for event in self.events if event.recorded_time <= time]
        return Moment(known[-1] if known else 0, time, Clock.RECORDED)

    def _at_position(self, position: int) -> Moment:
        if position > self.moment.position:
            raise self._unknown()
        times = [event.recorded_time for event in self.events if event.position <= position]
        return Moment(position, times[-1] if times else EARLIEST, Clock.RECORDED)

    def _position_of(self, version: int) -> int:
        for event in self.events:
            if event.version == version:
                return event.position
        last = self.events[-1].version
        raise InvalidFieldError(
            "as_of", f"there is no version {version} in {self.file}: {self.name} is at v{last}"
        )

    def _unknown(self) -> InvalidFieldError:
        return InvalidFieldError(
            "as_of", f"is after the moment of {self.file}, which is {self.moment}"
        )

"""Records reports of other systems in batches, each in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from jobledger.domain.errors import LedgerError, VersionConflictError
from jobledger.infra.eventstore.write_path import ObservedEvent, Recorded
from jobledger.infra.eventstore.writer import Writer
from jobledger.infra.eventstore.writes.bulk import BATCH_BYTES
from jobledger.infra.eventstore.writes.observations import Introduction, Observed
from jobledger.infra.eventstore.writes.plain import PlainEvent
from jobledger.infra.eventstore.writes.weight import EVENT_BYTES, weight_of_data
from jobledger.infra.privacy.envelope import NotEncryptedError

BATCH_EVENTS: Final = 5_000
"""The number of reports in one transaction, without those that create jobs, if they are not too large."""
Reported = ObservedEvent | PlainEvent | Introduction
Outcomes = Iterator[tuple[Reported, Observed]]


def observe_many(
    writer: Writer, observed: Iterable[Reported], *, ahead: bool = False, new: bool = False
) -> Outcomes:
    """Records reports on any jobs, each batch in one transaction.

    Args:
        writer: Writes them.
        observed: The reports, in their order.
        ahead: Whether the next batch is read while one is written, which keeps other writers waiting:
            only for a source that never waits for anything itself.
        new: Whether nobody recorded any of them before, unless their jobs changed since this process
            knew them.

    Yields:
        Each report and its outcome, after it is durable.

    Raises:
        LedgerUnavailableError: The server cannot be reached.
    """
    batches = _Batches(observed)
    meanwhile = batches.read_ahead if ahead else _nothing
    while batch := batches.next():
        yield from zip(batch, _recorded(writer, batch, meanwhile, new), strict=True)


def _nothing() -> None:
    """The `meanwhile` for a source that may wait: it does nothing."""


class _Batches:
    """Reports in batches; an error of their source is raised after the reports before it were returned."""

    def __init__(self, observed: Iterable[Reported]) -> None:
        self._source = iter(observed)
        self._ready: list[Reported] = []
        self._error: Exception | None = None

    def next(self) -> list[Reported]:
        """Returns the next batch; an empty one at the end."""
        self.read_ahead()
        batch, self._ready = self._ready, []
        if not batch and self._error is not None:
            raise self._error
        return batch

    def read_ahead(self) -> None:
        """Reads the next batch, unless that was done."""
        if self._ready or self._error is not None:
            return
        weight = count = 0
        try:
            for event in self._source:
                self._ready.append(event)
                if type(event) is Introduction:
                    continue
                count += 1
                if type(event) is PlainEvent:
                    weight += EVENT_BYTES + len(event.encoded)
                elif isinstance(event, ObservedEvent):
                    weight += weight_of_data(event.data)
                if weight >= BATCH_BYTES or count == BATCH_EVENTS:
                    return
        except Exception as error:
            self._error = error


def _recorded(
    writer: Writer, batch: Sequence[Reported], meanwhile: Callable[[], None], new: bool
) -> Sequence[Observed]:
    try:
        return _decided(writer, batch, meanwhile, new)
    except NotEncryptedError:
        return _encrypted(writer, batch)


def _decided(
    writer: Writer, batch: Sequence[Reported], meanwhile: Callable[[], None], new: bool
) -> Sequence[Observed]:
    write = writer.observed_write(batch, meanwhile, new=new)
    try:
        writer.submit(write)
    except VersionConflictError:
        write.again()
        writer.submit(write)
    return write.outcomes


def _encrypted(writer: Writer, batch: Sequence[Reported]) -> list[Observed]:
    """Returns the outcomes of reports with personal values, which the writer encrypts one by one."""
    last = writer.size()
    made = (each.make() if isinstance(each, Introduction) else each for each in batch)
    given = [ObservedEvent(each.name, each.data, each.about, each.judge) for each in made]
    return [_observed(each, last) for each in writer.report_many(given)]


def _observed(outcome: Recorded | LedgerError, last: int) -> Observed:
    """Returns the outcome of a report; events up to position `last` were written before."""
    if isinstance(outcome, LedgerError):
        return Observed(error=outcome)
    new = [each.type for each in outcome.events if each.position > last]
    return Observed(new, len(outcome.events) - len(new))

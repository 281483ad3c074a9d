"""The origins of imported events: their ledger, and their position, recorded time and checkpoint there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values import canonical
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.moments import Clock, Moment
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import translated
from jobledger.infra.read.reader import Reader
from jobledger.infra.transfer.exports.export import whole, write_history
from jobledger.infra.transfer.exports.selection import Selection

STREAM: Final = "ledger/imports"
IMPORTED: Final = "Imported"
READ_IMPORTS: Final = sql.load(__package__, "read_imports")


class EventOrigin(NamedTuple):
    """The origin of an imported event.

    Attributes:
        version: The event's version, which is the same here.
        ledger: The name of the ledger it comes from.
        position: Its position there.
        recorded_time: When it was recorded there (UTC).
        checkpoint: A signed checkpoint of that ledger's log that covers it; "" if none was given.
    """

    version: int
    ledger: str
    position: int
    recorded_time: datetime
    checkpoint: str


def origins(reader: Reader, name: str) -> list[EventOrigin]:
    """Returns where a job's events had been before they were imported here.

    Args:
        reader: The ledger to read.
        name: The job's resource name (AIP-122).

    Returns:
        An entry for each imported event and each ledger it was imported from, by version.

    Raises:
        LedgerUnavailableError: The server cannot be reached.

    Examples:
        >>> _ = ledger.create("projects/demo/jobs/a")
        >>> ledger.origins("projects/demo/jobs/a")
        []
    """
    found = [
        EventOrigin(
            version,
            record["ledger"],
            position,
            datetime.fromisoformat(time),
            record.get("checkpoint", ""),
        )
        for record in _imports(reader)
        for version, position, time in record["events"].get(name, ())
    ]
    return sorted(found, key=lambda origin: (origin.version, origin.ledger))


def export_origin(reader: Reader, name: str, ledger: str, to: Path) -> int:
    """Writes a job's imported events as the ledger they come from would export them (jsonl).

    Receipts of that ledger can be compared with the file.

    Args:
        reader: The ledger to read.
        name: The job's resource name (AIP-122).
        ledger: The name of the ledger they come from.
        to: The file.

    Returns:
        The number of events.

    Raises:
        InvalidFieldError: Nothing of the job was imported from that ledger.
        JobNotFoundError: The job has no events.

    Examples:
        >>> _ = ledger.create("projects/demo/jobs/a")
        >>> ledger.export_origin("projects/demo/jobs/a", "other", folder / "other.jsonl")
        Traceback (most recent call last):
        jobledger.domain.errors.InvalidFieldError: ledger: no event of projects/demo/jobs/a was imported from 'other'
    """
    events = reader.history(name)
    places = {each.version: each for each in origins(reader, name) if each.ledger == ledger}
    moved = [
        event._replace(position=place.position, recorded_time=place.recorded_time)
        for event in events
        if (place := places.get(event.version)) is not None
    ]
    if not moved:
        raise InvalidFieldError("ledger", f"no event of {name} was imported from {ledger!r}")
    moment = Moment(moved[-1].position, moved[-1].recorded_time, Clock.RECORDED)
    checkpoint = places[moved[-1].version].checkpoint
    wanted = Selection(ledger, moment, name=name, checkpoint=checkpoint)
    with whole(to, folder=False) as partial, partial.open("wb") as out:
        write_history(out, wanted, moved)
    return len(moved)


def known_places(reader: Reader, ledger: str) -> set[tuple[str, int]]:
    """The events, by name and version, that were imported from a ledger."""
    return {
        (name, place[0])
        for record in _imports(reader)
        if record["ledger"] == ledger
        for name, places in record["events"].items()
        for place in places
    }


def _imports(reader: Reader) -> Iterator[JsonObject]:
    with translated(), reader.connection() as connection:
        rows = connection.execute(READ_IMPORTS, (STREAM,)).fetchall()
    for (data,) in rows:
        yield canonical.decode(data)

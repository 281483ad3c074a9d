"""A job's events as eventsourcing stores and names them, and back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import Mapper, Notification, StoredEvent
from jobledger.domain.errors import InvalidFieldError, VersionConflictError
from jobledger.domain.events import EVENT_TYPES, Event, read_data
from jobledger.domain.values.names import parse_name, parse_time
from jobledger.infra.eventstore.stored_event import Row, foreign_row, row_of
from jobledger.infra.privacy.envelope import check_encrypted


@dataclass(frozen=True)
class StoredJobEvent(StoredEvent):
    """A stored event of a job, with the fields that its topic and state do not hold; times are UTC."""

    occurred_time: datetime
    schema: int
    actor: str | None
    request_id: str | None
    trace_parent: str | None


@dataclass(frozen=True)
class JobNotification(StoredJobEvent, Notification):
    """A job's event with its position in the ledger, `id`."""


class JobMapper(Mapper[Any]):
    """Maps a job's events by their stored names, and leaves others to the library's mapper."""

    def to_stored_event(self, domain_event: DomainEventProtocol[Any]) -> StoredEvent:
        """Raises InvalidFieldError for data that cannot be stored."""
        if not isinstance(domain_event, Event):
            return super().to_stored_event(domain_event)
        return StoredJobEvent(
            originator_id=domain_event.name,
            originator_version=domain_event.version,
            topic=domain_event.type,
            state=domain_event.data.encode(),
            schema=domain_event.data.schema_number,
            occurred_time=domain_event.occurred_time,
            actor=domain_event.actor,
            request_id=domain_event.request_id,
            trace_parent=domain_event.trace_parent,
        )

    def to_domain_event(self, stored_event: StoredEvent) -> DomainEventProtocol[Any]:
        """Decodes an event, and upcasts data of an older schema."""
        if not isinstance(stored_event, StoredJobEvent):
            return super().to_domain_event(stored_event)
        return _event_of(stored_event)


def rows_of(stored_events: Sequence[StoredEvent]) -> tuple[list[Row], list[Event]]:
    """Converts stored events of the library to rows.

    Args:
        stored_events: The events, of jobs or other aggregates, in their order.

    Returns:
        The rows that `append` takes, and the events that are of jobs.

    Raises:
        VersionConflictError: Versions of one aggregate do not follow each other.
        InvalidFieldError: An event of a job is not valid.
    """
    last: dict[UUID | str, int] = {}
    rows: list[Row] = []
    events: list[Event] = []
    for stored in stored_events:
        name, version = stored.originator_id, stored.originator_version
        if name in last and version != last[name] + 1:
            raise VersionConflictError(str(name), version - 1, last[name])
        last[name] = version
        if stored.topic not in EVENT_TYPES:
            rows.append(foreign_row(str(name), version, stored.topic, stored.state))
            continue
        event = _event_of(stored)
        if check_encrypted(event.data.encode()) != stored.state:
            raise InvalidFieldError(
                "state", "is not the data of a job's event in canonical JSON (RFC 8785)"
            )
        events.append(event)
        rows.append(row_of(event, stored.state))
    return rows, events


def stored_event_of(row: Mapping[str, Any], id_type: str) -> StoredEvent:
    """A row of `events` as the library's StoredEvent."""
    common = _common(row, id_type)
    return StoredJobEvent(**common, **_particular(row)) if row["schema"] else StoredEvent(**common)


def notification_of(row: Mapping[str, Any], id_type: str) -> Notification:
    """A row of `events` as the library's Notification."""
    common = _common(row, id_type) | {"id": row["position"]}
    return (
        JobNotification(**common, **_particular(row)) if row["schema"] else Notification(**common)
    )


def _event_of(stored: StoredEvent) -> Event:
    """Makes a job's event; without a time it occurred now."""
    now = datetime.now(UTC)
    value = stored if isinstance(stored, StoredJobEvent) else None
    return Event(
        name=parse_name(str(stored.originator_id)),
        version=stored.originator_version,
        data=read_data(stored.topic, value.schema if value else 1, stored.state),
        occurred_time=parse_time(value.occurred_time, now) if value else now,
        actor=value.actor if value else None,
        request_id=value.request_id if value else None,
        trace_parent=value.trace_parent if value else None,
    )


def _common(row: Mapping[str, Any], id_type: str) -> dict[str, Any]:
    return {
        "originator_id": _originator_id(row["name"], id_type),
        "originator_version": row["version"],
        "topic": row["type"],
        "state": bytes(row["data"]),
    }


def _particular(row: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("occurred_time", "schema", "actor", "request_id", "trace_parent")
    return {key: row[key] for key in keys}


def _originator_id(name: str, id_type: str) -> UUID | str:
    """The id as a UUID if the library expects UUIDs; a job's name stays a name."""
    if id_type == "uuid" and "/" not in name:
        return UUID(name)
    return name

"""Events as CloudEvents 1.0 in JSON, one per line.

`type` is `jobledger.job.TYPE.vSCHEMA`, such as `jobledger.job.Started.v1`; `source` is the ledger,
`/ledgers/NAME`; `subject` the job; `time` when it occurred; `data` the event's data. `id` is
`NAME/POSITION`, so that an event exported twice can be recognized.
"""

from collections.abc import Iterable
from typing import Any, BinaryIO

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from jobledger.domain.data import PLACED
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.transfer.exports.selection import Selection


def write(out: BinaryIO, wanted: Selection, events: Iterable[RecordedEvent]) -> None:
    """Writes one event per line."""
    form = JSONFormat()
    out.writelines(form.write(cloud_event(wanted.ledger, event)) + b"\n" for event in events)


def cloud_event(ledger: str, event: RecordedEvent) -> CloudEvent:
    """Returns the event as a CloudEvent.

    Its extensions are recordedtime, position, version and, where they have a value, actor,
    requestid, traceparent, and effectivetime (if it took effect at another time). `position` is
    text, because a CloudEvents integer ends at 2^31 - 1.
    """
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "id": f"{ledger}/{event.position}",
        "source": f"/ledgers/{ledger}",
        "type": f"jobledger.job.{event.type}.v{event.schema % PLACED}",
        "subject": event.name,
        "time": event.occurred_time,
        "datacontenttype": "application/json",
        "recordedtime": time_text(event.recorded_time),
        "position": str(event.position),
        "version": event.version,
    }
    given = {
        "actor": event.actor,
        "requestid": event.request_id,
        "traceparent": event.trace_parent,
        "effectivetime": _moved(event),
    }
    attributes |= {key: value for key, value in given.items() if value is not None}
    return CloudEvent(attributes, event.json)


def _moved(event: RecordedEvent) -> str | None:
    return None if event.taken_time == event.occurred_time else time_text(event.taken_time)

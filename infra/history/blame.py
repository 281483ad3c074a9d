"""Blame: for each field of a job, the event that set its value."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from jobledger.domain.errors import JobNotFoundError
from jobledger.domain.job import Job
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.moments import Moment
from jobledger.infra.eventstore.json_view import event_json
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.history.diff import ABSENT, fields_of, path_text, same
from jobledger.infra.history.timeline import Step, steps_as_of
from jobledger.infra.read.reader import Reader

ONE_BY_ONE: Final = frozenset({"labels", "spec"})
"""Fields whose keys are listed one by one."""
_SAID: Final = ("position", "version", "type", "occurredTime", "recordedTime", "actor", "requestId")


class Blamed(NamedTuple):
    """A field of a job, and the event that set it.

    Attributes:
        field: The field's name in filters, such as `labels.team`.
        value: Its value.
        event: The event that set it to this value.
    """

    field: str
    value: Any
    event: RecordedEvent

    def json(self) -> JsonObject:
        """Returns the field, the value and the event without its data as JSON."""
        event = event_json(self.event)
        return {
            "field": self.field,
            "value": self.value,
            "event": {key: event[key] for key in _SAID},
        }


def blame(reader: Reader, name: str, moment: Moment) -> list[Blamed]:
    """Returns all fields of a job as of a moment, each with the event that gave it its value.

    Args:
        reader: The ledger.
        name: The job's resource name; it may be deleted.
        moment: The moment.

    Returns:
        The fields, in the order of the job's JSON. A field that never had a value is null since the
        first event.

    Raises:
        JobNotFoundError: There was no such job at the moment.
    """
    steps = steps_as_of(reader, name, moment)
    if not steps:
        raise JobNotFoundError(name, pruned_before=moment.pruned_before)
    since: dict[str, Blamed] = {}
    for step in steps:
        values = _values(step.after)
        since = {
            field: _kept(since.get(field), value) or Blamed(field, value, step.event)
            for field, value in values.items()
        }
    return list(since.values())


def since(steps: Iterable[Step]) -> dict[str, int]:
    """Returns, for each field, the number (from 1) of the step that set its last value."""
    values: JsonObject = {}
    found: dict[str, int] = {}
    for number, step in enumerate(steps, 1):
        now = _values(step.after)
        found = {
            field: found[field] if same(values.get(field, ABSENT), value) else number
            for field, value in now.items()
        }
        values = now
    return found


def _kept(blamed: Blamed | None, value: Any) -> Blamed | None:
    """Returns the blamed event, unless the value has changed."""
    return blamed if same(ABSENT if blamed is None else blamed.value, value) else None


def _values(job: Job) -> JsonObject:
    """Returns the job's fields, with labels and spec divided into their keys, if they have any."""
    values: JsonObject = {}
    for field, value in fields_of(job).items():
        if field in ONE_BY_ONE and isinstance(value, Mapping) and value:
            values |= {path_text((field, key)): inner for key, inner in value.items()}
        else:
            values[field] = value
    return values

"""Blame: for each field of a job, the event since which it is what it is."""

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
"""Fields whose keys are told one by one."""
_SAID: Final = ("position", "version", "type", "occurredTime", "recordedTime", "actor", "requestId")


class Blamed(NamedTuple):
    """A field, as filters name it, its present value, and the event that set it to that."""

    field: str
    value: Any
    event: RecordedEvent

    def json(self) -> JsonObject:
        """The event without its data."""
        event = event_json(self.event)
        return {
            "field": self.field,
            "value": self.value,
            "event": {key: event[key] for key in _SAID},
        }


def blame(reader: Reader, name: str, moment: Moment) -> list[Blamed]:
    """All fields of the job as of the moment, deleted or not, in the order JSON has them.

    A field that never held anything is null since the first event. Raises JobNotFoundError.
    """
    steps = steps_as_of(reader, name, moment)
    if not steps:
        raise JobNotFoundError(name)
    since: dict[str, Blamed] = {}
    for step in steps:
        values = _values(step.after)
        since = {
            field: _kept(since.get(field), value) or Blamed(field, value, step.event)
            for field, value in values.items()
        }
    return list(since.values())


def since(steps: Iterable[Step]) -> dict[str, int]:
    """Which of these steps, from 1, each field was set by to what it is after the last of them."""
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
    """What is blamed already, unless the value is another one now."""
    return blamed if same(ABSENT if blamed is None else blamed.value, value) else None


def _values(job: Job) -> JsonObject:
    """The job's fields, and instead of labels and spec their keys, as long as there are any."""
    values: JsonObject = {}
    for field, value in fields_of(job).items():
        if field in ONE_BY_ONE and isinstance(value, Mapping) and value:
            values |= {path_text((field, key)): inner for key, inner in value.items()}
        else:
            values[field] = value
    return values

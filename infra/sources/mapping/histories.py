"""What a record tells of jobs, as the mapping says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.events import EVENT_TYPES
from jobledger.domain.observing import introduce, observe
from jobledger.domain.reports import parse_report
from jobledger.domain.values.job_ids import display_name, job_id
from jobledger.domain.values.labels import nearest
from jobledger.domain.values.names import parse_time
from jobledger.infra.eventstore.methods.request import AboutReport
from jobledger.infra.eventstore.write_path import Judge, ObservedEvent
from jobledger.infra.sources.mapping.model import EventRule, History, Lookup
from jobledger.infra.sources.mapping.model import Mapping as MappingFile
from jobledger.infra.sources.mapping.values import (
    Record,
    fill,
    fill_text,
    find,
    holds,
    items,
    matches,
    text_of,
    time_at,
)

_encode: Final = json.JSONEncoder(sort_keys=True).encode
MEANT: Final = frozenset({"error", "reason", "output"})
"""Fields of data that one rule may give for events of several types."""


class Histories:
    """Reads the histories of one mapping into one project."""

    def __init__(self, mapping: MappingFile, project: str, actor: str) -> None:
        """`actor` is who reports what names no other."""
        self._mapping = mapping
        self._project = project
        self._actor = actor
        self._place: str | None = None
        self._judge: Judge = observe

    def observed(
        self, record: Record, place: str | None = None, judge: Judge = observe
    ) -> list[ObservedEvent]:
        """Returns the events of a record, in order.

        Args:
            record: The record.
            place: Distinguishes two records of the same content, if the source repeats itself on purpose;
                without it, the same content is recorded once.
            judge: Decides on each event.

        Returns:
            What to record.

        Raises:
            InvalidFieldError: A value of the record is not valid.
        """
        self._place, self._judge = place, judge
        found: list[ObservedEvent] = []
        for history in self._mapping.histories:
            each = [record] if history.for_each is None else items(record, history.for_each)
            for context in each:
                if holds(history.when, history.unless, context):
                    found += self._history(history, context)
        return found

    def _history(self, history: History, record: Record) -> list[ObservedEvent]:
        original = fill_text(history.name, record)
        if original is None:
            raise InvalidFieldError("name", f"{history.name} has an empty field")
        name = self._name(original)
        events = [
            event
            for rule in history.events
            for context in ([record] if rule.for_each is None else items(record, rule.for_each))
            if (event := self._event(name, rule, context)) is not None
        ]
        created = None
        if history.created is not None:
            created = time_at(history.created, record, self._mapping.times)
        times = [event.about["occurred_time"] for event in events]
        if created is None and not times:
            return []
        # Nothing happens to a job before it was created.
        created = min([created, *times] if created is not None else times)
        return [self._created(name, original, history, record, created), *events]

    def _name(self, original: str) -> str:
        return f"projects/{self._project}/jobs/{job_id(original)}"

    def _created(
        self, name: str, original: str, history: History, record: Record, time: datetime
    ) -> ObservedEvent:
        labels = {key: fill(value, record) for key, value in history.labels.items()}
        given = {key: text_of(value) for key, value in labels.items() if value is not None}
        shown = history.display_name and fill_text(history.display_name, record)
        parents = [fill_text(parent, record) for parent in history.parents]
        spec = {
            **display_name(original),
            **({"displayName": shown} if shown else {}),
            **(fill(history.spec, record) or {}),
        }
        if named := [self._name(parent) for parent in parents if parent]:
            spec["parents"] = named
        said = {"labels": dict(nearest(*each) for each in given.items()), "spec": plain(spec)}
        about = self._about(name, "Created", said, time)
        return ObservedEvent(name, parse_report("Created", said), about, introduce)

    def _event(self, name: str, rule: EventRule, record: Record) -> ObservedEvent | None:
        if not holds(rule.when, rule.unless, record):
            return None
        type_ = _type(rule, record)
        time = None if type_ is None else time_at(rule.time, record, self._mapping.times)
        if type_ is None or time is None:
            return None
        said = _fields_of(type_, plain(fill(rule.data, record) or {}))
        run_id = rule.run_id and fill_text(rule.run_id, record)
        if run_id:
            said["runId"] = run_id
        if rule.attempt and (attempt := fill(rule.attempt, record)) is not None:
            said["attempt"] = _attempt(attempt)
        actor = rule.actor and fill_text(rule.actor, record)
        about = self._about(name, type_, said, time, actor)
        return ObservedEvent(name, parse_report(type_, said), about, self._judge)

    def _about(
        self,
        name: str,
        type_: str,
        said: Mapping[str, Any],
        time: datetime,
        actor: str | None = None,
    ) -> AboutReport:
        """The request id is that of the same event in any file, or at its place, so that it is recorded once."""
        content = [name, type_, time.isoformat(), said]
        if self._place is not None:
            content.append(self._place)
        told = _encode(content).encode()
        digest = hashlib.sha256(told).hexdigest()[:32]
        return AboutReport(
            occurred_time=parse_time(time, datetime.now(UTC), "time"),
            request_id=f"import:{digest}",
            actor=actor or self._actor,
        )


def _type(rule: EventRule, record: Record) -> str | None:
    if not isinstance(rule.event, Lookup):
        return rule.event
    value = find(record, rule.event.field)
    if value is None or value == "":
        return None
    pattern = matches(text_of(value), rule.event.values)
    if pattern is None:
        known = ", ".join(rule.event.values)
        raise InvalidFieldError(rule.event.field, f"{value!r:.80} is none of {known}")
    return rule.event.values[pattern]


def _fields_of(type_: str, said: dict[str, Any]) -> dict[str, Any]:
    """The data without an error, a reason or an output, if events of that type have none."""
    fields = EVENT_TYPES[type_].model_fields
    return {key: value for key, value in said.items() if key in fields or key not in MEANT}


def _attempt(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def plain(value: Any) -> Any:
    """A value as JSON has it: times and others as texts."""
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, str | int | float | bool | None) else str(value)

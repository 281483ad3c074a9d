"""Makes events of jobs from a record, by a mapping."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.events import EVENT_TYPES, lineage
from jobledger.domain.observing import (
    catch_up,
    catch_up_in_order,
    introduce_or_complete,
    observe,
    observe_in_order,
    observe_unordered,
)
from jobledger.domain.reports import parse_report
from jobledger.domain.states import ENDINGS
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.job_ids import display_name, job_id
from jobledger.domain.values.labels import nearest
from jobledger.domain.values.names import parse_time
from jobledger.infra.eventstore.methods.request import AboutReport
from jobledger.infra.eventstore.observing import Reported
from jobledger.infra.eventstore.write_path import ObservedEvent
from jobledger.infra.eventstore.writes.judge import Judge
from jobledger.infra.eventstore.writes.observations import Introduction
from jobledger.infra.eventstore.writes.plain import PlainEvent, plain_event
from jobledger.infra.sources.content import quoted, sorted_json
from jobledger.infra.sources.mapping.model import EventRule, History, Kind, Lookup, Times
from jobledger.infra.sources.mapping.model import Mapping as MappingFile
from jobledger.infra.sources.mapping.times import COMMIT_TIME, time_of
from jobledger.infra.sources.mapping.values import (
    Record,
    condition,
    field,
    filled,
    filled_text,
    items,
    matcher,
    text_of,
)

_KNOWN_NAMES: Final = 65_536
"""How many names of jobs are cached: most jobs have several events near each other."""
OPTIONAL_FIELDS: Final = frozenset({"error", "reason", "output"})
"""Fields of data that a rule can give for any type of event."""
_ABSENT_FIELDS: Final = {
    type_: tuple(OPTIONAL_FIELDS - set(cls.model_fields)) for type_, cls in EVENT_TYPES.items()
}
"""The fields that events of a type do not have."""


IN_ORDER: Final[dict[Judge, Judge]] = {
    observe: observe_in_order,
    observe_unordered: observe_in_order,
    catch_up: catch_up_in_order,
}
"""The judges of a source that does not name attempts."""
PLAIN_JUDGES: Final = (observe, observe_unordered)
"""Those that record a plain report as it is where the lifecycle allows it."""
CHANGE: Final = ("table", "op")
"""The fields of a change that select most histories."""


Missed = Callable[[str, InvalidFieldError], None]
"""Is told which item of a record has no events, and why."""


class RecordPlace(NamedTuple):
    """Where a record is in its source, and the judge of its events."""

    id: str | None = None
    """Distinguishes two records of the same content, if the source repeats itself on purpose; without it,
    the same content is recorded once."""
    judge: Judge = observe
    missed: Missed | None = None
    """Is called with each item of a list that has an invalid value; without it, such an item costs the
    whole record. It is also called with an end whose time the record does not have."""
    first_times: dict[str, datetime] | None = None
    """By job, when its first event happened of the records that are read together; each record adds to it.
    A job whose source may not give its time of creation is created then."""


ANYWHERE: Final = RecordPlace()


class Histories:
    """Converts records into events of one project, by a mapping."""

    def __init__(self, mapping: MappingFile, project: str, actor: str) -> None:
        """`actor` is the actor of events whose rule gives none."""
        to = Target(f"projects/{project}/jobs/", actor, mapping.times)
        by = CHANGE if mapping.source.kind is Kind.CHANGES else ()
        self._histories = [_History(each, to, by) for each in mapping.histories]
        self._by = by
        self._chosen: dict[tuple[Any, ...], list[_History]] = {}
        """The histories that can match a record, by the record's values of CHANGE."""

    def observed(self, record: Record, at: RecordPlace = ANYWHERE) -> list[Reported]:
        """Returns the events of a record, in order.

        Args:
            record: The record.
            at: Where it is, and what decides on its events.

        Returns:
            What to record.

        Raises:
            InvalidFieldError: A value of the record is not valid.
        """
        found: list[Reported] = []
        for history in self._candidates(record):
            history.add(record, at, found)
        return found

    def _candidates(self, record: Record) -> list[_History]:
        key = tuple([record.get(each) for each in self._by])
        if (chosen := self._chosen.get(key)) is None:
            chosen = [each for each in self._histories if each.may_match(record)]
            self._chosen[key] = chosen
        return chosen


class Target(NamedTuple):
    """The values that all events of a source share."""

    prefix: str
    """The beginning of all names of jobs."""
    actor: str
    times: Times

    def name(self, original: str) -> str:
        """Returns the name of a job, from its name in the source."""
        return _name(self.prefix, original)

    def event(
        self, name: str, parts: _Parts, at: RecordPlace, actor: str | None = None
    ) -> ObservedEvent | PlainEvent:
        """Makes an event; its request id is derived from its content and place, so that it is recorded once."""
        type_, data, time = parts
        # As the JSON encoder writes the list of these.
        content = f'[{quoted(name)}, "{type_}", "{time.isoformat()}", {sorted_json(data)}'
        content += "]" if at.id is None else f", {quoted(at.id)}]"
        digest = hashlib.sha256(content.encode()).hexdigest()[:32]
        request_id, actor = f"import:{digest}", actor or self.actor
        time = parse_time(time, datetime.now(UTC), "time")
        is_created = type_ == "Created"
        if is_created or at.judge in PLAIN_JUDGES:
            plain = plain_event(name, type_, data, time, request_id, actor, at.judge)
            if plain is not None:
                return plain._replace(judge=introduce_or_complete) if is_created else plain
        about = AboutReport(occurred_time=time, request_id=request_id, actor=actor)
        judge = introduce_or_complete if is_created else at.judge
        return ObservedEvent(name, parse_report(type_, data), about, judge)


@lru_cache(maxsize=_KNOWN_NAMES)
def _name(prefix: str, original: str) -> str:
    return prefix + job_id(original)


_Parts = tuple[str, JsonObject, datetime]
"""The type of an event, its data as JSON, and its time."""


class _History:
    """One history of a mapping, compiled into functions of a record."""

    def __init__(self, history: History, to: Target, by: Sequence[str]) -> None:
        """`by` are the fields whose conditions `may_match` tests, and `add` does not again."""
        self._to = to
        self._for_each = history.for_each
        self._in_order = history.in_order
        when = {key: history.when[key] for key in history.when.keys() - set(by)}
        self._condition = condition(when, history.unless)
        self._change_condition = condition(
            {key: history.when[key] for key in by if key in history.when}, {}
        )
        self._template = history.name
        self._name = filled_text(history.name)
        self._display_name = history.display_name and filled_text(history.display_name)
        self._labels = [(key, filled(value)) for key, value in history.labels.items()]
        self._parents = [filled_text(parent) for parent in history.parents]
        self._root = history.root and filled_text(history.root)
        self._trigger = history.triggered_by and filled_text(history.triggered_by)
        self._spec = filled(history.spec)
        self._created = history.created and time_of(history.created, to.times)
        self._created_by_commit = history.created is None or COMMIT_TIME in history.created
        """Whether the source may not give the time: that of a commit is later than what it committed."""
        self._rules = [_Rule(rule, to) for rule in history.events]

    def may_match(self, record: Record) -> bool:
        """Whether the selecting fields have the values of the history's condition."""
        return self._change_condition is None or self._change_condition(record)

    def add(self, record: Record, at: RecordPlace, found: list[Reported]) -> None:
        """Adds the events of a record to the list."""
        if self._in_order:
            at = at._replace(judge=IN_ORDER.get(at.judge, at.judge))
        if self._for_each is None:
            self._add(record, at, found)
            return
        for number, context in enumerate(items(record, self._for_each)):
            try:
                self._add(context, at, found)
            except InvalidFieldError as error:
                if at.missed is None:
                    raise
                at.missed(f"{self._for_each}[{number}]", error)

    def _add(self, record: Record, at: RecordPlace, found: list[Reported]) -> None:
        if self._condition is not None and not self._condition(record):
            return
        original = self._name(record)
        if original is None:
            raise InvalidFieldError(
                "name", f"{self._template} has a field that is empty in this record"
            )
        name = self._to.name(original)
        events = [event for rule in self._rules for event in rule.events(name, record, at)]
        if at.missed is not None and not any(_type_name(event) in ENDINGS for event in events):
            self._miss_ends(record, at.missed)
        created = self._created(record) if self._created else None
        times = [_time_of(event) for event in events]
        if created is None:
            if not times:
                return
            created = min(times)
        elif self._created_by_commit:
            created = min([created, *times])
        if at.first_times is not None and self._created_by_commit:
            at.first_times[name] = min(created, at.first_times.get(name, created))
        make = partial(self._created_event, name, original, record, created, at)
        # Without its own place, an equal event may occur again, so events are counted.
        found.append(make() if at.id is None else Introduction(name, make))
        found += events

    def _miss_ends(self, record: Record, missed: Missed) -> None:
        for rule in self._rules:
            if (type_ := rule.end_without_time(record)) is not None:
                why = "has no time, so the end is not recorded"
                missed(type_, InvalidFieldError(rule.time_fields, why))

    def _created_event(
        self, name: str, original: str, record: Record, time: datetime, at: RecordPlace
    ) -> ObservedEvent | PlainEvent:
        labels = {}
        for key, read in self._labels:
            if (value := read(record)) is not None:
                key_, text = nearest(key, text_of(value))
                labels[key_] = text
        shown = self._display_name and self._display_name(record)
        spec = {
            **display_name(original),
            **({"displayName": shown} if shown else {}),
            **(self._spec(record) or {}),
        }
        data = {"labels": labels, "spec": spec, **self._related(record, name)}
        # A request id that is made of the content alone does not depend on other records.
        if at.id is not None and at.first_times is not None and self._created_by_commit:
            time = min(time, at.first_times[name])
        return self._to.event(name, ("Created", data, time), at)

    def _related(self, record: Record, name: str) -> dict[str, Any]:
        """Returns the parents and the root of a job, and what triggered it."""
        parents = [self._to.name(each) for read in self._parents if (each := read(record))]
        root = (found := self._root and self._root(record)) and self._to.name(found)
        trigger = self._trigger(record) if self._trigger else None
        return lineage(name, parents, root, trigger)


class _Rule:
    """One rule of a history, compiled into functions of a record."""

    def __init__(self, rule: EventRule, to: Target) -> None:
        self._to = to
        self._for_each = rule.for_each
        self._condition = condition(rule.when, rule.unless)
        self._type = _type_of(rule.event)
        self._is_lookup = isinstance(rule.event, Lookup)
        self._time = time_of(rule.time, to.times)
        self.time_fields = rule.time if isinstance(rule.time, str) else " + ".join(rule.time)
        self._data = filled(rule.data)
        self._run_id = rule.run_id and filled_text(rule.run_id)
        self._attempt = rule.attempt and filled(rule.attempt)
        self._actor = rule.actor and filled_text(rule.actor)

    def events(
        self, name: str, record: Record, at: RecordPlace
    ) -> list[ObservedEvent | PlainEvent]:
        """Returns the events of a record."""
        if self._for_each is None:
            event = self._event(name, record, at)
            return [] if event is None else [event]
        contexts = items(record, self._for_each)
        found = (self._event(name, each, at) for each in contexts)
        return [event for event in found if event is not None]

    def end_without_time(self, record: Record) -> str | None:
        """Returns the type of the end that a field of the record names, but whose time is empty."""
        if not self._is_lookup or self._for_each is not None:
            return None
        if self._condition is not None and not self._condition(record):
            return None
        type_ = self._type(record)
        return type_ if type_ in ENDINGS and self._time(record) is None else None

    def _event(
        self, name: str, record: Record, at: RecordPlace
    ) -> ObservedEvent | PlainEvent | None:
        if self._condition is not None and not self._condition(record):
            return None
        if (type_ := self._type(record)) is None or (time := self._time(record)) is None:
            return None
        data = _fields_of(type_, self._data(record) or {})
        if self._run_id and (run_id := self._run_id(record)):
            data["runId"] = run_id
        if self._attempt and (attempt := self._attempt(record)) is not None:
            data["attempt"] = _attempt(attempt)
        actor = self._actor(record) if self._actor else None
        return self._to.event(name, (type_, data, time), at, actor)


def _time_of(event: ObservedEvent | PlainEvent) -> datetime:
    return event.time if isinstance(event, PlainEvent) else event.about["occurred_time"]


def _type_name(event: ObservedEvent | PlainEvent) -> str:
    return event.type if isinstance(event, PlainEvent) else type(event.data).__name__


def _type_of(event: str | Lookup) -> Callable[[Record], str | None]:
    """Returns a function that reads the type of an event; it returns None if the record has no event."""
    if not isinstance(event, Lookup):
        return lambda _: event
    read, match, values, path = field(event.field), matcher(event.values), event.values, event.field

    def type_of(record: Record) -> str | None:
        value = read(record)
        if value is None or value == "":
            return None
        pattern = match(text_of(value))
        if pattern is None:
            raise InvalidFieldError(path, f"{value!r:.80} is none of {', '.join(values)}")
        return values[pattern]

    return type_of


def _fields_of(type_: str, data: dict[str, Any]) -> dict[str, Any]:
    """Returns the data without an error, a reason or an output, if events of that type have none."""
    for key in _ABSENT_FIELDS[type_]:
        data.pop(key, None)
    return data


def _attempt(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdecimal() else value

"""Jobs as tracks of a trace: Trace Event JSON, for ui.perfetto.dev and chrome://tracing.

A process is a project and kind, a thread is a job. A job's track has its attempts, and in them the
live states; between attempts it has the end that was retried. The final end and contradicted
reports are instants. What is still open ends at the moment. Times are microseconds since 1970 in
valid time, when events took effect.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import count, groupby
from typing import BinaryIO, Final, NamedTuple

import orjson
from jobledger.domain.states import LIVE, JobState
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.names import EARLIEST, kind_of, project_of
from jobledger.infra.eventstore.feed import ENTERED
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.transfer.exports.selection import Selection

_MICROSECOND: Final = timedelta(microseconds=1)


class Stay(NamedTuple):
    """The time that a job was in one state; `end` is None if it still is."""

    state: JobState
    entered: RecordedEvent
    end: datetime | None


def write(out: BinaryIO, wanted: Selection, events: Iterable[RecordedEvent]) -> None:
    """Writes one JSON document, with a line per trace event; `events` are sorted by job."""
    out.write(b'{"traceEvents":[')
    separator = b"\n"
    for line in trace_events(events, wanted.moment.time):
        out.write(separator + orjson.dumps(line))
        separator = b",\n"
    about = orjson.dumps(wanted.json())
    out.write(b'\n],"displayTimeUnit":"ms","otherData":' + about + b"}\n")


def trace_events(events: Iterable[RecordedEvent], moment: datetime) -> Iterator[JsonObject]:
    """Yields the trace events of all jobs, in the order of their names."""
    processes: dict[str, int] = {}
    threads = count(1)
    for name, of_job in groupby(events, key=lambda event: event.name):
        process = f"{project_of(name)}/{kind_of(name)}"
        if process not in processes:
            processes[process] = len(processes) + 1
            yield _named("process_name", {"pid": processes[process]}, process)
        track = {"pid": processes[process], "tid": next(threads)}
        yield _named("thread_name", track, name.rsplit("/", 1)[1])
        yield from (track | line for line in job_lines(list(of_job), moment))


def job_lines(events: list[RecordedEvent], moment: datetime) -> Iterator[JsonObject]:
    """Returns the content of one job's track; `events` are in the order of their effects."""
    # On the recorded clock an event may have been reported up to a day ahead.
    until = max(moment, events[-1].taken_time)
    for number, attempt in enumerate(attempts(events), start=1):
        yield from _attempt(number, attempt, until)
    for event in events:
        if event.type == "Contradicted":
            yield _instant(f"Contradicted: {event.json['report']}", event)


def attempts(events: Iterable[RecordedEvent]) -> list[list[Stay]]:
    """Returns the times in states of each attempt; a state that is entered again continues."""
    made: list[list[Stay]] = []
    for event in events:
        state = ENTERED.get(event.type)
        begins = event.attempts_begun > 0
        if state is None or (made and made[-1][-1].state is state and not begins):
            continue
        if made:
            made[-1][-1] = made[-1][-1]._replace(end=event.taken_time)
        if begins or not made:
            made.append([])
        made[-1].append(Stay(state, event, None))
    return made


def _attempt(number: int, attempt: list[Stay], until: datetime) -> Iterator[JsonObject]:
    live = [stay for stay in attempt if stay.state in LIVE]
    if live:
        job = {"job": attempt[0].entered.name, "state": attempt[-1].state.name}
        end = live[-1].end or until
        yield _slice(f"attempt {number}", "attempt", attempt[0].entered.taken_time, end, job)
    for stay in attempt:
        begin, end_ = stay.entered.taken_time, stay.end
        if end_ is None and stay.state not in LIVE:
            yield _instant(stay.state.name, stay.entered)
        else:
            about = _about(stay.entered)
            yield _slice(stay.state.name, "state", begin, end_ or until, about)


def _slice(
    name: str, category: str, begin: datetime, end: datetime, args: JsonObject
) -> JsonObject:
    ts = _microseconds(begin)
    dur = _microseconds(end) - ts
    return {"ph": "X", "name": name, "cat": category, "ts": ts, "dur": dur, "args": args}


def _instant(name: str, event: RecordedEvent) -> JsonObject:
    at = _microseconds(event.taken_time)
    return {"ph": "i", "s": "t", "name": name, "cat": "event", "ts": at, "args": _about(event)}


def _about(event: RecordedEvent) -> JsonObject:
    return {
        "event": event.type,
        "version": event.version,
        "position": event.position,
        "actor": event.actor,
        "data": orjson.Fragment(event.stored),
    }


def _named(what: str, track: JsonObject, name: str) -> JsonObject:
    return {"ph": "M", "name": what, "args": {"name": name}} | track


def _microseconds(time: datetime) -> int:
    return (time - EARLIEST) // _MICROSECOND

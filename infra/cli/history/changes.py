"""Prints differences: tables for people, JSON for programs."""

from datetime import datetime
from typing import Any, Final, NamedTuple

from jobledger.domain.job import Job
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.cli.context import ERR, OUT, print_json, print_moment, print_pruned
from jobledger.infra.cli.times import shown_time, time_header
from jobledger.infra.eventstore.json_view import encode, moment_json, time_text
from jobledger.infra.history.bisect import Found
from jobledger.infra.history.blame import Blamed
from jobledger.infra.history.diff import ABSENT, Change, FleetDiff, diff_jobs
from jobledger.infra.history.timeline import Span
from rich.table import Table
from rich.text import Text

MAX_NAMED_JOBS: Final = 5
"""How many jobs of each change of state a table names."""


class Compared(NamedTuple):
    """Two jobs, or one job twice, each as of a moment; `arguments` are the command's other arguments."""

    moments: Span
    jobs: list[Job]
    arguments: JsonObject = {}


def print_diff(compared: Compared, *, json: bool) -> None:
    """Prints the fields that differ."""
    before, after = compared.jobs
    changes = diff_jobs(before, after)
    if json:
        names = {"name": before.name, "other": after.name}
        shown = [change.json() for change in changes]
        print_json(_between(compared.moments) | names | compared.arguments | {"changes": shown})
        return
    for moment in dict.fromkeys(compared.moments):
        print_moment(moment)
    OUT.print(changes_table(changes) if changes else "no field differs")


def changes_table(changes: list[Change]) -> Table:
    """Returns a table of fields with both values; an absent value is an empty cell."""
    table = Table(box=None)
    for column in ("field", "before", "after"):
        table.add_column(column, overflow="fold")
    for change in changes:
        if change.before is ABSENT and change.after is None:
            continue  # An empty field of a new job.
        before, after = Text(shown(change.before)), Text(shown(change.after))
        before.stylize("red")
        after.stylize("green")
        table.add_row(Text(change.path), before, after)
    return table


def shown(value: Any) -> str:
    """A value as text; null differs from an absent value."""
    if value is ABSENT:
        return ""
    return value if isinstance(value, str) else encode(value).decode()


def print_fleet(fleet: FleetDiff, filter_: str, *, json: bool) -> None:
    """Prints the counts, and each change of state with the first of its jobs."""
    if json:
        print_json(fleet.json() | {"filter": filter_})
        return
    print_moment(fleet.earlier)
    print_moment(fleet.later)
    OUT.print(
        f"{fleet.appeared:,} appeared, {fleet.ended:,} ended,"
        f" {fleet.changed_state:,} changed state, {fleet.deleted:,} deleted"
    )
    table = Table(box=None)
    for column in ("from", "to"):
        table.add_column(column, no_wrap=True)
    table.add_column("jobs", justify="right")
    table.add_column("such as", overflow="fold")
    for turn in fleet.turns:
        more = " …" if turn.jobs > MAX_NAMED_JOBS else ""
        named = Text(" ".join(turn.names[:MAX_NAMED_JOBS]) + more)
        table.add_row(turn.before or "", turn.after, f"{turn.jobs:,}", named)
    OUT.print(table)


def blame_table(fields: list[Blamed]) -> Table:
    """Returns a table of each field that was ever set, and the event that set it."""
    table = Table(box=None)
    for column in (
        "field",
        "value",
        "event",
        time_header("occurred"),
        time_header("recorded"),
        "actor",
        "request",
    ):
        table.add_column(column, overflow="fold")
    first = min(blamed.event.version for blamed in fields)
    for field, value, event in fields:
        if value is None and event.version == first:
            continue  # The field was never set.
        cells = [field, shown(value), f"v{event.version} {event.type}"]
        times = [_second(event.occurred_time), _second(event.recorded_time)]
        row = [*cells, *times, event.actor or "", event.request_id or ""]
        table.add_row(*map(Text, row))
    return table


def _between(moments: Span) -> JsonObject:
    return {"from": moment_json(moments.earlier), "to": moment_json(moments.later)}


def _second(time: datetime) -> str:
    return shown_time(time_text(time))


def print_found(
    moments: Span, condition: str | None, found: Found | None, name: str, *, json: bool
) -> None:
    """Prints the event that made the condition true, for the job or the fleet; or that none did."""
    if json:
        fields = {"name": name or None, "condition": condition}
        print_json(_between(moments) | fields | {"found": None if found is None else found.json()})
        return
    if not name:
        print_pruned(moments.earlier.pruned_past)
    if found is None:
        ERR.print(f"it was never true that {condition}, up to {moments.later}", markup=False)
        return
    print_moment(found.moment)
    counted = "" if name else f" ({found.jobs:,} then)"
    if found.event is None:
        OUT.print(Text(f"{condition} was true already then{counted}"))
        return
    event = found.event
    place = f"@{event.position}, {event.name} v{event.version} {event.type}"
    times = f"occurred {time_text(event.occurred_time)}, recorded {time_text(event.recorded_time)}"
    OUT.print(Text(f"{condition} is first true after {place}{counted}\n{times}"))

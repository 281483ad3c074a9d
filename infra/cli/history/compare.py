"""Commands that compare moments: diff, blame, bisect, why."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final

import typer
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.moments import Clock, Moment
from jobledger.infra.cli.context import (
    OUT,
    AsOf,
    JobName,
    Json,
    OnClock,
    print_json,
    print_moment,
    target,
)
from jobledger.infra.cli.forms import Form, FormOption, print_documents
from jobledger.infra.cli.history import changes
from jobledger.infra.eventstore.json_view import moment_json
from jobledger.infra.history.bisect import beginning, bisect_count, bisect_job
from jobledger.infra.history.blame import blame as blame_job
from jobledger.infra.history.diff import MAX_NAMED_JOBS, diff_attempts, diff_fleet
from jobledger.infra.history.explain import why as why_so
from jobledger.infra.history.timeline import Span, job_as_of, moment_of, ordered, span
from jobledger.infra.ledger import Ledger
from rich.text import Text

BLAMED_FIELDS: Final = (
    "field", "value", "event.version", "event.type", "event.occurredTime", "event.recordedTime",
    "event.actor", "event.requestId",
)  # fmt: skip
"""The columns of `blame` as csv and tsv."""
From = Annotated[
    str | None,
    typer.Option("--from", metavar="TIME|vN|@POSITION", help="The earlier moment."),
]
To = Annotated[
    str | None,
    typer.Option("--to", metavar="TIME|vN|@POSITION", help="The later moment; by default now."),
]


Name = Annotated[str | None, typer.Argument(metavar="NAME", help="One job; without it, all jobs.")]
Other = Annotated[
    str | None, typer.Argument(metavar="OTHER", help="Another job, to compare it with.")
]
Attempts = Annotated[
    tuple[int, int] | None,
    typer.Option(metavar="A B", help="Compare two attempts of the job, each at its end."),
]
FleetFilter = Annotated[
    str, typer.Option("--filter", help="With all jobs: only jobs that match at either moment.")
]
FleetLimit = Annotated[
    int,
    typer.Option(min=0, help="With all jobs and --json: how many jobs to name for each change."),
]


def diff(
    context: typer.Context,
    name: Name = None,
    other: Other = None,
    from_: From = None,
    to: To = None,
    attempts: Attempts = None,
    filter_: FleetFilter = "",
    limit: FleetLimit = MAX_NAMED_JOBS,
    clock: OnClock = None,
    json: Json = False,
) -> None:
    """Compare one job at two moments, two jobs, two attempts, or all jobs at two moments."""
    aim = target(context)
    with aim.open() as ledger:
        if name is None:
            _refuse("attempts", attempts, "are those of one job; give its NAME")
            fleet = diff_fleet(ledger.reader, *_span(ledger, from_, to, clock), filter_, limit)
            changes.print_fleet(fleet, filter_, json=json)
            return
        _refuse("filter", filter_, f"is for all jobs; leave it out, or the name {name}")
        job = aim.name(name)
        if attempts is None and other is None:
            compared = _two_moments(ledger, job, _span(ledger, from_, to, clock, job))
        else:
            _refuse(
                "from", from_, "is for one job at two moments; give --to for two jobs or attempts"
            )
            moment = moment_of(ledger.reader, "to", to, clock, job)
            if other is None:
                compared = _attempts(ledger, job, attempts or (0, 0), moment)
            else:
                _refuse(
                    "attempts",
                    attempts,
                    f"are those of one job; leave them out, or the second job {other}",
                )
                compared = _two_jobs(ledger, (job, moment), (aim.name(other), to, clock))
    changes.print_diff(compared, json=json)


def _two_moments(ledger: Ledger, job: str, moments: Span) -> changes.Compared:
    jobs = [job_as_of(ledger.reader, job, moment) for moment in moments]
    return changes.Compared(moments, jobs)


def _attempts(
    ledger: Ledger, job: str, attempts: tuple[int, int], moment: Moment
) -> changes.Compared:
    pair = diff_attempts(ledger.reader, job, attempts, moment)
    return changes.Compared(Span(moment, moment), pair, {"attempts": attempts})


def _two_jobs(
    ledger: Ledger, one: tuple[str, Moment], two: tuple[str, str | None, Clock | None]
) -> changes.Compared:
    (name, moment), (other, to, clock) = one, two
    # A version is another moment of each job.
    own = to is not None and to.strip().startswith("v")
    then = moment_of(ledger.reader, "to", to, clock, other) if own else moment
    jobs = [ledger.get(name, as_of=moment), ledger.get(other, as_of=then)]
    return changes.Compared(Span(moment, then), [*map(ledger.opened, jobs)])


def blame(
    context: typer.Context,
    name: JobName,
    as_of: AsOf = None,
    clock: OnClock = None,
    format_: FormOption = Form.TABLE,
    json: Json = False,
) -> None:
    """Show for each field of a job which event set it, when, by whom, and in which request."""
    with _job_at(context, name, as_of, clock) as (ledger, job, moment):
        fields = blame_job(ledger.reader, job, moment)
    documents = [blamed.json() for blamed in fields]
    if json or format_ is Form.JSON:
        print_json(moment_json(moment) | {"name": job, "fields": documents})
        return
    print_moment(moment)
    if format_ is Form.TABLE:
        OUT.print(changes.blame_table(fields))
    else:
        print_documents(documents, format_, BLAMED_FIELDS)


def bisect(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="A job; without it, all jobs, with --count."),
    ] = None,
    filter_: Annotated[
        str | None, typer.Option("--filter", help="AIP-160: what becomes true of the job.")
    ] = None,
    count: Annotated[
        str | None,
        typer.Option(
            metavar="CONDITION", help="'running > 4000', 'jobs >= 10', 'count(FILTER) > 3'"
        ),
    ] = None,
    from_: From = None,
    to: To = None,
    clock: OnClock = None,
    json: Json = False,
) -> None:
    """Find the first event after which a condition was true; exits 1 if it never was.

    Without --clock and without times in --from and --to, events are searched in the order of recording.
    """
    aim = target(context)
    if count is not None and not name is filter_ is None:
        why = "is about all jobs; leave out NAME and --filter, or write count(FILTER) > 3"
        raise InvalidFieldError("count", why)
    if count is None and (name is None or filter_ is None):
        raise InvalidFieldError("bisect", "needs NAME and --filter, or --count")
    with aim.open() as ledger:
        job = "" if name is None else aim.name(name)
        moments = _bisected(ledger, from_, to, clock, job)
        if count is not None:
            found = bisect_count(ledger.reader, count, *moments)
        else:
            found = bisect_job(ledger.reader, job, filter_ or "", *moments)
    changes.print_found(moments, filter_ if count is None else count, found, job, json=json)
    if found is None:
        raise typer.Exit(1)


def why(
    context: typer.Context,
    name: JobName,
    as_of: AsOf = None,
    clock: OnClock = None,
    json: Json = False,
) -> None:
    """Explain how a job came to its state, now or as of a moment."""
    with _job_at(context, name, as_of, clock) as (ledger, job, moment):
        value = why_so(ledger.reader, job, moment)
        held = ledger.holds(job, position=moment.position)
    if json:
        found = {"holds": [each.json() for each in held]}
        print_json(moment_json(moment) | value.json() | found)
        return
    print_moment(moment)
    for reason in value.reasons:
        contradicted = reason.event.type == "Contradicted"
        OUT.print(Text(reason.sentence, style="bold red" if contradicted else ""))
    OUT.print(Text(value.conclusion, style="bold"))
    for each in held:
        OUT.print(Text(f"It has been {each.sentence}."))


@contextmanager
def _job_at(
    context: typer.Context, name: str, as_of: str | None, clock: Clock | None
) -> Iterator[tuple[Ledger, str, Moment]]:
    """Opens the ledger; returns it with the job's resource name and the moment."""
    aim = target(context)
    with aim.open() as ledger:
        job = aim.name(name)
        yield ledger, job, moment_of(ledger.reader, "as_of", as_of, clock, job)


def _refuse(field: str, given: object, why: str) -> None:
    if given not in (None, ""):
        raise InvalidFieldError(field, why)


def _span(
    ledger: Ledger, from_: str | None, to: str | None, clock: Clock | None, name: str = ""
) -> Span:
    if from_ is None:
        raise InvalidFieldError("from", "is missing; give --from, a second job, or --attempts")
    return span(ledger.reader, from_, to, clock, name)


def _bisected(
    ledger: Ledger, from_: str | None, to: str | None, clock: Clock | None, name: str
) -> Span:
    """Bisects between two moments; the defaults are the beginning and now."""
    if from_ is not None:
        return span(ledger.reader, from_, to, clock, name)
    later = moment_of(ledger.reader, "to", to, clock, name)
    return ordered(beginning(later), later)

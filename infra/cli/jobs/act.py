"""Commands on one job: cancel, pause, resume, retry, delete, labels, comment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.job import Job
from jobledger.domain.values.labels import parse_pair
from jobledger.infra.cli.context import OUT, JobName, Json, print_json, target
from jobledger.infra.eventstore.json_view import job_json
from jobledger.infra.programs.users import user_name

if TYPE_CHECKING:
    from jobledger.infra.ledger import Ledger

Reason = Annotated[str | None, typer.Option(help="The reason, for the job's history.")]
Actor = Annotated[
    str | None, typer.Option(metavar="NAME", help="Who asks for it; default: the user's name.")
]
Labels = Annotated[
    list[str],
    typer.Argument(metavar="K=V", help="Set the label K to V; K= removes it."),
]


def cancel(
    context: typer.Context,
    name: JobName,
    reason: Reason = None,
    actor: Actor = None,
    json: Json = False,
) -> None:
    """Cancel a job: a QUEUED or PAUSED one is CANCELLED at once, others are CANCELLING until they end."""
    _act(context, name, lambda ledger, job: ledger.cancel(job, reason, actor=_by(actor)), json=json)


def pause(
    context: typer.Context,
    name: JobName,
    reason: Reason = None,
    actor: Actor = None,
    json: Json = False,
) -> None:
    """Pause a job, so that it can be resumed."""
    _act(context, name, lambda ledger, job: ledger.pause(job, reason, actor=_by(actor)), json=json)


def resume(context: typer.Context, name: JobName, actor: Actor = None, json: Json = False) -> None:
    """Resume a paused job: it is QUEUED again."""
    _act(context, name, lambda ledger, job: ledger.resume(job, actor=_by(actor)), json=json)


def retry(
    context: typer.Context,
    name: JobName,
    reason: Reason = None,
    actor: Actor = None,
    json: Json = False,
) -> None:
    """Retry a job that has ended: begin a new attempt."""
    _act(context, name, lambda ledger, job: ledger.retry(job, reason, actor=_by(actor)), json=json)


def delete(
    context: typer.Context,
    name: JobName,
    stop: Annotated[
        bool, typer.Option("--stop", help="Cancel it first if it has not ended.")
    ] = False,
    actor: Actor = None,
    json: Json = False,
) -> None:
    """Delete a job that has ended; its history is kept."""
    _act(
        context,
        name,
        lambda ledger, job: ledger.delete(job, stop=stop, actor=_by(actor)),
        json=json,
    )


def labels(
    context: typer.Context, name: JobName, pairs: Labels, actor: Actor = None, json: Json = False
) -> None:
    """Set or remove labels of a job; its other labels stay."""
    given = dict(map(parse_pair, pairs))

    def change(ledger: Ledger, job: str) -> Job:
        now = ledger.get(job)
        kept = {**now.labels, **given}
        wanted = {key: value for key, value in kept.items() if given.get(key) != ""}
        return ledger.change_labels(job, wanted, now.etag, actor=_by(actor))

    _act(context, name, change, json=json)


def comment(
    context: typer.Context,
    name: JobName,
    note: Annotated[str, typer.Argument(metavar="NOTE", help="The text of the note.")],
    actor: Annotated[
        str | None,
        typer.Option(
            "--author",
            "--actor",
            metavar="NAME",
            help="The note's author; default: the user's name.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Add a note with an author to a job's history; the job stays as it is."""
    if not note.strip():
        raise InvalidFieldError("note", "is empty; give its text")
    _act(
        context, name, lambda ledger, job: ledger.commented(job, note, actor=_by(actor)), json=json
    )


def _act(
    context: typer.Context, name: str, ask: Callable[[Ledger, str], Job], *, json: bool
) -> None:
    """Sends the command, and prints the job after it."""
    aim = target(context)
    job_name = aim.name(name)
    with aim.open() as ledger:
        ledger.get(job_name)  # Raises JobNotFoundError, which a report alone would not.
        job = ledger.opened(ask(ledger, job_name))
    if json:
        print_json(job_json(job))
        return
    state = "" if job.state is None else job.state.name
    OUT.print(f"{job.name} v{job.version}: {state}", markup=False)


def _by(actor: str | None) -> str:
    return user_name() if actor is None else actor

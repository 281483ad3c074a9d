"""The command `tree`: the jobs below a job."""

from __future__ import annotations

from typing import Final

import typer
from jobledger.domain.job import Job
from jobledger.infra.cli.context import (
    AsOf,
    JobName,
    Json,
    OnClock,
    print_json,
    print_moment,
    say,
    target,
)
from jobledger.infra.cli.forms import one_line
from jobledger.infra.eventstore.json_view import moment_json
from jobledger.infra.history.tree import tree as find_tree
from jobledger.infra.history.tree import tree_json

INDENT: Final = "  "


def tree(
    context: typer.Context,
    name: JobName,
    as_of: AsOf = None,
    clock: OnClock = None,
    json: Json = False,
) -> None:
    """Show the jobs below a job, by the parents that they name."""
    aim = target(context)
    job = aim.name(name)
    with aim.read() as reader:
        moment = reader.moment(as_of, clock, job)
        found = find_tree(reader, job, moment)
    if json:
        print_json(moment_json(moment) | {"tree": tree_json(found)})
        return
    print_moment(moment)
    for depth, each in found.walk():
        say(INDENT * depth + _line(each, f"projects/{aim.project}/jobs/"))


def _line(job: Job, prefix: str) -> str:
    state = "" if job.state is None else job.state.name
    words = [job.name.removeprefix(prefix), state, one_line(job.error_message or "")]
    return "  ".join(word for word in words if word)

"""The typer command `jobledger run`: its options and their help."""

from __future__ import annotations

from typing import Annotated

import typer
from jobledger.domain.running import HEARTBEAT_SECONDS
from jobledger.infra.cli.given import Given
from jobledger.infra.cli.jobs.run import Runner
from jobledger.infra.cli.jobs.run_options import RunOptions


def run(
    context: typer.Context,
    command: Annotated[
        list[str],
        typer.Argument(metavar="COMMAND", help="The command with its arguments, after --."),
    ],
    name: Annotated[
        str | None, typer.Option(help="The job's name or id; default: a generated one.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="K=V", help="A label of a new job; may be repeated.")
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Run nothing if the job exists already.")
    ] = False,
    heartbeat: Annotated[
        float,
        typer.Option(min=0, max=3600, help="Seconds between two heartbeats; 0 sends none."),
    ] = HEARTBEAT_SECONDS,
) -> None:
    """Run a command as a job, and exit with its exit code; a second run under the same name is a new attempt.

    The command starts even if the ledger cannot be reached. Events that cannot be recorded are spooled on
    this machine, and sent by the next run, by `jobledger spool send` or by `jobledger scheduler`.
    """
    given = context.obj
    assert isinstance(given, Given)
    options = RunOptions(command, name, label or (), once, heartbeat)
    raise typer.Exit(Runner(given, options).run())

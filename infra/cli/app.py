"""What all commands share: the options that say which ledger, and how errors end the program."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Final

import psycopg
import typer
from jobledger.domain.errors import LedgerError
from jobledger.infra.bench import command as measuring
from jobledger.infra.cli.context import ERR, Target
from jobledger.infra.cli.data import export as exporting
from jobledger.infra.cli.data import forget as forgetting
from jobledger.infra.cli.data import report as reporting
from jobledger.infra.cli.evaluation import evaluate as evaluating
from jobledger.infra.cli.evaluation import label as labeling
from jobledger.infra.cli.history import compare as comparing
from jobledger.infra.cli.history import replay as replaying
from jobledger.infra.cli.jobs import read as reading
from jobledger.infra.cli.jobs import write as writing
from jobledger.infra.cli.proof import log as proving
from jobledger.infra.cli.proof import verify as verifying
from jobledger.infra.cli.proof import witness as witnessing
from jobledger.infra.cli.server import operate as operating
from jobledger.infra.cli.server import serve as serving
from jobledger.infra.cli.server import tokens
from jobledger.infra.settings import Settings

app = typer.Typer(
    name="jobledger",
    help="A ledger that never forgets what happened to a job.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
SHARED_OPTIONS: Final = ("--dsn", "--ledger", "--project")


@app.callback()
def which(
    context: typer.Context,
    dsn: Annotated[
        str | None,
        typer.Option(
            help="libpq's connection string; else JOBLEDGER_DSN, else the embedded server."
        ),
    ] = None,
    ledger: Annotated[
        str | None, typer.Option(help="The ledger's name, or JOBLEDGER_LEDGER.")
    ] = None,
    project: Annotated[
        str | None, typer.Option(help="The project of jobs named by id, or JOBLEDGER_PROJECT.")
    ] = None,
) -> None:
    """Reads the options that stand before or after any command."""
    settings = Settings()
    context.obj = Target(dsn, ledger or settings.ledger, project or settings.project)


app.command()(operating.init)
app.add_typer(writing.importing, name="import")
app.command("list")(reading.list_jobs)
app.command()(reading.count)
app.command()(reading.show)
app.command()(reading.history)
app.command()(reading.events)
app.command()(comparing.diff)
app.command()(comparing.blame)
app.command()(comparing.bisect)
app.command()(comparing.why)
app.command()(replaying.replay)
app.command()(reporting.report)
app.command()(reporting.verify_report)
app.command()(exporting.export)
app.command()(writing.record)
app.command()(writing.run)
app.command()(writing.simulate)
app.command()(operating.rebuild)
app.command()(verifying.verify)
app.command()(proving.receipt)
app.command()(proving.verify_receipt)
app.add_typer(proving.log, name="log")
app.command()(witnessing.witness)
app.command()(forgetting.erase)
app.command()(forgetting.prune)
app.add_typer(tokens.token, name="token")
app.command()(serving.serve)
app.command()(serving.serve_grpc)
app.command()(evaluating.scheduler)
app.command()(evaluating.evaluations)
app.add_typer(labeling.label, name="label")
app.command()(measuring.bench)


def main() -> None:
    """Runs the command line; exits 1 with one sentence where the ledger refuses."""
    try:
        app(_shared_first(sys.argv[1:]))
    except LedgerError as error:
        ERR.print(f"jobledger: {error}", style="red", markup=False)
        sys.exit(1)
    except psycopg.Error as error:
        said = error.diag.message_primary or str(error).strip()
        ERR.print(f"jobledger: PostgreSQL: {said}", style="red", markup=False)
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read the output has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _shared_first(arguments: Sequence[str]) -> list[str]:
    """The arguments with the shared options first, wherever they stood before `--`."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    first: list[str] = []
    rest: list[str] = []
    given = iter(arguments[:end])
    for argument in given:
        if argument in SHARED_OPTIONS:
            first += [argument, *([value] if (value := next(given, None)) is not None else [])]
        elif argument.startswith(tuple(f"{option}=" for option in SHARED_OPTIONS)):
            first.append(argument)
        else:
            rest.append(argument)
    return [*first, *rest, *arguments[end:]]

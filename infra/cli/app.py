"""What all commands share: the options that say which ledger, and how errors end the program."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Final, Never

import typer
from jobledger.domain.errors import LedgerError
from jobledger.infra.cli.lazy import LazyGroup

app = typer.Typer(
    name="jobledger",
    cls=LazyGroup,
    help="A ledger that never forgets what happened to a job.",
    pretty_exceptions_enable=False,
)
SHARED_OPTIONS: Final = ("--dsn", "--ledger", "--project")


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"jobledger {version('jobledger')}")
        raise typer.Exit


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
    version: Annotated[  # noqa: ARG001 - its callback ends the program
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Reads the options that stand before or after any command."""
    if context.invoked_subcommand == "run":
        # It starts the command before it reads settings, which may be wrong.
        from jobledger.infra.cli.given import Given

        context.obj = Given(dsn, ledger, project)
        return
    from jobledger.infra.cli.context import Target
    from jobledger.infra.settings import Settings

    settings = Settings()
    context.obj = Target(dsn, ledger or settings.ledger, project or settings.project)


def main() -> None:
    """Runs the command line; exits 1 with one sentence where the ledger refuses."""
    try:
        app(_shared_first(sys.argv[1:]), prog_name="jobledger")
    except LedgerError as error:
        _fail(str(error))
    except BrokenPipeError:
        # Whoever read the output has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        # An error of psycopg's can only come from a command that imported psycopg.
        psycopg = sys.modules.get("psycopg")
        if psycopg is None or not isinstance(error, psycopg.Error):
            raise
        _fail(f"PostgreSQL: {error.diag.message_primary or str(error).strip()}")


def _fail(why: str) -> Never:
    from jobledger.infra.cli.printer import Printer

    Printer(error=True).print(f"jobledger: {why}", style="red", markup=False)
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

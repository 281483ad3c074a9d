"""The root of the command line: the options of all commands, and the exit after errors."""

import sys
from collections.abc import Sequence
from typing import Annotated, Any, Final, Never

import typer
from jobledger.domain.errors import LedgerError
from jobledger.infra.cli.lazy import LazyGroup

app = typer.Typer(
    name="jobledger",
    cls=LazyGroup,
    help="Record the events of jobs, and query their state as of any time.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
SHARED_OPTIONS: Final = ("--dsn", "--ledger", "--project", "--server", "--token")
DIAGNOSES: Final = ("doctor", "settings")
"""Commands that show settings, including invalid ones."""
SHARED_FLAGS: Final = ("--local",)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"jobledger {version('jobledger')}")
        raise typer.Exit


Dsn = Annotated[
    str | None,
    typer.Option(help="libpq's connection string; default: JOBLEDGER_DSN, or the embedded server."),
]
LedgerName = Annotated[
    str | None, typer.Option(help="The ledger's name; default: JOBLEDGER_LEDGER.")
]
Project = Annotated[
    str | None, typer.Option(help="The project of jobs named by id; default: JOBLEDGER_PROJECT.")
]
ServerUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="Ask this server instead of the database; default: JOBLEDGER_SERVER."
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        help="The token for that server; default: JOBLEDGER_TOKEN, which process lists do not show."
    ),
]
Local = Annotated[
    bool,
    typer.Option("--local", help="Show times in tables in the zone of TZ, or of this machine."),
]
Version = Annotated[
    bool,
    typer.Option(
        "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
]


@app.callback()
def read_shared_options(
    context: typer.Context,
    dsn: Dsn = None,
    ledger: LedgerName = None,
    project: Project = None,
    server: ServerUrl = None,
    token: Token = None,
    local: Local = False,
    version: Version = False,  # noqa: ARG001 - its callback ends the program
) -> None:
    """Reads the options that can be given before or after any command."""
    if context.invoked_subcommand == "run":
        # `run` starts its command before it reads settings, which may be invalid.
        from jobledger.infra.cli.given import Given

        context.obj = Given(dsn, ledger, project, server, token)
        return
    from jobledger.infra.cli.context import Target
    from jobledger.infra.cli.times import LOCAL
    from jobledger.infra.settings import Settings

    LOCAL.set(local)
    # These commands report invalid settings, so they must start with invalid ones.
    settings = Settings(seal=False) if context.invoked_subcommand in DIAGNOSES else Settings()
    context.obj = Target(
        dsn, ledger or settings.ledger, project or settings.project,
        server or (None if dsn else settings.server), token or settings.token,
    )  # fmt: skip


def main() -> None:
    """Runs the command line; an error ends it with one sentence and the error's exit code."""
    try:
        app(_shared_first(_help_and_version(sys.argv[1:])), prog_name="jobledger")
    except LedgerError as error:
        from jobledger.infra.cli.exit_codes import exit_code

        _fail(str(error), exit_code(error))
    except OSError as error:
        _fail_of_system(error)
    except Exception as error:
        # An error of psycopg's can only come from a command that imported psycopg.
        psycopg = sys.modules.get("psycopg")
        if psycopg is None or not isinstance(error, psycopg.Error):
            raise
        _fail_of_postgres(error)


def _fail_of_system(error: OSError) -> Never:
    """Exits with the system's error: a file, or standard output, that cannot be read or written."""
    from jobledger.infra.cli.exit_codes import USAGE

    why = error.strerror or str(error)
    _fail(why if error.filename is None else f"{error.filename}: {why}", USAGE)


def _fail_of_postgres(error: Any) -> Never:
    """Exits with the ledger's error for an error of PostgreSQL, if there is one."""
    from jobledger.infra.cli.exit_codes import NO, exit_code
    from jobledger.infra.postgres.connections import translated

    try:
        with translated():
            raise error
    except LedgerError as ours:
        _fail(str(ours), exit_code(ours))
    except Exception:
        _fail(f"PostgreSQL: {error.diag.message_primary or str(error).strip()}", NO)


def _fail(why: str, code: int) -> Never:
    from jobledger.infra.cli.printer import Printer

    Printer(error=True).print(f"jobledger: {why}", style="red", markup=False)
    sys.exit(code)


def _help_and_version(arguments: Sequence[str]) -> list[str]:
    """Rewrites `help COMMAND` as `COMMAND --help`, and `version` as `--version`."""
    match list(arguments):
        case ["help", *command]:
            return [*command, "--help"]
        case ["version"]:
            return ["--version"]
    return list(arguments)


def _shared_first(arguments: Sequence[str]) -> list[str]:
    """Moves the shared options, anywhere before `--`, to the front of the arguments."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    first: list[str] = []
    rest: list[str] = []
    given = iter(arguments[:end])
    for argument in given:
        if argument in SHARED_OPTIONS:
            first += [argument, *([value] if (value := next(given, None)) is not None else [])]
        elif argument in SHARED_FLAGS or argument.startswith(
            tuple(f"{option}=" for option in SHARED_OPTIONS)
        ):
            first.append(argument)
        else:
            rest.append(argument)
    return [*first, *rest, *arguments[end:]]

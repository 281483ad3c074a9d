"""Commands for the embedded server: status, stop and psql."""

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from typing import Annotated

import typer
from jobledger.domain.errors import InvalidFieldError
from jobledger.infra.cli.context import Json, Target, print_json, say, target
from jobledger.infra.errors import LedgerUnavailableError
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.postgres import schema_versions
from jobledger.infra.postgres.embedded_server.control import (
    RunningServer,
    find_running,
    stop_running,
)
from jobledger.infra.postgres.embedded_server.wheel import data_folder, import_wheel
from jobledger.infra.postgres.server import server
from jobledger.infra.settings import Settings, public_environment
from psycopg.conninfo import conninfo_to_dict, make_conninfo


def status(context: typer.Context, json: Json = False) -> None:
    """Show whether the embedded server runs, since when, and which processes use it; exits 1 if it does not run."""
    _check_embedded(target(context))
    home = Settings().home
    running = find_running(home)
    if json:
        data = str(data_folder(home))
        print_json({"running": False, "data": data} if running is None else _json(running))
    elif running is None:
        say(f"not running; it starts with its first user. data: {data_folder(home)}")
    else:
        _print(running)
    if running is None:
        raise typer.Exit(1)


def stop(
    context: typer.Context,
    force: Annotated[
        bool, typer.Option("--force", help="Stop it even if other processes use it.")
    ] = False,
) -> None:
    """Stop the embedded server; it also stops when the last process that uses it ends."""
    _check_embedded(target(context))
    stopped = stop_running(Settings().home, force=force)
    say("it was not running" if stopped is None else f"stopped (process {stopped.pid})")


def psql(
    context: typer.Context,
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="ARGUMENT", help="Arguments for psql.")
    ] = None,
) -> None:
    """Open psql on the ledger's schema, with psql's own options; exits with psql's exit code.

    For example `jobledger psql -At -c 'SELECT count(*) FROM jobs'`; `--` may come before psql's options.
    """
    aim = target(context)
    _check_ledger(aim)
    values = {k: str(v) for k, v in conninfo_to_dict(server(aim.dsn, aim.ledger)).items() if v}
    environment = public_environment()
    if password := values.pop("password", None):
        environment["PGPASSWORD"] = password  # Other users can read arguments.
    words = [_find_psql(), f"--dbname={make_conninfo(**values)}"]
    # Ctrl-C is for psql. This process stays a user of the server meanwhile.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        done = subprocess.run(  # noqa: S603 - the user's own psql
            [*words, *(arguments or ())], env=environment, check=False,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)
    raise typer.Exit(done.returncode if done.returncode >= 0 else 128 - done.returncode)


def _check_ledger(aim: Target) -> None:
    """Creates the ledger if that is allowed; otherwise raises LedgerNotFoundError if it is missing."""
    with aim.connect() as connection:
        exists = schema_versions.exists(connection, aim.ledger)
    if not exists:
        aim.open().close()


def _find_psql() -> str:
    """Returns the psql on the PATH, or else the embedded wheel's."""
    path = os.environ.get("PATH", os.defpath)
    with suppress(LedgerUnavailableError):
        path += f"{os.pathsep}{import_wheel().with_name('pginstall') / 'bin'}"
    found = shutil.which("psql", path=path)
    if found is None:
        raise InvalidFieldError(
            "psql", "is not on the path; install it, or pip install 'jobledger[embedded]'"
        )
    return found


def _check_embedded(aim: Target) -> None:
    if aim.dsn or Settings().dsn:
        raise InvalidFieldError(
            "dsn", "names a server that jobledger does not start or stop; leave it out"
        )


def _print(running: RunningServer) -> None:
    say(
        f"running since {time_text(running.start_time)}: PostgreSQL {running.version}, process {running.pid}"
    )
    say(f"data: {running.data}")
    say(f"connection string: {running.dsn}")
    for user in running.users:
        say(f"used by {user.pid} {user.command}")
    if not running.users:
        say("used by nobody; it stops soon")


def _json(running: RunningServer) -> dict[str, object]:
    users = [user._asdict() for user in running.users]
    fields = {"running": True, "pid": running.pid, "startTime": time_text(running.start_time)}
    return fields | {
        "version": running.version, "data": str(running.data), "dsn": running.dsn, "users": users
    }  # fmt: skip

"""Commands for the embedded server: status, stop, psql."""

from __future__ import annotations

import os
from typing import Annotated

import typer
from jobledger.domain.errors import InvalidFieldError
from jobledger.infra.cli.context import OUT, Json, print_json, target
from jobledger.infra.postgres.embedded import bundled_psql, find_server, stop_server
from jobledger.infra.settings import Settings


def status(context: typer.Context, json: Json = False) -> None:
    """Tell whether the embedded server runs, and for which processes; exits 1 if it does not."""
    del context
    found = find_server(Settings().home)
    if json:
        print_json(found._asdict() | {"data": str(found.data)})
    elif found.pid is None:
        OUT.print(f"the embedded server under {found.data} does not run", markup=False)
    else:
        users = ", ".join(map(str, found.users)) or "none"
        OUT.print(
            f"the embedded server under {found.data} runs (pid {found.pid}); used by processes: {users}",
            markup=False,
        )
    if found.pid is None:
        raise typer.Exit(1)


def stop(
    context: typer.Context,
    force: Annotated[
        bool, typer.Option("--force", help="Also while processes use it; they lose it.")
    ] = False,
) -> None:
    """Stop the embedded server, unless a process uses it."""
    del context
    found = stop_server(Settings().home, force=force)
    OUT.print("it did not run" if found.pid is None else "stopped", markup=False)


def psql(
    context: typer.Context,
    arguments: Annotated[list[str] | None, typer.Argument(metavar="[-- ARGUMENTS...]")] = None,
) -> None:
    """Open PostgreSQL's psql on the ledger, on the embedded server or on that of the DSN."""
    import shutil
    import subprocess

    from jobledger.infra.postgres.server import server

    aim = target(context)
    info = server(aim.dsn, aim.ledger)
    program = bundled_psql() or shutil.which("psql")
    if program is None:
        raise InvalidFieldError(
            "psql", "is not installed; it comes with PostgreSQL's client programs"
        )
    words = [program, info, *(arguments or [])]
    done = subprocess.run(words, env=os.environ, check=False)  # noqa: S603 - the user's own program
    raise typer.Exit(done.returncode)

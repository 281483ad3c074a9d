"""The command `doctor`: runs each check, and prints remedies for problems."""

import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Final

import psycopg
import typer
from jobledger.domain.errors import LedgerError
from jobledger.infra.cli.context import Json, Target, print_json, say, target
from jobledger.infra.cli.diagnosis.check import Check, Status, problem, skipped
from jobledger.infra.cli.diagnosis.database import (
    check_clock,
    check_grants,
    check_schema,
    check_server,
    connect_soon,
    unreachable,
)
from jobledger.infra.cli.diagnosis.log import check_checkpoint, check_keys
from jobledger.infra.cli.diagnosis.machine import PORTS, check_disk, check_port, check_spool
from jobledger.infra.cli.diagnosis.variables import check_settings, read_settings
from jobledger.infra.cli.forms import Form, FormOption, print_documents
from jobledger.infra.postgres.connections import Connection, conninfo, schema_of
from jobledger.infra.postgres.embedded_server.starting import server_dsn
from jobledger.infra.settings import Settings

NEEDS_SERVER: Final = ("schema", "grants", "clock", "keys", "checkpoint")
NEEDS_SCHEMA: Final = ("grants", "keys", "checkpoint")
NAME_WIDTH: Final = 10


def doctor(context: typer.Context, format_: FormOption = Form.TABLE, json: Json = False) -> None:
    """Check settings, server, schema, grants, clock, keys, checkpoint, spool, disk and ports; exits 1 if one is wrong.

    Shows what was found, and what to do about each problem.
    """
    checks = list(examine(target(context)))
    is_well = all(check.status is not Status.PROBLEM for check in checks)
    documents = [check._asdict() for check in checks]
    if json or format_ is Form.JSON:
        print_json({"ok": is_well, "checks": documents})
    elif format_ is Form.TABLE:
        for check in checks:
            _print(check)
    else:
        print_documents(documents, format_, Check._fields)
    if not is_well:
        raise typer.Exit(1)


def examine(aim: Target) -> Iterator[Check]:
    """Runs all checks, in the order of their dependencies."""
    settings = read_settings()
    yield from check_settings(settings, aim.ledger, aim.project)
    yield from _examine_database(aim, settings)
    yield check_spool()
    yield check_disk(settings)
    for port, command in PORTS.items():
        yield check_port(port, command)


def _examine_database(aim: Target, settings: Settings) -> Iterator[Check]:
    try:
        dsn = aim.dsn or settings.dsn or server_dsn(settings.home)
        connection = connect_soon(conninfo(dsn, schema_of(aim.ledger)))
    except LedgerError as error:
        yield unreachable(error)
        yield from (skipped(name, "the server cannot be reached") for name in NEEDS_SERVER)
        return
    with closing(connection):
        yield check_server(connection)
        yield from _examine_ledger(connection, aim.ledger, settings)


def _examine_ledger(connection: Connection, ledger: str, settings: Settings) -> Iterator[Check]:
    schema = _guarded("schema", lambda: check_schema(connection, ledger))
    yield schema
    checks: dict[str, Callable[[], Check]] = {
        "grants": lambda: check_grants(connection, ledger),
        "clock": lambda: check_clock(connection),
        "keys": lambda: check_keys(connection, settings),
        "checkpoint": lambda: check_checkpoint(connection, settings),
    }
    for name, check in checks.items():
        if schema.status is Status.OK or name not in NEEDS_SCHEMA:
            yield _guarded(name, check)
        else:
            yield skipped(name, "the ledger's schema is not as needed")


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    """Runs a check; an unexpected error becomes a problem."""
    try:
        return check()
    except psycopg.errors.InsufficientPrivilege as error:
        why = error.diag.message_primary or str(error)
        return problem(name, why, "as the owner: jobledger init --grant-to ROLE")
    except LedgerError as error:
        return problem(name, str(error), "jobledger verify names each difference")
    except psycopg.Error as error:
        why = error.diag.message_primary or str(error).strip()
        return problem(name, f"PostgreSQL: {why}", "see the server's log")


def _print(check: Check) -> None:
    """Prints one line into a pipe, or indented lines on a terminal."""
    head = f"{check.status:<8} {check.name:<{NAME_WIDTH}} "
    lines = [head + check.detail]
    if check.remedy is not None:
        lines.append(" " * len(head) + f"-> {check.remedy}")
    if sys.stdout.isatty():
        width, indent = shutil.get_terminal_size().columns, " " * len(head)
        lines = [
            textwrap.fill(line, width, subsequent_indent=indent, break_on_hyphens=False)
            for line in lines
        ]
    say("\n".join(lines))

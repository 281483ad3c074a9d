"""Commands for the ledgers of a database: ledgers list, create, describe, drop."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Any, Final

import typer
from jobledger.domain.errors import InvalidFieldError
from jobledger.infra.cli.context import ERR, OUT, Json, print_json, say, target
from jobledger.infra.cli.forms import Form, FormOption, print_documents
from jobledger.infra.cli.server.operate import init
from jobledger.infra.postgres import schema_versions
from jobledger.infra.postgres.connections import Connection
from jobledger.infra.upkeep.ledgers import LedgerSize, describe, drop
from rich.table import Table

ledgers = typer.Typer(
    no_args_is_help=True, help="List, create, describe and drop the ledgers of a database."
)
FIELDS: Final = ("name", "events", "signed", "origin", "bytes")
"""The fields of a ledger in a list."""
Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The ledger's name: lowercase letters, digits and _.")
]


@ledgers.command("list")
def list_ledgers(
    context: typer.Context, format_: FormOption = Form.TABLE, json: Json = False
) -> None:
    """List the ledgers of the database, with their events and the disk they take."""
    with _connected(context) as connection:
        found = [describe(connection, name) for name in schema_versions.ledgers(connection)]
    form = Form.JSON if json else format_
    if form is not Form.TABLE:
        print_documents([_row(each) for each in found], form, FIELDS)
        return
    table = Table("name", "events", "bytes", "log")
    for each in found:
        table.add_row(each.name, f"{each.events:,}", f"{each.bytes:,}", each.origin)
    OUT.print(table)


@ledgers.command("create")
def create_ledger(context: typer.Context, name: Name) -> None:
    """Create a ledger and its log's key, as `jobledger --ledger NAME init` does; exits 2 if it exists."""
    with _connected(context) as connection:
        if name in schema_versions.ledgers(connection):
            why = f"{name!r} exists; jobledger --ledger {name} init brings it up to date"
            raise InvalidFieldError("name", why)
    context.obj = replace(target(context), ledger=name)
    init(context)


@ledgers.command("describe")
def describe_ledger(context: typer.Context, name: Name, json: Json = False) -> None:
    """Show how many events a ledger has, how many its log covers, and the disk of each table."""
    with _connected(context) as connection:
        found = describe(connection, name)
    if json:
        print_json(_row(found) | {"tables": found.tables})
        return
    say(f"{name}: {found.events:,} events, {found.signed:,} of them in the log {found.origin}")
    say(f"{found.bytes:,} bytes of disk")
    for table, size in found.tables.items():
        say(f"  {table}: {size:,}")


@ledgers.command("drop")
def drop_ledger(
    context: typer.Context,
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Drop a ledger with its whole history, permanently; keys and the last checkpoint of its log stay as files."""
    with _connected(context) as connection:
        held = describe(connection, name)
        if not yes:
            _ask(held)
        drop(connection, name)
    if json:
        print_json(_row(held))
    else:
        say(f"ledger {name!r} with {held.events:,} events is gone; it took {held.bytes:,} bytes")


def _row(found: LedgerSize) -> dict[str, Any]:
    return {field: getattr(found, field) for field in FIELDS}


def _ask(held: LedgerSize) -> None:
    if not sys.stdin.isatty():
        raise InvalidFieldError("yes", "cannot be confirmed without a terminal; give --yes")
    ERR.print(f"{held.events:,} events of the ledger {held.name!r} would be deleted permanently")
    typer.confirm("Drop?", abort=True, err=True)


@contextmanager
def _connected(context: typer.Context) -> Iterator[Connection]:
    with target(context).connect() as connection:
        yield connection

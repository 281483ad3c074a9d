"""The commands attach and detach: follow another system's PostgreSQL database."""

from __future__ import annotations

import os
import signal
from threading import Event as Signal
from typing import Annotated, Any

import typer
from jobledger.domain.errors import InvalidFieldError
from jobledger.infra.cli.context import ERR, Json, Target, print_json, say, target
from jobledger.infra.sources.attach.follower import Follower, known_system, slot_name
from jobledger.infra.sources.attach.slot import Slot
from jobledger.infra.sources.mapping.importing import ImportSummary
from jobledger.infra.sources.mapping.model import ATTACHED, Kind, Mapping, read_mapping, shipped
from typer.core import TyperGroup

MEBIBYTE = 1024**2
NICENESS = 10
"""The priority of a follower: lower than that of other programs, such as the source's server."""
Source = Annotated[
    str, typer.Argument(metavar="DSN", help="libpq's connection string of the source.")
]
System = Annotated[
    str,
    typer.Option(
        "--as",
        metavar="SYSTEM",
        help="airflow, dagster, dbos, prefect, procrastinate, river, or a mapping file.",
    ),
]


class AttachGroup(TyperGroup):
    """A group whose first argument may be a connection string instead of a command."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Takes a word that is not a command as a source: `attach DSN --as airflow`."""
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = ["follow", *args]
        return super().resolve_command(ctx, args)


attach = typer.Typer(
    cls=AttachGroup,
    no_args_is_help=True,
    help="Follow another system's PostgreSQL database: jobledger attach DSN --as airflow.",
    # Options may come before the source.
    context_settings={"ignore_unknown_options": True},
)


@attach.command("follow")
def follow(
    context: typer.Context,
    source: Source,
    system: System,
    once: Annotated[
        bool, typer.Option("--once", help="Record the changes up to now, and exit.")
    ] = False,
    limit: Annotated[
        int,
        typer.Option(
            min=1, metavar="MIB", help="How much of its log the source may keep for the slot."
        ),
    ] = 4096,
) -> None:
    """Record the existing rows, then each change, until interrupted.

    In the source this makes a publication and a slot, and sets REPLICA IDENTITY FULL on the tables
    whose old rows are needed; `detach` undoes all three. The next run continues where this one ended.
    The process lowers its own priority (nice 10), so that a source on the same machine goes first.
    """
    aim, mapping, slot = _found(context, source, system)
    stop = Signal()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with aim.open() as ledger:
        follower = Follower(ledger, slot, mapping, aim.project, max_bytes=limit * MEBIBYTE)
        if follower.must_begin():
            follower.check()
            _announce(follower, mapping, slot)
            follower.begin()
        elif tables := follower.unfollowed():
            ERR.print(f"adding {', '.join(tables)} to publication {slot.name}", markup=False)
            follower.extend(tables)
        try:
            if once:
                while follower.carry_over():
                    pass
            else:
                os.nice(NICENESS)
                follower.follow(stop)
        finally:
            _print(follower.summary)
    if follower.summary.unplaced_count:
        raise typer.Exit(1)


@attach.command("status")
def status(context: typer.Context, source: Source, system: System, json: Json = False) -> None:
    """Show how far the slot is behind, and how much of its log the source keeps; exits 1 without a slot."""
    _, _, slot = _found(context, source, system)
    found = slot.status()
    if json:
        print_json({"slot": slot.name} | ({} if found is None else found._asdict()))
    elif found is None:
        say(f"there is no slot {slot.name}: it is not attached")
    else:
        used = "in use" if found.is_active else "not in use now"
        say(
            f"slot {slot.name}, {used}: {found.behind_bytes:,} bytes behind {found.end_lsn};"
            f" the source keeps {found.kept_bytes:,} bytes ({found.wal_status})"
        )
    if found is None:
        raise typer.Exit(1)


def detach(context: typer.Context, source: Source, system: System) -> None:
    """Stop following a database: remove the slot and the publication, and restore REPLICA IDENTITY."""
    aim, mapping, slot = _found(context, source, system)
    with aim.open() as ledger:
        Follower(ledger, slot, mapping, aim.project).end()
    say(f"detached: the slot and the publication {slot.name} are gone from the source")


def _found(context: typer.Context, source: str, system: str) -> tuple[Target, Mapping, Slot]:
    aim = target(context)
    mapping = read_mapping(known_system(system, shipped(ATTACHED)), ATTACHED)
    if mapping.source.kind is not Kind.CHANGES:
        why = f"{system} is a mapping of files, which jobledger import {system} FILE imports"
        raise InvalidFieldError("as", why)
    short = system.rpartition("/")[2].partition(".")[0]
    return aim, mapping, Slot(source, slot_name(aim.ledger, short))


def _announce(follower: Follower, mapping: Mapping, slot: Slot) -> None:
    """Prints the changes of the source before they are made."""
    tables = ", ".join(follower.tables())
    ERR.print(f"making publication and slot {slot.name} for {tables}", markup=False)
    if mapping.source.whole_rows:
        whole = ", ".join(mapping.source.whole_rows)
        ERR.print(f"setting REPLICA IDENTITY FULL on {whole}", markup=False)


def _print(summary: ImportSummary) -> None:
    for why in summary.unplaced[:20]:
        ERR.print(why, markup=False)
    say(
        f"{summary.records} changes read, {summary.events} events recorded,"
        f" {summary.unplaced_count} could not be placed"
    )

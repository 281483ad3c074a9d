"""The command group `log`: the log's name, keys and checkpoints, and its continuation after a loss."""

from pathlib import Path
from typing import Annotated

import typer
from jobledger.domain.errors import InvalidFieldError
from jobledger.infra.cli.context import OUT, Json, aside, print_json, say, target
from jobledger.infra.cli.diagnosis.log import check_last_signed
from jobledger.infra.errors import ForkedError, ProofError
from jobledger.infra.postgres.connections import Connection
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.proof.resume import lost
from jobledger.infra.proof.signing.algorithms import ALGORITHMS
from jobledger.infra.proof.signing.checkpoints import Checkpoint
from jobledger.infra.proof.signing.keys import (
    create_key,
    find_keys,
    require_keys,
    retire_keys,
)
from jobledger.infra.proof.signing.notes import SigningKey
from jobledger.infra.proof.signing.pins import check_pinned
from jobledger.infra.proof.signing.signer import read_kept, require_kept
from jobledger.infra.proof.tiles import export_tiles
from jobledger.infra.settings import Settings

log = typer.Typer(
    help="Manage the log over all events: its name, keys and checkpoints.",
    no_args_is_help=True,
)


@log.command("show")
def show_log(context: typer.Context, json: Json = False) -> None:
    """Show the log's name, its size, its public keys, and its last checkpoint."""
    with target(context).open() as ledger, ledger.connection() as connection:
        log = Tree().log_state(connection)
        note = read_kept(connection)
        stopped = _why_not_signed(connection)
    keys = [str(key.verifier) for key in find_keys(Settings(), log.origin)]
    if json:
        fields = {"origin": log.origin, "events": log.events, "size": log.size}
        fields["sealed"] = log.size  # `size` under its former name.
        print_json(
            {
                **fields,
                "keys": keys,
                "checkpoint": None if note is None else str(note),
                "stopped": stopped,
            }
        )
        return
    say(f"{log.origin}: {log.size} of {log.events} events in the tree")
    for each in keys:
        say(f"key {each}")
    if stopped is not None:
        say(f"not signed any more: {stopped}")
    if note is not None:
        typer.echo(f"\n{note}", nl=False)


@log.command("keys")
def show_keys(context: typer.Context) -> None:
    """Print the log's public keys, one a line, as `verify-receipt --key` takes them."""
    for key in _keys(_origin(context)):
        typer.echo(str(key.verifier))


def _keys(origin: str) -> list[SigningKey]:
    """The log's keys on this machine; raises ProofError if there is none."""
    return require_keys(Settings(), origin)


def _why_not_signed(connection: Connection) -> str | None:
    """Returns why the log's key on this machine no longer signs; None if it signs."""
    tree, settings = Tree(), Settings()
    log = tree.log_state(connection)
    try:
        check_pinned(settings, connection, log.origin)
        check_last_signed(connection, tree, log, settings)
    except (ForkedError, ProofError) as error:
        return str(error)
    return None


@log.command("checkpoint")
def checkpoint(context: typer.Context) -> None:
    """Sign a checkpoint of all events now, and print it; exits 1 if it cannot be signed."""
    aim = target(context)
    with aim.open() as ledger, ledger.connection() as connection:
        log = Tree().log_state(connection)
        ledger.checkpoint()
        note = read_kept(connection)
    _keys(log.origin)
    covered = 0 if note is None else Checkpoint.parse(note.text).size
    if note is None or covered < log.events:
        why = f"covers {covered} of {log.events} events, and this process cannot sign the others"
        raise ProofError("checkpoint", f"{why}; for the reason: jobledger doctor")
    typer.echo(str(note), nl=False)


@log.command("seal", deprecated=True, hidden=True)
def seal(context: typer.Context) -> None:
    """The former name of `jobledger log checkpoint`."""
    checkpoint(context)


@log.command("resume")
def resume_log(
    context: typer.Context,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Continue the log without the lost events.")
    ] = False,
    rotate_key: Annotated[
        bool,
        typer.Option("--rotate-key", help="Make a new key first; all keys sign from then on."),
    ] = False,
    actor: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The user who accepts the loss.")
    ] = None,
    json: Json = False,
) -> None:
    """Continue a log that lost events, after a failover or a restored backup; without --accept-loss, say what is lost.

    A statement signed by the log's keys names the lost positions, and is recorded as an event. Exits
    1 if nothing is lost, or if the loss is not accepted.
    """
    with target(context).open() as ledger:
        if not accept_loss:
            with ledger.connection() as connection:
                resumption = lost(connection, Settings())
            first, last = resumption.positions
            say(
                f"positions {first} to {last} may be lost: a checkpoint of {last} events was signed,"
                f" and the log extends the one of {resumption.kept.size} events;"
                " to go on without them: jobledger log resume --accept-loss"
            )
            raise typer.Exit(1)
        resumed = ledger.resume_log(actor, new_key=rotate_key)
    if json:
        print_json(resumed._asdict())
        return
    aside(
        f"positions {resumed.first} to {resumed.last} count as lost, as the event at position"
        f" {resumed.record} says; send this statement to all who hold receipts or checkpoints of them:"
    )
    typer.echo(resumed.statement, nl=False)


@log.command("tiles")
def tiles(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A new folder, or one to update.")
    ],
) -> None:
    """Export the log as static files for any web server and other tools (C2SP tlog-tiles)."""
    with target(context).open() as ledger, ledger.connection() as connection:
        ledger.checkpoint()
        note = require_kept(connection)
        added = export_tiles(connection, Tree(), folder, note)
    say(f"{added.tiles} tiles and {added.bundles} bundles of entries added to {folder}")
    if added.missing:
        OUT.print(
            f"{added.missing} bundles are left out: events in them are gone, and no pruning says why"
        )
    if added.empty:
        OUT.print(f"{added.empty} entries are empty: their events were pruned, or are too long")


@log.command("rotate-key")
def rotate_key(
    context: typer.Context,
    algorithm: Annotated[
        str, typer.Option(metavar="ed25519|ml-dsa-44", help="The new key's algorithm.")
    ] = "ed25519",
) -> None:
    """Create a new key, and sign with it and the old one from now on; give its public key to verifiers."""
    types = {each.name: type_ for type_, each in ALGORITHMS.items() if each.is_of_log}
    if algorithm not in types:
        raise InvalidFieldError("algorithm", f"{algorithm!r} is not one of {', '.join(types)}")
    say(str(create_key(Settings(), _origin(context), types[algorithm]).verifier))


@log.command("retire-key")
def retire_key(context: typer.Context) -> None:
    """Sign with the newest key only, once all verifiers know it."""
    for key in retire_keys(Settings(), _origin(context)):
        say(f"retired {key.verifier}")


def _origin(context: typer.Context) -> str:
    with target(context).open() as ledger, ledger.connection() as connection:
        return Tree().log_state(connection).origin

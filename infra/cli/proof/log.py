"""Commands for who must be sure, and for who makes them so: receipt, verify-receipt, and log."""

from pathlib import Path
from typing import Annotated

import typer
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.cli.context import OUT, JobName, Json, aside, print_json, say, target
from jobledger.infra.cli.out_files import STDOUT, write_file
from jobledger.infra.cli.proof.compared import Compared, compare_file
from jobledger.infra.errors import ProofError
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.proof.receipts import Receipt
from jobledger.infra.proof.signing.algorithms import ALGORITHMS
from jobledger.infra.proof.signing.checkpoints import Checkpoint
from jobledger.infra.proof.signing.keys import (
    create_key,
    find_keys,
    read_text,
    read_verifiers,
    retire_keys,
)
from jobledger.infra.proof.signing.signer import read_kept
from jobledger.infra.proof.tiles import export_tiles
from jobledger.infra.settings import Settings

log = typer.Typer(
    help="Manage the log over all events: its name, keys and checkpoints.",
    no_args_is_help=True,
)
Keys = Annotated[
    list[str],
    typer.Option(
        "--key",
        metavar="KEY|FILE",
        help="A public key of the log or of a witness, or a file of them.",
    ),
]


def receipt(
    context: typer.Context,
    name: JobName,
    version: Annotated[
        int | None, typer.Option(min=1, help="The event's version; default: the last one.")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The file to write; default: standard output."),
    ] = None,
) -> None:
    """Write a receipt: an offline proof that an event of a job is in the log (C2SP tlog-proof).

    None is written that does not verify; its signatures are checked where the log's key is.
    """
    aim = target(context)
    with aim.open() as ledger:
        made = ledger.receipt(aim.name(name), version)
    if keys := find_keys(Settings(), Checkpoint.parse(made.note.text).origin):
        made.verify([key.verifier for key in keys])
    if to is None:
        typer.echo(str(made), nl=False)
        return
    write_file(to, str(made).encode())
    if to == STDOUT:
        return
    aside(f"a receipt for {made.entry.name} v{made.entry.version} in {to}")


def verify_receipt(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The receipt's file.")],
    key: Keys,
    job: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The job's exported history (jsonl), to compare the event with."
        ),
    ] = None,
    witnesses: Annotated[
        int, typer.Option(min=0, help="The number of known witnesses that must have cosigned.")
    ] = 0,
    json: Json = False,
) -> None:
    """Verify a receipt without a database; exits 1 unless the log signed exactly this event."""
    keys = read_verifiers(key)
    made = Receipt.parse(read_text(file, "receipt"))
    checkpoint, signed = made.verify(keys)
    cosigned = [each.name for each in signed if not each.signs_as_log(checkpoint.origin)]
    if len(cosigned) < witnesses:
        raise ProofError("receipt", f"{len(cosigned)} known witnesses cosigned, not {witnesses}")
    compared = None if job is None else compare_file(made, job)
    if json:
        print_json(_verified_json(made, checkpoint, cosigned, compared))
        return
    entry = made.entry
    say(
        f"{entry.name} v{entry.version} {entry.type}, recorded {time_text(entry.recorded_time)}:"
        f" in the log {checkpoint.origin} at position {made.position} of {checkpoint.size}"
    )
    if compared is not None:
        for sentence in compared.sentences:
            say(sentence)
    if cosigned:
        say(f"cosigned by {', '.join(cosigned)}")


def _verified_json(
    made: Receipt, checkpoint: Checkpoint, cosigned: list[str], compared: Compared | None
) -> JsonObject:
    entry = made.entry
    return {
        "ok": True,
        "name": entry.name,
        "version": entry.version,
        "type": entry.type,
        "position": made.position,
        "occurredTime": time_text(entry.occurred_time),
        "recordedTime": time_text(entry.recorded_time),
        "actor": entry.actor,
        "data": compared is not None,
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "witnesses": cosigned,
        "coveredVersions": [entry.version],
        "uncoveredVersions": [] if compared is None else compared.uncovered,
        "stateCovered": compared is not None and compared.is_state_covered,
    }


@log.command("show")
def show_log(context: typer.Context, json: Json = False) -> None:
    """Show the log's name, its size, its public keys, and its last checkpoint."""
    with target(context).open() as ledger, ledger.connection() as connection:
        log = Tree().log_state(connection)
        note = read_kept(connection)
    keys = [str(key.verifier) for key in find_keys(Settings(), log.origin)]
    if json:
        fields = {"origin": log.origin, "events": log.events, "sealed": log.size}
        print_json({**fields, "keys": keys, "checkpoint": None if note is None else str(note)})
        return
    say(f"{log.origin}: {log.size} of {log.events} events sealed")
    for each in keys:
        say(f"key {each}")
    if note is not None:
        typer.echo(f"\n{note}", nl=False)


@log.command("seal")
def seal(context: typer.Context) -> None:
    """Sign a checkpoint of all events now, and print it; exits 1 if it cannot be signed."""
    aim = target(context)
    with aim.open() as ledger, ledger.connection() as connection:
        ledger.seal()
        log, note = Tree().log_state(connection), read_kept(connection)
    if not find_keys(Settings(), log.origin):
        raise ProofError(
            "key", f"no key of {log.origin} is on this machine, so nothing can be signed"
        )
    typer.echo(str(note), nl=False)


@log.command("tiles")
def tiles(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="A new folder, or one to update.")],
) -> None:
    """Export the log as static files for any web server and other tools (C2SP tlog-tiles)."""
    with target(context).open() as ledger, ledger.connection() as connection:
        ledger.seal()
        note = read_kept(connection)
        if note is None:
            raise ProofError(
                "checkpoint", "nothing was signed yet, and the log's key is not on this machine"
            )
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

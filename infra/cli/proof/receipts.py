"""Commands for receipts: `receipt`, which makes one, and `verify-receipt`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.cli.context import JobName, Json, aside, print_json, say, target
from jobledger.infra.cli.out_files import STDOUT, write_file
from jobledger.infra.cli.proof.compared import Compared, compare_file
from jobledger.infra.errors import ProofError
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.proof.receipts import Receipt, find_loss
from jobledger.infra.proof.signing.checkpoints import Checkpoint
from jobledger.infra.proof.signing.keys import (
    epoch_files,
    find_keys,
    read_text,
    read_verifiers,
)
from jobledger.infra.proof.signing.notes import Note, VerifierKey
from jobledger.infra.proof.signing.resumption import Resumption
from jobledger.infra.settings import Settings

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

    It is verified before it is written; its signatures too, if the log's key is on this machine.
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


ReceiptFile = Annotated[Path, typer.Argument(metavar="FILE", help="The receipt's file.")]
JobFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="The job's exported history (jsonl), to compare the event with."
    ),
]
Witnesses = Annotated[
    int, typer.Option(min=0, help="The number of known witnesses that must have cosigned.")
]
Lost = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="A statement that the log was resumed after a loss; those on this machine are known.",
    ),
]


def verify_receipt(
    file: ReceiptFile,
    key: Keys,
    job: JobFile = None,
    witnesses: Witnesses = 0,
    lost: Lost = None,
    json: Json = False,
) -> None:
    """Verify a receipt without a database; exits 1 unless the log signed exactly this event."""
    keys = read_verifiers(key)
    made = Receipt.parse(read_text(file, "receipt"))
    checkpoint, signed = made.verify(keys)
    cosigned = [each.name for each in signed if not each.signs_as_log(checkpoint.origin)]
    if len(cosigned) < witnesses:
        raise ProofError(
            "receipt",
            f"{len(cosigned)} of the known witnesses cosigned it, and --witnesses needs {witnesses}",
        )
    compared = None if job is None else compare_file(made, job)
    files = [*epoch_files(Settings(), checkpoint.origin), *(lost or ())]
    lost_by = find_loss(made, checkpoint, [_resumption(each, keys) for each in files])
    if json:
        value = _verified_json(made, checkpoint, cosigned, compared)
        print_json(value | {"lost": lost_by is not None})
        return
    _print_verified(made, checkpoint)
    if lost_by is not None:
        _print_lost(lost_by)
    for sentence in () if compared is None else compared.sentences:
        say(sentence)
    if cosigned:
        say(f"cosigned by {', '.join(cosigned)}")


def _print_verified(made: Receipt, checkpoint: Checkpoint) -> None:
    entry = made.entry
    say(
        f"verified: {entry.name} v{entry.version} {entry.type}, recorded {time_text(entry.recorded_time)},"
        f" is event {made.position} of {checkpoint.size} in the log {checkpoint.origin}"
    )


def _print_lost(by: Resumption) -> None:
    """Prints that the receipt's event belongs to lost history."""
    first, last = by.positions
    time = time_text(datetime.fromtimestamp(by.time, UTC))
    say(f"lost: at {time} the log was resumed without positions {first} to {last}, and this event")


def _resumption(file: Path, keys: Sequence[VerifierKey]) -> Resumption:
    """Reads a statement from a file; raises ProofError unless a known key of its log signed it."""
    return Resumption.open(Note.parse(read_text(file, "resumption")), keys)


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

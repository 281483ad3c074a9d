"""The command that verifies a Parquet export against its manifest."""

from pathlib import Path
from typing import Annotated

import typer
from jobledger.infra.cli.context import Json, counted, print_json, say
from jobledger.infra.errors import ProofError
from jobledger.infra.proof.signing.keys import find_keys, read_verifiers
from jobledger.infra.proof.signing.notes import VerifierKey
from jobledger.infra.settings import Settings
from jobledger.infra.transfer.exports.manifest import NOTE, statement_of
from jobledger.infra.transfer.exports.verify_export import Verified
from jobledger.infra.transfer.exports.verify_export import verify_export as verify_folder


def verify_export(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder that export --format parquet wrote.")
    ],
    key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY|FILE",
            help="Public keys of the log to trust, instead of those on this machine.",
        ),
    ] = None,
    unsigned: Annotated[
        bool,
        typer.Option(
            "--unsigned",
            help="Accept a manifest whose signature is not verified: finds damage, not forgery.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Verify a Parquet export against its manifest without a database; exits 1 at the first file that differs."""
    if key and unsigned:
        raise typer.BadParameter("--key and --unsigned exclude each other")
    keys = [] if unsigned else read_verifiers(key or []) or _own_keys(folder)
    verified = verify_folder(folder, keys)
    if json:
        print_json(_json(verified))
    else:
        say(_sentence(folder, verified))


def _own_keys(folder: Path) -> list[VerifierKey]:
    """Returns this machine's keys of the log that the note names; raises ProofError without any."""
    _, origin = statement_of(folder)
    keys = [key.verifier for key in find_keys(Settings(), origin)]
    if not keys:
        why = f"there is no key of {origin!r} on this machine; give --key, or --unsigned"
        raise ProofError("manifest", f"{folder / NOTE} cannot be verified: {why}")
    return keys


def _sentence(folder: Path, verified: Verified) -> str:
    manifest = verified.manifest
    signed = f"signed by {', '.join(verified.signers)}" if verified.signers else "not verified"
    positions = f"positions {manifest.first_position} to {manifest.last_position}"
    files = counted(len(manifest.files), "file")
    are = "is" if len(manifest.files) == 1 else "are"
    return (
        f"{folder}: {files} {are} as listed: {counted(manifest.events, 'event')} of the"
        f" ledger {manifest.ledger}, {positions if manifest.events else 'no positions'};"
        f" the manifest's signature: {signed}"
    )


def _json(verified: Verified) -> dict[str, object]:
    manifest = verified.manifest
    return {
        "ok": True,
        "ledger": manifest.ledger,
        "files": len(manifest.files),
        "events": manifest.events,
        "firstPosition": manifest.first_position,
        "lastPosition": manifest.last_position,
        "signedBy": verified.signers,
    }

"""Checkpoints to hold a log against: from files, from what was signed here, from where it is published."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from jobledger.infra.errors import ProofError
from jobledger.infra.postgres.connections import Connection
from jobledger.infra.proof.keys import find_keys, last_signed_file, read_text
from jobledger.infra.proof.notes import (
    COSIGNATURE,
    Note,
    VerifierKey,
    open_checkpoint,
)
from jobledger.infra.proof.signing import read_kept
from jobledger.infra.proof.verifying import Shown
from jobledger.infra.settings import Settings
from jobledger.infra.verify import Finding

KEPT: str = "the checkpoint in the database"


class Gathered(NamedTuple):
    """What was shown, and what is wrong with what the database itself keeps."""

    shown: list[Shown]
    findings: list[Finding]


def known_keys(settings: Settings, origin: str, given: Sequence[VerifierKey]) -> list[VerifierKey]:
    """The keys that are given, else the public ones of the log's own."""
    return list(given) or [key.verifier for key in find_keys(settings, origin)]


def show(file: Path, keys: Sequence[VerifierKey]) -> Shown:
    """A checkpoint in a file; raises ProofError unless a known key signed it."""
    if not keys:
        raise ProofError("key", "none is known here: name the log's public key with --key")
    note = Note.parse(read_text(file, "checkpoint"))
    seen = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    return _shown(note, f"the checkpoint {file}", keys, seen)


def gather(
    connection: Connection, settings: Settings, origin: str, keys: Sequence[VerifierKey]
) -> Gathered:
    """All that is at hand without being named: what was signed last here, what is published, what is kept."""
    shown = [show(file, keys) for file in _files(settings, origin)] if keys else []
    try:
        kept = read_kept(connection) if keys else None
        if kept is not None:
            shown.append(_shown(kept, KEPT, keys, None))
    except ProofError as error:
        return Gathered(shown, [Finding("changed", 0, "checkpoints", f"{KEPT}: {error.why}")])
    return Gathered(shown, [])


def _files(settings: Settings, origin: str) -> Iterator[Path]:
    places = [
        Path(place) / "checkpoint" for place in settings.publish.split() if "://" not in place
    ]
    for file in (last_signed_file(settings, origin), *places):
        if file.is_file():
            yield file


def _shown(note: Note, source: str, keys: Sequence[VerifierKey], seen: datetime | None) -> Shown:
    """With the time a known witness says it saw it, else the time of the file."""
    try:
        checkpoint = open_checkpoint(note, keys)
        signed = note.signed_by(keys)
    except ProofError as error:
        raise ProofError(error.what, f"{source}: {error.why}") from error
    times = [signature.time for key, signature in signed if key.type == COSIGNATURE]
    return Shown(checkpoint, source, datetime.fromtimestamp(min(times), UTC) if times else seen)

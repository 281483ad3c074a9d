"""Collects checkpoints to compare a log with: from files, of this machine, and as published."""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Final, NamedTuple

from jobledger.infra.errors import ProofError
from jobledger.infra.postgres.connections import Connection
from jobledger.infra.proof.audit.verify_log import KnownCheckpoint
from jobledger.infra.proof.http_post import send
from jobledger.infra.proof.signing.checkpoints import open_checkpoint, signed_time
from jobledger.infra.proof.signing.keys import find_keys, last_signed_file, read_text
from jobledger.infra.proof.signing.notes import Note, VerifierKey
from jobledger.infra.proof.signing.policy import Known, Policy
from jobledger.infra.proof.signing.signer import read_kept
from jobledger.infra.settings import Settings
from jobledger.infra.upkeep.findings import Finding

LOG: Final = logging.getLogger("jobledger.proof")
KEPT: Final = "the checkpoint in the database"
LATEST_SECOND: Final = 253_402_300_799
"""The last second that a datetime can express (POSIX)."""
WITNESS_TIMEOUT_SECONDS: Final = 5.0


class Collected(NamedTuple):
    """The collected checkpoints, and findings about those in the database."""

    checkpoints: list[KnownCheckpoint]
    findings: list[Finding]


def known_keys(settings: Settings, origin: str, given: Sequence[VerifierKey]) -> list[VerifierKey]:
    """Returns the given keys, or the log's own on this machine, and those of the policy's witnesses."""
    own = list(given) or [key.verifier for key in find_keys(settings, origin)]
    return [*own, *(witness.key for witness in _witnesses(settings))]


def read_checkpoint(file: Path, keys: Sequence[VerifierKey]) -> KnownCheckpoint:
    """Reads a checkpoint from a file; raises ProofError unless a known key signed it."""
    if not keys:
        raise ProofError(
            "key", "no key of the log is on this machine; give its public key with --key"
        )
    note = Note.parse(read_text(file, "checkpoint"))
    # The system's clock for files may be some milliseconds behind.
    seen = datetime.fromtimestamp(file.stat().st_mtime + 0.01, UTC)
    return _known(note, f"the checkpoint {file}", keys, seen)


def collect(
    connection: Connection, settings: Settings, origin: str, keys: Sequence[VerifierKey]
) -> Collected:
    """Collects the checkpoint last signed here, the published ones, and the stored one."""
    checkpoints = [read_checkpoint(file, keys) for file in _files(settings, origin)] if keys else []
    checkpoints += [
        _known(note, f"the checkpoint of witness {witness.key.name}", keys, None)
        for witness in _witnesses(settings)
        if witness.url is not None and (note := _ask(witness.url, origin)) is not None
    ]
    try:
        kept = read_kept(connection) if keys else None
        if kept is not None:
            checkpoints.append(_known(kept, KEPT, keys, None))
    except ProofError as error:
        return Collected(
            checkpoints, [Finding("changed", 0, "checkpoints", f"{KEPT}: {error.why}")]
        )
    return Collected(checkpoints, [])


def _witnesses(settings: Settings) -> list[Known]:
    return [] if settings.policy is None else [*Policy.read(settings.policy).witnesses.values()]


def _ask(url: str, origin: str) -> Note | None:
    """Returns the last checkpoint that a witness cosigned; None if it has none or does not answer."""
    place = f"{url.rstrip('/')}/{hashlib.sha256(origin.encode()).hexdigest()}/checkpoint"
    try:
        status, body = send("GET", place, "", WITNESS_TIMEOUT_SECONDS)
    except ProofError as error:
        LOG.warning("the checkpoint of a witness could not be read: %s", error)
        return None
    return Note.parse(body) if status == HTTPStatus.OK else None


def _files(settings: Settings, origin: str) -> Iterator[Path]:
    places = [
        Path(place) / "checkpoint" for place in settings.publish.split() if "://" not in place
    ]
    for file in (last_signed_file(settings, origin), *places):
        if file.is_file():
            yield file


def _known(
    note: Note, source: str, keys: Sequence[VerifierKey], seen: datetime | None
) -> KnownCheckpoint:
    """Returns the checkpoint with the time of a known witness's cosignature, or else of the file."""
    try:
        checkpoint = open_checkpoint(note, keys)
        signed = note.signed_by(keys)
    except ProofError as error:
        raise ProofError(error.what, f"{source}: {error.why}") from None
    # Times are of whole seconds: it was signed before the next one began.
    times = [signature.time + 1 for key, signature in signed if key.algorithm.is_timed]
    time = datetime.fromtimestamp(min(*times, LATEST_SECOND), UTC) if times else seen
    of_log = [
        s.time for k, s in signed if k.algorithm.is_timed and k.signs_as_log(checkpoint.origin)
    ]
    value = signed_time(note.text)
    parts = [*([] if value is None else [value]), *of_log]
    signed_at = datetime.fromtimestamp(min(*parts, LATEST_SECOND), UTC) if parts else None
    return KnownCheckpoint(checkpoint, source, time, signed_at)

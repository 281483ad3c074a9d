"""Verifies a folder of Parquet files against its manifest, without a database."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jobledger.infra.errors import ProofError
from jobledger.infra.proof.signing.checkpoints import Checkpoint, open_checkpoint
from jobledger.infra.proof.signing.notes import Note, VerifierKey
from jobledger.infra.transfer.exports.manifest import (
    MANIFEST,
    NOTE,
    Manifest,
    content_of,
    digest_of,
    parse_manifest,
    statement_of,
)
from jobledger.infra.transfer.exports.partitions import parquet_files


class Verified(NamedTuple):
    """A manifest that its files agree with, and the names of the known keys that signed it."""

    manifest: Manifest
    signers: list[str]


def verify_export(folder: Path, keys: Sequence[VerifierKey]) -> Verified:
    """Verifies a folder of Parquet files against its manifest, without a database.

    Args:
        folder: The folder.
        keys: The public keys to trust; without any, only the files are compared with the manifest.

    Returns:
        The manifest, and who signed it.

    Raises:
        ProofError: No trusted key signed the manifest, or the message names the first file, in the
            order of paths, that differs from it.
        FileAccessError: A file cannot be read.
    """
    content = content_of(folder, MANIFEST)
    manifest = parse_manifest(folder, content)
    signers = _signers(folder, content, manifest, keys) if keys else []
    if keys and manifest.checkpoint:
        checkpoint = open_checkpoint(Note.parse(manifest.checkpoint), keys)
        if manifest.position > checkpoint.size:
            why = f"its checkpoint covers {checkpoint.size} events, and it has those up to {manifest.position}"
            raise ProofError("manifest", why)
    check_files(folder, manifest)
    return Verified(manifest, signers)


def check_files(folder: Path, manifest: Manifest) -> None:
    """Compares the files of a folder with a manifest.

    Args:
        folder: The folder.
        manifest: The manifest.

    Raises:
        ProofError: The first file, in the order of paths, that is missing, not listed, or changed.
        FileAccessError: A file cannot be read.
    """
    listed = {file.path: file for file in manifest.files}
    found = {file.relative_to(folder).as_posix() for file in parquet_files(folder)}
    for path in sorted(listed.keys() | found):
        if path not in listed:
            raise ProofError("manifest", f"{folder / path} is not listed in {MANIFEST}")
        if path not in found:
            raise ProofError("manifest", f"{folder / path} is missing, and {MANIFEST} lists it")
        digest, size = digest_of(folder / path)
        if (digest, size) != (listed[path].sha256, listed[path].bytes):
            why = f"has {size} bytes with SHA-256 {digest}, and {MANIFEST} lists"
            expected = f"{listed[path].bytes} bytes with SHA-256 {listed[path].sha256}"
            raise ProofError("manifest", f"{folder / path} differs: it {why} {expected}")


def _signers(
    folder: Path, content: bytes, manifest: Manifest, keys: Sequence[VerifierKey]
) -> list[str]:
    """Returns the names of the keys that signed exactly this manifest."""
    note, origin = statement_of(folder)
    signed = [key for key, _ in note.signed_by(keys) if key.signs_as_log(origin)]
    if not signed:
        raise ProofError("manifest", f"no known key of {origin!r} signed {folder / NOTE}")
    stated = Checkpoint.parse(note.text)
    if (stated.size, stated.root) != (manifest.events, hashlib.sha256(content).digest()):
        raise ProofError("manifest", f"{folder / MANIFEST} differs from the one that was signed")
    return [key.name for key in signed]

"""The manifest of a Parquet export: which files it has, and a statement by the log's keys that signs for them.

`_manifest.json` names each file with its SHA-256, its number of events, and their first and last
position. `_manifest.note` is a signed note (C2SP signed-note) over it, in the form of a checkpoint:
a line that no log has as its name, the number of events, and the SHA-256 of `_manifest.json`.
Programs that read Parquet skip files whose names begin with `_`.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import orjson
from jobledger.domain.data import parse
from jobledger.domain.errors import LedgerError
from jobledger.domain.values import canonical
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.errors import FileAccessError, ProofError
from jobledger.infra.proof.signing.checkpoints import Checkpoint
from jobledger.infra.proof.signing.notes import Note, SigningKey
from jobledger.infra.transfer.exports.partitions import Partition
from jobledger.infra.transfer.exports.selection import Selection
from pydantic import BaseModel, ConfigDict, Field

MANIFEST: Final = "_manifest.json"
NOTE: Final = "_manifest.note"
MANIFEST_VERSION: Final = 1
"""The version of the manifest's form; it grows if older readers would misread it."""
_SIGNED_FOR: Final = "jobledger export manifest of "
"""How the first line of the note begins; a log's name has no spaces, so that no checkpoint begins like it."""
_PATH: Final = r"^day=[0-9]{4}-[0-9]{2}-[0-9]{2}/(kind=[a-z][A-Za-z]{0,62}/)?[A-Za-z0-9][A-Za-z0-9_.-]*\.parquet$"


class Part(NamedTuple):
    """A file of an export: its path in the folder, with /, and the events that it holds."""

    path: str
    events: int
    first_position: int
    last_position: int


class ListedFile(BaseModel):
    """A file as the manifest has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(pattern=_PATH)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)
    events: int = Field(ge=1)
    first_position: int = Field(alias="firstPosition", ge=1)
    last_position: int = Field(alias="lastPosition", ge=1)


class Manifest(BaseModel):
    """The content of a manifest; further keys say which events were asked for."""

    model_config = ConfigDict(frozen=True, extra="allow")

    jobledger: Literal["manifest"]
    version: Literal[1]
    ledger: str
    position: int = Field(ge=0)
    checkpoint: str = ""
    partition_by: list[str] = Field(alias="partitionBy")
    events: int = Field(ge=0)
    first_position: int | None = Field(alias="firstPosition")
    last_position: int | None = Field(alias="lastPosition")
    files: list[ListedFile]


def write_manifest(
    folder: Path,
    wanted: Selection,
    partition_by: Partition,
    parts: Iterable[Part],
    keys: Sequence[SigningKey],
) -> None:
    """Writes the manifest of an export, and signs it with all keys; without keys there is no note.

    Args:
        folder: The folder of the export, with its files.
        wanted: The events that were exported.
        partition_by: How the files are partitioned.
        parts: The files.
        keys: The log's keys.
    """
    files = [_listed(folder, part) for part in sorted(parts)]
    content: JsonObject = {"jobledger": "manifest", "version": MANIFEST_VERSION} | wanted.json()
    content |= {
        "format": "parquet",
        "partitionBy": list(partition_by.columns),
        "events": sum(file["events"] for file in files),
        "firstPosition": min((file["firstPosition"] for file in files), default=None),
        "lastPosition": max((file["lastPosition"] for file in files), default=None),
        "files": files,
    }
    text = orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    (folder / MANIFEST).write_bytes(text)
    if keys:
        (folder / NOTE).write_text(str(_sign(text, content["events"], keys)))


def read_manifest(folder: Path) -> Manifest:
    """Reads a manifest, and trusts nothing of it.

    Args:
        folder: The folder of the export.

    Returns:
        The manifest.

    Raises:
        ProofError: There is none, or it is not one of an export.
    """
    return parse_manifest(folder, content_of(folder, MANIFEST))


def _listed(folder: Path, part: Part) -> dict[str, Any]:
    digest, size = digest_of(folder / part.path)
    return {
        "path": part.path,
        "sha256": digest,
        "bytes": size,
        "events": part.events,
        "firstPosition": part.first_position,
        "lastPosition": part.last_position,
    }


def _sign(content: bytes, events: int, keys: Sequence[SigningKey]) -> Note:
    origin = f"{_SIGNED_FOR}{keys[0].verifier.name}"
    now = int(time.time())
    text = Checkpoint(origin, events, hashlib.sha256(content).digest()).text_at(now)
    return Note(text, tuple(key.sign(text, now) for key in keys))


def statement_of(folder: Path) -> tuple[Note, str]:
    """Returns the note, and the name of the log that it claims to be of; neither is verified."""
    note = Note.parse(content_of(folder, NOTE))
    first = Checkpoint.parse(note.text).origin
    if not first.startswith(_SIGNED_FOR):
        raise ProofError("manifest", f"{folder / NOTE} does not begin with {_SIGNED_FOR!r}")
    return note, first.removeprefix(_SIGNED_FOR)


def parse_manifest(folder: Path, content: bytes) -> Manifest:
    """Returns the manifest of a folder from its content; raises ProofError if it is not one."""
    try:
        return parse(Manifest, canonical.decode(content))
    except LedgerError as error:
        raise ProofError("manifest", f"{folder / MANIFEST} is not one: {error}") from None


def content_of(folder: Path, name: str) -> bytes:
    """Reads the manifest or its note; raises ProofError if there is none."""
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError:
        why = "is not signed" if name == NOTE else "has no manifest"
        raise ProofError("manifest", f"{folder} {why}: there is no {name}") from None
    except OSError as error:
        raise _unreadable(folder / name, error) from None


def digest_of(file: Path) -> tuple[str, int]:
    """Returns the SHA-256 of a file, in hex, and its size in bytes; raises FileAccessError."""
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest(), file.stat().st_size
    except OSError as error:
        raise _unreadable(file, error) from None


def _unreadable(file: Path, error: OSError) -> FileAccessError:
    return FileAccessError("manifest", f"{file} cannot be read: {error.strerror or error}")

"""A witness's two files: its key, and its last cosigned notes, which must never be lost or mixed up."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import orjson
from jobledger.infra.errors import FileAccessError, ProofError
from jobledger.infra.proof.signing import notes
from jobledger.infra.proof.signing.algorithms import COSIGNATURE
from jobledger.infra.proof.signing.checkpoints import Checkpoint
from jobledger.infra.proof.signing.keys import read_private, read_text, write_private

EMPTY_STATE: Final = "{}\n"
"""The memory of a witness that never cosigned."""
MAX_STATE_BYTES: Final = 1_000_000
"""The limit of `read_text`: enough for two thousand logs."""


class Memory:
    """The last cosigned note of each log, in one JSON file: origin -> note."""

    def __init__(self, path: Path, key: notes.VerifierKey) -> None:
        """Raises ProofError for a file that is missing, damaged, or of another witness."""
        self._path = path
        self._key = key
        self.all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Locks the file against other threads and processes; raises ProofError."""
        path = self._path.with_name(f"{self._path.name}.lock")
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ProofError("state", f"{path} cannot be opened: {error.strerror}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def last(self, origin: str) -> notes.Note | None:
        """Returns the last note cosigned for a log; raises ProofError if the file was changed."""
        value = self._read().get(origin)
        return None if value is None else self._opened(origin, value)

    def all(self) -> dict[str, notes.Note]:
        """Returns the last note of each log; raises ProofError."""
        return {origin: self._opened(origin, value) for origin, value in self._read().items()}

    def keep(self, origin: str, note: notes.Note) -> None:
        """Stores the note durably, while locked; raises ProofError."""
        text = orjson.dumps(self._read() | {origin: str(note)}, option=orjson.OPT_INDENT_2)
        if len(text) >= MAX_STATE_BYTES:
            raise ProofError("state", f"{self._path} would be longer than {MAX_STATE_BYTES} bytes")
        write_private(self._path, f"{text.decode()}\n")

    def _read(self) -> dict[str, Any]:
        if not _is_there(self._path):
            raise ProofError(
                "state",
                f"{self._path} is not there: a witness that forgot would cosign two histories;"
                f" if it never cosigned, write {EMPTY_STATE.strip()} into it",
            )
        try:
            fields = orjson.loads(read_text(self._path, "state"))
        except orjson.JSONDecodeError:
            raise ProofError("state", f"{self._path} is damaged: it is not JSON") from None
        if not isinstance(fields, dict):
            raise ProofError(
                "state", f"{self._path} is not a witness's state: it is not a JSON object"
            )
        return fields

    def _opened(self, origin: str, value: Any) -> notes.Note:
        """Parses the note, if this witness cosigned it for that log."""
        try:
            note = notes.Note.parse(value if isinstance(value, str) else "")
            ours = note.signed_by([self._key]) and Checkpoint.parse(note.text).origin == origin
        except ProofError as error:
            why = f"{self._path} is damaged at {origin[:80]!r}: {error}"
            raise ProofError("state", why) from None
        if not ours:
            why = f"the checkpoint of {origin[:80]!r} in {self._path} was not cosigned by {self._key.name!r}"
            raise ProofError("state", why)
        return note


def read_key(path: Path) -> notes.SigningKey:
    """Reads a witness's key; raises ProofError if others can read the file, or it is not valid."""
    try:
        key = notes.SigningKey.parse(read_private(path))
    except FileNotFoundError as error:
        raise ProofError("key", f"{path} cannot be read: {error.strerror}") from None
    if not key.verifier.algorithm.is_of_witness:
        raise ProofError("key", f"{path} has the key of a log; a witness needs its own")
    return key


def open_files(
    key_file: Path, state: Path, name: str | None, type_: int = COSIGNATURE
) -> tuple[notes.SigningKey, Memory]:
    """Opens a witness's key and memory; both are created if there is no key.

    Args:
        key_file: The file of the private key.
        state: The file of the last cosigned checkpoints.
        name: The name of a new key.
        type_: The algorithm of a new key.

    Returns:
        The key and the memory.

    Raises:
        ProofError: There is no key and no name, the key has another name, or a file cannot be used.
    """
    if _is_there(key_file):
        key = read_key(key_file)
        if name not in {None, key.verifier.name}:
            raise ProofError("key", f"{key_file} holds the key of {key.verifier.name!r}")
        return key, Memory(state, key.verifier)
    if name is None:
        raise ProofError(
            "key", f"{key_file} does not exist; to create it, give the witness's --name"
        )
    key = notes.SigningKey.generate(name, type_)
    # The key is written last: without a key nothing was cosigned, so both files can be created again.
    if not _is_there(state):
        write_private(state, EMPTY_STATE)
    memory = Memory(state, key.verifier)
    write_private(key_file, f"{key.secret}\n")
    return key, memory


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise FileAccessError("file", f"{path} cannot be read: {error.strerror}") from None
    return True

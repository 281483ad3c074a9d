"""A witness's two files: its key, and what it cosigned last, which it must never forget or mix up."""

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

EMPTY: Final = "{}\n"
"""What the memory of a witness that never cosigned holds."""
MAX_STATE: Final = 1_000_000
"""Bytes, as `read_text` takes no more: some two thousand logs."""


class Memory:
    """The last note cosigned for each log, in one JSON file: origin -> note, with the cosignature."""

    def __init__(self, path: Path, key: notes.VerifierKey) -> None:
        """Raises ProofError for a file that is missing, damaged, or of another witness."""
        self._path = path
        self._key = key
        self.all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keeps other threads and processes from changing it meanwhile; raises ProofError."""
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
        """The last note cosigned for a log; raises ProofError where that is not what was kept."""
        said = self._read().get(origin)
        return None if said is None else self._opened(origin, said)

    def all(self) -> dict[str, notes.Note]:
        """The last note of each log; raises ProofError."""
        return {origin: self._opened(origin, said) for origin, said in self._read().items()}

    def keep(self, origin: str, note: notes.Note) -> None:
        """Remembers it for good, `alone`; raises ProofError."""
        text = orjson.dumps(self._read() | {origin: str(note)}, option=orjson.OPT_INDENT_2)
        if len(text) >= MAX_STATE:
            raise ProofError("state", f"{self._path} would be longer than {MAX_STATE} bytes")
        write_private(self._path, f"{text.decode()}\n")

    def _read(self) -> dict[str, Any]:
        if not _is_there(self._path):
            raise ProofError(
                "state",
                f"{self._path} is not there: a witness that forgot would cosign two histories;"
                f" if it never cosigned, write {EMPTY.strip()} into it",
            )
        try:
            said = orjson.loads(read_text(self._path, "state"))
        except orjson.JSONDecodeError:
            raise ProofError("state", f"{self._path} is damaged: it is not JSON") from None
        if not isinstance(said, dict):
            raise ProofError("state", f"{self._path} is no witness's state: no JSON object")
        return said

    def _opened(self, origin: str, said: Any) -> notes.Note:
        """The note, if this witness cosigned it for that log."""
        try:
            note = notes.Note.parse(said if isinstance(said, str) else "")
            ours = note.signed_by([self._key]) and Checkpoint.parse(note.text).origin == origin
        except ProofError as error:
            why = f"{self._path} is damaged at {origin[:80]!r}: {error}"
            raise ProofError("state", why) from None
        if not ours:
            why = f"what {self._path} has of {origin[:80]!r} was not cosigned by {self._key.name!r}"
            raise ProofError("state", why)
        return note


def read_key(path: Path) -> notes.SigningKey:
    """A witness's key; raises ProofError where others can read it, or it is none."""
    try:
        key = notes.SigningKey.parse(read_private(path))
    except FileNotFoundError as error:
        raise ProofError("key", f"{path} cannot be read: {error.strerror}") from None
    if not key.verifier.algorithm.is_of_witness:
        raise ProofError("key", f"{path} holds a log's key, not a witness's")
    return key


def open_files(
    key_file: Path, state: Path, name: str | None, type_: int = COSIGNATURE
) -> tuple[notes.SigningKey, Memory]:
    """A witness's key and memory, both made where there is no key yet; that takes a name for it.

    Raises ProofError.
    """
    if _is_there(key_file):
        key = read_key(key_file)
        if name not in {None, key.verifier.name}:
            raise ProofError("key", f"{key_file} holds the key of {key.verifier.name!r}")
        return key, Memory(state, key.verifier)
    if name is None:
        raise ProofError("key", f"{key_file} is not there; to make one, say the witness's --name")
    key = notes.SigningKey.generate(name, type_)
    # The key comes last: while there is none, nothing was cosigned and all can be made again.
    if not _is_there(state):
        write_private(state, EMPTY)
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

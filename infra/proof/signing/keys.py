"""The log's own keys: in a file that only its owner can read, or in JOBLEDGER_SIGNING_KEY."""

import glob
import os
import re
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import get_ident
from typing import Final

from jobledger.infra.errors import FileAccessError, ProofError
from jobledger.infra.proof.signing.algorithms import SIGNATURE
from jobledger.infra.proof.signing.notes import SigningKey, VerifierKey
from jobledger.infra.settings import Settings

MAX_FILE_BYTES: Final = 1_000_000
"""The greatest size of a file of keys, of a note or of a receipt."""


def keys_folder(settings: Settings) -> Path:
    """Returns the folder of key files and last signed checkpoints."""
    return settings.home.expanduser() / "keys"


def key_file(settings: Settings, origin: str) -> Path:
    """Returns the path of a log's key file."""
    return keys_folder(settings) / f"{_plain(origin)}.key"


def last_signed_file(settings: Settings, origin: str) -> Path:
    """Returns the path of a log's last checkpoint, which must survive any restored database."""
    return keys_folder(settings) / f"{_plain(origin)}.checkpoint"


def database_file(settings: Settings, origin: str) -> Path:
    """Returns the path of the file that names the database in which a log was last signed."""
    return keys_folder(settings) / f"{_plain(origin)}.database"


def epoch_file(settings: Settings, origin: str, epoch: int) -> Path:
    """Returns the path of a log's statement that it was resumed after a loss."""
    return keys_folder(settings) / f"{_plain(origin)}.epoch-{epoch}"


def epoch_files(settings: Settings, origin: str) -> list[Path]:
    """Returns the paths of all such statements of a log on this machine."""
    return sorted(keys_folder(settings).glob(f"{glob.escape(_plain(origin))}.epoch-*"))


def find_keys(settings: Settings, origin: str) -> list[SigningKey]:
    """Returns the keys that a log is signed with; those in the environment come first.

    During a key rotation there are two, and both sign.

    Args:
        settings: Where the keys are.
        origin: The name of the log.

    Returns:
        The keys; none if this machine has none.

    Raises:
        ProofError: A key is not valid, is of another log, or its file can be read by others.
    """
    if settings.signing_key is not None:
        keys = _parse(settings.signing_key.split())
        return [key for key in keys if key.verifier.name == origin]
    path = key_file(settings, origin)
    try:
        keys = _parse(read_private(path).split())
    except FileNotFoundError:
        return []
    for key in keys:
        if key.verifier.name != origin:
            raise ProofError("key", f"{path} holds a key of {key.verifier.name!r}, not {origin!r}")
    return keys


def require_keys(settings: Settings, origin: str) -> list[SigningKey]:
    """Returns the keys as `find_keys` does; raises ProofError also if this machine has none."""
    if keys := find_keys(settings, origin):
        return keys
    raise ProofError("key", f"no key of {origin} is on this machine, so nothing can be signed")


def key_origins(settings: Settings) -> set[str]:
    """Returns the names of the logs with keys here; unreadable files are skipped."""
    if settings.signing_key is not None:
        return {key.verifier.name for key in _parse(settings.signing_key.split())}
    found: set[str] = set()
    for path in sorted(keys_folder(settings).glob("*.key")):
        with suppress(ProofError, FileNotFoundError):
            found |= {key.verifier.name for key in _parse(read_private(path).split())}
    return found


def create_key(settings: Settings, origin: str, type_: int = SIGNATURE) -> SigningKey:
    """Creates another key of the log. All keys sign until they are retired."""
    keys = [*find_keys(settings, origin), SigningKey.generate(origin, type_)]
    _keep(settings, origin, keys)
    return keys[-1]


def retire_keys(settings: Settings, origin: str) -> list[SigningKey]:
    """Removes all keys but the newest, and returns the removed ones."""
    keys = find_keys(settings, origin)
    if len(keys) < 2:
        raise ProofError(
            "key", f"{origin} has {len(keys)} keys; make a new one before the old is retired"
        )
    _keep(settings, origin, keys[-1:])
    return keys[:-1]


def read_verifiers(given: Sequence[str]) -> list[VerifierKey]:
    """Reads public keys: vkeys, or files with one per line (`#` begins a comment). Raises ProofError."""
    found: list[VerifierKey] = []
    for each in given:
        if _looks_like_key(each):
            found.append(VerifierKey.parse(each))
            continue
        lines = [line.strip() for line in read_text(Path(each), "key").splitlines()]
        found += [VerifierKey.parse(line) for line in lines if line and not line.startswith("#")]
        if not lines:
            raise ProofError("key", f"{each} contains no key; write one per line (NAME+ID+BASE64)")
    return found


def read_text(path: Path, what: str) -> str:
    """Reads a small text file; raises ProofError if it cannot be read."""
    try:
        text = read_bytes(path, what).decode("utf-8")
    except UnicodeDecodeError:
        raise ProofError(what, f"{path} is not text in UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_bytes(path: Path, what: str) -> bytes:
    """Reads a small file; raises ProofError if it cannot be read."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ProofError(what, f"{path} has more than {MAX_FILE_BYTES:,} bytes, the limit")
        return path.read_bytes()
    except OSError as error:
        raise FileAccessError(what, f"{path} cannot be read: {error.strerror or error}") from None


def read_private(path: Path) -> str:
    """Reads a key file; raises FileNotFoundError, and ProofError if others can read it."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise
    except OSError as error:
        raise FileAccessError("key", f"{path} cannot be read: {error.strerror}") from None
    if stat.S_IMODE(mode) & 0o077:
        raise ProofError("key", f"{path} can be read by others; restrict it with: chmod 600")
    return read_text(path, "key")


def write_private(path: Path, text: str) -> None:
    """Replaces a file atomically and durably; only its owner can read it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{get_ident()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise FileAccessError(
            "file", f"{path} cannot be written: {error.strerror or error}"
        ) from None


def _keep(settings: Settings, origin: str, keys: list[SigningKey]) -> None:
    if settings.signing_key is not None:
        raise ProofError("key", "the keys are in JOBLEDGER_SIGNING_KEY: change them there")
    write_private(key_file(settings, origin), "".join(f"{key.secret}\n" for key in keys))


def _parse(words: Sequence[str]) -> list[SigningKey]:
    keys = [SigningKey.parse(word) for word in words]
    for key in keys:
        if not key.verifier.algorithm.is_of_log:
            raise ProofError("key", "this is a witness's key: a log signs with its own")
    return keys


def _looks_like_key(text: str) -> bool:
    return re.fullmatch(r"[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+", text.strip()) is not None


def _plain(origin: str) -> str:
    """Returns the origin as a file name."""
    return re.sub(r"[^A-Za-z0-9.-]", "_", origin)

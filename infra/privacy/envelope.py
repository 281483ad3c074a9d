"""Personal values in an event's data: encrypted before they are stored, decrypted for display.

A writer puts `{"@personal": {"subject": "user:alice", "value": any JSON}}` anywhere in the data. It
is stored as `{"@personal": {"key": id, "sealed": "siv." + base64 of the ciphertext}}`: AES-256-SIV
(RFC 5297) under a key that HKDF-SHA512 (RFC 5869) derives from the subject's key; the key's id is
the additional data. It is displayed as the value, or as `{"@erased": {"key": id}}` once the key is
destroyed (crypto-shredding).

SIV is deterministic, so that a repeated request writes the same bytes as the first. A reader of the
table can therefore see that two values of one subject are equal, and nothing else: equal values of
two subjects differ.

An earlier form is also read: without "siv.", base64 of nonce || ciphertext || tag of AES-256-GCM
(NIST SP 800-38D), where the nonce is the beginning of HMAC-SHA256(key, plaintext).
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values import canonical
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.mending import PERSONAL
from jobledger.domain.values.names import parse_text
from jobledger.infra.errors import BrokenLedgerError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

ERASED: Final = "@erased"
MARKER: Final = b'"@personal"'
"""Bytes in canonical JSON wherever it contains a personal value."""
KEY_SIZE: Final = 32
NONCE_SIZE: Final = 12
TAG_SIZE: Final = 16
SIV: Final = "siv."
"""The prefix of values that are encrypted with AES-SIV."""
_SIV_KEY_SIZE: Final = 64
_SIV_KEY_OF: Final = b"jobledger personal values AES-256-SIV"
_KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


class NotEncryptedError(InvalidFieldError):
    """Personal values were about to be stored unencrypted; nothing was stored."""

    def __init__(self) -> None:
        super().__init__(PERSONAL, "must be encrypted before it is stored")


class Key(NamedTuple):
    """A subject's key: its id in the events, and its 32 bytes."""

    id: str
    value: bytes


class Plain(NamedTuple):
    """A personal value as a writer gives it."""

    subject: str
    value: Any


class Encrypted(NamedTuple):
    """A personal value as it is stored; `sealed` is the ciphertext as text."""

    key: str
    sealed: str

    @property
    def json(self) -> JsonObject:
        """Returns the object that is stored in the event's data."""
        return {PERSONAL: self._asdict()}

    def decrypt(self, key: bytes) -> Any:
        """Returns the value; raises BrokenLedgerError if the ciphertext or the key was changed."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            data = base64.b64decode(self.sealed.removeprefix(SIV), validate=True)
            if self.sealed.startswith(SIV):
                plain = _siv(key).decrypt(data, [self.key.encode()])
            else:
                nonce, ciphertext = data[:NONCE_SIZE], data[NONCE_SIZE:]
                plain = AESGCM(key).decrypt(nonce, ciphertext, self.key.encode())
            return canonical.loads(plain)["value"]
        except (InvalidTag, binascii.Error, ValueError, KeyError, TypeError):
            raise BrokenLedgerError(
                f"personal data under key {self.key}", 0, "does not open: it or its key was changed"
            ) from None


def encrypt(value: Any, key: Key) -> Encrypted:
    """Encrypts the value under that key; raises InvalidFieldError for a value that is not JSON."""
    ciphertext = _siv(key.value).encrypt(canonical.encode({"value": value}), [key.id.encode()])
    return Encrypted(key.id, SIV + base64.b64encode(ciphertext).decode())


def beginning(key: str) -> bytes:
    """Returns the beginning of all values stored under that key, which no other text contains."""
    return canonical.encode({PERSONAL: {"key": key}})[1:-2] + b","


def parse_marker(fields: JsonObject) -> Plain | Encrypted:
    """Parses an object with the key `@personal`; raises InvalidFieldError for neither form."""
    inner = fields[PERSONAL]
    if len(fields) > 1:
        raise InvalidFieldError(PERSONAL, "must be the only key of its object")
    match inner:
        case {"subject": subject, "value": value, **rest} if not rest:
            if next(markers(value), None) is not None:
                raise InvalidFieldError(
                    PERSONAL, "contains another personal value; give each a field of its own"
                )
            name = parse_text(f"{PERSONAL}.subject", subject)
            if name is None:
                raise InvalidFieldError(
                    f"{PERSONAL}.subject", "is missing; give the subject, such as user:7"
                )
            return Plain(name, value)
        case {"key": str(key), "sealed": str(sealed), **rest} if not rest:
            if _KEY_ID.fullmatch(key) is None or not _may_be_encrypted(sealed):
                raise InvalidFieldError(
                    PERSONAL, "is not a value that this ledger encrypted; give {subject, value}"
                )
            return Encrypted(key, sealed)
    raise InvalidFieldError(PERSONAL, 'is not {"subject": …, "value": …}')


def check_encrypted(encoded: bytes) -> bytes:
    """Returns the canonical JSON; raises NotEncryptedError if a personal value is not encrypted."""
    if MARKER in encoded:
        found = [parse_marker(each) for each in markers(canonical.decode(encoded))]
        if any(isinstance(each, Plain) for each in found):
            raise NotEncryptedError
    return encoded


def markers(value: Any) -> Iterator[JsonObject]:
    """Yields the outermost objects with the key `@personal`."""
    match value:
        case dict() if PERSONAL in value:
            yield value
        case dict():
            for each in value.values():
                yield from markers(each)
        case list() | tuple():
            for each in value:
                yield from markers(each)


def replaced(value: Any, by: Callable[[JsonObject], Any]) -> Any:
    """Returns the value with each of these objects replaced."""
    match value:
        case dict() if PERSONAL in value:
            return by(value)
        case dict():
            return {key: replaced(each, by) for key, each in value.items()}
        case list() | tuple():
            return [replaced(each, by) for each in value]
    return value


def stored_parts(value: Any) -> Iterator[Encrypted]:
    """Returns the encrypted values in stored JSON; raises BrokenLedgerError for a changed one."""
    for each in markers(value):
        if (part := _stored(each)) is not None:
            yield part


def decrypted(value: Any, keys: Mapping[str, bytes | None]) -> Any:
    """Returns stored JSON for display; keys that are None were erased. Raises BrokenLedgerError."""

    def show(fields: JsonObject) -> Any:
        part = _stored(fields)
        if part is None:
            return fields
        key = keys[part.key]
        return {ERASED: {"key": part.key}} if key is None else part.decrypt(key)

    return replaced(value, show)


def is_repeated(mine: Any, stored: Any, keys: Mapping[str, bytes | None]) -> bool:
    """Whether `mine` equals the stored data, as far as that was not erased (its key is None)."""
    match mine, stored:
        case {"@personal": _}, {"@personal": {"key": str(id_)}} if mine != stored:
            key = keys[id_]
            return key is None or _are_equal(_stored(mine), _stored(stored), key)
        case dict(), dict():
            return mine.keys() == stored.keys() and all(
                is_repeated(each, stored[name], keys) for name, each in mine.items()
            )
        case list(), list():
            return len(mine) == len(stored) and all(
                is_repeated(one, other, keys) for one, other in zip(mine, stored, strict=True)
            )
    return bool(mine == stored)


def _are_equal(mine: Encrypted | None, stored: Encrypted | None, key: bytes) -> bool:
    """Whether both contain the same value under that key, in either form."""
    if mine is None or stored is None or mine.key != stored.key:
        return False
    return bool(mine.decrypt(key) == stored.decrypt(key))


def _siv(key: bytes) -> "AESSIV":
    """Returns the cipher of a subject's key."""
    # Here and in `decrypt`: cryptography takes long to import, and few ledgers hold personal values.
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV
    from cryptography.hazmat.primitives.hashes import SHA512
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return AESSIV(HKDF(SHA512(), _SIV_KEY_SIZE, None, _SIV_KEY_OF).derive(key))


def _stored(fields: JsonObject) -> Encrypted | None:
    """Returns an encrypted value; None for an older object that only looks like one."""
    inner = fields[PERSONAL]
    if not isinstance(inner, dict) or not inner.keys() & {"key", "sealed"}:
        return None
    try:
        part = parse_marker(fields)
    except InvalidFieldError:
        raise BrokenLedgerError("personal data", 0, "is not as it was encrypted") from None
    return part if isinstance(part, Encrypted) else None


def _may_be_encrypted(text: str) -> bool:
    try:
        sealed = base64.b64decode(text.removeprefix(SIV), validate=True)
        return len(sealed) > TAG_SIZE + (0 if text.startswith(SIV) else NONCE_SIZE)
    except binascii.Error:
        return False

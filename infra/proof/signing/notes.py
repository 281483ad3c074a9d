"""Signed notes, the keys that sign them, checkpoints, and cosignatures: C2SP signed-note,
tlog-checkpoint and tlog-cosignature, with Ed25519 (RFC 8032).

All that is parsed here comes from somewhere else, and is believed only as far as a known key signed it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from jobledger.domain.proof.merkle import HASH_SIZE
from jobledger.infra.errors import ProofError

if TYPE_CHECKING:
    # Imported where something is signed or verified: it takes long, and readers do neither.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SIGNATURE: Final = 0x01
"""The type of a log's signature: Ed25519 over the note's text."""
COSIGNATURE: Final = 0x04
"""The type of a witness's signature: Ed25519, with the time it was made."""
MAX_NOTE: Final = 64 * 1024
MAX_SIGNATURES: Final = 100

_NAME: Final = re.compile(r"[^\s+\x00-\x1f\x7f\ud800-\udfff]+")
_ID: Final = re.compile(r"[0-9a-f]{8}")
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_DASH: Final = "\u2014 "


class VerifierKey(NamedTuple):
    """A public key as signed-note writes it (a vkey): whose it is, and what it signs."""

    name: str
    id: bytes
    """4 bytes that tell the keys of a name apart."""
    type: int
    public: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ProofError for what is no vkey of a type known here."""
        name, *rest = text.strip().split("+", 2)
        try:
            id_, material = _id_of(rest[0]), decode_base64(rest[1])
        except (IndexError, ValueError) as error:
            raise ProofError("key", f"{text[:80]!r} is no key (NAME+ID+BASE64)") from error
        if len(material) != 33 or material[0] not in {SIGNATURE, COSIGNATURE}:
            raise ProofError("key", f"{name[:80]!r} is not of Ed25519, or of no type known here")
        key = cls.made(name, material[0], material[1:])
        if key.id != id_:
            raise ProofError("key", f"{name[:80]!r} is damaged: its id is not the one of its key")
        return key

    @classmethod
    def made(cls, name: str, type_: int, public: bytes) -> Self:
        """The vkey of a public key of 32 bytes."""
        if _NAME.fullmatch(name) is None:
            raise ProofError("key", f"{name[:80]!r} is no key's name: no spaces and no +")
        digest = hashlib.sha256(name.encode() + b"\n" + bytes([type_]) + public).digest()
        return cls(name, digest[:4], type_, public)

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{_encoded(bytes([self.type]) + self.public)}"

    def verifies(self, signature: bytes, text: str) -> bool:
        """Whether it signed that text."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        signed = text.encode()
        if self.type == COSIGNATURE:
            if len(signature) != 72:
                return False
            signed = _cosigned(int.from_bytes(signature[:8]), text)
            signature = signature[8:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, signed)
        except (InvalidSignature, ValueError):
            return False
        return True


class SigningKey(NamedTuple):
    """A private key, in the text form of golang.org/x/mod/sumdb/note: PRIVATE+KEY+NAME+ID+BASE64."""

    verifier: VerifierKey
    seed: bytes

    @classmethod
    def generate(cls, name: str, type_: int = SIGNATURE) -> Self:
        """A new one."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls._of(name, type_, Ed25519PrivateKey.generate())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ProofError, which does not repeat what is secret."""
        parts = text.strip().split("+", 4)
        try:
            if parts[:2] != ["PRIVATE", "KEY"]:
                raise ValueError
            name, id_, material = parts[2], _id_of(parts[3]), decode_base64(parts[4])
            if len(material) != 33:
                raise ValueError
        except (IndexError, ValueError):
            raise ProofError("key", "this is no private key (PRIVATE+KEY+NAME+ID+BASE64)") from None
        key = cls._of(name, material[0], _private_key(material[1:]))
        if key.verifier.id != id_:
            raise ProofError("key", "the private key is damaged: its id is not the one of its key")
        return key

    @classmethod
    def _of(cls, name: str, type_: int, private: Ed25519PrivateKey) -> Self:
        public = private.public_key().public_bytes_raw()
        return cls(VerifierKey.made(name, type_, public), private.private_bytes_raw())

    @property
    def secret(self) -> str:
        """Its text, to be kept."""
        verifier = self.verifier
        material = _encoded(bytes([verifier.type]) + self.seed)
        return f"PRIVATE+KEY+{verifier.name}+{verifier.id.hex()}+{material}"

    def __repr__(self) -> str:
        return f"SigningKey({self.verifier})"

    def sign(self, text: str, time: int = 0) -> Signature:
        """Its signature under a note's text; that of a witness at a POSIX time."""
        private = _private_key(self.seed)
        if self.verifier.type == COSIGNATURE:
            made = time.to_bytes(8) + private.sign(_cosigned(time, text))
        else:
            made = private.sign(text.encode())
        return Signature(self.verifier.name, self.verifier.id, made)


class Signature(NamedTuple):
    """One line under a note."""

    name: str
    key_id: bytes
    made: bytes

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {_encoded(self.key_id + self.made)}\n"

    @property
    def time(self) -> int:
        """Of a cosignature: when it was made (POSIX)."""
        return int.from_bytes(self.made[:8])


class Note(NamedTuple):
    """A text with signatures, none of which is verified yet; `str` is what is sent and kept."""

    text: str
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, note: str | bytes) -> Self:
        """Raises ProofError for what is no signed note."""
        try:
            said = (note if isinstance(note, bytes) else note.encode()).decode()
        except UnicodeError as error:
            raise ProofError("note", "is not UTF-8") from error
        if len(said) > MAX_NOTE:
            raise ProofError("note", f"is longer than {MAX_NOTE} characters")
        if any(character < " " and character != "\n" for character in said):
            raise ProofError("note", "holds control characters")
        text, blank, signatures = said.rpartition("\n\n")
        if not blank or not signatures.endswith("\n"):
            raise ProofError("note", "is no signed note, or is cut off")
        lines = signatures.removesuffix("\n").split("\n")
        if len(lines) > MAX_SIGNATURES:
            raise ProofError("note", f"has more than {MAX_SIGNATURES} signatures")
        return cls(text + "\n", parse_signatures(lines))

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(map(str, self.signatures))}"

    def signed_by(self, keys: Iterable[VerifierKey]) -> list[tuple[VerifierKey, Signature]]:
        """Which of the keys signed it; those of others are not looked at.

        Raises ProofError where one of the keys is named and did not sign.
        """
        known = {(key.name, key.id): key for key in keys}
        found = []
        for signature in self.signatures:
            key = known.get((signature.name, signature.key_id))
            if key is None:
                continue
            if not key.verifies(signature.made, self.text):
                raise ProofError("signature", f"the one of {key.name!r} does not hold")
            found.append((key, signature))
        return found

    def with_signatures(self, more: Iterable[Signature]) -> Self:
        """The same note with these signatures after its own, none twice from one key."""
        merged = {(each.name, each.key_id): each for each in (*self.signatures, *more)}
        return self._replace(signatures=tuple(merged.values()))


class Checkpoint(NamedTuple):
    """How a log stood: its origin, how many leaves, and the root over them."""

    origin: str
    size: int
    root: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """From a note's text; raises ProofError. Lines after the third are let be."""
        lines = text.removesuffix("\n").split("\n")
        if len(lines) < 3 or not all(lines):
            raise ProofError("checkpoint", "has not the three lines origin, size and root")
        if _NUMBER.fullmatch(lines[1]) is None:
            raise ProofError("checkpoint", f"{lines[1][:40]!r} is no size")
        return cls(lines[0], int(lines[1]), decode_hash(lines[2], "checkpoint"))

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{_encoded(self.root)}\n"


def open_checkpoint(note: Note, keys: Sequence[VerifierKey]) -> Checkpoint:
    """What a log said in a note; raises ProofError unless one of its keys, which are among these, signed it."""
    checkpoint = Checkpoint.parse(note.text)
    of_log = [key for key in keys if key.type == SIGNATURE]
    if not any(key.name == checkpoint.origin for key in of_log):
        names = ", ".join(sorted({repr(key.name) for key in of_log})) or "none"
        raise ProofError(
            "checkpoint", f"is of {checkpoint.origin[:80]!r}, and the known keys are of {names}"
        )
    if not note.signed_by(key for key in of_log if key.name == checkpoint.origin):
        raise ProofError("checkpoint", "no known key of its log signed it")
    return checkpoint


def parse_signatures(lines: Iterable[str]) -> tuple[Signature, ...]:
    """Lines of signatures, without their ends; raises ProofError."""
    return tuple(_parse_signature(line) for line in lines)


def _parse_signature(line: str) -> Signature:
    name, _, material = line.removeprefix(_DASH).partition(" ")
    try:
        made = decode_base64(material)
    except ValueError:
        made = b""
    if not line.startswith(_DASH) or _NAME.fullmatch(name) is None or len(made) < 5:
        raise ProofError("note", f"{line[:60]!r} is no signature")
    return Signature(name, made[:4], made[4:])


def decode_hash(line: str, what: str) -> bytes:
    """A SHA-256 hash in base64; raises ProofError."""
    try:
        decoded = decode_base64(line)
    except ValueError:
        decoded = b""
    if len(decoded) != HASH_SIZE:
        raise ProofError(what, f"{line[:60]!r} is no SHA-256 hash in base64")
    return decoded


def encode_hashes(hashes: Iterable[bytes]) -> str:
    """A line each."""
    return "".join(f"{_encoded(each)}\n" for each in hashes)


def parse_number(text: str, what: str) -> int:
    """A decimal without leading zeros; raises ProofError."""
    if _NUMBER.fullmatch(text) is None:
        raise ProofError(what, f"{text[:40]!r} is no number")
    return int(text)


def _private_key(seed: bytes) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed)


def _cosigned(time: int, text: str) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def _id_of(text: str) -> bytes:
    """Raises ValueError."""
    if _ID.fullmatch(text) is None:
        raise ValueError("is no key's id")
    return bytes.fromhex(text)


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()


def decode_base64(text: str) -> bytes:
    """RFC 4648, section 4. Raises ValueError, also for what another base64 would have been written as."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("is not base64") from error
    if _encoded(decoded) != text:
        raise ValueError("is not base64 as it would be written")
    return decoded

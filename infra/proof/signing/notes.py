"""Signed notes and the keys that sign them, checkpoints and cosignatures.

The formats are C2SP signed-note, tlog-checkpoint and tlog-cosignature, with the algorithms of
algorithms.py. Everything that is parsed here comes from elsewhere, and is trusted only as far as a
known key signed it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from collections.abc import Iterable
from typing import Final, NamedTuple, Self

from jobledger.domain.proof.merkle import HASH_SIZE
from jobledger.infra.errors import ProofError, UnknownAlgorithmError
from jobledger.infra.proof.signing import algorithms
from jobledger.infra.proof.signing.algorithms import ALGORITHMS, SEED_SIZE, SIGNATURE, Algorithm

MAX_NOTE: Final = 64 * 1024
MAX_SIGNATURES: Final = 100

_NAME: Final = re.compile(r"[^\s+\x00-\x1f\x7f\ud800-\udfff]+")
_ID: Final = re.compile(r"[0-9a-f]{8}")
NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_DASH: Final = "\u2014 "


class VerifierKey(NamedTuple):
    """A public key in signed-note's form (a vkey): its owner's name, and what it verifies.

    Attributes:
        name: The name of the log or witness.
        id: 4 bytes that distinguish the keys of a name.
        type: The algorithm and purpose.
        public: The public key.
    """

    name: str
    id: bytes
    type: int
    public: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses a vkey.

        Args:
            text: The vkey.

        Returns:
            The key.

        Raises:
            UnknownAlgorithmError: The key is of an unknown type.
            ProofError: The text is not a vkey.
        """
        name, *rest = text.strip().split("+", 2)
        try:
            id_, material = _id_of(rest[0]), decode_base64(rest[1])
        except (IndexError, ValueError):
            raise ProofError("key", f"{text[:80]!r} is not a public key (NAME+ID+BASE64)") from None
        if not material or material[0] not in ALGORITHMS:
            raise UnknownAlgorithmError(name)
        if len(material) != 1 + ALGORITHMS[material[0]].public_size:
            raise ProofError("key", f"{name[:80]!r} is not as long as a key of its type")
        key = cls.made(name, material[0], material[1:])
        if key.id != id_:
            raise ProofError("key", f"{name[:80]!r} is damaged: its id is not that of its key")
        return key

    @classmethod
    def made(cls, name: str, type_: int, public: bytes) -> Self:
        """Makes the vkey of a public key."""
        if _NAME.fullmatch(name) is None:
            raise ProofError(
                "key", f"{name[:80]!r} is not the name of a key: it must have no spaces and no +"
            )
        digest = hashlib.sha256(name.encode() + b"\n" + bytes([type_]) + public).digest()
        return cls(name, digest[:4], type_, public)

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{encode_base64(bytes([self.type]) + self.public)}"

    @property
    def algorithm(self) -> Algorithm:
        """The signature algorithm."""
        return ALGORITHMS[self.type]

    def signs_as_log(self, origin: str) -> bool:
        """Whether it is a key of the log of that name."""
        return self.algorithm.is_of_log and self.name == origin

    def verifies(self, signature: bytes, text: str) -> bool:
        """Whether the signature is this key's, of that text."""
        return algorithms.verifies(self.type, self.public, self.name, signature, text)


class SigningKey(NamedTuple):
    """A private key, in the text form of golang.org/x/mod/sumdb/note: PRIVATE+KEY+NAME+ID+BASE64.

    Attributes:
        verifier: The public key.
        seed: The secret from which the private key is computed.
    """

    verifier: VerifierKey
    seed: bytes

    @classmethod
    def generate(cls, name: str, type_: int = SIGNATURE) -> Self:
        """Generates a key."""
        return cls._of(name, type_, secrets.token_bytes(SEED_SIZE))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses a private key; raises ProofError, whose message does not contain the key."""
        parts = text.strip().split("+", 4)
        try:
            if parts[:2] != ["PRIVATE", "KEY"]:
                raise ValueError
            name, id_, material = parts[2], _id_of(parts[3]), decode_base64(parts[4])
            if len(material) != 1 + SEED_SIZE or material[0] not in ALGORITHMS:
                raise ValueError
        except (IndexError, ValueError):
            raise ProofError("key", "is not a private key (PRIVATE+KEY+NAME+ID+BASE64)") from None
        key = cls._of(name, material[0], material[1:])
        if key.verifier.id != id_:
            raise ProofError("key", "the private key is damaged: its id is not the one of its key")
        return key

    @classmethod
    def _of(cls, name: str, type_: int, seed: bytes) -> Self:
        return cls(VerifierKey.made(name, type_, algorithms.public_of(type_, seed)), seed)

    @property
    def secret(self) -> str:
        """The private key as text, to be stored."""
        verifier = self.verifier
        material = encode_base64(bytes([verifier.type]) + self.seed)
        return f"PRIVATE+KEY+{verifier.name}+{verifier.id.hex()}+{material}"

    def __repr__(self) -> str:
        return f"SigningKey({self.verifier})"

    def sign(self, text: str, time: int = 0) -> Signature:
        """Signs a note's text at a POSIX time; raises ProofError for a text that it cannot sign."""
        verifier = self.verifier
        try:
            made = algorithms.sign(verifier.type, self.seed, verifier.name, time, text)
        except ValueError as error:
            raise ProofError(
                "checkpoint", f"cannot be signed by {verifier.name!r}: {error}"
            ) from None
        return Signature(verifier.name, verifier.id, made)


class Signature(NamedTuple):
    """One signature line of a note."""

    name: str
    key_id: bytes
    made: bytes

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {encode_base64(self.key_id + self.made)}\n"

    @property
    def time(self) -> int:
        """When a cosignature was made (POSIX seconds); None for another signature."""
        return int.from_bytes(self.made[:8])


class Note(NamedTuple):
    """A text with signatures, none of which is verified; `str` is the note as it is sent and stored.

    Attributes:
        text: The signed text.
        signatures: The signatures.
    """

    text: str
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, note: str | bytes) -> Self:
        """Parses a signed note; raises ProofError."""
        try:
            message = (note if isinstance(note, bytes) else note.encode()).decode()
        except UnicodeError:
            raise ProofError("note", "must be UTF-8 text") from None
        if len(message) > MAX_NOTE:
            raise ProofError("note", f"is longer than {MAX_NOTE} characters")
        if any(character < " " and character != "\n" for character in message):
            raise ProofError("note", "has control characters; a note has none but newlines")
        text, blank, signatures = message.rpartition("\n\n")
        if not blank or not signatures.endswith("\n"):
            raise ProofError(
                "note", "is not a signed note, or is cut off: it must end with its signatures"
            )
        lines = signatures.removesuffix("\n").split("\n")
        if len(lines) > MAX_SIGNATURES:
            raise ProofError("note", f"has more than {MAX_SIGNATURES} signatures")
        return cls(text + "\n", parse_signatures(lines))

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(map(str, self.signatures))}"

    def signed_by(self, keys: Iterable[VerifierKey]) -> list[tuple[VerifierKey, Signature]]:
        """Verifies the signatures of known keys; other signatures are ignored.

        Args:
            keys: The public keys.

        Returns:
            The keys that signed, each with its signature.

        Raises:
            ProofError: A known key's signature is not valid.
        """
        known = {(key.name, key.id): key for key in keys}
        found = []
        for signature in self.signatures:
            key = known.get((signature.name, signature.key_id))
            if key is None:
                continue
            if not key.verifies(signature.made, self.text):
                raise ProofError("signature", f"the signature of {key.name!r} is not valid")
            found.append((key, signature))
        return found

    def with_signatures(self, more: Iterable[Signature]) -> Self:
        """Returns the note with further signatures; each key signs once."""
        merged = {(each.name, each.key_id): each for each in (*self.signatures, *more)}
        return self._replace(signatures=tuple(merged.values()))


def parse_signatures(lines: Iterable[str]) -> tuple[Signature, ...]:
    """Parses signature lines without line ends; raises ProofError."""
    return tuple(_parse_signature(line) for line in lines)


def _parse_signature(line: str) -> Signature:
    name, _, material = line.removeprefix(_DASH).partition(" ")
    try:
        made = decode_base64(material)
    except ValueError:
        made = b""
    if not line.startswith(_DASH) or _NAME.fullmatch(name) is None or len(made) < 5:
        raise ProofError("note", f"{line[:60]!r} is not a signature")
    return Signature(name, made[:4], made[4:])


def decode_hash(line: str, what: str) -> bytes:
    """Decodes a SHA-256 hash in base64; raises ProofError."""
    try:
        decoded = decode_base64(line)
    except ValueError:
        decoded = b""
    if len(decoded) != HASH_SIZE:
        raise ProofError(what, f"{line[:60]!r} is not a SHA-256 hash in base64")
    return decoded


def encode_hashes(hashes: Iterable[bytes]) -> str:
    """Returns one line per hash."""
    return "".join(f"{encode_base64(each)}\n" for each in hashes)


def parse_number(text: str, what: str) -> int:
    """Parses a decimal number without leading zeros; raises ProofError."""
    if NUMBER.fullmatch(text) is None:
        raise ProofError(what, f"{text[:40]!r} is not a whole number")
    return int(text)


def _id_of(text: str) -> bytes:
    """Decodes a key's id; raises ValueError."""
    if _ID.fullmatch(text) is None:
        raise ValueError("is not the id of a key")
    return bytes.fromhex(text)


def encode_base64(value: bytes) -> str:
    """Encodes base64 (RFC 4648, section 4)."""
    return base64.b64encode(value).decode()


def decode_base64(text: str) -> bytes:
    """Decodes base64 (RFC 4648, section 4); raises ValueError, also for a non-canonical encoding."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("is not base64") from None
    if encode_base64(decoded) != text:
        raise ValueError("is not canonical base64")
    return decoded

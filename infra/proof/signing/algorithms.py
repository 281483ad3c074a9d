"""The algorithms that notes are signed with, and the bytes that each signs: C2SP signed-note and tlog-cosignature.

| type | algorithm | who signs |
| --- | --- | --- |
| 0x01 | Ed25519 (RFC 8032) over the note's text | a log |
| 0x04 | Ed25519 over the text and the time | a witness |
| 0x06 | ML-DSA-44 (FIPS 204) over the checkpoint's three lines and the time | a log or a witness |
"""

import base64
import binascii
from collections.abc import Callable
from typing import Any, Final, NamedTuple

SIGNATURE: Final = 0x01
"""The type of a log's signature: Ed25519 over the note's text."""
COSIGNATURE: Final = 0x04
"""The type of a witness's signature: Ed25519, with the time it was made."""
ML_DSA_44: Final = 0x06
"""The type of a log's or a witness's signature: ML-DSA-44, with the time it was made."""
SEED_SIZE: Final = 32
"""Bytes of a private key, of every algorithm."""
MAX_NAME: Final = 255
"""Bytes of a name or an origin that an ML-DSA-44 signature is over."""
_TIME_SIZE: Final = 8
_SUBTREE: Final = b"subtree/v1\n\0"


class Algorithm(NamedTuple):
    """The algorithm of a type of key, and the bytes that it signs."""

    name: str
    public_size: int
    is_of_log: bool
    is_of_witness: bool
    is_timed: bool
    """Whether the signature begins with the time it was made."""
    message: Callable[[str, int, str], bytes]
    """The bytes that are signed, made of the signer's name, a POSIX time and a note's text; raises ValueError."""
    private: Callable[[bytes], Any]
    public: Callable[[bytes], Any]


# cryptography is imported where something is signed or verified: it takes long, and readers do neither.
def _ed25519_private(seed: bytes) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed)


def _ed25519_public(public: bytes) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return Ed25519PublicKey.from_public_bytes(public)


def _ml_dsa_private(seed: bytes) -> Any:
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

    return MLDSA44PrivateKey.from_seed_bytes(seed)


def _ml_dsa_public(public: bytes) -> Any:
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

    return MLDSA44PublicKey.from_public_bytes(public)


def _text(_name: str, _time: int, text: str) -> bytes:
    return text.encode()


def _timed_text(_name: str, time: int, text: str) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def _subtree(name: str, time: int, text: str) -> bytes:
    """Returns the `cosigned_message` of tlog-cosignature for a whole tree."""
    origin, size, root, *_ = text.split("\n")
    try:
        hash_ = base64.b64decode(root, validate=True)
    except binascii.Error:
        raise ValueError("is not a checkpoint") from None
    return b"".join(
        (
            _SUBTREE,
            _short(name),
            time.to_bytes(8),
            _short(origin),
            bytes(8),
            int(size).to_bytes(8),
            hash_,
        )
    )


def _short(text: str) -> bytes:
    encoded = text.encode()
    if not 1 <= len(encoded) <= MAX_NAME:
        raise ValueError(f"{text[:80]!r} is not 1 to {MAX_NAME} bytes long")
    return bytes([len(encoded)]) + encoded


ALGORITHMS: Final = {
    SIGNATURE: Algorithm(
        "ed25519", 32, True, False, False, _text, _ed25519_private, _ed25519_public
    ),
    COSIGNATURE: Algorithm(
        "ed25519", 32, False, True, True, _timed_text, _ed25519_private, _ed25519_public
    ),
    ML_DSA_44: Algorithm(
        "ml-dsa-44", 1312, True, True, True, _subtree, _ml_dsa_private, _ml_dsa_public
    ),
}
"""The algorithms by the type number in a key."""


def public_of(type_: int, seed: bytes) -> bytes:
    """Returns the public key of a private key."""
    public: bytes = ALGORITHMS[type_].private(seed).public_key().public_bytes_raw()
    return public


def sign(type_: int, seed: bytes, name: str, time: int, text: str) -> bytes:
    """Signs a note's text, in the form of notes; raises ValueError for a text that cannot be signed."""
    algorithm = ALGORITHMS[type_]
    made: bytes = algorithm.private(seed).sign(algorithm.message(name, time, text))
    return time.to_bytes(_TIME_SIZE) + made if algorithm.is_timed else made


def verifies(type_: int, public: bytes, name: str, signature: bytes, text: str) -> bool:
    """Whether the key of that name made the signature of that text."""
    from cryptography.exceptions import InvalidSignature

    algorithm, time = ALGORITHMS[type_], 0
    if algorithm.is_timed:
        time, signature = int.from_bytes(signature[:_TIME_SIZE]), signature[_TIME_SIZE:]
    try:
        algorithm.public(public).verify(signature, algorithm.message(name, time, text))
    except (InvalidSignature, ValueError):
        return False
    return True

"""The keys of personal values: one per subject, in their own table until they are destroyed."""

import base64
import hmac
import secrets
import time
from collections.abc import Iterable
from typing import Any, Final, TypeVar

import orjson
from jobledger.domain.commands import JobCommand
from jobledger.domain.data import Data, parse
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.events import Event
from jobledger.domain.values import canonical
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.mending import PERSONAL
from jobledger.infra.errors import BrokenLedgerError
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Pool, reading_again, translated
from jobledger.infra.privacy import envelope
from jobledger.infra.privacy.envelope import MARKER, Encrypted, Key, Plain
from jobledger.infra.ttl_cache import TtlCache

FIND_PARTS: Final = sql.load(__package__, "find_parts")
FIND_SUBJECT_KEY: Final = sql.load(__package__, "find_subject_key")
READ_SUBJECT_KEYS: Final = sql.load(__package__, "read_subject_keys")
CACHE_SECONDS: Final = 2.0
"""How long a key is cached: a value may be shown for so long after its erasure."""
GONE: Final = b""

Request = TypeVar("Request", Data, JobCommand, Data | JobCommand)


class SubjectKeys:
    """Encrypts and decrypts for one ledger; any number of threads may use it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._keys = TtlCache[bytes](CACHE_SECONDS)

    def encrypt(self, value: JsonObject, made: dict[str, Key] | None = None) -> JsonObject:
        """Encrypts all personal values of some data, each under its subject's present key.

        Args:
            value: The data.
            made: Keys that were looked up before. Other keys are looked up each time, so that no later
                writer uses an erased key.

        Returns:
            The data with its personal values encrypted.

        Raises:
            InvalidFieldError: A value is malformed or was changed, or the data would not be an object.
        """
        found = [envelope.parse_marker(each) for each in envelope.markers(value)]
        keys = {} if made is None else made
        for part in found:
            if isinstance(part, Plain) and part.subject not in keys:
                keys[part.subject] = self._find(part.subject)
        if not isinstance(self._plain(value), dict):
            raise InvalidFieldError(PERSONAL, "is allowed in an object only")

        def encrypt(fields: JsonObject) -> JsonObject:
            part = envelope.parse_marker(fields)
            if isinstance(part, Plain):
                part = envelope.encrypt(part.value, keys[part.subject])
            return part.json

        encrypted: JsonObject = envelope.replaced(value, encrypt)
        return encrypted

    def encrypt_data(self, data: Data, made: dict[str, Key] | None = None) -> Data:
        """Encrypts an event's data; raises InvalidFieldError if the result is not valid."""
        fields = data.json_object()
        parse(type(data), self._plain(fields), "data.")
        return parse(type(data), self.encrypt(fields, made), "data.")

    def encrypt_request(self, request: Request, job: str = "") -> Request:
        """Encrypts the personal values of a report or a command on a job.

        Args:
            request: The report or command.
            job: The job's resource name; "" if there is none yet.

        Returns:
            The request with its personal values encrypted.

        Raises:
            InvalidFieldError: A value is encrypted already under a key that does not exist, unless it was
                erased and the job's events name it.
        """
        if isinstance(request, Data):
            self._check_keys(request.json_object(), job)
            return self.encrypt_data(request)
        objects = {name: value for name, value in request if isinstance(value, dict)}
        self._check_keys(objects, job)
        return request.model_copy(update={name: self.encrypt(o) for name, o in objects.items()})

    def _check_keys(self, value: JsonObject, job: str) -> None:
        given = {
            part.key
            for part in map(envelope.parse_marker, envelope.markers(value))
            if isinstance(part, Encrypted)
        }
        missing = (
            [key for key, found in self._read(given).items() if found is None] if given else []
        )
        if not missing:
            return
        parts = {envelope.beginning(key): key for key in missing}
        with translated(), self._pool.connection() as connection:
            rows = connection.execute(FIND_PARTS, (list(parts), job), binary=True).fetchall()
        unknown = set(missing) - {parts[bytes(part)] for (part,) in rows}
        if unknown:
            why = f"is encrypted under {min(unknown)!r}, which is not a key of this ledger"
            raise InvalidFieldError(PERSONAL, why)

    def encrypt_event(self, event: Event, made: dict[str, Key]) -> Event:
        """Encrypts an event."""
        return event._replace(data=self.encrypt_data(event.data, made))

    def decrypt(self, value: Any) -> Any:
        """Returns JSON with its personal values decrypted; raises BrokenLedgerError for a changed one."""
        wanted = {part.key for part in envelope.stored_parts(value)}
        return envelope.decrypted(value, self._read(wanted)) if wanted else value

    def decrypt_json(self, encoded: bytes) -> bytes:
        """Decrypts encoded JSON; returns the same bytes if nothing in it is encrypted."""
        if MARKER not in encoded:
            return encoded
        return orjson.dumps(self.decrypt(canonical.loads(encoded)))

    def is_repeated(self, mine: bytes, stored: bytes) -> bool:
        """Whether data to be written equals the stored data, as far as that was not erased."""
        if mine == stored or MARKER not in mine or MARKER not in stored:
            return mine == stored
        value = canonical.decode(stored)
        keys = self._read({part.key for part in envelope.stored_parts(value)})
        return envelope.is_repeated(canonical.decode(mine), value, keys)

    def _plain(self, value: JsonObject) -> Any:
        """Returns the data for display; raises InvalidFieldError for a forged encrypted value."""
        try:
            keys = self._read({part.key for part in envelope.stored_parts(value)})
            return envelope.decrypted(envelope.replaced(value, _value_of), keys)
        except BrokenLedgerError:
            raise InvalidFieldError(
                PERSONAL, "was not encrypted by this ledger; give {subject, value}"
            ) from None

    @reading_again
    def _find(self, subject: str) -> Key:
        """Returns the subject's key; creates it if there is none, and finds it if that is repeated."""
        key = secrets.token_bytes(envelope.KEY_SIZE)
        made = (subject, _id_of(key, subject), key)
        with translated(), self._pool.connection() as connection:
            row = connection.execute(FIND_SUBJECT_KEY, made, binary=True).fetchone()
        assert row is not None
        return Key(*row)

    @reading_again
    def _read(self, ids: Iterable[str]) -> dict[str, bytes | None]:
        """Returns the keys of these ids; None for an erased one."""
        began = time.monotonic()
        known = {id_: self._keys.find(id_.encode(), began) for id_ in ids}
        missing = [id_ for id_, key in known.items() if key is None]
        if missing:
            with translated(), self._pool.connection() as connection:
                rows = connection.execute(READ_SUBJECT_KEYS, (missing,), binary=True)
                found: dict[str, bytes] = dict(rows.fetchall())
            for id_ in missing:
                known[id_] = found.get(id_, GONE)
                self._keys.keep(id_.encode(), known[id_] or GONE, began)
        return {id_: key or None for id_, key in known.items()}


def is_key_of(id_: str, key: bytes, subject: str) -> bool:
    """Whether a key was made for a subject under that id; always true of earlier, random ids."""
    return len(id_) != _ID_LENGTH or hmac.compare_digest(id_, _id_of(key, subject))


def _id_of(key: bytes, subject: str) -> str:
    """Derives a key's id, which reveals neither key nor subject, but can be verified with both."""
    digest = hmac.digest(key, b"jobledger subject\n" + subject.encode(), "sha256")
    return base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")


_ID_LENGTH: Final = 22


def _value_of(fields: JsonObject) -> Any:
    part = envelope.parse_marker(fields)
    return part.value if isinstance(part, Plain) else fields

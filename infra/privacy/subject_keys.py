"""Subjects, and the keys of their personal parts: one each, in a table of their own until it is erased."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from typing import Any, Final, TypeVar

import orjson
from jobledger.domain import canonical
from jobledger.domain.canonical import JsonObject
from jobledger.domain.commands import JobCommand
from jobledger.domain.data import Data, parse
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.events import Event
from jobledger.domain.job import Job
from jobledger.infra.errors import BrokenLedgerError
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.privacy import envelope as personal
from jobledger.infra.privacy.envelope import MARKER, Key, Plain
from jobledger.infra.ttl_cache import Recent
from psycopg_pool import ConnectionPool

FIND_SUBJECT_KEY: Final = sql.load(__package__, "find_subject_key")
READ_SUBJECT_KEYS: Final = sql.load(__package__, "read_subject_keys")
SECONDS: Final = 2.0
"""How long a key that was read is believed to be there: so long a value may be shown after it was erased."""
GONE: Final = b""

Said = TypeVar("Said", Data, JobCommand, Data | JobCommand)
Shown = TypeVar("Shown", Job, RecordedEvent)


class Subjects:
    """Seals and opens for one ledger, through a pool; any number of threads or turns may."""

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool
        self._keys = Recent[bytes](SECONDS)

    def sealed(self, value: JsonObject, made: dict[str, Key] | None = None) -> JsonObject:
        """The data with all personal parts sealed, each under its subject's key of now.

        The keys are looked up each time, but for those in `made`: one that was erased meanwhile
        is used by nobody who begins after that. Raises InvalidFieldError for a part that is
        malformed, or no longer the one it is said to be, and where the data would be no object.
        """
        found = [personal.parse_marker(each) for each in personal.markers(value)]
        keys = {} if made is None else made
        for part in found:
            if isinstance(part, Plain) and part.subject not in keys:
                keys[part.subject] = self._find(part.subject)
        if not isinstance(self._plain(value), dict):
            raise InvalidFieldError(personal.PERSONAL, "stands where an object must")

        def seal(said: JsonObject) -> JsonObject:
            part = personal.parse_marker(said)
            if isinstance(part, Plain):
                part = personal.seal(part.value, keys[part.subject])
            return part.json

        sealed: JsonObject = personal.replaced(value, seal)
        return sealed

    def sealed_data(self, data: Data, made: dict[str, Key] | None = None) -> Data:
        """The same of an event's data; raises InvalidFieldError where the values are not what it takes."""
        said = data.json_object()
        parse(type(data), self._plain(said), "data.")
        return parse(type(data), self.sealed(said, made), "data.")

    def sealed_said(self, said: Said) -> Said:
        """The same of a report or a command."""
        if isinstance(said, Data):
            return self.sealed_data(said)
        objects = {name: value for name, value in said if isinstance(value, dict)}
        return said.model_copy(update={name: self.sealed(o) for name, o in objects.items()})

    def sealed_event(self, event: Event, made: dict[str, Key]) -> Event:
        """The same of an event."""
        return event._replace(data=self.sealed_data(event.data, made))

    def reveal(self, value: Any) -> Any:
        """JSON with the values in the place of sealed parts; raises BrokenLedgerError for one that was changed."""
        wanted = {part.key for part in personal.stored_parts(value)}
        return personal.opened(value, self._read(wanted)) if wanted else value

    def reveal_text(self, encoded: bytes) -> bytes:
        """The same of JSON that is encoded already; the very same bytes where there is nothing to open."""
        if MARKER not in encoded:
            return encoded
        return orjson.dumps(self.reveal(canonical.loads(encoded)))

    def opened(self, shown: Shown) -> Shown:
        """A job or an event as it is shown, and only that: what is stored again must stay sealed."""
        if isinstance(shown, RecordedEvent):
            if MARKER not in shown.stored or not shown.schema:
                return shown
            return shown._replace(stored=canonical.encode(self.reveal(shown.json)))
        parts = {"spec": shown.spec, "output": shown.output, "error": shown.error}
        if MARKER not in orjson.dumps(parts):
            return shown
        return shown.model_copy(update=self.reveal(parts))

    def is_repeated(self, mine: bytes, stored: bytes) -> bool:
        """Whether data that is to be written says what is stored, as far as that was not erased."""
        if mine == stored or MARKER not in mine or MARKER not in stored:
            return mine == stored
        value = canonical.decode(stored)
        keys = self._read({part.key for part in personal.stored_parts(value)})
        return personal.is_repeated(canonical.decode(mine), value, lambda key: keys[key] is None)

    def _plain(self, value: JsonObject) -> Any:
        """What the data is shown as, before it is sealed; raises InvalidFieldError for a false sealed part."""
        try:
            keys = self._read({part.key for part in personal.stored_parts(value)})
            return personal.opened(personal.replaced(value, _value_of), keys)
        except BrokenLedgerError as error:
            raise InvalidFieldError(personal.PERSONAL, "was not sealed here") from error

    def _find(self, subject: str) -> Key:
        """The subject's key, made if there is none."""
        made = (subject, secrets.token_urlsafe(12), secrets.token_bytes(personal.KEY_SIZE))
        with translated(), self._pool.connection() as connection:
            row = connection.execute(FIND_SUBJECT_KEY, made, binary=True).fetchone()
        assert row is not None
        return Key(*row)

    def _read(self, ids: Iterable[str]) -> dict[str, bytes | None]:
        """The keys of these ids, None where one is gone."""
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


def _value_of(said: JsonObject) -> Any:
    part = personal.parse_marker(said)
    return part.value if isinstance(part, Plain) else said

"""Page tokens (AIP-158): opaque, signed, and valid for one query of one ledger at one moment."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.moments import Clock, Moment
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Pool, reading_again, translated

if TYPE_CHECKING:
    # Imported with the first token, because few programs read page by page.
    from itsdangerous import URLSafeSerializer

READ_SECRET: Final = sql.load(__package__, "read_secret")


class PageCursor(NamedTuple):
    """The beginning of a page: the number of jobs before it and, in the default order, the last of them."""

    moment: Moment
    offset: int = 0
    after: tuple[str, str] | None = None


class PageTokens:
    """Makes and reads the page tokens of one ledger."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._signer: URLSafeSerializer | None = None

    def write(self, cursor: PageCursor, *query: str) -> str:
        """Returns the token of a cursor in that query."""
        moment = cursor.moment
        parts = [
            moment.position,
            moment.time.isoformat(),
            moment.clock,
            cursor.offset,
            cursor.after,
            _digest(query),
        ]
        token: bytes | str = self._signing().dumps(parts)
        return token.decode() if isinstance(token, bytes) else token

    def read(self, token: str, *query: str) -> PageCursor:
        """Reads a token; raises InvalidFieldError for another ledger's or another query's token."""
        from itsdangerous import BadData

        try:
            position, time, clock, offset, after, digest = self._signing().loads(token)
        except (BadData, ValueError):
            raise InvalidFieldError(
                "page_token", "is not a token of this ledger; leave it out for the first page"
            ) from None
        if digest != _digest(query):
            raise InvalidFieldError(
                "page_token",
                "belongs to another query; repeat the query of the page before, or leave it out",
            )
        moment = Moment(position, datetime.fromisoformat(time), Clock(clock))
        return PageCursor(moment, offset, None if after is None else (after[0], after[1]))

    def _signing(self) -> URLSafeSerializer:
        if self._signer is None:
            from itsdangerous import URLSafeSerializer

            self._signer = URLSafeSerializer(
                read_secret(self._pool),
                salt="page",
                serializer=_Json,
                signer_kwargs={"digest_method": hashlib.sha256},
            )
        return self._signer


@reading_again
def read_secret(pool: Pool) -> bytes:
    """Returns the ledger's secret, which signs page tokens and derives ids."""
    with translated(), pool.connection() as connection:
        row = connection.execute(READ_SECRET).fetchone()
    assert row is not None
    return bytes(row[0])


class _Json:
    """JSON in the form that itsdangerous uses."""

    loads = staticmethod(orjson.loads)

    @staticmethod
    def dumps(value: object) -> bytes:
        return orjson.dumps(value)


def _digest(query: tuple[str, ...]) -> str:
    return hashlib.sha256(orjson.dumps(query)).hexdigest()[:16]

"""Pages (AIP-158) of what is no job: each goes on behind what the last one showed, whatever was added since."""

from __future__ import annotations

from jobledger.infra.google.wire.calls import Call
from jobledger.infra.read.page_tokens import PageCursor, PageTokens


def cursor_of(call: Call, *query: str) -> PageCursor | None:
    """Behind what the page that is asked for begins, None for the first; raises InvalidFieldError.

    `query` is all that the pages of one list have in common, its kind first.
    """
    token = call.query.get("pageToken")
    return PageTokens(call.reader.pool).read(token, *query) if token else None


def token_of(
    call: Call, query: tuple[str, ...], *, offset: int = 0, after: tuple[str, str] | None = None
) -> str:
    """The token of the page that begins behind that."""
    cursor = PageCursor(call.reader.moment(), offset, after)
    return PageTokens(call.reader.pool).write(cursor, *query)

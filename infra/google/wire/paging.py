"""Pages (AIP-158) of jobs and of other resources; each begins after the last item of the previous one."""

from jobledger.domain.values.filters import Filter
from jobledger.infra.google.wire.calls import Call, moment_of
from jobledger.infra.google.wire.dialects import Translation, read_filter
from jobledger.infra.read.answers import Page
from jobledger.infra.read.lists.page_tokens import PageCursor, PageTokens


async def page_of_jobs(
    call: Call, scope: Filter, translate: Translation, sizes: tuple[int, int], order_by: str = ""
) -> Page:
    """Returns the page of jobs that a LIST requests in a scope; `sizes` are the default and the maximum page size."""
    as_of, clock = await moment_of(call)
    return await call.ledger.page(
        read_filter(call.query.get("filter", ""), scope, translate),
        page_size=call.page_size(*sizes),
        page_token=call.query.get("pageToken", ""),
        order_by=order_by,
        as_of=as_of,
        clock=clock,
    )


def cursor_of(call: Call, *query: str) -> PageCursor | None:
    """Returns the cursor of the page that a call requests.

    Args:
        call: The call; its pageToken says where the page begins.
        query: What the pages of one list have in common, its kind first.

    Returns:
        The cursor; None for the first page.

    Raises:
        InvalidFieldError: The token does not belong to this list.
    """
    token = call.query.get("pageToken")
    return PageTokens(call.reader.pool).read(token, *query) if token else None


def token_of(
    call: Call, query: tuple[str, ...], *, offset: int = 0, after: tuple[str, str] | None = None
) -> str:
    """Returns the token of the page that begins after that cursor."""
    cursor = PageCursor(call.reader.moment(), offset, after)
    return PageTokens(call.reader.pool).write(cursor, *query)

"""Marks jobs whose heartbeats stopped as EXPIRED, while a server runs."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final

import psycopg
from jobledger.domain.errors import LedgerError
from jobledger.infra.async_ledger import AsyncLedger
from jobledger.infra.programs.leases import expire_lost

LOG: Final = logging.getLogger("jobledger.leases")
PAUSE_SECONDS: Final = 5.0
ACTOR: Final = "serve"


@asynccontextmanager
async def expiring_lost(
    ledger: AsyncLedger, pause_seconds: float = PAUSE_SECONDS
) -> AsyncIterator[None]:
    """Looks for lost runs regularly during the block."""
    task = asyncio.create_task(_expire(ledger, pause_seconds))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _expire(ledger: AsyncLedger, pause_seconds: float) -> None:
    value = None
    while True:
        try:
            await ledger.run(partial(expire_lost, ledger.ledger, ACTOR))
            value = None
        except (LedgerError, psycopg.Error) as error:
            if str(error) != value:
                LOG.warning("lost runs cannot be looked for: %s", error)
            value = str(error)
        await asyncio.sleep(pause_seconds)

"""The ledger through its server: `Client` for threads, `AsyncClient` for asyncio (`pip install 'jobledger[client]'`)."""

from jobledger.infra.client.async_client import AsyncClient
from jobledger.infra.client.client import Client
from jobledger.infra.client.refusals import ServerRefusedError

__all__ = ["AsyncClient", "Client", "ServerRefusedError"]

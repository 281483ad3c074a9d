"""Runs the HTTP server: one process, until SIGTERM or SIGINT."""

import asyncio
import gc
import logging
import sys
from functools import partial
from math import ceil
from typing import Final

import uvloop
from jobledger.infra.async_ledger import AsyncLedger
from jobledger.infra.http.app import create_app
from jobledger.infra.http.protocol import limited_protocol
from jobledger.infra.postgres.ending import Ending
from jobledger.infra.serving import logs
from jobledger.infra.serving.context import Limits, ServerContext
from jobledger.infra.serving.listening import Server, config
from jobledger.infra.serving.lost_runs import expiring_lost

LOG: Final = logging.getLogger("jobledger.http")
GC_THRESHOLD: Final = (20_000, 20, 20)
"""The threshold of garbage collection: requests leave few or no reference cycles."""
SWITCH_INTERVAL_SECONDS: Final = 0.0005
"""How long a thread may keep the interpreter while the event loop waits."""


def serve(
    dsn: str | None, ledger: str, host: str, port: int, limits: Limits, log_level: str
) -> None:
    """Serves until SIGTERM or SIGINT. Requests that were accepted by then are committed and answered, or refused.

    `dsn` and `ledger` are those of Ledger.open. Raises InvalidFieldError for a host beyond loopback
    while requests need no token.
    """
    logs.set_up(log_level)
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(dsn, ledger, host, port, limits))


async def _serve(dsn: str | None, name: str, host: str, port: int, limits: Limits) -> None:
    async with await AsyncLedger.open(dsn, name, threads=limits.threads) as ledger:
        server = ServerContext(ledger, limits)
        await ledger.run(partial(server.check_host, host))
        async with expiring_lost(ledger):
            await _serve_app(server, host, port)


async def _serve_app(server: ServerContext, host: str, port: int) -> None:
    app = create_app(server)
    seconds = ceil(server.limits.answers_within)
    how = {"date_header": False, "http": limited_protocol(), "backlog": 1_024}
    options = config(app, host, port, timeout_graceful_shutdown=seconds, **how)
    # Objects made until now stay; scanning them for garbage repeatedly would cost more than a request.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)
    ending = Ending(server.limits.grace, app.close)

    def stop() -> None:
        server.stopping.set()
        ending.begin()

    try:
        await Server(options, LOG, on_stop=stop).serve()
    finally:
        app.close()
        if server.forwarder is not None:
            await asyncio.to_thread(server.forwarder.close)

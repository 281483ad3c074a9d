"""Runs the server: one process, until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Callable
from typing import Final

import uvicorn
import uvloop
from jobledger.infra.http.app import create_app
from jobledger.infra.ledger import Ledger
from jobledger.infra.serving import logs
from jobledger.infra.serving.context import Limits, Served
from jobledger.infra.serving.listening import Server

LOG: Final = logging.getLogger("jobledger.http")
GARBAGE: Final = (20_000, 20, 20)
"""gc.set_threshold: a request leaves no cycles behind, or few."""
SWITCH_INTERVAL: Final = 0.0005
"""Seconds a thread keeps the interpreter while others wait: a reader should not wait for 16 writers."""


def serve(open_: Callable[[], Ledger], host: str, port: int, limits: Limits, level: str) -> None:
    """Answers, from the ledger that `open_` opens, until SIGTERM or SIGINT; what was accepted by then is committed and answered.

    Raises InvalidFieldError for a host beyond loopback while nobody needs a token.
    """
    logs.set_up(level)
    sys.setswitchinterval(SWITCH_INTERVAL)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(open_, host, port, limits))


async def _serve(open_: Callable[[], Ledger], host: str, port: int, limits: Limits) -> None:
    with open_() as ledger:
        await _serve_ledger(ledger, host, port, limits)


async def _serve_ledger(ledger: Ledger, host: str, port: int, limits: Limits) -> None:
    served = Served(ledger, limits)
    served.check_host(host)
    app = create_app(served)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        lifespan="off",
        proxy_headers=False,
        http="httptools",
        timeout_graceful_shutdown=int(limits.deadline) + 1,
        backlog=1_024,
    )
    # What is there now stays; looking through it for garbage again and again would cost more than a request.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    try:
        await Server(config, LOG, on_stop=served.stopping.set).serve()
    finally:
        app.close()
        served.close()

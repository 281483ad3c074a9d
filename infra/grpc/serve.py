"""Runs the gRPC server: one process, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from typing import Final

import grpc
from jobledger.domain.errors import InvalidFieldError
from jobledger.infra.grpc.handlers import Answering
from jobledger.infra.ledger import Ledger
from jobledger.infra.serving import logs
from jobledger.infra.serving.context import Limits, Served

LOG: Final = logging.getLogger("jobledger.grpc")
SWITCH_INTERVAL: Final = 0.001
"""Seconds a thread keeps the interpreter while others wait: those who listen should not wait for all."""
ONLY_IDENTITY: Final = 1
"""No algorithm of compression: a small message could unfold to any size."""


def serve(ledger: Ledger, host: str, port: int, limits: Limits, level: str) -> None:
    """Answers until SIGTERM or SIGINT; what was accepted by then is committed and answered.

    Raises InvalidFieldError for a host beyond loopback while nobody needs a token, and
    for one, or a port, that cannot be listened on.
    """
    logs.set_up(level)
    sys.setswitchinterval(SWITCH_INTERVAL)
    asyncio.run(_serve(ledger, host, port, limits))


async def _serve(ledger: Ledger, host: str, port: int, limits: Limits) -> None:
    served = Served(ledger, limits)
    served.check_host(host)
    server, url = _bound(served, host, port)
    stopping = _stop_signal()
    try:
        await server.start()
        LOG.info("listening", extra={"url": url})
        await stopping.wait()
        await server.stop(limits.deadline + 1)
    finally:
        served.close()


def _bound(served: Served, host: str, port: int) -> tuple[grpc.aio.Server, str]:
    """A server that has its port, and where that is."""
    server, shown = _server(served), f"[{host}]" if ":" in host else host
    try:
        bound = server.add_insecure_port(f"{shown}:{port}")
    except RuntimeError as error:
        raise InvalidFieldError("port", f"{shown}:{port} cannot be listened on") from error
    return server, f"grpc://{shown}:{bound}"


def _server(served: Served) -> grpc.aio.Server:
    options = (
        ("grpc.max_receive_message_length", served.limits.max_body),
        ("grpc.compression_enabled_algorithms_bitset", ONLY_IDENTITY),
        # Another server on the same port is a mistake, and not to share its callers with.
        ("grpc.so_reuseport", 0),
    )
    return grpc.aio.server(
        handlers=(Answering(served),),
        options=options,
        maximum_concurrent_rpcs=served.limits.max_waiting,
    )


def _stop_signal() -> asyncio.Event:
    """Set when the process is asked to end; asked again, it ends at once."""
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()

    def stop(sig: int, _: object) -> None:
        signal.signal(sig, signal.SIG_DFL)
        loop.call_soon_threadsafe(stopping.set)

    for sig in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sig, stop)
    return stopping

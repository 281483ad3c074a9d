"""Runs the gRPC server: one process, until SIGTERM or SIGINT."""

import asyncio
import logging
import signal
import sys
from functools import partial
from typing import Final

import grpc
from jobledger.domain.errors import InvalidFieldError
from jobledger.infra.async_ledger import AsyncLedger
from jobledger.infra.grpc.handlers import Answering
from jobledger.infra.grpc.peers import Peers
from jobledger.infra.postgres.ending import Ending
from jobledger.infra.serving import logs
from jobledger.infra.serving.connections import most_connections
from jobledger.infra.serving.context import Limits, ServerContext
from jobledger.infra.serving.lost_runs import expiring_lost

LOG: Final = logging.getLogger("jobledger.grpc")
SWITCH_INTERVAL_SECONDS: Final = 0.001
"""How long a thread keeps the interpreter while the loop waits for it."""
HANDSHAKE_MILLISECONDS: Final = 10_000
IDLE_MILLISECONDS: Final = 60_000
MAX_METADATA: Final = 16 * 1024
"""Bytes of a call's headers."""
ONLY_IDENTITY: Final = 1
"""Compression is off: a small message could decompress to any size."""


def serve(
    dsn: str | None, ledger: str, host: str, port: int, limits: Limits, log_level: str
) -> None:
    """Answers until SIGTERM or SIGINT; what was accepted by then is committed and answered, or refused.

    `dsn` and `ledger` are those of Ledger.open. Raises InvalidFieldError for a host beyond loopback
    while nobody needs a token, and for one, or a port, that cannot be listened on.
    """
    logs.set_up(log_level)
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    asyncio.run(_serve(dsn, ledger, host, port, limits))


async def _serve(dsn: str | None, name: str, host: str, port: int, limits: Limits) -> None:
    async with await AsyncLedger.open(dsn, name, threads=limits.threads) as ledger:
        context = ServerContext(ledger, limits)
        await ledger.run(partial(context.check_host, host))
        peers = Peers(4 * limits.max_waiting)
        server, shown, bound = _bound(context, peers, host, port)
        stopping = _stop_signal(Ending(limits.grace))
        await server.start()
        LOG.info("listening", extra={"url": f"grpc://{shown}:{bound}"})
        sweeping = asyncio.create_task(peers.serve(bound))
        async with expiring_lost(ledger):
            await stopping.wait()
        await server.stop(limits.answers_within)
        sweeping.cancel()


def _bound(
    context: ServerContext, peers: Peers, host: str, port: int
) -> tuple[grpc.aio.Server, str, int]:
    """A server that has its port, and where that is."""
    server, shown = _server(context, peers), f"[{host}]" if ":" in host else host
    try:
        bound = server.add_insecure_port(f"{shown}:{port}")
    except RuntimeError as error:
        raise InvalidFieldError("port", f"{shown}:{port} cannot be listened on") from error
    return server, shown, bound


def _server(context: ServerContext, peers: Peers) -> grpc.aio.Server:
    options = (
        ("grpc.max_receive_message_length", context.limits.max_body),
        ("grpc.compression_enabled_algorithms_bitset", ONLY_IDENTITY),
        # A connection without an HTTP/2 preface by then, or that is idle, is closed.
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_MILLISECONDS),
        ("grpc.max_connection_idle_ms", IDLE_MILLISECONDS),
        ("grpc.max_allowed_incoming_connections", most_connections()),
        ("grpc.max_concurrent_streams", max(1, context.limits.max_waiting // 2)),
        ("grpc.max_metadata_size", MAX_METADATA),
        ("grpc.absolute_max_metadata_size", MAX_METADATA),
        # Another server on the same port is a mistake, and not to share its callers with.
        ("grpc.so_reuseport", 0),
    )
    return grpc.aio.server(handlers=(Answering(context, peers),), options=options)


def _stop_signal(ending: Ending) -> asyncio.Event:
    """Returns a signal that is set when the process is asked to end; a second request ends it at once."""
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()

    def stop(sig: int, _: object) -> None:
        signal.signal(sig, signal.SIG_DFL)
        ending.begin()
        loop.call_soon_threadsafe(stopping.set)

    for sig in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sig, stop)
    return stopping

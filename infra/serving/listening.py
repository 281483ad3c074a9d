"""uvicorn for the server commands: logs where it listens, and exits 0 on SIGTERM."""

import logging
import signal
import socket
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

import uvicorn


def config(app: Any, host: str, port: int, **more: Any) -> uvicorn.Config:
    """Returns the configuration of uvicorn for all servers, without uvicorn's own log and headers."""
    return uvicorn.Config(
        app, host=host, port=port, log_config=None, access_log=False, server_header=False,
        lifespan="off", proxy_headers=False, **more,
    )  # fmt: skip


class Server(uvicorn.Server):
    """Logs a line for each address it listens at, with further fields (`about`)."""

    def __init__(
        self,
        config: uvicorn.Config,
        log: logging.Logger,
        about: Mapping[str, str] = {},
        on_stop: Callable[[], object] = lambda: None,
    ) -> None:
        """`on_stop` is called at the first signal to stop, while requests in work continue."""
        super().__init__(config)
        self._log = log
        self._about = about
        self._on_stop = on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts listening, and logs the address."""
        await super().startup(sockets)
        for server in self.servers:
            for listening in server.sockets:
                host, port = listening.getsockname()[:2]
                shown = f"[{host}]" if ":" in host else host
                self._log.info("listening", extra={"url": f"http://{shown}:{port}", **self._about})

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  uvicorn's
        """Handles a signal to stop. Unlike uvicorn, it does not raise the signal again: the process exits with 0."""
        self._on_stop()
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

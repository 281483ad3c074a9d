"""Forwards accepted OpenLineage events to another server, unchanged, while they are recorded."""

from __future__ import annotations

import hashlib
import logging
import time
from http import HTTPStatus
from pathlib import Path
from threading import Condition, Thread
from typing import Final, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import (
    BaseHandler,
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from jobledger.domain.errors import InvalidFieldError
from jobledger.infra.sources.event_queue import EventQueue

LOG: Final = logging.getLogger("jobledger.lineage")
MAX_EVENTS: Final = 10_000
MAX_BYTES: Final = 64 * 1024 * 1024
"""The most bytes of waiting events; further events are dropped and counted."""
TIMEOUT_SECONDS: Final = 10.0
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 60.0
CLOSE_TIMEOUT_SECONDS: Final = 5.0
_RETRIABLE: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


class Forwarded(NamedTuple):
    """The outcomes of events since the server started."""

    sent: int
    waiting: int
    retries: int
    refused: int
    """Events that the other server refused."""
    dropped: int
    """Events that were dropped because too many waited."""


class Forwarder:
    """Sends events to one address, in their order, in a separate thread.

    `put` never waits and never fails. An event that cannot be sent is tried again until it can, with
    growing pauses; one that the other server refuses (4xx) is dropped, as it would be refused again.
    What waits is kept in a folder, from which the next process sends it. An event may then come twice.
    """

    def __init__(
        self,
        url: str,
        key: str = "",
        *,
        folder: Path | None = None,
        pause: float = FIRST_PAUSE_SECONDS,
    ) -> None:
        """Makes a forwarder; its thread starts with the first event that waits.

        Args:
            url: The http or https address to send to.
            key: A bearer token; empty for none.
            folder: Where events are kept until they are sent; without it they are lost with the process.
            pause: Seconds before the first retry.

        Raises:
            InvalidFieldError: `url` is not an http or https address.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidFieldError(
                "lineage_forward_url",
                "is not an http or https address, such as https://host/api/v1/lineage",
            )
        self._url, self._key, self._pause = url, key, pause
        self.where = f"{parts.scheme}://{parts.hostname}{parts.path}"
        """The address without a user, a password or a query."""
        self._opener = _opener()
        self._changed = Condition()
        # Events that wait for one address are not sent to another.
        place = folder and folder / hashlib.sha256(url.encode()).hexdigest()[:16]
        self._queue = EventQueue(place, MAX_EVENTS, MAX_BYTES)
        self._counts = dict.fromkeys(("sent", "retries", "refused", "dropped"), 0)
        self._closing = self._closed = False
        self._thread: Thread | None = None
        with self._changed:
            if len(self._queue):
                self._start()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = Thread(target=self._send_all, name="jobledger-lineage", daemon=True)
            self._thread.start()

    def put(self, event: bytes) -> None:
        """Queues an event; if too many wait, it is dropped and counted."""
        with self._changed:
            if self._closed or not self._queue.put(event):
                self._counts["dropped"] += 1
                return
            self._start()
            self._changed.notify()

    def counts(self) -> Forwarded:
        """Returns the outcomes of events so far."""
        with self._changed:
            return Forwarded(waiting=len(self._queue), **self._counts)

    def close(self) -> None:
        """Sends waiting events for a few seconds at most; logs how many are left for the next process."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(CLOSE_TIMEOUT_SECONDS)
        if left := self.counts().waiting:
            LOG.warning("%d events were not forwarded to %s", left, self.where)
        with self._changed:
            if not self._closed:
                self._closed = True
                self._queue.close()

    def _send_all(self) -> None:
        pause, until = self._pause, 0.0
        while True:
            with self._changed:
                while not len(self._queue) and not self._closing:
                    self._changed.wait()
                if self._closed or not len(self._queue):
                    return
                oldest = self._queue.oldest(1)
                if self._closing:
                    until = until or time.monotonic() + CLOSE_TIMEOUT_SECONDS
                    if time.monotonic() > until:
                        return
            outcome = self._send(oldest[0][1])
            with self._changed:
                if self._closed:
                    return
                self._counts[outcome] += 1
                if outcome != "retries":
                    self._queue.remove(oldest)
                    pause = self._pause
                    continue
                # `close` wakes it.
                self._changed.wait_for(lambda: self._closing, pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    def _send(self, event: bytes) -> str:
        """Sends one event; returns the name of the count that it belongs to."""
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        try:
            request = Request(self._url, event, headers, method="POST")  # noqa: S310 - only HTTP has a handler
            with self._opener.open(request, timeout=TIMEOUT_SECONDS):
                return "sent"
        except HTTPError as error:
            error.close()
            lasting = 400 <= error.code < 500 and error.code not in _RETRIABLE
            LOG.warning("%s answers %d to a forwarded event", self.where, error.code)
            return "refused" if lasting else "retries"
        except Exception as error:
            # Recording continues after any error, and the next try may succeed.
            LOG.warning("%s cannot be reached: %s", self.where, type(error).__name__)
            return "retries"


def _opener() -> OpenerDirector:
    """Follows no redirect, so that the token is not sent to another server."""
    opener = OpenerDirector()
    handlers: tuple[type[BaseHandler], ...] = (
        ProxyHandler, HTTPHandler, HTTPSHandler, HTTPErrorProcessor, HTTPDefaultErrorHandler,
    )  # fmt: skip
    for handler in handlers:
        opener.add_handler(handler())
    return opener

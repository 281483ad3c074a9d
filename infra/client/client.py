"""The client for threads."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Self, TypeVar, Unpack

import httpx
from jobledger.domain.commands import JobCommand
from jobledger.domain.data import Data
from jobledger.domain.job import Job
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.moments import Clock, Moment
from jobledger.infra.client import exchanges
from jobledger.infra.client.exchanges import Exchange, Given
from jobledger.infra.client.feed import Decoder
from jobledger.infra.client.refusals import OK
from jobledger.infra.client.retrying import Tries, refusal, unavailable
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.eventstore.verbs import About, AboutReport, Verbs
from jobledger.infra.eventstore.write_path import Recorded
from jobledger.infra.history.tree import Tree
from jobledger.infra.read.answers import Counts, Page
from jobledger.infra.retention.holds import Hold
from jobledger.infra.retention.rules import RetentionRule

Answer = TypeVar("Answer")
Jobs = list[Job]
Events = list[RecordedEvent]
Results = list[JsonObject]
Holds = list[Hold]
Rules = list[RetentionRule]
RETRIES: Final = 5
TIMEOUT_SECONDS: Final = 40.0
"""Longer than a server's deadline, so that the server's own error arrives first."""
SILENCE_SECONDS: Final = 60.0
"""A stream sends a keep-alive every 15 seconds."""
EVENTS_PAGE: Final = 1_000


def headers_of(token: str | None) -> dict[str, str]:
    """The headers of every request."""
    headers = {"accept": "application/json"}
    return headers | {"authorization": f"Bearer {token}"} if token else headers


class Client(Verbs[Job]):
    """A ledger, asked through its server; any number of threads may use it.

    The commands, reports and reads are those of `Ledger`, with its arguments, results and errors. A
    request without an answer, or with one of 408, 429, 502, 503 and 504, is sent again: writes carry
    a request id, so that none is written twice. The actor is the token's name; `actor` cannot be
    given. A job from a server has no `run_ids` and `effective_time`, and an event no `trace_parent`.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        retries: int = RETRIES,
        timeout_seconds: float = TIMEOUT_SECONDS,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`url` is the server's, such as http://127.0.0.1:8080, and `token` one of `jobledger token create`.

        `retries` is how often a request is sent again, `timeout_seconds` how long each answer is
        waited for, and `transport` what sends requests in httpx's stead.
        """
        self._retries = retries
        self._http = httpx.Client(
            base_url=url, headers=headers_of(token), timeout=timeout_seconds, transport=transport
        )
        super().__init__(self._ask)

    def close(self) -> None:
        """Closes its connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Write.
    def command(self, name: str, command: JobCommand, **about: Unpack[About]) -> Recorded:
        """As Ledger.command."""
        return self._exchange(exchanges.write(name, command, about))

    def report(self, name: str, data: Data, **about: Unpack[AboutReport]) -> Recorded:
        """As Ledger.report."""
        return self._exchange(exchanges.write(name, data, about))

    def report_batch(self, reports: Iterable[JsonObject]) -> Results:
        """Up to 1,000 reports in one request, as `POST /ledger/v1/reports:batch` takes them, and what came of each."""
        return self._exchange(exchanges.reports(reports))

    def heartbeat(self, name: str, run_id: str, seconds: float) -> None:
        """Sends a heartbeat of a run, with the seconds until the next one; 0 if none follows.

        A run that misses four of them is reported as lost.
        """
        self._exchange(exchanges.heartbeat(name, run_id, seconds))

    # Decide what is kept.
    def hold(
        self, name: str, reason: str, *, pin: bool = False, request_id: str | None = None
    ) -> int:
        """As Ledger.hold."""
        return self._exchange(exchanges.hold(name, reason, pin=pin, request_id=request_id))

    def release(
        self, name: str, reason: str = "", *, pin: bool = False, request_id: str | None = None
    ) -> int:
        """As Ledger.release."""
        return self._exchange(exchanges.release(name, reason, pin=pin, request_id=request_id))

    def holds(self, name: str | None = None) -> Holds:
        """As Ledger.holds, for the projects that the token permits."""
        return self._exchange(exchanges.holds(name))

    def retention_rules(self) -> Rules:
        """As Ledger.retention_rules."""
        return self._exchange(exchanges.retention_rules())

    def set_retention_rule(self, rule: RetentionRule, *, request_id: str | None = None) -> int:
        """As Ledger.set_retention_rule."""
        return self._exchange(exchanges.set_retention_rule(rule, request_id))

    def drop_retention_rule(self, name: str, *, request_id: str | None = None) -> int:
        """As Ledger.drop_retention_rule."""
        return self._exchange(exchanges.drop_retention_rule(name, request_id))

    # Read, now or as of a moment.
    def get(self, name: str, *, as_of: Given = None, clock: Clock | str | None = None) -> Job:
        """As Ledger.get."""
        job: Job = self._exchange(exchanges.job(name, as_of, clock))
        return job

    def page(
        self,
        filter: str = "",
        *,
        page_size: int = 0,
        page_token: str = "",
        order_by: str = "",
        as_of: Given = None,
        clock: Clock | str | None = None,
    ) -> Page:
        """As Ledger.page."""
        return self._exchange(exchanges.page(filter, page_size, page_token, order_by, as_of, clock))

    def scan(
        self,
        filter: str = "",
        *,
        limit: int | None = None,
        order_by: str = "",
        as_of: Given = None,
        clock: Clock | str | None = None,
    ) -> Iterator[Job]:
        """As Ledger.scan: page by page, all of one moment."""
        token, left = "", limit
        while left is None or left > 0:
            size = EVENTS_PAGE if left is None else min(left, EVENTS_PAGE)
            page = self.page(
                filter,
                page_size=size,
                page_token=token,
                order_by=order_by,
                as_of=as_of,
                clock=clock,
            )
            yield from page.jobs
            left, token = None if left is None else left - len(page.jobs), page.next_page_token
            if not token:
                return

    def list(
        self,
        filter: str = "",
        *,
        limit: int | None = None,
        order_by: str = "",
        as_of: Given = None,
        clock: Clock | str | None = None,
    ) -> Jobs:
        """As Ledger.list."""
        return [*self.scan(filter, limit=limit, order_by=order_by, as_of=as_of, clock=clock)]

    def count(
        self, by: str = "state", filter: str = "", *, as_of: Given = None, clock: Clock | str | None = None
    ) -> Counts:  # fmt: skip
        """As Ledger.count."""
        return self._exchange(exchanges.count(by, filter, as_of, clock))

    def moment(self, as_of: Given = None, clock: Clock | str | None = None) -> Moment:
        """As Ledger.moment, of the whole ledger."""
        return self._exchange(exchanges.moment(as_of, clock))

    def history(self, name: str) -> Events:
        """As Ledger.history."""
        found, after = Events(), 0
        while True:
            events, following = self._exchange(exchanges.history(name, after))
            found += events
            if following is None:
                return found
            after = following

    def tree(self, name: str, as_of: Given = None, clock: Clock | str | None = None) -> Tree:
        """As Ledger.tree; jobs of projects that the token does not permit are left out."""
        return self._exchange(exchanges.tree(name, as_of, clock))

    def events(self, after: int = 0, *, follow: bool = True) -> Iterator[RecordedEvent]:
        """As Ledger.events: none missing and none twice, even if the connection breaks."""
        while True:
            events, last = self._exchange(exchanges.events(after, EVENTS_PAGE))
            yield from events
            if last == after:
                break
            after = last
        if follow:
            yield from self._follow(after)

    def _follow(self, after: int) -> Iterator[RecordedEvent]:
        tries = Tries(self._retries)
        while True:
            retry_after = None
            try:
                with self._stream(after) as answer:
                    retry_after = answer.headers.get("retry-after")
                    if answer.status_code != OK:
                        refusal(answer.status_code, answer.read())
                    decoder = Decoder()
                    for line in answer.iter_lines():
                        event = decoder.read(line)
                        if event is not None:
                            tries.reset()
                            after = event.position
                            yield event
            except httpx.TransportError as error:
                tries.check(unavailable(error))
            time.sleep(tries.pause(retry_after))

    def _stream(self, after: int) -> Any:
        timeout = httpx.Timeout(TIMEOUT_SECONDS, read=SILENCE_SECONDS)
        query = {"after": str(after)}
        return self._http.stream(
            "GET", f"{exchanges.ROOT}/events:stream", params=query, timeout=timeout
        )

    def _ask(self, name: str, make: Callable[[], JobCommand | Data], about: About) -> Job:
        return self._exchange(exchanges.write(name, make(), about)).job

    def _exchange(self, exchange: Exchange[Answer]) -> Answer:
        """The answer, after as many tries as it takes."""
        tries = Tries(self._retries)
        while True:
            retry_after = None
            try:
                answer = self._http.request(
                    exchange.method, exchange.path, params=exchange.query, json=exchange.body
                )
            except httpx.TransportError as error:
                tries.check(unavailable(error))
            else:
                if answer.status_code == OK:
                    return exchange.read(answer.json())
                tries.check(refusal(answer.status_code, answer.content))
                retry_after = answer.headers.get("retry-after")
            time.sleep(tries.pause(retry_after))

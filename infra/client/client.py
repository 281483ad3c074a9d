"""The client for threads."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, Final, Self, TypeVar

import httpx
from jobledger.domain.commands import JobCommand
from jobledger.domain.data import Data
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.job import Job
from jobledger.domain.values.arguments import parse_count
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.moments import Clock, Moment
from jobledger.infra.client import exchanges
from jobledger.infra.client.documentation import documented_for_server
from jobledger.infra.client.exchanges import Exchange, Given
from jobledger.infra.client.feed import CatchUp, Decoder
from jobledger.infra.client.refusals import OK
from jobledger.infra.client.retrying import Tries, refusal, unavailable
from jobledger.infra.eventstore.methods.request import About, about_command, about_report
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.eventstore.verbs import Verbs
from jobledger.infra.eventstore.write_path import Recorded
from jobledger.infra.eventstore.writer import Writer
from jobledger.infra.forking import make_again_in_children
from jobledger.infra.history.methods import explain
from jobledger.infra.history.tree import Tree
from jobledger.infra.read.answers import Counts, Page
from jobledger.infra.read.reader import Reader
from jobledger.infra.retention import holds as of_holds
from jobledger.infra.retention import rules as of_rules
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
    headers = {"accept": "application/json", "content-type": "application/json"}
    if not (given := (token or "").strip()):  # A file of it may end with a line feed.
        return headers
    if not (given.isascii() and given.isprintable()):
        raise InvalidFieldError(
            "token", "has characters that no token has; give it as it was printed"
        )
    return headers | {"authorization": f"Bearer {given}"}


def address_of(url: str) -> httpx.URL:
    """Parses a server's address; raises InvalidFieldError if it is not of http or https."""
    with suppress(httpx.InvalidURL):
        found = httpx.URL(url)
        if found.path.rstrip("/").endswith(exchanges.ROOT):
            why = f"{url!r} ends with {exchanges.ROOT}, which is added to it; leave that out"
            raise InvalidFieldError("server", why)
        if found.scheme in {"http", "https"} and found.host:
            return found
    raise InvalidFieldError("server", f"{url!r} is not an address, such as http://127.0.0.1:8080")


class Client(Verbs[Job]):
    """A ledger, asked through its server; any number of threads may use it.

    The commands, reports and reads are those of `Ledger`, with its arguments, results and errors. A
    request without an answer, or with one of 408, 429, 502, 503 and 504, is sent again: writes carry
    a request id, so that none is written twice. The actor is the token's name; `actor` cannot be
    given. A job from a server has no `run_ids`, `effective_time` and `delete_time`, and an event no
    `trace_parent`.

    Examples:
        >>> from jobledger.client import Client
        >>> with Client(url) as client:
        ...     _ = client.create("projects/demo/jobs/a", {"team": "vision"})
        ...     client.started("projects/demo/jobs/a").state.name
        'RUNNING'
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
        """Makes a client; it connects at the first request.

        Args:
            url: The server's address, such as `http://127.0.0.1:8080`.
            token: A token that `jobledger token create` made; None for a server without tokens.
            retries: How often a request is sent again.
            timeout_seconds: How long to wait for each answer.
            transport: Sends the requests instead of httpx, for tests and proxies.

        Raises:
            InvalidFieldError: The address, or the token, is not valid.
        """
        self._retries = retries
        self._make_http = partial(
            httpx.Client,
            base_url=address_of(url),
            headers=headers_of(token),
            timeout=timeout_seconds,
            transport=transport,
        )
        self._http = self._make_http()
        super().__init__(self._ask)
        make_again_in_children(self, Client._connect_again)

    def _connect_again(self) -> None:
        if not self._http.is_closed:
            self._http = self._make_http()

    def close(self) -> None:
        """Closes its connections; a feed that is being read ends with an error.

        Examples:
            >>> client.close()
        """
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Write.
    @documented_for_server(Writer.command)
    def command(
        self,
        name: str,
        command: JobCommand,
        *,
        occurred_time: datetime | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
    ) -> Recorded:
        about = about_command(occurred_time, None, request_id, trace_parent)
        return self._exchange(exchanges.write(name, command, about))

    @documented_for_server(Writer.report)
    def report(
        self,
        name: str,
        data: Data,
        *,
        occurred_time: datetime | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
        attempt: int | None = None,
        run_id: str | None = None,
    ) -> Recorded:
        about = about_report(occurred_time, None, request_id, trace_parent, attempt, run_id)
        return self._exchange(exchanges.write(name, data, about))

    def report_batch(self, reports: Iterable[JsonObject]) -> Results:
        """Sends up to 1,000 reports in one request.

        Args:
            reports: Each as the items of `POST /ledger/v1/reports:batch`: `name`, `report`, such as
                `started`, and the fields of that report. One without `requestId` gets one.

        Returns:
            For each report, in their order, the job after it or its error (google.rpc.Status).

        Raises:
            InvalidFieldError: There are more than 1,000.
            UnauthenticatedError: The token is missing or unknown, was revoked, or has expired.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> _ = client.create("projects/demo/jobs/a")
            >>> sent = [{"name": "projects/demo/jobs/a", "report": "started"}]
            >>> len(client.report_batch(sent))
            1
        """
        return self._exchange(exchanges.reports(reports))

    def heartbeat(self, name: str, run_id: str, seconds: float) -> None:
        """Sends a heartbeat of a run; a run that misses four of them is reported as lost.

        Args:
            name: The job's resource name (AIP-122).
            run_id: The run's own id, as its reports have it.
            seconds: The seconds until the next heartbeat, by the server's clock; 0 if none follows.

        Raises:
            JobNotFoundError: There is no such job.
            InvalidFieldError: A value is not accepted.
            UnauthenticatedError: The token is missing or unknown, was revoked, or has expired.
            PermissionDeniedError: The token does not permit the request.
            LedgerUnavailableError: The server cannot be reached.

        Examples:
            >>> _ = client.create("projects/demo/jobs/a")
            >>> _ = client.started("projects/demo/jobs/a", run_id="run-1")
            >>> client.heartbeat("projects/demo/jobs/a", "run-1", 30.0)
        """
        self._exchange(exchanges.heartbeat(name, run_id, seconds))

    # Decide what is kept.
    @documented_for_server(of_holds.hold)
    def hold(
        self, name: str, reason: str, *, pin: bool = False, request_id: str | None = None
    ) -> int:
        return self._exchange(exchanges.hold(name, reason, pin=pin, request_id=request_id))

    @documented_for_server(of_holds.release)
    def release(
        self, name: str, reason: str = "", *, pin: bool = False, request_id: str | None = None
    ) -> int:
        return self._exchange(exchanges.release(name, reason, pin=pin, request_id=request_id))

    @documented_for_server(of_holds.holds)
    def holds(self, name: str | None = None) -> Holds:
        return self._exchange(exchanges.holds(name))

    @documented_for_server(of_rules.retention_rules)
    def retention_rules(self) -> Rules:
        return self._exchange(exchanges.retention_rules())

    @documented_for_server(of_rules.set_retention_rule)
    def set_retention_rule(self, rule: RetentionRule, *, request_id: str | None = None) -> int:
        return self._exchange(exchanges.set_retention_rule(rule, request_id))

    @documented_for_server(of_rules.drop_retention_rule)
    def drop_retention_rule(self, name: str, *, request_id: str | None = None) -> int:
        return self._exchange(exchanges.drop_retention_rule(name, request_id))

    # Read, now or as of a moment.
    @documented_for_server(Reader.get)
    def get(self, name: str, *, as_of: Given = None, clock: Clock | str | None = None) -> Job:
        job: Job = self._exchange(exchanges.job(name, as_of, clock))
        return job

    @documented_for_server(Reader.page)
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
        return self._exchange(exchanges.page(filter, page_size, page_token, order_by, as_of, clock))

    @documented_for_server(Reader.scan)
    def scan(
        self,
        filter: str = "",
        *,
        limit: int | None = None,
        order_by: str = "",
        as_of: Given = None,
        clock: Clock | str | None = None,
    ) -> Iterator[Job]:
        token, left = "", limit if limit is None else parse_count("limit", limit)
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

    @documented_for_server(Reader.list)
    def list(
        self,
        filter: str = "",
        *,
        limit: int | None = None,
        order_by: str = "",
        as_of: Given = None,
        clock: Clock | str | None = None,
    ) -> Jobs:
        return [*self.scan(filter, limit=limit, order_by=order_by, as_of=as_of, clock=clock)]

    @documented_for_server(Reader.count)
    def count(
        self, by: str = "state", filter: str = "", *, as_of: Given = None, clock: Clock | str | None = None
    ) -> Counts:  # fmt: skip
        return self._exchange(exchanges.count(by, filter, as_of, clock))

    @documented_for_server(Reader.moment)
    def moment(self, as_of: Given = None, clock: Clock | str | None = None) -> Moment:
        return self._exchange(exchanges.moment(as_of, clock))

    @documented_for_server(Reader.history)
    def history(self, name: str) -> Events:
        found, after = Events(), 0
        while True:
            events, following = self._exchange(exchanges.history(name, after))
            found += events
            if following is None:
                return found
            after = following

    @documented_for_server(explain.tree)
    def tree(self, name: str, as_of: Given = None, clock: Clock | str | None = None) -> Tree:
        return self._exchange(exchanges.tree(name, as_of, clock))

    @documented_for_server(Reader.events)
    def events(self, after: int = 0, *, follow: bool = True) -> Iterator[RecordedEvent]:
        catch_up = CatchUp(after)
        while not catch_up.is_at_end:
            page = self._exchange(exchanges.events(catch_up.start, EVENTS_PAGE))
            yield from catch_up.new(page)
        if follow:
            yield from self._follow(catch_up.after, catch_up.read)

    def _follow(self, after: int, read: RecordedEvent | None) -> Iterator[RecordedEvent]:
        tries = Tries(self._retries)
        while True:
            retry_after = None
            try:
                with self._stream(after if read is None else read.position - 1) as answer:
                    retry_after = answer.headers.get("retry-after")
                    if answer.status_code != OK:
                        tries.check(refusal(answer.status_code, answer.read()))
                    decoder = Decoder(read)
                    for line in answer.iter_lines():
                        event = decoder.read(line)
                        if event is not None:
                            tries.reset()
                            read = event
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
        tries, params, content = Tries(self._retries), exchange.params, exchange.content
        while True:
            retry_after = None
            try:
                answer = self._http.request(
                    exchange.method, exchange.path, params=params, content=content
                )
            except httpx.TransportError as error:
                tries.check(unavailable(error))
            else:
                if answer.status_code == OK:
                    return exchange.read(answer.json())
                tries.check(refusal(answer.status_code, answer.content))
                retry_after = answer.headers.get("retry-after")
            time.sleep(tries.pause(retry_after))

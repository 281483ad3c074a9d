"""The client for asyncio: the same as for threads, with `await`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from datetime import datetime
from functools import partial
from typing import Any, Self, TypeVar

import httpx
from jobledger.domain.commands import JobCommand
from jobledger.domain.data import Data
from jobledger.domain.job import Job
from jobledger.domain.values.arguments import parse_count
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.moments import Clock, Moment
from jobledger.infra.client import exchanges
from jobledger.infra.client.client import (
    EVENTS_PAGE,
    RETRIES,
    SILENCE_SECONDS,
    TIMEOUT_SECONDS,
    Client,
    Events,
    Holds,
    Jobs,
    Results,
    Rules,
    address_of,
    headers_of,
)
from jobledger.infra.client.exchanges import Exchange, Given
from jobledger.infra.client.feed import CatchUp, Decoder
from jobledger.infra.client.refusals import OK
from jobledger.infra.client.retrying import Tries, refusal, unavailable
from jobledger.infra.eventstore.methods.request import About, about_command, about_report
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.eventstore.verbs import Verbs
from jobledger.infra.eventstore.write_path import Recorded
from jobledger.infra.forking import make_again_in_children
from jobledger.infra.forwarding import documented
from jobledger.infra.history.tree import Tree
from jobledger.infra.read.answers import Counts, Page
from jobledger.infra.retention.rules import RetentionRule

Answer = TypeVar("Answer")


class AsyncClient(Verbs[Coroutine[Any, Any, Job]]):
    """The same as Client, for the tasks of one asyncio loop."""

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        retries: int = RETRIES,
        timeout_seconds: float = TIMEOUT_SECONDS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Takes the arguments of Client; `transport` is an asyncio one."""
        self._retries = retries
        self._make_http = partial(
            httpx.AsyncClient,
            base_url=address_of(url),
            headers=headers_of(token),
            timeout=timeout_seconds,
            transport=transport,
        )
        self._http = self._make_http()
        super().__init__(self._ask)
        make_again_in_children(self, AsyncClient._connect_again)

    def _connect_again(self) -> None:
        if not self._http.is_closed:
            self._http = self._make_http()

    @documented(Client.close)
    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # Write.
    @documented(Client.command)
    async def command(
        self,
        name: str,
        command: JobCommand,
        *,
        occurred_time: datetime | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
    ) -> Recorded:
        about = about_command(occurred_time, None, request_id, trace_parent)
        return await self._exchange(exchanges.write(name, command, about))

    @documented(Client.report)
    async def report(
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
        return await self._exchange(exchanges.write(name, data, about))

    @documented(Client.report_batch)
    async def report_batch(self, reports: Iterable[JsonObject]) -> Results:
        return await self._exchange(exchanges.reports(reports))

    @documented(Client.heartbeat)
    async def heartbeat(self, name: str, run_id: str, seconds: float) -> None:
        await self._exchange(exchanges.heartbeat(name, run_id, seconds))

    # Decide what is kept.
    @documented(Client.hold)
    async def hold(
        self, name: str, reason: str, *, pin: bool = False, request_id: str | None = None
    ) -> int:
        return await self._exchange(exchanges.hold(name, reason, pin=pin, request_id=request_id))

    @documented(Client.release)
    async def release(
        self, name: str, reason: str = "", *, pin: bool = False, request_id: str | None = None
    ) -> int:
        return await self._exchange(exchanges.release(name, reason, pin=pin, request_id=request_id))

    @documented(Client.holds)
    async def holds(self, name: str | None = None) -> Holds:
        return await self._exchange(exchanges.holds(name))

    @documented(Client.retention_rules)
    async def retention_rules(self) -> Rules:
        return await self._exchange(exchanges.retention_rules())

    @documented(Client.set_retention_rule)
    async def set_retention_rule(
        self, rule: RetentionRule, *, request_id: str | None = None
    ) -> int:
        return await self._exchange(exchanges.set_retention_rule(rule, request_id))

    @documented(Client.drop_retention_rule)
    async def drop_retention_rule(self, name: str, *, request_id: str | None = None) -> int:
        return await self._exchange(exchanges.drop_retention_rule(name, request_id))

    # Read, now or as of a moment.
    @documented(Client.get)
    async def get(self, name: str, *, as_of: Given = None, clock: Clock | str | None = None) -> Job:
        job: Job = await self._exchange(exchanges.job(name, as_of, clock))
        return job

    @documented(Client.page)
    async def page(
        self,
        filter: str = "",
        *,
        page_size: int = 0,
        page_token: str = "",
        order_by: str = "",
        as_of: Given = None,
        clock: Clock | str | None = None,
    ) -> Page:
        return await self._exchange(
            exchanges.page(filter, page_size, page_token, order_by, as_of, clock)
        )

    @documented(Client.scan)
    async def scan(
        self,
        filter: str = "",
        *,
        limit: int | None = None,
        order_by: str = "",
        as_of: Given = None,
        clock: Clock | str | None = None,
    ) -> AsyncIterator[Job]:
        token, left = "", limit if limit is None else parse_count("limit", limit)
        while left is None or left > 0:
            size = EVENTS_PAGE if left is None else min(left, EVENTS_PAGE)
            page = await self.page(
                filter,
                page_size=size,
                page_token=token,
                order_by=order_by,
                as_of=as_of,
                clock=clock,
            )
            for job in page.jobs:
                yield job
            left, token = None if left is None else left - len(page.jobs), page.next_page_token
            if not token:
                return

    @documented(Client.list)
    async def list(
        self,
        filter: str = "",
        *,
        limit: int | None = None,
        order_by: str = "",
        as_of: Given = None,
        clock: Clock | str | None = None,
    ) -> Jobs:
        scan = self.scan(filter, limit=limit, order_by=order_by, as_of=as_of, clock=clock)
        return [job async for job in scan]

    @documented(Client.count)
    async def count(
        self, by: str = "state", filter: str = "", *, as_of: Given = None, clock: Clock | str | None = None
    ) -> Counts:  # fmt: skip
        return await self._exchange(exchanges.count(by, filter, as_of, clock))

    @documented(Client.moment)
    async def moment(self, as_of: Given = None, clock: Clock | str | None = None) -> Moment:
        return await self._exchange(exchanges.moment(as_of, clock))

    @documented(Client.history)
    async def history(self, name: str) -> Events:
        found, after = Events(), 0
        while True:
            events, following = await self._exchange(exchanges.history(name, after))
            found += events
            if following is None:
                return found
            after = following

    @documented(Client.tree)
    async def tree(self, name: str, as_of: Given = None, clock: Clock | str | None = None) -> Tree:
        return await self._exchange(exchanges.tree(name, as_of, clock))

    @documented(Client.events)
    async def events(self, after: int = 0, *, follow: bool = True) -> AsyncIterator[RecordedEvent]:
        catch_up = CatchUp(after)
        while not catch_up.is_at_end:
            page = await self._exchange(exchanges.events(catch_up.start, EVENTS_PAGE))
            for event in catch_up.new(page):
                yield event
        if follow:
            async for event in self._follow(catch_up.after, catch_up.read):
                yield event

    async def _follow(self, after: int, read: RecordedEvent | None) -> AsyncIterator[RecordedEvent]:
        tries = Tries(self._retries)
        while True:
            retry_after = None
            try:
                async with self._stream(after if read is None else read.position - 1) as answer:
                    retry_after = answer.headers.get("retry-after")
                    if answer.status_code != OK:
                        tries.check(refusal(answer.status_code, await answer.aread()))
                    decoder = Decoder(read)
                    async for line in answer.aiter_lines():
                        event = decoder.read(line)
                        if event is not None:
                            tries.reset()
                            read = event
                            yield event
            except httpx.TransportError as error:
                tries.check(unavailable(error))
            await asyncio.sleep(tries.pause(retry_after))

    def _stream(self, after: int) -> Any:
        timeout = httpx.Timeout(TIMEOUT_SECONDS, read=SILENCE_SECONDS)
        query = {"after": str(after)}
        return self._http.stream(
            "GET", f"{exchanges.ROOT}/events:stream", params=query, timeout=timeout
        )

    async def _ask(self, name: str, make: Callable[[], JobCommand | Data], about: About) -> Job:
        return (await self._exchange(exchanges.write(name, make(), about))).job

    async def _exchange(self, exchange: Exchange[Answer]) -> Answer:
        """The answer, after as many tries as it takes."""
        tries, params, content = Tries(self._retries), exchange.params, exchange.content
        while True:
            retry_after = None
            try:
                answer = await self._http.request(
                    exchange.method, exchange.path, params=params, content=content
                )
            except httpx.TransportError as error:
                tries.check(unavailable(error))
            else:
                if answer.status_code == OK:
                    return exchange.read(answer.json())
                tries.check(refusal(answer.status_code, answer.content))
                retry_after = answer.headers.get("retry-after")
            await asyncio.sleep(tries.pause(retry_after))

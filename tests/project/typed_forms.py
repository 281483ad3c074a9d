"""What type checkers know of both forms of a ledger: this is only checked by mypy, and never run."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Iterator, Sequence
from datetime import datetime
from typing import Any, assert_type

from jobledger import AsyncLedger, Job, Ledger, LedgerError, Recorded, RecordedEvent, ReportedEvent
from jobledger.domain.commands import JobCommand
from jobledger.domain.data import Data
from jobledger.domain.values.moments import Moment
from jobledger.infra.history.bisect import Found
from jobledger.infra.history.blame import Blamed
from jobledger.infra.history.diff import Change, FleetDiff
from jobledger.infra.history.explain import Why
from jobledger.infra.postgres.connections import AsyncConnection, Connection
from jobledger.infra.proof.receipts import Receipt
from jobledger.infra.proof.signing.notes import Note
from jobledger.infra.read.answers import Counts, Page

NAME = "projects/p/jobs/a"


def threads(command: JobCommand, data: Data, reports: list[ReportedEvent]) -> None:
    with Ledger.open("", "default", catch_up=False) as ledger:
        assert_type(ledger, Ledger)
        assert_type(ledger.create(NAME, {"a": "b"}, {}, request_id="r"), Job)
        assert_type(ledger.failed(NAME, "why", occurred_time=datetime.now().astimezone()), Job)
        assert_type(ledger.command(NAME, command, actor="me"), Recorded)
        assert_type(ledger.report(NAME, data), Recorded)
        assert_type(ledger.command_all([NAME], command), tuple[list[Job], int])
        assert_type(ledger.report_many(reports), list[Recorded | LedgerError])
        assert_type(ledger.get(NAME, as_of="v1"), Job)
        assert_type(ledger.list("state = FAILED", limit=1), list[Job])
        assert_type(ledger.scan(), Iterator[Job])
        assert_type(ledger.page(page_size=5), Page)
        assert_type(ledger.count("labels.team"), Counts)
        assert_type(ledger.history(NAME), list[RecordedEvent])
        assert_type(ledger.events(5, follow=False), Iterator[RecordedEvent])
        assert_type(ledger.moment("now", "recorded"), Moment)
        assert_type(ledger.decrypted(ledger.get(NAME)), Job)
        assert_type(ledger.diff(NAME, "v1", "v2"), Sequence[Change])
        assert_type(ledger.diff_fleet("@1"), FleetDiff)
        assert_type(ledger.blame(NAME), Sequence[Blamed])
        assert_type(ledger.why(NAME), Why)
        assert_type(ledger.bisect(NAME, "state = FAILED"), Found | None)
        assert_type(ledger.checkpoint(), Note | None)
        assert_type(ledger.receipt(NAME), Receipt)
        assert_type(ledger.connection(), Connection)
        ledger.create(NAME, spec=3)  # type: ignore[arg-type] # it must be known to be wrong
        ledger.get(NAME, asof="v1")  # type: ignore[call-arg] # it must be known to be wrong


async def tasks(command: JobCommand, data: Data, reports: list[ReportedEvent]) -> None:
    async with await AsyncLedger.open("", "default", catch_up=False, threads=2) as ledger:
        assert_type(ledger, AsyncLedger)
        create = ledger.create
        assert_type(await assert_type(create(NAME), Coroutine[Any, Any, Job]), Job)
        assert_type(asyncio.create_task(ledger.started(NAME)), asyncio.Task[Job])
        assert_type(await ledger.create(NAME, {"a": "b"}, {}, request_id="r"), Job)
        assert_type(
            await ledger.failed(NAME, "why", occurred_time=datetime.now().astimezone()), Job
        )
        assert_type(await ledger.command(NAME, command, actor="me"), Recorded)
        assert_type(await ledger.report(NAME, data), Recorded)
        assert_type(await ledger.command_all([NAME], command), tuple[list[Job], int])
        assert_type(await ledger.report_many(reports), list[Recorded | LedgerError])
        assert_type(await ledger.get(NAME, as_of="v1"), Job)
        assert_type(await ledger.list("state = FAILED", limit=1), list[Job])
        assert_type(ledger.scan(), AsyncGenerator[Job, None])
        assert_type(await ledger.page(page_size=5), Page)
        assert_type(await ledger.count("labels.team"), Counts)
        assert_type(await ledger.history(NAME), list[RecordedEvent])
        assert_type(ledger.events(5, follow=False), AsyncGenerator[RecordedEvent, None])
        assert_type([event async for event in ledger.events()], list[RecordedEvent])
        assert_type(await ledger.moment("now", "recorded"), Moment)
        assert_type(await ledger.decrypted(await ledger.get(NAME)), Job)
        assert_type(await ledger.diff(NAME, "v1", "v2"), Sequence[Change])
        assert_type(await ledger.diff_fleet("@1"), FleetDiff)
        assert_type(await ledger.blame(NAME), Sequence[Blamed])
        assert_type(await ledger.why(NAME), Why)
        assert_type(await ledger.bisect(NAME, "state = FAILED"), Found | None)
        assert_type(await ledger.checkpoint(), Note | None)
        assert_type(await ledger.receipt(NAME), Receipt)
        assert_type(await ledger.connection(), AsyncConnection)
        await ledger.create(NAME, spec=3)  # type: ignore[arg-type] # it must be known to be wrong
        await ledger.get(NAME, asof="v1")  # type: ignore[call-arg] # it must be known to be wrong

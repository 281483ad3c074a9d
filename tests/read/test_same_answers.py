"""Both forms of a ledger answer alike: each method that reads or forgets, asked the same of the same ledger."""

import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from jobledger import Ledger, LedgerError
from jobledger.domain.commands import CreateJob
from jobledger.domain.events import Failed
from jobledger.infra.retention.archive import Export
from jobledger.infra.transfer.exports.export import Format
from jobledger.infra.transfer.exports.selection import Selection
from jobledger.infra.upkeep.verify import verify

from tests.forms import Opener, opened
from tests.privacy.test_personal import JOB, of

ODD = "projects/p/jobs/paused"


def exported(ledger: Ledger) -> bytes:
    to = io.BytesIO()
    moment = ledger.moment(f"@{ledger.size()}")
    ledger.export(Selection(ledger.name, moment, ODD), Format.JSONL, to)
    return to.getvalue()


ASKED: dict[str, Callable[[Ledger], Any]] = {
    "get": lambda ledger: ledger.get(ODD),
    "get as of": lambda ledger: ledger.get(ODD, as_of="v2"),
    "get nobody": lambda ledger: ledger.get("projects/p/jobs/nobody"),
    "get deleted": lambda ledger: ledger.get("projects/p/jobs/deleted"),
    "list": lambda ledger: ledger.list("state = FAILED", order_by="name", limit=20),
    "list wrong": lambda ledger: ledger.list("colour = red"),
    "scan": lambda ledger: [*ledger.scan(as_of="@200")],
    "scan part": lambda ledger: [*islice(ledger.scan(), 3)],
    "page": lambda ledger: ledger.page(page_size=3, as_of="@200").jobs,
    "count": lambda ledger: ledger.count("labels.team", as_of="@200"),
    "history": lambda ledger: ledger.history(ODD, 2),
    "events": lambda ledger: [*ledger.events(100, follow=False)],
    "size": lambda ledger: ledger.size(),
    "moment": lambda ledger: ledger.moment("@7"),
    "follow": lambda ledger: ledger.follow(ledger.size()),
    "read_current": lambda ledger: ledger.read_current("projects/p/jobs/deleted"),
    "read_at": lambda ledger: ledger.read_at(ODD, 50),
    "event_at": lambda ledger: [ledger.event_at(0), ledger.event_at(9), ledger.event_at(10**6)],
    "decrypt": lambda ledger: ledger.decrypt({"a": 1}),
    "decrypt_json": lambda ledger: ledger.decrypt_json(b"{}"),
    "decrypted": lambda ledger: ledger.decrypted(ledger.get(ODD)),
    "diff": lambda ledger: ledger.diff(ODD, "v1", "v3"),
    "diff_fleet": lambda ledger: ledger.diff_fleet("@100", "@300", limit=3),
    "blame": lambda ledger: ledger.blame(ODD, "v5"),
    "why": lambda ledger: ledger.why(ODD),
    "replay": lambda ledger: ledger.replay(ODD, "v3", hypotheses=[Failed()]),
    "bisect": lambda ledger: ledger.bisect(ODD, "state = RUNNING", later="v8"),
    "bisect_count": lambda ledger: ledger.bisect_count("running > 2", later="@300"),
    "analyze": lambda ledger: ledger.analyze("run-time", by="state").rows,
    "analyze wrong": lambda ledger: ledger.analyze("nothing"),
    "export": exported,
    "sampling": lambda ledger: ledger.sampling("projects/p/jobs/nobody"),
    "record_predictions": lambda ledger: ledger.record_predictions(ODD, []),
    "record_truths": lambda ledger: ledger.record_truths(ODD, []),
    "receipt": lambda ledger: ledger.receipt(ODD),
    "create again": lambda ledger: ledger.create(ODD),
    "command_all": lambda ledger: ledger.command_all([ODD, ODD], CreateJob()),
}
REFUSED = {
    "get nobody", "get deleted", "list wrong", "analyze wrong", "sampling", "record_predictions",
    "record_truths", "receipt", "create again", "command_all",
}  # fmt: skip


def outcome(ask: Callable[[Ledger], Any], ledger: Ledger) -> Any:
    try:
        return ask(ledger)
    except LedgerError as error:
        return type(error), str(error)


@pytest.fixture
def both(busy: Ledger, dsn: str) -> Iterator[tuple[Ledger, Ledger]]:
    with opened("asyncio", dsn, busy.name) as driven:
        yield busy, driven


@pytest.mark.slow
def test_both_forms_answer_alike(both: tuple[Ledger, Ledger]) -> None:
    threads, tasks = both
    refused = set()
    for what, ask in ASKED.items():
        answer = outcome(ask, threads)
        assert outcome(ask, tasks) == answer, what
        if isinstance(answer, tuple) and isinstance(answer[0], type):
            refused.add(what)
    assert refused == REFUSED


@pytest.mark.slow
@pytest.mark.both_forms
def test_a_subject_is_erased(ledger: Ledger, open_ledger: Opener, dsn: str) -> None:
    ledger.create(JOB, spec={"who": of("Alice")})
    key, position = ledger.erase("user:alice", "me")
    assert position == ledger.size()
    with open_ledger(dsn, ledger.name) as other:
        assert other.decrypted(other.get(JOB)).spec == {"who": {"@erased": {"key": key}}}
    # A subject that comes again has a new key, also where the old one was known.
    again = ledger.change_config(JOB, {"who": of("Alice")})
    assert again.spec["who"]["@personal"]["key"] != key


@pytest.mark.slow
@pytest.mark.both_forms
def test_jobs_that_are_over_are_pruned(busy: Ledger, tmp_path: Path) -> None:
    size = busy.size()
    pruned = busy.prune(datetime.now(UTC), Export(tmp_path / "pruned.jsonl", is_there=False), "me")
    assert pruned.jobs > 100
    assert {job.state.name for job in busy.list() if job.state}.isdisjoint({"SUCCEEDED", "FAILED"})
    # What was cached of a pruned job is not believed.
    assert busy.create("projects/p/jobs/deleted").version == 1
    assert busy.size() > size
    with busy.connection() as connection:
        assert verify(connection).ok

"""Spooled runs: one file each, bounded, locked while written or sent, and sent in order."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from jobledger.domain.errors import LedgerError
from jobledger.domain.running import Destination, RunRecord, RunReport
from jobledger.domain.states import JobState as S
from jobledger.infra import Ledger, errors
from jobledger.infra.errors import LedgerUnavailableError
from jobledger.infra.programs import spool as spools
from jobledger.infra.programs.delivery import is_refusal
from jobledger.infra.programs.opening import Opening
from jobledger.infra.programs.reporter import Reporter
from jobledger.infra.programs.run_store import RunStore
from jobledger.infra.programs.sending import Sender
from jobledger.infra.programs.spool import RunFile, Spool, SpoolFullError

from tests.databases import is_waiting
from tests.http.test_http_stream import eventually
from tests.proxies import proxy_to

AT = datetime(2026, 6, 1, 10, tzinfo=UTC)
HERE, THERE = Destination("host=here", "a"), Destination("host=there", "a")
END: tuple[str, dict[str, Any]] = ("Succeeded", {"output": {"exitCode": 0}})


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "state" / "spool")


def record(
    name: str = "projects/p/jobs/j",
    minutes: int = 0,
    *ends: tuple[str, dict[str, Any]],
    to: Destination | None = HERE,
) -> RunRecord:
    at = AT + timedelta(minutes=minutes)
    facts = [("Started", {"pid": 1}), *ends]
    reports = [
        RunReport(type_, data, at + timedelta(seconds=n))
        for n, (type_, data) in enumerate(facts, 1)
    ]
    spec = {"command": ["true"]}
    return RunRecord(
        f"r{name[-1]}{minutes}", name, "ann@host", at, {"team": "a"}, spec, reports, to
    )


def types(ledger: Ledger, name: str = "projects/p/jobs/j") -> list[str]:
    return [event.type for event in ledger.history(name)]


def test_only_its_user_reads_the_spool(spool: Spool) -> None:
    spool.keep(record())
    (path,) = spool.paths()
    assert spool.folder.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_held_is_not_taken(spool: Spool) -> None:
    file = spool.begin(record())
    assert RunFile.take(file.path) is None
    assert not RunFile.is_left_behind(file.path)
    file.close()
    taken = RunFile.take(file.path)
    assert taken is not None
    taken.remove()
    assert RunFile.take(file.path) is None


@pytest.mark.parametrize(("limit", "value"), [("MAX_RUNS", 2), ("MAX_BYTES", 300)])
def test_a_full_spool_takes_no_more(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(spools, limit, value)
    spool.keep(record())
    spool.keep(record(minutes=1))
    with pytest.raises(SpoolFullError, match="is full"):
        spool.keep(record(minutes=2))
    assert len(spool.paths()) == 2


def test_runs_are_sent_in_their_order_and_once(spool: Spool, ledger: Ledger) -> None:
    for minutes in (5, 1, 3):
        spool.keep(record("projects/p/jobs/j", minutes, END))
    copies = {path.name: path.read_bytes() for path in spool.paths()}
    sent = Sender(ledger, spool, HERE, "p").send()
    assert sent.sent == ["projects/p/jobs/j"] * 3
    assert spool.paths() == []

    job = ledger.get("projects/p/jobs/j")
    assert (job.state, job.attempt, job.labels) == (S.SUCCEEDED, 3, {"team": "a"})
    assert job.run_ids == ("rj1", "rj3", "rj5")
    # As if the sender had died before it removed them.
    before = ledger.size()
    for name, content in copies.items():
        (spool.folder / name).write_bytes(content)
    Sender(ledger, spool, HERE, "p").send()
    assert (ledger.size(), spool.paths()) == (before, [])


@pytest.mark.slow
@pytest.mark.parametrize("cut", range(4))
def test_an_interrupted_send_continues(spool: Spool, ledger: Ledger, dsn: str, cut: int) -> None:
    """The server goes away after some of the run's writes: nothing is lost and nothing twice."""
    spool.keep(record("projects/p/jobs/j", 0, END))
    with proxy_to(dsn) as proxy, Ledger.open(proxy.dsn, ledger.name, catch_up=False) as away:
        away.writer.committer._reconnect_timeout = 0.0
        submitted = away.writer.committer.submit
        writes: list[int] = []

        def submit(pending: object) -> None:
            if len(writes) == cut:
                proxy.cut()
            writes.append(1)
            submitted(pending)  # type: ignore[arg-type]

        away.writer.committer.submit = submit  # type: ignore[method-assign,assignment]
        if cut < 3:
            with pytest.raises(LedgerUnavailableError):
                Sender(away, spool, HERE, "p").send()
            assert len(spool.paths()) == 1
    Sender(ledger, spool, HERE, "p").send()
    assert types(ledger) == ["Created", "Started", "Succeeded"]
    assert spool.paths() == []


def test_a_run_that_was_left_behind_without_an_end_is_lost(spool: Spool, ledger: Ledger) -> None:
    spool.keep(record())
    (path,) = spool.paths()
    os.utime(path, times=(AT.timestamp() + 90, AT.timestamp() + 90))
    Sender(ledger, spool, HERE, "p").send()
    job = ledger.get("projects/p/jobs/j")
    assert (job.state, job.error_message) == (
        S.EXPIRED,
        "no heartbeat since 2026-06-01T10:01:30.000000Z",
    )
    assert job.end_time == AT + timedelta(seconds=90)


def test_a_run_waits_for_an_attempt_of_somebody_else(spool: Spool, ledger: Ledger) -> None:
    ledger.create("projects/p/jobs/j")
    ledger.started("projects/p/jobs/j", run_id="another")
    spool.keep(record("projects/p/jobs/j", 0, END))
    sent = Sender(ledger, spool, HERE, "p").send()
    assert "another attempt" in sent.waiting["projects/p/jobs/j"]
    assert types(ledger) == ["Created", "Started"]
    ledger.succeeded("projects/p/jobs/j", run_id="another")
    assert Sender(ledger, spool, HERE, "p").send().sent == ["projects/p/jobs/j"]
    assert ledger.get("projects/p/jobs/j").attempt == 2


def test_a_refused_run_is_set_aside(spool: Spool, ledger: Ledger) -> None:
    ledger.create("projects/p/jobs/j")
    ledger.delete("projects/p/jobs/j", stop=True)
    spool.keep(record("projects/p/jobs/j", 0, END))
    spool.keep(record("projects/p/jobs/k", 1, END))
    sent = Sender(ledger, spool, HERE, "p").send()
    (aside,) = sent.refused
    assert spool.paths(refused=True) == [aside]
    assert sent.sent == ["projects/p/jobs/k"]


def test_an_invalid_spool_file_stays_and_does_not_stop_the_others(
    spool: Spool, ledger: Ledger
) -> None:
    spool.keep(record("projects/p/jobs/j", 0, END))
    broken = spool.folder / "0_broken.jsonl"
    broken.write_bytes(b"\xff\n")
    assert Sender(ledger, spool, HERE, "p").send().sent == ["projects/p/jobs/j"]
    assert spool.paths() == [broken]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("aim", "to", "is_sent"),
    [(HERE, HERE, True), (HERE, THERE, False), (HERE, None, True), (None, THERE, True)],
)
def test_runs_are_sent_to_their_own_ledger(
    spool: Spool, ledger: Ledger, aim: Destination | None, to: Destination | None, is_sent: bool
) -> None:
    spool.keep(record("projects/p/jobs/j", 0, END, to=to))
    assert bool(Sender(ledger, spool, aim, "p").send().sent) is is_sent
    assert bool(spool.paths()) is not is_sent


def test_a_run_without_a_project_is_in_the_sender_s(spool: Spool, ledger: Ledger) -> None:
    spool.keep(record("j", 0, END))
    Sender(ledger, spool, HERE, "other").send()
    assert ledger.get("projects/other/jobs/j").state is S.SUCCEEDED


@pytest.mark.parametrize("stops", [lambda: False])
def test_a_sender_stops_on_request(spool: Spool, ledger: Ledger, stops: Callable[[], bool]) -> None:
    spool.keep(record("projects/p/jobs/j", 0, END))
    assert Sender(ledger, spool, HERE, "p").send(goes_on=stops).sent == []
    assert len(spool.paths()) == 1


ERRORS_OF_THE_LEDGER = [
    cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, LedgerError)
]


@pytest.mark.slow
@pytest.mark.parametrize("cls", ERRORS_OF_THE_LEDGER, ids=lambda cls: cls.__name__)
def test_an_error_of_the_server_sets_no_run_aside(cls: type[LedgerError]) -> None:
    assert not is_refusal(cls.__new__(cls))


@pytest.mark.plain_server
def test_an_end_while_the_ledger_does_not_answer_is_spooled(
    spool: Spool, ledger: Ledger, dsn: str
) -> None:
    """Somebody holds a lock that writes need while the run ends, until its process is over."""
    run = record(to=None)
    end, run.reports = run.reports[-1], []
    store = partial(RunStore.open, dsn, ledger.name, lambda: None)
    reporter = Reporter(Opening(lambda: HERE, store, "p", lambda: spool), run, 0.0)
    with ledger.connection() as other, other.transaction():
        other.execute("UPDATE head SET size = size")
        reporter.start()
        eventually(lambda: is_waiting(other), 30)
        reporter.add(end._replace(type="Failed", data={"exitCode": 3}), last=True)
        reporter.wait(0.1, lambda: False)
        reporter.leave()
        (path,) = spool.paths()
        assert '"type":"Failed","data":{"exitCode":3}' in path.read_text()
    reporter.wait(30, lambda: False)
    assert reporter.is_recorded
    assert types(ledger) == ["Created", "Failed"]

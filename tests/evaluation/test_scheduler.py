"""The scheduler: one of many leads, a crash at any point loses and repeats nothing, alerts are mailed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import Message
from threading import Event as Signal
from threading import Thread
from typing import Any

import psycopg
import pytest
from aiosmtpd.controller import Controller
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.runs import last_run
from jobledger.domain.states import JobState
from jobledger.infra import Ledger
from jobledger.infra.evaluation.runs import runs
from jobledger.infra.evaluation.runs.mail import Mailer
from jobledger.infra.evaluation.runs.scheduler import Scheduler, leading
from jobledger.infra.evaluation.samples.reading import read_evaluated, read_page
from jobledger.infra.upkeep.verify import verify

from tests.command_line import Cli, run_main
from tests.evaluation_jobs import BEGIN, Clock, make_job, predictions_of, spec_of
from tests.programs.test_leases import NAME, begin, run_out


class CrashError(BaseException):
    """Simulates the end of the process: the code does not catch it."""


def datasets(ledger: Ledger, name: str) -> list[int]:
    """How many examples each run's dataset has."""
    events = ledger.history(name)
    return [e.json.get("exampleCount", 0) for e in events if e.type == "DatasetCreated"]


def runs_of(ledger: Ledger, names: list[str]) -> int:
    """How many runs began."""
    return sum(last_run(ledger.get(name).output).run for name in names)


@pytest.mark.slow
@pytest.mark.parametrize("point", range(12))
@pytest.mark.parametrize("written", [True, False], ids=["after", "before"])
def test_a_crash_at_any_point_loses_and_repeats_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, point: int, *, written: bool
) -> None:
    name, clock, steps = make_job(ledger, spec_of()), Clock(), iter(range(100))
    record, keep = runs._record, runs._work_out

    def crashing(work: Any) -> Any:
        def step(*given: Any) -> Any:
            crashes = next(steps) == point
            if crashes and not written:
                raise CrashError
            done = work(*given)
            if crashes:
                raise CrashError
            return done

        return step

    for batch in ("abc", "defg"):
        ledger.record_predictions(name, predictions_of(batch, truth="cat"))
        clock.forward(days=1)
        for _ in range(3):
            with monkeypatch.context() as patch:
                patch.setattr(runs, "_record", crashing(record))
                patch.setattr(runs, "_work_out", crashing(keep))
                try:
                    Scheduler(ledger, clock=clock).do_due()
                except CrashError:
                    continue
    assert [event.type for event in ledger.history(name)] == [
        "Created",
        *["RunStarted", "DatasetCreated", "EvaluationCreated", "Scheduled"] * 2,
    ]
    assert datasets(ledger, name) == [3, 4]
    counts = [
        found[0]["evaluatedItemCount"] for found in read_evaluated(ledger.reader, name).values()
    ]
    assert counts == ["3", "4"]


@pytest.mark.slow
def test_after_kill_9_each_sample_is_in_one_dataset(dsn: str, ledger: Ledger) -> None:
    """Schedulers are killed again and again while predictions come in and runs are due all the time."""
    at = datetime.now(UTC) - timedelta(days=1)
    names = [
        make_job(ledger, spec_of(schedule="* * * * *", example_count=10**6), at=at)
        for _ in range(3)
    ]
    code = (
        "import sys\nfrom threading import Event\nfrom datetime import datetime, UTC, timedelta\n"
        "from jobledger.infra import Ledger\n"
        "from jobledger.infra.evaluation.runs.scheduler import Scheduler\n"
        "begin = datetime.now(UTC)\n"
        # A minute for every twentieth of a second, so that runs are always due.
        "clock = lambda: begin + (datetime.now(UTC) - begin) * 1200 + timedelta(hours=float(sys.argv[3]))\n"
        "with Ledger.open(sys.argv[1], sys.argv[2]) as ledger:\n"
        "    Scheduler(ledger, 'exact', clock=clock).serve(Event(), 0.01)\n"
    )
    sent = 0
    for attempt in range(4):
        given = [sys.executable, "-c", code, dsn, ledger.name, str(attempt * 5)]
        process = subprocess.Popen(given, env=os.environ)
        before, deadline = runs_of(ledger, names), time.monotonic() + 60
        while runs_of(ledger, names) < before + 5 + attempt:
            assert time.monotonic() < deadline
            for name in names:
                ledger.record_predictions(
                    name, predictions_of([f"{sent} {n}" for n in range(5)], truth="cat")
                )
            sent += 1
            time.sleep(0.02)
        process.kill()
        process.wait()
    clock = Clock(datetime.now(UTC) + timedelta(days=30))
    for _ in range(2):
        Scheduler(ledger, "exact", clock=clock).do_due()
        clock.forward(hours=1)
    for name in names:
        assert sum(datasets(ledger, name)) == sent * 5
        assert len(read_evaluated(ledger.reader, name)) >= 1
        assert [e.type for e in ledger.history(name)].count("Contradicted") == 0
        numbers = [sample["number"] for sample in read_page(ledger.reader, name, 0, 100_000)]
        assert numbers == list(range(1, sent * 5 + 1))
    with ledger.connection() as connection:
        assert verify(connection).findings == []


def test_one_leads_and_another_does_when_its_session_ends(ledger: Ledger) -> None:
    with ledger.connection() as first, ledger.connection() as second:
        with leading(first) as leads:
            assert leads
        with leading(second) as leads:
            assert not leads
        first.execute("SELECT pg_terminate_backend(%s)", (second.info.backend_pid,))
        with ledger.connection() as third:
            with leading(third) as leads:
                assert not leads
            first.close()
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                with leading(third) as leads:
                    if leads:
                        return
                time.sleep(0.05)
    pytest.fail("nobody leads")


def test_a_leader_that_is_stopped_does_not_lead_any_more(ledger: Ledger) -> None:
    with ledger.connection() as stopped, leading(stopped, 0.2) as leads:
        assert leads
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with ledger.connection() as other, leading(other) as other_leads:
                if other_leads:
                    break
            time.sleep(0.05)
        with pytest.raises(psycopg.errors.IdleSessionTimeout):
            stopped.execute("SELECT 1")


@pytest.mark.slow
def test_it_goes_on_when_its_connection_breaks(ledger: Ledger) -> None:
    name, clock, stopping = make_job(ledger, spec_of()), Clock(), Signal()
    ledger.record_predictions(name, predictions_of("abc", truth="cat"))
    serving = Thread(target=Scheduler(ledger, clock=clock).serve, args=(stopping, 0.02))
    serving.start()
    try:
        time.sleep(0.3)
        with ledger.connection() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND datname = current_database()"
                " AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = 1785688940)"
            )
        clock.forward(hours=2)
        deadline = time.monotonic() + 60
        while len(read_evaluated(ledger.reader, name)) == 0:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        stopping.set()
        serving.join()


@pytest.mark.slow
def test_a_scheduler_without_the_extra_leaves_evaluation_and_the_lead_to_one_with_it(
    ledger: Ledger,
) -> None:
    name, clock, stopping = make_job(ledger, spec_of()), Clock(), Signal()
    ledger.record_predictions(name, predictions_of("abc", truth="cat"))
    clock.forward(hours=2)
    without = Scheduler(ledger, clock=clock, evaluates=False)
    assert without.do_due() == 0
    assert [event.type for event in ledger.history(name)] == [
        "Created",
        "RunStarted",
        "DatasetCreated",
    ]
    with_extra = Scheduler(ledger, clock=clock)
    serving = [Thread(target=each.serve, args=(stopping, 0.02)) for each in (without, with_extra)]
    for thread in serving:
        thread.start()
    try:
        deadline = time.monotonic() + 60
        while len(read_evaluated(ledger.reader, name)) == 0:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        stopping.set()
        for thread in serving:
            thread.join()


def test_without_the_extra_the_command_names_what_it_skips_and_does_the_rest(
    ledger: Ledger, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = make_job(ledger, spec_of())
    ledger.record_predictions(name, predictions_of("abc", truth="cat"))
    begin(ledger)
    run_out(ledger)
    # Python raises ImportError for a module that stands as None here.
    monkeypatch.setitem(sys.modules, "jobledger.infra.evaluation.metrics.evaluate", None)
    done = cli.run("scheduler", "--once")
    assert done.returncode == 0
    assert done.stderr.startswith(
        "predictions are not evaluated here: pip install 'jobledger[evaluation]'"
    )
    assert done.stderr.count("\n") == 1
    assert ledger.history(name)[-1].type == "DatasetCreated"
    assert ledger.get(NAME).state is JobState.EXPIRED


class Inbox:
    """What an SMTP server was sent."""

    def __init__(self) -> None:
        self.mails: list[Message] = []
        self.refuses = False

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:
        from email import message_from_bytes

        if self.refuses:
            return "451 come again"
        self.mails.append(message_from_bytes(envelope.content))
        return "250 OK"


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, str]]:
    box = Inbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, f"smtp://127.0.0.1:{port}"
    controller.stop()


@pytest.mark.slow
def test_an_evaluation_that_falls_short_is_an_event_and_a_mail(
    ledger: Ledger, inbox: tuple[Inbox, str]
) -> None:
    box, address = inbox
    alert = {"email": "ml@example.com", "minAcceptableMeanAveragePrecision": 0.75}
    name, clock = make_job(ledger, spec_of(alert=alert)), Clock()
    scheduler = Scheduler(ledger, mailer=Mailer.parse(address, "ledger@example.com"), clock=clock)
    mistaken = [
        *predictions_of("abc", label="dog", truth="cat"),
        *predictions_of("xyz", label="cat", truth="dog"),
    ]
    ledger.record_predictions(name, mistaken)
    clock.forward(hours=2)
    box.refuses = True
    scheduler.do_due()
    assert box.mails == []
    box.refuses = False
    scheduler.do_due()
    scheduler.do_due()
    [mail] = box.mails
    assert (mail["From"], mail["To"]) == ("ledger@example.com", "ml@example.com")
    assert name in mail["Subject"]
    assert "0.750000" in mail.get_payload()
    raised = next(e.json for e in ledger.history(name) if e.type == "AlertRaised")
    assert raised["email"] == "ml@example.com"
    assert raised["minAcceptableMeanAveragePrecision"] == 0.75
    ledger.record_predictions(name, predictions_of("defg", truth="cat"))
    clock.forward(days=1)
    scheduler.do_due()
    assert len(box.mails) == 1


@pytest.mark.parametrize("address", ["", "http://mail", "smtp://", "smtp://host:port"])
def test_an_invalid_smtp_server_is_refused(address: str) -> None:
    with pytest.raises(InvalidFieldError, match="smtp"):
        Mailer.parse(address, "a@example.com")


def test_a_rule_for_schedules_is_one_of_two(ledger: Ledger) -> None:
    with pytest.raises(InvalidFieldError, match="hourly"):
        Scheduler(ledger, "hourly")


@pytest.mark.slow
def test_the_command_line_does_what_is_due_and_shows_it(
    ledger: Ledger, cli: Cli, tmp_path: Any
) -> None:
    name = make_job(ledger, spec_of())
    ledger.record_predictions(name, predictions_of("abc", truth="cat"))
    assert datetime.now(UTC) > BEGIN

    def jobledger(*words: str, **settings: str) -> str:
        done = run_main(cli.environment | settings, *words)
        return done.stdout + done.stderr

    jobledger("scheduler", "--once")
    shown = jobledger("evaluations", name)
    assert "1.0000" in shown
    for chart in ("pr-curve", "confusion-matrix", "map-over-time"):
        picture = tmp_path / f"{chart}.svg"
        jobledger("evaluations", name, "--plot", str(picture), "--chart", chart)
        assert picture.read_text().lstrip().startswith("<?xml")
    assert "has no evaluation of run 9" in jobledger("evaluations", name, "--run", "9")
    assert "hourly" in jobledger("scheduler", "--once", JOBLEDGER_SCHEDULES="hourly")

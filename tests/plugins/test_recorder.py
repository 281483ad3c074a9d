"""Reports of plug-ins are recorded by a thread, also after a fork and while the ledger is unreachable."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from jobledger import Ledger
from jobledger.infra.errors import LedgerUnavailableError
from jobledger.infra.plugins import recorder as recording
from jobledger.infra.plugins.recorder import Counts, Recorder

START = datetime(2026, 5, 1, tzinfo=UTC)
TASK = "projects/p/jobs/task-1"


@pytest.fixture
def recorder(dsn: str, ledger: Ledger, tmp_path: Path) -> Iterator[Recorder]:
    made = Recorder("frame", "p", partial(Ledger.open, dsn, ledger.name), tmp_path)
    yield made
    made.close()


def tell(recorder: Recorder) -> None:
    recorder.created(
        "task-1",
        START,
        labels={"Team": "a b"},
        parents=["flow/1"],
        root="flow/1",
        triggered_by="ada",
    )
    recorder.report("task-1", "Started", START, run_id="try-1", worker="w", nothing=None)
    recorder.report(
        "task-1", "Failed", START + timedelta(seconds=1), run_id="try-1", error="no", actor="ada"
    )


def test_events_are_recorded_once(recorder: Recorder, ledger: Ledger) -> None:
    tell(recorder)
    tell(recorder)
    assert recorder.flush(60)
    history = ledger.history(TASK)
    assert [(each.type, each.actor) for each in history] == [
        ("Created", "frame"), ("Started", "frame"), ("Failed", "ada"),
    ]  # fmt: skip
    assert history[1].json == {"runId": "try-1", "worker": "w"}
    job = ledger.get(TASK)
    flow = recorder.name("flow/1")
    assert (job.parents, job.root, job.triggered_by) == ([flow], flow, "ada")
    assert recorder.counts() == Counts(3, 0, 0, 0)


def test_a_report_that_cannot_be_recorded_does_not_stop_the_program(
    recorder: Recorder, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    recorder.report("missing", "Started", START)
    recorder.report("", "Started", START)
    recorder.report("task-1", "Exploded", START)
    tell(recorder)
    assert recorder.flush(60)
    assert recorder.counts() == Counts(3, 0, 1, 0)
    assert ledger.get(TASK).version == 3
    message = caplog.text
    assert "'Exploded'" in message
    assert "is not an id" in message
    assert "projects/p/jobs/missing is refused" in message


def test_events_wait_while_the_ledger_is_away(
    dsn: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(recording, "RETRY_SECONDS", 0.01)
    tries: list[int] = []

    def open_() -> Ledger:
        tries.append(1)
        if len(tries) < 3:
            raise LedgerUnavailableError("it is away")
        return Ledger.open(dsn, ledger.name)

    recorder = Recorder("frame", "p", open_, tmp_path)
    tell(recorder)
    assert recorder.flush(60)
    recorder.close()
    assert (len(tries), ledger.get(TASK).version) == (3, 3)


def away() -> Ledger:
    raise LedgerUnavailableError("it is away")


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(recording, "CLOSE_TIMEOUT_SECONDS", 0.05)


@pytest.mark.slow
@pytest.mark.usefixtures("hasty")
def test_too_many_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(recording, "MAX_WAITING", 2)
    recorder = Recorder("frame", "p", away, tmp_path)
    tell(recorder)
    assert not recorder.flush(0.01)
    assert recorder.counts() == Counts(0, 2, 0, 1)
    recorder.close()


@pytest.mark.slow
@pytest.mark.usefixtures("hasty")
def test_events_outlive_a_process_while_the_ledger_is_away(
    dsn: str, ledger: Ledger, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = Recorder("frame", "p", away, tmp_path)
    tell(before)
    before.close()
    assert "3 events wait in the spool" in caplog.text
    after = Recorder("frame", "p", partial(Ledger.open, dsn, ledger.name), tmp_path)
    after.report("task-1", "Started", START + timedelta(seconds=9), run_id="try-2")
    assert after.flush(60)
    after.close()
    types = [each.type for each in ledger.history(TASK)]
    assert types == ["Created", "Started", "Failed", "Started"]


def test_what_waits_for_one_ledger_is_not_sent_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    folders = []
    for dsn in ("host=a user=one", "host=a user=two password=x", "host=b", "no dsn at all"):
        monkeypatch.setenv("JOBLEDGER_DSN", dsn)
        folders.append(recording._folder_of_ledger())
    assert folders[0] == folders[1]
    assert len(set(folders)) == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_records_its_own(recorder: Recorder, ledger: Ledger) -> None:
    recorder.created("task-1", START)
    assert recorder.flush(60)
    child = os.fork()
    if not child:
        code = 1
        with suppress(BaseException):
            recorder.report("task-1", "Started", START, run_id="child")
            code = int(not recorder.flush(60))
        os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    recorder.report("task-1", "Succeeded", START + timedelta(seconds=1), run_id="child")
    assert recorder.flush(60)
    assert [each.type for each in ledger.history(TASK)] == ["Created", "Started", "Succeeded"]

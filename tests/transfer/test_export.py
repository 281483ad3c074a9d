"""Exports: which events they hold, and that one is there whole or not at all."""

from __future__ import annotations

import io
import signal
import sys
import time
from pathlib import Path

import pytest
from jobledger.domain.errors import InvalidFieldError, JobNotFoundError
from jobledger.domain.events import Created, Event
from jobledger.domain.values.moments import Clock
from jobledger.infra import Ledger
from jobledger.infra.transfer import exports
from jobledger.infra.transfer.exports import export as exporting
from jobledger.infra.transfer.exports.export import Format, export
from jobledger.infra.transfer.exports.selection import select
from jobledger.infra.transfer.imports.read_export import open_history
from psycopg.conninfo import make_conninfo

from tests.command_line import Cli
from tests.exports import BEGIN, GONE, A, B, at, exported, selection
from tests.ledgers import application_of


def test_the_state_after_an_event_is_that_of_its_place_in_the_job(past: Ledger) -> None:
    for as_of in (None, at(36).isoformat(), at(33).isoformat()):
        states = {e.position: e.state for name in (A, B, GONE) for e in past.history(name)}
        events = list(select(past.reader, selection(past, as_of=as_of)))
        assert [(e.position, e.state) for e in events] == [
            (e.position, states[e.position]) for e in events
        ]
        assert len(events) < len(states) or as_of is None


@pytest.mark.slow
def test_a_filter_takes_the_jobs_it_matched_at_the_moment(past: Ledger) -> None:
    def positions(as_of: str | None, filter: str, clock: Clock | None = None) -> list[int]:
        wanted = selection(past, as_of=as_of, filter=filter, clock=clock)
        return [event.position for event in select(past.reader, wanted)]

    of_a = [event.position for event in past.history(A)]
    assert positions(None, "labels.team = x") == of_a
    assert positions(None, "state = RUNNING") == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert positions("@4", "state = FAILED") == [1, 3, 4]
    assert positions("@3", "state = FAILED") == []
    assert positions(at(6).isoformat(), "state = RUNNING") == [1, 3]
    assert positions(at(32).isoformat(), "ever(state = FAILED)") == [1, 3, 4, 5, 6]
    with pytest.raises(InvalidFieldError):
        positions(None, "no_such_field = 1")


@pytest.mark.slow
def test_a_role_that_may_only_append_and_read_exports(dsn: str, past: Ledger) -> None:
    with application_of(dsn, past) as application:
        for asked in ("", "state = RUNNING"):
            out = io.BytesIO()
            wanted = selection(application, as_of=at(6).isoformat(), filter=asked)
            assert export(application.reader, wanted, Format.JSONL, out) > 0


@pytest.mark.slow
def test_the_reader_of_an_export_may_be_slower_than_a_transaction_may_wait(
    dsn: str, ledger: Ledger
) -> None:
    ledger.append_many(
        Event(f"projects/p/jobs/j{number}", 1, Created(), BEGIN) for number in range(1_500)
    )
    impatient = make_conninfo(dsn, options="-c idle_in_transaction_session_timeout=50ms")
    with Ledger.open(impatient, ledger.name) as opened:
        events = select(opened.reader, selection(opened))
        assert next(events).position == 1
        time.sleep(0.3)
        assert sum(1 for _ in events) == 1_499


@pytest.mark.slow
@pytest.mark.parametrize("format_", list(Format))
def test_a_failed_export_leaves_no_file(
    past: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: Format
) -> None:
    def fail(_: int) -> None:
        assert list(tmp_path.iterdir())  # It is under way.
        raise RuntimeError

    monkeypatch.setattr(exporting, "PROGRESS_EVENTS", 2)
    with pytest.raises(RuntimeError):
        export(past.reader, selection(past), format_, tmp_path / "out", fail)
    assert not list(tmp_path.iterdir())


def test_a_failed_export_keeps_the_previous_file(
    past: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = exported(past, tmp_path / "a", A)
    with pytest.raises(JobNotFoundError):
        exported(past, file, "projects/p/jobs/other")
    with pytest.raises(InvalidFieldError):
        exported(past, file, filter="no_such_field = 1")
    assert open_history(file).name == A
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.slow
@pytest.mark.parametrize("format_", ["jsonl", "parquet"])
def test_an_export_that_is_killed_is_not_taken_for_a_whole_one(
    cli: Cli, ledger: Ledger, tmp_path: Path, format_: str
) -> None:
    ledger.append_many(Event(f"projects/p/jobs/j{n}", 1, Created(), BEGIN) for n in range(20_000))
    child = cli.start("export", "--format", format_, "--to", str(tmp_path / "out"))
    while not list(tmp_path.rglob("*")):
        assert child.poll() is None
        time.sleep(0.001)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_place_that_cannot_be_written_to_is_refused(past: Ledger, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    exported(past, tmp_path / "full" / "file")
    refused: list[tuple[Format, Path | io.BytesIO]] = [
        (Format.JSONL, tmp_path / "full"),
        (Format.JSONL, Path("/dev/null")),
        (Format.JSONL, tmp_path / "no" / "such"),
        (Format.PARQUET, tmp_path / "full"),
        (Format.PARQUET, tmp_path / "full" / "file"),
        (Format.PARQUET, io.BytesIO()),
    ]
    for format_, to in refused:
        with pytest.raises(InvalidFieldError, match="to: "):
            export(past.reader, selection(past), format_, to)
    (tmp_path / "empty").mkdir()
    assert export(past.reader, selection(past), Format.PARQUET, tmp_path / "empty") == past.size()


@pytest.mark.parametrize("library", ["pyarrow", "cloudevents"])
def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    module = {"pyarrow": "parquet", "cloudevents": "cloud_events"}[library]
    monkeypatch.delitem(sys.modules, f"jobledger.infra.transfer.exports.{module}", raising=False)
    monkeypatch.delattr(exports, module, raising=False)
    for name in [name for name in sys.modules if name.split(".")[0] == library]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InvalidFieldError, match=rf"needs {library}.*jobledger\[export\]"):
        exporting.form_of(Format(module.replace("_", "")))


@pytest.mark.slow
def test_the_command_line_exports_and_opens_without_a_ledger(
    cli: Cli, past: Ledger, tmp_path: Path
) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(cli("export", "a"))
    cli("export", "--filter", "state = RUNNING", "--as-of", "@8", "--to", str(tmp_path / "some"))
    shown = cli.json("show", "a", "--json")
    expected = cli.json("history", "a", "--json")

    cli.environment["JOBLEDGER_DSN"] = "host=127.0.0.1 port=1"
    assert cli.json("show", "--from", str(file), "--json") == shown
    assert cli.json("history", "--from", str(file), "--json") == expected
    then = cli.json("show", "a", "--from", str(tmp_path / "some"), "--as-of", "v4", "--json")
    assert then["state"] == "FAILED"
    assert cli.run("show").returncode == 2

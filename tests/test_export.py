"""Exports: histories that open again without a ledger, and what other programs read of the others."""

from __future__ import annotations

import gzip
import io
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from jobledger.domain.errors import InvalidFieldError, JobNotFoundError, LedgerError
from jobledger.domain.events import Created, Event
from jobledger.domain.job import Job
from jobledger.domain.moments import Clock
from jobledger.infra import Ledger, transfer
from jobledger.infra.errors import InputError
from jobledger.infra.transfer import exporting, parquet
from jobledger.infra.transfer.exporting import Format, export
from jobledger.infra.transfer.reading_back import open_history
from jobledger.infra.transfer.selecting import Selection, select

from tests.ledgers import application_of
from tests.test_cli import Cli

A, B, GONE = (f"projects/p/jobs/{job}" for job in ("a", "b", "gone"))
BEGIN = datetime(2026, 6, 1, 23, 50, tzinfo=UTC)
TRACE = "traces/google-cluster-2011/job_events"
SPEC = {"z": [0.1, None, "\x1f"], "é": 1e21, "a": 2**53 - 1}


def at(minutes: int) -> datetime:
    return BEGIN + timedelta(minutes=minutes)


@pytest.fixture
def cli(dsn: str, ledger_name: str) -> Cli:
    return Cli(dsn, ledger_name)


@pytest.fixture
def past(ledger: Ledger) -> Ledger:
    """Two jobs of which one was retried, contradicted and reported late; and one that was deleted."""
    ledger.create(A, {"team": "x"}, SPEC, occurred_time=at(0), actor="ann")
    ledger.create(B, occurred_time=at(1), request_id="r1")
    ledger.started(A, {"worker": "node-7"}, occurred_time=at(5))
    ledger.failed(A, {"code": 8, "message": "out of memory"}, occurred_time=at(20))
    ledger.succeeded(A, occurred_time=at(21), trace_parent=f"00-{'a' * 32}-{'b' * 16}-01")
    ledger.retry(A, occurred_time=at(30))
    ledger.preparing(B, occurred_time=at(31))
    ledger.started(A, occurred_time=at(40))
    ledger.progress_reported(A, {"output": {"done": 3}}, occurred_time=at(35))
    ledger.started(B, occurred_time=at(3))
    ledger.create(GONE, occurred_time=at(2))
    ledger.cancel(GONE, occurred_time=at(4))
    ledger.delete(GONE, occurred_time=at(6))
    return ledger


def selection(ledger: Ledger, name: str = "", as_of: str | None = None, **more: Any) -> Selection:
    moment = ledger.moment(as_of, more.get("clock"), name)
    return Selection(ledger.name, moment, name, more.get("filter", ""))


def exported(
    ledger: Ledger, to: Path, name: str = "", as_of: str | None = None, **more: Any
) -> Path:
    export(ledger, selection(ledger, name, as_of, **more), Format.JSONL, to)
    return to


def outcome(get: Callable[..., Any], *asked: Any, **more: Any) -> Job | str:
    """The job, or how there is none."""
    try:
        found = get(*asked, **more)
    except LedgerError as error:
        return f"{type(error).__name__}: {error}"
    return found if isinstance(found, Job) else found[0]


def moments(ledger: Ledger) -> Iterator[tuple[str, Clock | None]]:
    for position in range(1, ledger.size() + 1):
        yield f"@{position}", None
    for minute in range(-1, 45):
        yield at(minute).isoformat(), Clock.OCCURRED
    for event in ledger.events(follow=False):
        yield event.recorded_time.isoformat(), Clock.RECORDED
        yield f"{at(32).isoformat()}@{event.position}", None


def test_a_history_holds_all_that_is_kept_of_its_events(past: Ledger, tmp_path: Path) -> None:
    file = exported(past, tmp_path / "a.jsonl", A)

    history = open_history(file)
    assert (history.name, history.ledger) == (A, past.name)
    assert history.events == past.history(A)
    lines = file.read_bytes().splitlines()
    assert all(e.stored in line for e, line in zip(past.history(A), lines[1:-1], strict=True))
    assert json.loads(lines[0])["jobledger"] == "history"
    assert json.loads(lines[-1]) == {"end": True, "events": len(past.history(A))}


def test_a_job_from_a_file_is_as_the_ledger_says_at_every_moment(
    past: Ledger, tmp_path: Path
) -> None:
    file = exported(past, tmp_path / "all.jsonl")

    for name in (A, B, GONE):
        history = open_history(file, name)
        for as_of, clock in moments(past):
            said = outcome(past.get, name, as_of=as_of, clock=clock)
            assert outcome(history.get, as_of, clock) == said, (name, as_of, clock)
    for version in range(1, 8):
        job, _ = open_history(file, A).get(f"v{version}")
        assert job == past.get(A, as_of=f"v{version}")


def test_a_file_as_of_a_moment_is_as_the_ledger_says_then(past: Ledger, tmp_path: Path) -> None:
    for number, (as_of, clock) in enumerate(moments(past)):
        said = outcome(past.get, A, as_of=as_of, clock=clock)
        if isinstance(said, Job):
            file = exported(past, tmp_path / f"{number}.jsonl", A, as_of, clock=clock)
            job, moment = open_history(file).get()
            assert (job, moment) == (said, past.moment(as_of, clock, A))
        else:
            with pytest.raises(JobNotFoundError):
                exported(past, tmp_path / f"{number}.jsonl", A, as_of, clock=clock)


def test_a_file_tells_of_no_moment_it_does_not_know(past: Ledger, tmp_path: Path) -> None:
    recorded = open_history(exported(past, tmp_path / "r", A, "@4"))
    for unknown in ("@5", "v9", f"{at(0).isoformat()}@5"):
        with pytest.raises(InvalidFieldError):
            recorded.get(unknown)
    occurred = open_history(exported(past, tmp_path / "o", A, at(30).isoformat()))
    for unknown in ("v1", "@1", at(31).isoformat(), "now"):
        with pytest.raises(InvalidFieldError):
            occurred.get(unknown)
    assert occurred.get(at(29).isoformat())[0] == past.get(A, as_of=at(29))


def test_the_state_after_an_event_is_that_of_its_place_in_the_job(past: Ledger) -> None:
    for as_of in (None, at(36).isoformat(), at(33).isoformat()):
        states = {e.position: e.state for name in (A, B, GONE) for e in past.history(name)}
        events = list(select(past, selection(past, as_of=as_of)))
        assert [(e.position, e.state) for e in events] == [
            (e.position, states[e.position]) for e in events
        ]
        assert len(events) < len(states) or as_of is None


def test_a_filter_takes_the_jobs_it_matched_at_the_moment(past: Ledger) -> None:
    def positions(as_of: str | None, filter: str, clock: Clock | None = None) -> list[int]:
        wanted = selection(past, as_of=as_of, filter=filter, clock=clock)
        return [event.position for event in select(past, wanted)]

    of_a = [event.position for event in past.history(A)]
    assert positions(None, "labels.team = x") == of_a
    assert positions(None, "state = RUNNING") == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert positions("@4", "state = FAILED") == [1, 3, 4]
    assert positions("@3", "state = FAILED") == []
    assert positions(at(6).isoformat(), "state = RUNNING") == [1, 2, 3, 10]
    assert positions(at(32).isoformat(), "ever(state = FAILED)") == [1, 3, 4, 5, 6]
    with pytest.raises(InvalidFieldError):
        positions(None, "no_such_field = 1")


def test_a_role_that_may_only_append_and_read_exports(dsn: str, past: Ledger) -> None:
    with application_of(dsn, past) as application:
        for asked in ("", "state = RUNNING"):
            out = io.BytesIO()
            wanted = selection(application, as_of=at(6).isoformat(), filter=asked)
            assert export(application, wanted, Format.JSONL, out) > 0


def test_a_gzipped_file_is_read(past: Ledger, tmp_path: Path) -> None:
    file = exported(past, tmp_path / "a", A)
    file.write_bytes(gzip.compress(file.read_bytes()))
    assert open_history(file).get()[0] == past.get(A)

    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(InputError, match="gzip"):
        open_history(file)


def test_a_file_that_breaks_off_is_refused(past: Ledger, tmp_path: Path) -> None:
    whole = exported(past, tmp_path / "whole", A).read_bytes()
    broken = tmp_path / "broken"
    for length in range(0, len(whole) - 1, 7):
        broken.write_bytes(whole[:length])
        with pytest.raises(InputError) as caught:
            open_history(broken)
        assert caught.value.line in (whole[:length].count(b"\n"), whole[:length].count(b"\n") + 1)


@pytest.mark.parametrize(
    ("line", "old", "new", "why"),
    [
        (1, b'"version":1', b'"version":2', "version 2"),
        (1, b"jobledger", b"other", "first line"),
        (3, b'"position":3', b'"position":1', "position 1 comes after 1"),
        (3, b'"version":2', b'"version":3', "version 3"),
        (3, b'"type":"Started"', b'"type":"Begun"', "Begun"),
        (3, b'"schema":1', b'"schema":7', "schema 7"),
        (3, b'"state":"RUNNING"', b'"state":"RUN"', "RUN"),
        (3, b'"recordedTime":"2', b'"recordedTime":"x', "recordedTime"),
        (3, b'"data":{', b'"data":{{', "not JSON"),
        (4, b'"data"', b'"date"', "data"),
        (9, b'"events":7', b'"events":8', "8 events"),
    ],
)
def test_a_damaged_line_is_named(
    past: Ledger, tmp_path: Path, line: int, old: bytes, new: bytes, why: str
) -> None:
    file = exported(past, tmp_path / "a", A)
    lines = file.read_bytes().splitlines(keepends=True)
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new)
    file.write_bytes(b"".join(lines))

    with pytest.raises(InputError, match=why) as caught:
        open_history(file)
    assert (caught.value.file, caught.value.line) == (str(file), line)


def test_a_line_that_is_missing_or_too_many_is_noticed(past: Ledger, tmp_path: Path) -> None:
    file = exported(past, tmp_path / "all")
    lines = file.read_bytes().splitlines(keepends=True)
    for changed in ([*lines[:3], *lines[4:]], [*lines, lines[-1]], [*lines[:3], b"\n", *lines[3:]]):
        file.write_bytes(b"".join(changed))
        with pytest.raises(InputError):
            open_history(file, A)


def test_one_of_several_jobs_must_be_named(past: Ledger, tmp_path: Path) -> None:
    file = exported(past, tmp_path / "all")
    with pytest.raises(InvalidFieldError, match=B):
        open_history(file)
    with pytest.raises(InputError, match="nothing of"):
        open_history(file, "projects/p/jobs/other")
    assert open_history(file, B).events == past.history(B)


def test_cloud_events_are_read_by_their_library(past: Ledger) -> None:
    out = io.BytesIO()
    assert export(past, selection(past), Format.CLOUDEVENTS, out) == past.size()

    events = list(past.events(follow=False))
    read = [JSONFormat().read(CloudEvent, line) for line in out.getvalue().splitlines()]
    for event, cloud in zip(events, read, strict=True):
        assert cloud.get_id() == f"{past.name}/{event.position}"
        assert cloud.get_source() == f"/ledgers/{past.name}"
        assert cloud.get_type() == f"jobledger.job.{event.type}.v1"
        assert (cloud.get_subject(), cloud.get_time()) == (event.name, event.occurred_time)
        assert cloud.get_data() == event.json
        assert int(cloud.get_extension("position")) == event.position
        assert cloud.get_extension("version") == event.version
        assert cloud.get_extension("actor") == event.actor
        assert cloud.get_extension("requestid") == event.request_id
        assert cloud.get_extension("traceparent") == event.trace_parent
        recorded = datetime.fromisoformat(cloud.get_extension("recordedtime"))
        assert recorded == event.recorded_time


def trace_of(ledger: Ledger, **asked: Any) -> dict[str, Any]:
    out = io.BytesIO()
    export(ledger, selection(ledger, **asked), Format.PERFETTO, out)
    read: dict[str, Any] = json.loads(out.getvalue())
    return read


def test_a_trace_shows_what_a_job_went_through(past: Ledger) -> None:
    trace = trace_of(past, name=A, as_of=at(50).isoformat())
    minutes = [
        (e["ph"], e["name"], (e["ts"] / 1e6 - BEGIN.timestamp()) / 60, e.get("dur", 0) / 60e6)
        for e in trace["traceEvents"]
        if e["ph"] != "M"
    ]
    assert minutes == [
        ("X", "attempt 1", 0, 20), ("X", "QUEUED", 0, 5), ("X", "RUNNING", 5, 15), ("X", "FAILED", 20, 10),
        ("X", "attempt 2", 30, 20), ("X", "QUEUED", 30, 10), ("X", "RUNNING", 40, 10),
        ("i", "Contradicted: Succeeded", 21, 0),
    ]  # fmt: skip
    failed = trace["traceEvents"][5]["args"]
    assert (failed["event"], failed["version"], failed["actor"]) == ("Failed", 3, None)
    assert failed["data"]["error"]["message"] == "out of memory"
    assert trace["otherData"]["clock"] == "occurred"


def test_a_trace_has_a_track_for_each_job_and_is_the_same_again(past: Ledger) -> None:
    past.create("projects/q/customJobs/c", occurred_time=at(0))
    asked = selection(past, as_of=at(50).isoformat())
    twice = [io.BytesIO(), io.BytesIO()]
    for out in twice:
        export(past, asked, Format.PERFETTO, out)
    assert twice[0].getvalue() == twice[1].getvalue()
    events = json.loads(twice[0].getvalue())["traceEvents"]

    names = {(e["pid"], e.get("tid")): e["args"]["name"] for e in events if e["ph"] == "M"}
    assert names == {
        (1, None): "p/jobs", (1, 1): "a", (1, 2): "b", (1, 3): "gone",
        (2, None): "q/customJobs", (2, 4): "c",
    }  # fmt: skip
    for (pid, tid), name in names.items():
        slices = [e for e in events if (e["pid"], e.get("tid")) == (pid, tid) and e["ph"] == "X"]
        for attempt in (s for s in slices if s["cat"] == "attempt"):
            begin, end = attempt["ts"], attempt["ts"] + attempt["dur"]
            within = [s for s in slices if s["cat"] == "state" and begin <= s["ts"] < end]
            assert sum(s["dur"] for s in within) == attempt["dur"], name
    ends = [e["name"] for e in events if e["ph"] == "i" and e.get("tid") == 3]
    assert ends == ["CANCELLED"]


def test_parquet_holds_all_columns_by_day(past: Ledger, tmp_path: Path) -> None:
    wanted = selection(past)
    assert export(past, wanted, Format.PARQUET, tmp_path / "pq") == past.size()

    assert sorted(path.name for path in (tmp_path / "pq").iterdir()) == [
        "day=2026-06-01",
        "day=2026-06-02",
    ]
    times = (f"epoch_us({clock}_time) AS {clock}_time" for clock in Clock)
    columns = f"* EXCLUDE (day) REPLACE ({', '.join(times)})"
    rows = read_parquet(tmp_path / "pq", f"SELECT {columns} FROM events ORDER BY position")
    expected = [
        (e.position, e.name, "p", "jobs", e.version, e.type, e.state.name if e.state else None,
         e.schema, microseconds(e.occurred_time), microseconds(e.recorded_time), e.actor, e.request_id, e.trace_parent, e.stored.decode())
        for e in select(past, wanted)
    ]  # fmt: skip
    assert rows == expected
    metadata = pq.read_schema(tmp_path / "pq" / "day=2026-06-01" / "part-0.parquet").metadata
    assert metadata[b"jobledger.position"] == str(past.size()).encode()
    assert metadata[b"jobledger.clock"] == b"recorded"


def test_row_groups_are_bounded_by_their_bytes(
    past: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "GROUP_BYTES", 1)
    export(past, selection(past, A), Format.PARQUET, tmp_path / "pq")
    for file in (tmp_path / "pq").glob("*/*.parquet"):
        metadata = pq.read_metadata(file)
        assert metadata.num_row_groups == metadata.num_rows > 0


@pytest.mark.slow
def test_duckdb_counts_the_trace_as_the_ledger_does(trace: Ledger, tmp_path: Path) -> None:
    ledger = trace
    assert export(ledger, selection(ledger), Format.PARQUET, tmp_path / "pq") == ledger.size()
    assert read_parquet(tmp_path / "pq", "SELECT count(*) FROM events") == [(ledger.size(),)]
    for day in (2, 3, 4):
        time = datetime(2011, 5, day, 12, tzinfo=UTC)
        counted = last_states(tmp_path / "pq", f"occurred_time <= '{time.isoformat()}'")
        assert counted == ledger.count(as_of=time).counts
    counted = last_states(tmp_path / "pq", "position <= 100000")
    assert counted == ledger.count(as_of="@100000").counts

    one = ledger.history(next(iter(ledger.scan("ever(state = FAILED)", limit=1))).name)[0].name
    assert open_history(exported(ledger, tmp_path / "all"), one).get()[0] == ledger.get(one)


def last_states(folder: Path, condition: str) -> dict[str, int]:
    last = f"""
        SELECT arg_max(state, (occurred_time, version)) AS state FROM events
        WHERE {condition} GROUP BY name
    """
    return dict(read_parquet(folder, f"SELECT state, count(*) FROM ({last}) GROUP BY state"))


def read_parquet(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            f"CREATE VIEW events AS FROM read_parquet('{folder}/*/*.parquet', hive_partitioning = true)"
        )
        return connection.execute(query).fetchall()


def microseconds(time: datetime) -> int:
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@pytest.mark.parametrize("format_", list(Format))
def test_an_export_that_fails_leaves_nothing(
    past: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: Format
) -> None:
    def fail(_: int) -> None:
        assert list(tmp_path.iterdir())  # It is under way.
        raise RuntimeError

    monkeypatch.setattr(exporting, "TOLD_EVERY", 2)
    with pytest.raises(RuntimeError):
        export(past, selection(past), format_, tmp_path / "out", fail)
    assert not list(tmp_path.iterdir())


def test_an_export_that_fails_leaves_the_one_before(
    past: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = exported(past, tmp_path / "a", A)
    with pytest.raises(JobNotFoundError):
        exported(past, file, "projects/p/jobs/other")
    with pytest.raises(InvalidFieldError):
        exported(past, file, filter="no_such_field = 1")
    assert open_history(file).name == A
    assert list(tmp_path.iterdir()) == [file]


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
            export(past, selection(past), format_, to)
    (tmp_path / "empty").mkdir()
    assert export(past, selection(past), Format.PARQUET, tmp_path / "empty") == past.size()


@pytest.mark.parametrize("library", ["pyarrow", "cloudevents"])
def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    module = {"pyarrow": "parquet", "cloudevents": "cloud_events"}[library]
    monkeypatch.delitem(sys.modules, f"jobledger.infra.transfer.{module}", raising=False)
    monkeypatch.delattr(transfer, module, raising=False)
    for name in [name for name in sys.modules if name.split(".")[0] == library]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InvalidFieldError, match=rf"needs {library}.*jobledger\[export\]"):
        exporting.form_of(Format(module.replace("_", "")))


def test_the_command_line_exports_and_opens_without_a_ledger(
    cli: Cli, past: Ledger, tmp_path: Path
) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(cli("export", "a"))
    cli("export", "--filter", "state = RUNNING", "--as-of", "@8", "--to", str(tmp_path / "some"))
    shown = cli.json("show", "a", "--json")
    told = cli.json("history", "a", "--json")

    cli.environment["JOBLEDGER_DSN"] = "host=127.0.0.1 port=1"
    assert cli.json("show", "--from", str(file), "--json") == shown
    assert cli.json("history", "--from", str(file), "--json") == told
    then = cli.json("show", "a", "--from", str(tmp_path / "some"), "--as-of", "v4", "--json")
    assert then["state"] == "FAILED"
    assert cli.run("show").returncode == 2

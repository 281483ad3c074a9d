"""What other programs read of an export: CloudEvents, Perfetto and Parquet."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from jobledger.domain.states import state_after
from jobledger.domain.values.moments import Clock
from jobledger.infra import Ledger
from jobledger.infra.transfer.exports import parquet
from jobledger.infra.transfer.exports.export import Format, export
from jobledger.infra.transfer.exports.selection import select
from jobledger.infra.transfer.imports.read_export import open_history

from tests.exports import BEGIN, A, at, exported, selection


def test_cloud_events_are_read_by_their_library(past: Ledger) -> None:
    out = io.BytesIO()
    assert export(past.reader, selection(past), Format.CLOUDEVENTS, out) == past.size()

    events = list(past.events(follow=False))
    read = [JSONFormat().read(CloudEvent, line) for line in out.getvalue().splitlines()]
    for event, cloud in zip(events, read, strict=True):
        assert cloud.get_id() == f"{past.name}/{event.position}"
        assert cloud.get_source() == f"/ledgers/{past.name}"
        assert cloud.get_type() == f"jobledger.job.{event.type}.v{event.schema % 100}"
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
    export(ledger.reader, selection(ledger, **asked), Format.PERFETTO, out)
    read: dict[str, Any] = json.loads(out.getvalue())
    return read


def test_a_trace_shows_the_states_of_a_job(past: Ledger) -> None:
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
        export(past.reader, asked, Format.PERFETTO, out)
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
    assert export(past.reader, wanted, Format.PARQUET, tmp_path / "pq") == past.size()

    assert sorted(path.name for path in (tmp_path / "pq").iterdir()) == [
        "_manifest.json",
        "day=2026-06-01",
        "day=2026-06-02",
    ]
    clocks = (*Clock, "effective")
    times = (f"epoch_us({clock}_time) AS {clock}_time" for clock in clocks)
    columns = f"* EXCLUDE (day) REPLACE ({', '.join(times)})"
    rows = read_parquet(tmp_path / "pq", f"SELECT {columns} FROM events ORDER BY position")
    expected = [
        (e.position, e.name, "p", "jobs", e.version, e.type, e.state.name if e.state else None,
         e.schema, microseconds(e.occurred_time), microseconds(e.recorded_time), e.actor, e.request_id, e.trace_parent, e.stored.decode(),
         microseconds(e.taken_time), state.name if (state := state_after(e.type)) else None)
        for e in select(past.reader, wanted)
    ]  # fmt: skip
    assert rows == expected
    metadata = pq.read_schema(tmp_path / "pq" / "day=2026-06-01" / "part-0.parquet").metadata
    assert metadata[b"jobledger.position"] == str(past.size()).encode()
    assert metadata[b"jobledger.clock"] == b"recorded"


def test_row_groups_are_bounded_by_their_bytes(
    past: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "GROUP_BYTES", 1)
    export(past.reader, selection(past, A), Format.PARQUET, tmp_path / "pq")
    for file in (tmp_path / "pq").glob("*/*.parquet"):
        metadata = pq.read_metadata(file)
        assert metadata.num_row_groups == metadata.num_rows > 0


@pytest.mark.slow
def test_duckdb_counts_the_trace_as_the_ledger_does(trace: Ledger, tmp_path: Path) -> None:
    ledger = trace
    assert (
        export(ledger.reader, selection(ledger), Format.PARQUET, tmp_path / "pq") == ledger.size()
    )
    assert read_parquet(tmp_path / "pq", "SELECT count(*) FROM events") == [(ledger.size(),)]
    for day in (2, 3, 4):
        time = datetime(2011, 5, day, 12, tzinfo=UTC)
        counted = last_states(tmp_path / "pq", f"effective_time <= '{time.isoformat()}'")
        assert counted == ledger.count(as_of=time).counts
    counted = last_states(tmp_path / "pq", "position <= 100000")
    assert counted == ledger.count(as_of="@100000").counts

    one = ledger.history(next(iter(ledger.scan("ever(state = FAILED)", limit=1))).name)[0].name
    assert open_history(exported(ledger, tmp_path / "all"), one).get()[0] == ledger.get(one)


def last_states(folder: Path, condition: str) -> dict[str, int]:
    last = f"""
        SELECT arg_max(state, (effective_time, version)) AS state FROM events
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

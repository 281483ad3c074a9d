"""Parquet by day and kind, with a manifest: read by other programs, verified without a database, imported back."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import runpy
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow.parquet as pq
import pytest
from jobledger.domain.events import Created, Event
from jobledger.infra import Ledger
from jobledger.infra.errors import InputError, ProofError
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.proof.signing.notes import SigningKey
from jobledger.infra.transfer.exports.export import Format
from jobledger.infra.transfer.exports.manifest import (
    MANIFEST,
    NOTE,
    Part,
    read_manifest,
    write_manifest,
)
from jobledger.infra.transfer.exports.partitions import Partition, parquet_files
from jobledger.infra.transfer.exports.verify_export import verify_export
from jobledger.infra.transfer.imports import read_parquet
from jobledger.infra.transfer.imports.exported import is_export, open_export
from jobledger.infra.transfer.traces.simulation import simulate

from tests.checkout import ROOT
from tests.desks import Desk
from tests.exports import at, selection, write_past
from tests.ledgers import fresh_ledger, odd_jobs
from tests.proof.test_receipts import verifier

EXAMPLE = ROOT / "scripts" / "examples" / "spark_history.py"
SPARK = ROOT / ".venv-spark" / "bin" / "python"
TIMES = [
    datetime(2026, 6, day, hour, tzinfo=UTC) for day, hour in ((1, 12), (2, 1), (3, 6), (9, 0))
]
MACROS = """
SET TimeZone = 'UTC';
CREATE MACRO get_json_object(json, path) AS json_extract_string(json, path);
CREATE MACRO unix_micros(time) AS epoch_us(time);
"""
"""Two functions of Spark that duckdb has by other names."""


@pytest.fixture
def busy_past(ledger: Ledger) -> Ledger:
    """Jobs of two kinds on several days, with late reports, deletions and several attempts."""
    write_past(ledger)
    ledger.append_many(odd_jobs())
    ledger.append_many(simulate(120, 5, "p"))
    ledger.create("projects/p/customJobs/c", occurred_time=at(1))
    ledger.started("projects/p/customJobs/c", occurred_time=at(2))
    return ledger


def export(ledger: Ledger, folder: Path, partition_by: Partition = Partition.DAY_KIND) -> Path:
    to = folder / partition_by.name
    ledger.export(selection(ledger), Format.PARQUET, to, partition_by=partition_by)
    return to


class Answers(NamedTuple):
    """What an export and its ledger are both asked."""

    states: dict[str, int]
    waits: list[float]
    failures: list[tuple[str, str, int]]


def of_ledger(ledger: Ledger, time: datetime) -> Answers:
    (waits,) = ledger.analyze("queue-time", bucket="520w").rows
    failures = ledger.analyze("failures", top=1_000).rows
    return Answers(
        {str(state): count for state, count in ledger.count(as_of=time).counts.items()},
        [float(value) for value in waits[1:]],
        sorted((row[0], row[1], row[2]) for row in failures),
    )


def of_duckdb(folder: Path, time: datetime) -> Answers:
    body = runpy.run_path(str(EXAMPLE))
    with duckdb.connect() as connection:
        connection.execute(MACROS)
        source = f"read_parquet('{folder}/day=*/**/*.parquet', hive_partitioning = true)"
        connection.execute(f"CREATE VIEW events AS FROM {source}")
        connection.execute(f"CREATE VIEW entered AS {body['ENTERED']}")
        states = connection.execute(body["STATES"].format(time=time.isoformat())).fetchall()
        waits = connection.execute(body["QUEUE_TIME"]).fetchall()
        failures = connection.execute(body["FAILURES"]).fetchall()
    return Answers(dict(states), list(waits[0]), sorted(failures))


def assert_same(found: Answers, expected: Answers) -> None:
    assert found.states == expected.states
    assert found.waits == pytest.approx(expected.waits, abs=1e-5)
    assert found.failures == expected.failures
    assert expected.waits[0] > 50
    assert expected.failures


@pytest.mark.slow
def test_files_are_in_folders_by_day_and_kind(busy_past: Ledger, tmp_path: Path) -> None:
    folder = export(busy_past, tmp_path)
    events = list(busy_past.events(follow=False))
    expected = {
        f"day={event.occurred_time.date()}/kind={event.name.split('/')[-2]}/part-0.parquet"
        for event in events
    }
    files = parquet_files(folder)
    assert {file.relative_to(folder).as_posix() for file in files} == expected
    assert {"jobs", "customJobs"} <= {file.parent.name.removeprefix("kind=") for file in files}
    assert all("kind" not in pq.read_schema(file).names for file in files)


def test_the_manifest_lists_each_file_and_is_a_checkpoint_of_no_log(
    busy_past: Ledger, tmp_path: Path
) -> None:
    folder = export(busy_past, tmp_path)
    manifest = read_manifest(folder)
    assert (manifest.ledger, manifest.events) == (busy_past.name, busy_past.size())
    assert (manifest.first_position, manifest.last_position) == (1, busy_past.size())
    assert manifest.partition_by == ["day", "kind"]
    for file in manifest.files:
        content = (folder / file.path).read_bytes()
        assert (file.bytes, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        positions = pq.ParquetFile(folder / file.path).read(["position"])["position"].to_pylist()
        assert (file.events, file.first_position, file.last_position) == (
            len(positions),
            min(positions),
            max(positions),
        )


@pytest.mark.slow
@pytest.mark.parametrize("time", TIMES, ids=str)
def test_duckdb_answers_as_the_ledger_does(
    busy_past: Ledger, tmp_path: Path, time: datetime
) -> None:
    for partition_by in Partition:
        folder = export(busy_past, tmp_path, partition_by)
        assert_same(of_duckdb(folder, time), of_ledger(busy_past, time))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_spark_with_two_workers_answers_as_the_ledger_does(
    busy_past: Ledger, tmp_path: Path
) -> None:
    if shutil.which("java") is None:
        pytest.skip(
            "Spark needs Java, and there is none (Debian: apt install default-jre-headless)"
        )
    if not SPARK.exists():
        pytest.skip("pyspark is not here: run scripts/spark-history")
    work = next(SPARK.parents[1].glob("lib/*/site-packages/pyspark")) / "work"
    shutil.rmtree(work, ignore_errors=True)
    folder = export(busy_past, tmp_path)
    time = TIMES[2]
    done = subprocess.run(
        [SPARK, EXAMPLE, folder, time.isoformat()],
        capture_output=True, text=True, timeout=280,
        env=os.environ | {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_DIRS": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert {path.name for path in work.glob("app-*/*")} == {"0", "1"}, "a folder for each worker"
    body = json.loads(done.stdout)
    failures = sorted((row["state"], row["message"], row["failures"]) for row in body["failures"])
    found = Answers(body["states"], list(body["queueTime"].values()), failures)
    assert_same(found, of_ledger(busy_past, time))


@pytest.mark.slow
@pytest.mark.parametrize("partition_by", Partition)
def test_it_is_imported_back(
    busy_past: Ledger, dsn: str, tmp_path: Path, partition_by: Partition
) -> None:
    folder = export(busy_past, tmp_path, partition_by)
    assert is_export(folder)
    with fresh_ledger(dsn) as other:
        done = other.import_history(folder)
        assert (done.written, done.forks) == (busy_past.size(), {})
        assert other.count().counts == busy_past.count().counts


def test_a_file_is_opened_when_its_first_position_is_reached(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in range(5):
        name = f"projects/p/jobs/of_day_{day}"
        ledger.create(name, occurred_time=at(24 * 60 * day))
        ledger.started(name, occurred_time=at(24 * 60 * day + 1))
    folder = export(ledger, tmp_path)
    opened: list[Path] = []
    rows = read_parquet._rows

    def noted(file: Path) -> Iterator[RecordedEvent]:
        opened.append(file)
        return rows(file)

    monkeypatch.setattr(read_parquet, "_rows", noted)
    events = open_export(folder).events
    assert [next(events).position, len(opened)] == [1, 1]
    assert [event.position for event in events] == list(range(2, 11))
    assert len(opened) == 5


@pytest.mark.slow
def test_more_days_that_overlap_are_read_than_a_process_may_have_files_open(
    ledger: Ledger, tmp_path: Path
) -> None:
    days = [at(24 * 60 * number) for number in range(80)]
    ledger.append_many(
        Event(f"projects/p/jobs/{job}_{number}", 1, Created(), day)
        for job in "ab"
        for number, day in enumerate(days)
    )
    folder = export(ledger, tmp_path, Partition.DAY)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 40, limits[1])
    )
    try:
        positions = [event.position for _, event in read_parquet.read_rows(parquet_files(folder))]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert positions == list(range(1, 161))


@pytest.mark.slow
def test_a_folder_that_its_manifest_does_not_list_is_not_imported(
    busy_past: Ledger, dsn: str, tmp_path: Path
) -> None:
    folder = export(busy_past, tmp_path)
    missing = parquet_files(folder)[1]
    missing.unlink()
    with fresh_ledger(dsn) as other:
        with pytest.raises(InputError, match=f"{missing} is missing"):
            other.import_history(folder)
        assert other.size() == 0


@pytest.fixture
def signed(desk: Desk) -> Path:
    """An export whose manifest the log's key signed."""
    desk.ledger.append_many(simulate(20, 3, "p"))
    folder = desk.folder / "events"
    asked = ("export", "--format", "parquet", "--partition-by", "day,kind", "--to", str(folder))
    assert desk.run(*asked) == 0
    return folder


def test_a_signed_export_is_verified_without_a_database(
    desk: Desk, signed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = verifier(desk)
    capsys.readouterr()
    desk.monkeypatch.setenv("JOBLEDGER_DSN", "host=/nowhere")
    events = desk.ledger.size()
    assert desk.run("verify-export", str(signed)) == 0
    assert f"{events} events of the ledger {desk.ledger.name}" in capsys.readouterr().out
    desk.monkeypatch.setenv("JOBLEDGER_HOME", str(desk.folder / "elsewhere"))
    assert desk.run("verify-export", str(signed), "--key", key, "--json") == 0
    body = json.loads(capsys.readouterr().out)
    assert (body["events"], body["signedBy"]) == (events, [key.split("+")[0]])
    assert desk.run("verify-export", str(signed)) == 1
    assert "there is no key of" in capsys.readouterr().err
    assert desk.run("verify-export", str(signed), "--unsigned") == 0
    assert "signature: not verified" in capsys.readouterr().out


def change(folder: Path, how: str) -> str:
    """Changes an export in one way; returns what the message must say."""
    files = parquet_files(folder)
    match how:
        case "changed":
            for file in files[2:4]:
                flipped = bytearray(file.read_bytes())
                flipped[len(flipped) // 2] ^= 1
                file.write_bytes(flipped)
            return f"{files[2]} differs"
        case "cut off":
            files[1].write_bytes(files[1].read_bytes()[:-1])
            return f"{files[1]} differs"
        case "missing":
            files[0].unlink()
            return f"{files[0]} is missing"
        case "added":
            added = files[0].with_name("part-1.parquet")
            shutil.copy(files[0], added)
            return f"{added} is not listed"
        case "another manifest":
            # As who changes a file and its digest would write it.
            old = files[0].read_bytes()
            new = old + b"x"
            files[0].write_bytes(new)
            text = (folder / MANIFEST).read_text()
            text = text.replace(f'"bytes": {len(old)},', f'"bytes": {len(new)},', 1)
            text = text.replace(hashlib.sha256(old).hexdigest(), hashlib.sha256(new).hexdigest())
            (folder / MANIFEST).write_text(text)
            return f"{folder / MANIFEST} differs from the one that was signed"
        case "no note":
            (folder / NOTE).unlink()
            return f"{folder} is not signed"
        case "no manifest":
            (folder / MANIFEST).unlink()
            return f"{folder} has no manifest"
        case "a path outside":
            text = (folder / MANIFEST).read_text()
            (folder / MANIFEST).write_text(text.replace("day=", "../day=", 1))
            return f"{folder / MANIFEST} is not one"
        case _:
            raise AssertionError(how)


@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    ["changed", "cut off", "missing", "added", "another manifest", "no note", "no manifest", "a path outside"],
)  # fmt: skip
def test_the_first_file_that_differs_is_named(
    desk: Desk, signed: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    message = change(signed, how)
    capsys.readouterr()
    assert desk.run("verify-export", str(signed), "--key", verifier(desk)) == 1
    assert message in capsys.readouterr().err


def test_only_a_key_of_the_log_signs(desk: Desk, signed: Path, tmp_path: Path) -> None:
    stranger = SigningKey.generate("example.org/other")
    with pytest.raises(ProofError, match="no known key of"):
        verify_export(signed, [stranger.verifier])
    # What another log signed for the same files is not taken for this log's.
    parts = [
        Part(file.path, file.events, file.first_position, file.last_position)
        for file in read_manifest(signed).files
    ]
    wanted = selection(desk.ledger)
    write_manifest(signed, wanted, Partition.DAY_KIND, parts, [stranger])
    assert verify_export(signed, [stranger.verifier]).signers == ["example.org/other"]
    assert desk.run("verify-export", str(signed), "--key", verifier(desk)) == 1


@pytest.mark.slow
def test_a_certified_export_by_day_and_kind_is_made_again(desk: Desk, signed: Path) -> None:
    desk.ledger.append_many(simulate(10, 2, "q"))
    assert desk.run("verify-report", str(signed)) == 0
    assert desk.run("verify-report", str(parquet_files(signed)[1])) == 0
    shutil.rmtree(parquet_files(signed)[1].parent)
    assert desk.run("verify-report", str(signed)) == 1


def test_other_formats_have_no_partitions(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.run("export", "--partition-by", "day") == 2
    assert "is for parquet, and the format is jsonl" in capsys.readouterr().err
    to = str(desk.folder / "x")
    assert desk.run("export", "--format", "parquet", "--partition-by", "kind", "--to", to) == 2
    assert "'kind' is not one of" in capsys.readouterr().err


def test_an_export_of_nothing_has_a_manifest_of_no_files(ledger: Ledger, tmp_path: Path) -> None:
    folder = export(ledger, tmp_path)
    manifest: Any = json.loads((folder / MANIFEST).read_text())
    assert (manifest["events"], manifest["files"], manifest["firstPosition"]) == (0, [], None)
    assert verify_export(folder, []).manifest.events == 0

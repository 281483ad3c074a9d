"""Certified reports and Parquet files, which are computed again to verify them."""

from __future__ import annotations

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jobledger.infra.transfer.traces.simulation import simulate

from tests.desks import Desk
from tests.ledgers import odd_jobs


@pytest.fixture
def desk(desk: Desk) -> Desk:
    """With a past to report on."""
    desk.ledger.append_many(simulate(80, 3, "p"))
    desk.ledger.append_many(odd_jobs())
    return desk


pytestmark = pytest.mark.plain_server

REPORTS = [
    ("throughput", "--bucket", "1d"),
    ("throughput", "--by", "kind", "--filter", "state = SUCCEEDED"),
    ("queue-time",),
    ("run-time", "--by", "state"),
    ("failures", "--top", "3"),
    ("concurrency", "--bucket", "6h", "--state", "RUNNING"),
    ("attempts",),
]


@pytest.mark.slow
@pytest.mark.parametrize("asked", REPORTS, ids=" ".join)
def test_a_certified_report_is_computed_again_whatever_was_written_since(
    desk: Desk, asked: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    file = desk.folder / "report.json"
    assert desk.run("report", *asked, "--certify", str(file)) == 0
    certified = json.loads(file.read_text())
    assert f"\n{certified['report']['position']}\n" in certified["checkpoint"]
    assert certified["report"]["rows"]
    desk.ledger.append_many(simulate(30, 3, "q"))
    desk.ledger.seal()
    assert desk.run("verify-report", str(file)) == 0
    assert "events of jobledger/" in capsys.readouterr().out


@pytest.mark.slow
def test_a_certified_report_equals_the_plain_one(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    file = desk.folder / "report.json"
    desk.run("report", "throughput", "--bucket", "1d", "--certify", str(file))
    capsys.readouterr()
    desk.run("report", "throughput", "--bucket", "1d", "--json")
    assert (
        json.loads(file.read_text())["report"]["rows"]
        == json.loads(capsys.readouterr().out)["rows"]
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "body"),
    [
        ("rows", "differs from the"),
        ("asked", "differs from the"),
        ("checkpoint", "is not valid"),
        ("kind", "not a certified report"),
        ("cut", "not a certified report"),
    ],
)
def test_a_changed_report_is_refused(
    desk: Desk, change: str, body: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = desk.folder / "report.json"
    desk.run("report", "throughput", "--certify", str(file))
    content = json.loads(file.read_text())
    match change:
        case "rows":
            content["report"]["rows"][0]["ended"] += 1
        case "asked":
            content["asked"]["filter"] = "state = FAILED"
        case "checkpoint":
            size = content["report"]["position"]
            content["checkpoint"] = content["checkpoint"].replace(f"\n{size}\n", f"\n{size - 1}\n")
        case "kind":
            content["jobledger"] = "history"
    text = json.dumps(content)
    file.write_text(text if change != "cut" else text[:-30])
    capsys.readouterr()
    assert desk.run("verify-report", str(file)) == 1
    assert body in capsys.readouterr().err


@pytest.mark.slow
def test_a_report_on_events_changed_since_is_refused(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    file = desk.folder / "report.json"
    desk.run("report", "throughput", "--certify", str(file))
    desk.attack("UPDATE jobs SET state = 'FAILED'")  # Rows that are shown have no say.
    assert desk.run("verify-report", str(file)) == 0
    desk.attack("UPDATE events SET actor = 'mallory' WHERE position = 10")
    capsys.readouterr()
    assert desk.run("verify-report", str(file)) == 1
    assert "changed at position 10" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("selected", [(), ("--filter", "state = SUCCEEDED")])
def test_parquet_is_exported_again_and_compared(
    desk: Desk, selected: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = desk.folder / "parquet"
    assert desk.run("export", "--format", "parquet", "--to", str(folder), *selected) == 0
    desk.ledger.append_many(simulate(10, 2, "q"))
    assert desk.run("verify-report", str(folder)) == 0
    one = sorted(folder.glob("*/*.parquet"))[1]
    assert desk.run("verify-report", str(one)) == 0
    table = pq.ParquetFile(one).read()
    actors = table.column("actor").to_pylist()
    changed = table.set_column(
        table.column_names.index("actor"),
        table.schema.field("actor"),
        pa.array(["mallory", *actors[1:]], pa.string()),
    )
    pq.write_table(changed, one)
    capsys.readouterr()
    assert desk.run("verify-report", str(one)) == 1
    assert desk.run("verify-report", str(folder)) == 1
    assert "differs from the events" in capsys.readouterr().err
    shutil.rmtree(one.parent)
    assert desk.run("verify-report", str(folder)) == 1


@pytest.mark.slow
def test_parquet_without_a_checkpoint_is_not_certified(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(desk.folder / "home")
    desk.attack("DELETE FROM checkpoints")
    folder = desk.folder / "parquet"
    assert desk.run("export", "--format", "parquet", "--to", str(folder)) == 0
    assert desk.run("verify-report", str(folder)) == 1
    assert "names no checkpoint" in capsys.readouterr().err
    assert desk.run("report", "throughput", "--certify", str(desk.folder / "r")) == 1

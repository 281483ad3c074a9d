"""A short form of scripts/faults and scripts/soak, and tests of the judge."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from jobledger import Ledger

from tests.clusters import new_cluster
from tests.faults.judge import judge
from tests.faults.matrix import kill_server, rebuild_at_once, set_role_timeouts, terminate_backends
from tests.faults.run import finish, loaded, main
from tests.schemas import make_ledger

pytestmark = pytest.mark.slow


def test_faults_one_after_the_other_break_no_promise() -> None:
    with loaded() as load:
        for fault in (terminate_backends, kill_server, rebuild_at_once, set_role_timeouts):
            fault(load)
            load.wait_for_more()
        verdict = finish(load)
    assert verdict.findings == []
    assert verdict.acknowledged > 80
    assert verdict.fed > 0


def test_a_fault_that_does_not_exist_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["faults", "earthquake"]) == 2
    assert "faults are: kill_postmaster" in capsys.readouterr().err


Logs = list[dict[str, Any]]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, Logs]]:
    """A ledger of three events with the log of its client, without findings."""
    with new_cluster() as cluster:
        name = make_ledger(cluster.dsn)
        logs: Logs = []
        with Ledger.open(cluster.dsn, name) as ledger:
            for number in range(3):
                marker, job = f"m{number}", f"projects/p/jobs/j{number % 2}"
                logs.append({"kind": "asked", "marker": marker, "name": job})
                if number < 2:
                    done = ledger.create(job, actor=marker)
                else:
                    done = ledger.progress_reported(job, {}, actor=marker)
                logs.append(
                    {"kind": "done", "marker": marker, "name": job, "version": done.version, "began": number, "ended": number + 0.5}
                )  # fmt: skip
                logs.append({"kind": "fed", "position": number + 1, "name": job, "version": done.version})  # fmt: skip
            counts = ledger.count(as_of="@2").counts
            listed = [[each.name, each.version] for each in ledger.list(as_of="@2", limit=5)]
            logs.append({"kind": "past", "at": "@2", "counts": counts, "jobs": listed})
        yield cluster.dsn, name, logs


def verdict_of(tmp_path: Path, judged: tuple[str, str, Logs], logs: Logs) -> list[str]:
    folder = tmp_path / "logs"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "p0.jsonl").write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in logs))
    return judge(folder, *judged[:2]).findings


def changed(index: int, **values: Any) -> Callable[[Logs], Logs]:
    """The log with one record changed."""
    return lambda logs: [record | values if n == index else record for n, record in enumerate(logs)]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda logs: logs, ""),
        (lambda logs: [*logs, {"kind": "done", "marker": "lost", "name": "x", "version": 1, "began": 9, "ended": 9}], "lost was acknowledged"),
        (changed(1, version=2), "m0 was acknowledged as 2"),
        (changed(1, kind="refused", error="JobExistsError"), "m0 was refused"),
        (lambda logs: logs[1:], "nobody asked for"),
        (changed(1, began=9, ended=9), "began after a later version had ended"),
        (changed(2, position=2), "the feed differs"),
        (lambda logs: [record for n, record in enumerate(logs) if n != 2], "the feed differs"),
        (changed(9, counts={"QUEUED": 9}), "as of @2 the answer is another one"),
    ],
)  # fmt: skip
def test_the_judge_finds_each_broken_promise(
    tmp_path: Path,
    judged: tuple[str, str, Logs],
    change: Callable[[Logs], Logs],
    found: str,
) -> None:
    findings = verdict_of(tmp_path, judged, change(judged[2]))
    assert bool(findings) == bool(found)
    assert all(found in finding for finding in findings[:1])

"""Commands run as jobs: again under a name, beside another run, and once."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
from jobledger.domain.errors import JobExistsError
from jobledger.domain.states import JobState
from jobledger.infra import Ledger
from jobledger.infra.cli.jobs.child import Command, run_as_job
from jobledger.infra.programs.opening import Opening
from jobledger.infra.programs.run_store import RunStore, destination
from jobledger.infra.programs.spool import Spool
from jobledger.infra.proof.publishing.publisher import publish
from jobledger.infra.proof.signing.notes import SigningKey
from jobledger.infra.settings import SECRETS, Settings

from tests.proof.test_witness import Log

NAME = "projects/p/jobs/night"
S = JobState
Runs = Callable[..., int]


@pytest.fixture
def run(dsn: str, ledger: Ledger, tmp_path: Path) -> Runs:
    """Runs Python code as the job NAME."""
    opening = Opening(
        lambda: destination(dsn, ledger.name),
        lambda: RunStore.open(dsn, ledger.name, lambda: None),
        "p",
        lambda: Spool(tmp_path / "spool"),
    )

    def running(code: str, once: bool = False, **labels: str) -> int:
        command = Command([sys.executable, "-c", code])
        return run_as_job(opening, NAME, labels, command, once=once).code

    return running


def types(ledger: Ledger) -> list[str]:
    return [event.type for event in ledger.history(NAME)]


FAIL, PASS = "raise SystemExit(3)", "pass"


@pytest.mark.slow
@pytest.mark.parametrize("first", [FAIL, PASS])
@pytest.mark.parametrize("second", [FAIL, PASS])
def test_a_second_run_is_a_new_attempt(run: Runs, ledger: Ledger, first: str, second: str) -> None:
    ends = {FAIL: "Failed", PASS: "Succeeded"}
    assert run(first, team="a") == (3 if first is FAIL else 0)
    assert run(second, env="b") == (3 if second is FAIL else 0)

    job = ledger.get(NAME)
    assert (job.state, job.attempt) == (S.FAILED if second is FAIL else S.SUCCEEDED, 2)
    assert job.labels == {"team": "a", "env": "b"}
    assert job.spec["command"] == [sys.executable, "-c", second]
    expected = [type_ for type_ in types(ledger) if type_ not in ("ConfigChanged", "LabelsChanged")]
    assert expected == ["Created", "Started", ends[first], "Retried", "Started", ends[second]]


def test_with_once_a_second_run_is_refused_before_it_runs(
    run: Runs, ledger: Ledger, tmp_path: Path
) -> None:
    touch = f"open({str(tmp_path / 'ran')!r}, 'a').write('x')"
    assert run(touch, once=True) == 0
    with pytest.raises(JobExistsError, match="night"):
        run(touch, once=True)
    assert (tmp_path / "ran").read_text() == "x"
    assert types(ledger) == ["Created", "Started", "Succeeded"]


def test_a_queued_job_is_run_in_its_first_attempt(run: Runs, ledger: Ledger) -> None:
    ledger.create(NAME, spec={"made": "by a scheduler"})
    ledger.preparing(NAME)
    assert run(PASS) == 0
    assert types(ledger) == ["Created", "Preparing", "Started", "Succeeded"]
    assert ledger.get(NAME).spec == {"made": "by a scheduler"}


@pytest.mark.slow
@pytest.mark.parametrize("state", ["started", "paused"])
def test_a_run_after_one_that_never_reported_its_end_is_a_new_attempt(
    run: Runs, ledger: Ledger, state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.create(NAME)
    getattr(ledger, state)(NAME)
    assert run(PASS) == 0
    assert ledger.get(NAME).attempt == 2
    assert "Contradicted" not in types(ledger)
    assert "this run is a new attempt" in capsys.readouterr().err


@pytest.mark.slow
def test_the_end_of_an_older_run_does_not_end_a_newer_run(
    run: Runs, ledger: Ledger, dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    inner = (
        "from jobledger.infra import Ledger\n"
        f"with Ledger.open({dsn!r}, {ledger.name!r}) as ledger:\n"
        f"    ledger.started({NAME!r}, run_id='overtakes')\n"
    )
    assert run(inner) == 0
    job = ledger.get(NAME)
    assert (job.state, job.attempt) == (S.RUNNING, 2)
    assert ledger.history(NAME)[-1].json["report"] == "Succeeded"
    assert "Succeeded is kept as Contradicted" in capsys.readouterr().err


def test_a_run_of_a_job_that_is_being_cancelled_is_reported(
    run: Runs, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.create(NAME)
    ledger.started(NAME)
    ledger.cancel(NAME)
    assert run(FAIL) == 3
    assert "is CANCELLING, so that Started is kept as Contradicted" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("case", [str.upper, str.lower])
def test_a_started_command_gets_no_secrets_in_its_environment(
    run: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: Callable[[str], str]
) -> None:
    for name in SECRETS:
        monkeypatch.setenv(case(f"JOBLEDGER_{name}"), "hunter2")
    monkeypatch.setenv("JOBLEDGER_PROJECT", "told")
    seen = tmp_path / "seen"
    write = (
        f"import os, pathlib, sys; pathlib.Path({str(seen)!r}).write_text(repr(dict(os.environ)))"
    )
    run(write)
    by_run = seen.read_text()
    publish(
        str(Log(SigningKey.generate("example.com/log")).note(1)),
        [f"exec:{shlex.join([sys.executable, '-c', write])}"],
    )
    for message in (by_run, seen.read_text()):
        assert "hunter2" not in message
        assert "told" in message


def test_every_setting_that_is_not_shown_is_a_secret() -> None:
    hidden = {field.name.upper() for field in fields(Settings) if not field.repr}
    assert hidden == SECRETS

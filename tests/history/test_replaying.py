"""Replays of a job with hypothetical events, in a program and in a terminal; nothing is recorded."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest
from jobledger.domain.errors import InvalidFieldError, JobNotFoundError
from jobledger.domain.states import JobState
from jobledger.infra import Ledger
from jobledger.infra.eventstore.json_view import event_json, job_json
from jobledger.infra.history.replay import parse_hypothesis, replay_job

from tests.cli.test_cli import EVENT_KEYS, JOB_KEYS
from tests.command_line import Cli
from tests.terminals import terminal

NAME = "projects/p/jobs/x"
AT = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def job(ledger: Ledger) -> str:
    ledger.create(NAME, {"team": "vision"}, {"n": 1}, actor="alice")
    ledger.started(NAME, {"worker": "node-7"})
    ledger.change_labels(NAME, {"team": "speech"})
    return NAME


def test_each_step_is_the_job_after_its_event(ledger: Ledger, job: str) -> None:
    replayed = replay_job(ledger.reader, job, ledger.moment())
    assert [step.recorded for step in replayed.steps] == ledger.history(job)
    for step in replayed.steps:
        assert step.job == ledger.get(job, as_of=f"v{step.event.version}")
        assert not step.hypothetical
    assert [c.path for c in replayed.steps[2].changes] == [
        "version", "updateTime", "labels.team", "etag",
    ]  # fmt: skip


def test_a_hypothetical_event_is_judged_marked_and_never_recorded(ledger: Ledger, job: str) -> None:
    supposed = [
        parse_hypothesis('Failed={"error": "boom"}'),
        parse_hypothesis('Succeeded={"output": {"a": 1}}'),
        parse_hypothesis("Retried"),
    ]
    replayed = replay_job(ledger.reader, job, ledger.moment("v2", name=job), supposed)
    happened, failed, contradicted, retried = (*replayed.steps[1:],)
    assert [step.hypothetical for step in replayed.steps] == [False, False, True, True, True]
    assert (failed.event.version, failed.job.error_message) == (3, "boom")
    assert failed.event.occurred_time == happened.event.occurred_time
    assert contradicted.contradicted
    assert contradicted.job.state is failed.job.state
    assert (retried.job.attempt, retried.recorded_time) == (2, None)
    assert ledger.size() == 3
    assert [event.type for event in ledger.history(job)] == ["Created", "Started", "LabelsChanged"]


def test_a_hypothesis_may_depend_on_how_the_job_came_to_its_state(ledger: Ledger, job: str) -> None:
    ledger.update(job, {"n": 2}, {"team": "audio"})
    (updated, relabeled) = ledger.replay(job, hypotheses=[parse_hypothesis("Updated")]).steps[-2:]
    assert (updated.event.version, updated.job.version) == (5, 5)
    assert (relabeled.event.type, relabeled.job.labels) == ("LabelsChanged", {"team": "audio"})
    ledger.report(job, parse_hypothesis('Expired={"lost": true}'))
    ended = ledger.replay(job, hypotheses=[parse_hypothesis("Succeeded")]).steps[-1]
    assert (ended.contradicted, ended.job.state) == (False, JobState.SUCCEEDED)


def test_json_is_the_same_for_what_happened_and_what_did_not(
    cli: Cli, ledger: Ledger, job: str
) -> None:
    body = cli.json("replay", "x", "--json", "--with", "Succeeded", "--with", "Started")
    assert body["name"] == job
    assert (body["position"], body["clock"]) == (3, "recorded")
    flags = [(step["hypothetical"], step["contradicted"]) for step in body["steps"]]
    assert flags == [(False, False)] * 3 + [(True, False), (True, True)]
    assert [list(step["event"]) for step in body["steps"]] == [EVENT_KEYS] * 5
    assert [list(step["job"]) for step in body["steps"]] == [JOB_KEYS] * 5
    assert [step["event"] for step in body["steps"][:3]] == [
        event_json(event) for event in ledger.history(job)
    ]
    assert body["steps"][2]["job"] == job_json(ledger.get(job))
    supposed = body["steps"][3]["event"]
    assert (supposed["position"], supposed["recordedTime"], supposed["version"]) == (None, None, 4)
    assert {"path": "state", "before": "RUNNING", "after": "SUCCEEDED"} in body["steps"][3][
        "changes"
    ]
    assert ledger.size() == 3


def test_a_pipe_gets_all_steps_as_text(cli: Cli, job: str) -> None:
    text = cli("replay", "x", "--until", "v2", "--with", 'Failed={"error": "boom"}')
    assert "1/3 projects/p/jobs/x v1 Created, QUEUED\n" in text
    assert "3/3 projects/p/jobs/x v3 Failed, FAILED  HYPOTHETICAL, not recorded" in text
    assert "recorded never" in text
    assert "by alice" in text
    assert "\x1b" not in text


def test_the_order_is_that_of_the_clock(cli: Cli, ledger: Ledger) -> None:
    ledger.create("projects/p/jobs/late", occurred_time=AT)
    ledger.succeeded("projects/p/jobs/late", occurred_time=AT + timedelta(hours=2))
    ledger.started("projects/p/jobs/late", occurred_time=AT + timedelta(hours=1))
    for clock, versions in (("occurred", [1, 3, 2, 4]), ("recorded", [1, 2, 3, 4])):
        body = cli.json("replay", "late", "--clock", clock, "--json", "--with", "Retried")
        assert [step["event"]["version"] for step in body["steps"]] == versions
    known = [step["event"]["state"] for step in body["steps"]]
    assert known == ["QUEUED", "SUCCEEDED", "SUCCEEDED", "QUEUED"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nobody"], "there is no job"),
        (["nobody", "--with", "Started"], "there is no job"),
        (["x", "--until", "v9"], "until: there is no version 9"),
        (["x", "--until", "@0"], "there is no job"),
        (["x", "--until", "soon"], "until: 'soon' is not a moment"),
        (["x", "--with", "Exploded"], "unknown event type 'Exploded'"),
        (["x", "--with", "Failed={"], "is not JSON"),
        (["x", "--with", "Failed=[]"], "is not a JSON object"),
        (["x", "--with", 'Failed={"error": 7}'], "data.error"),
        (["x", "--with", 'Started={"a": "\\u0000"}'], "NUL"),
        (["x", "--with", ""], "unknown event type ''"),
    ],
)
def test_bad_input_gets_one_sentence_and_records_nothing(
    cli: Cli, ledger: Ledger, job: str, arguments: list[str], sentence: str
) -> None:
    done = cli.run("replay", *arguments)
    assert done.returncode == (3 if "there is no job" in sentence else 2)
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert ledger.size() == 3


def test_an_error_names_the_hypothetical_event(ledger: Ledger) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        parse_hypothesis("Exploded={}")
    assert caught.value.field == "with"
    with pytest.raises(JobNotFoundError):
        replay_job(ledger.reader, NAME, ledger.moment())


@pytest.mark.slow
def test_keys_step_through_it_in_a_terminal(cli: Cli, ledger: Ledger, job: str) -> None:
    with terminal(cli, "replay", "x", "--with", 'Failed={"error": "boom"}') as (screen, process):
        begun = screen.wait("q  quit")
        assert "4/4" in begun
        assert "HYPOTHETICAL, not recorded" in begun
        assert "boom" in begun
        back = screen.press("\x1b[D", "3/4")
        assert "HYPOTHETICAL" not in screen.wait("q  quit").partition("3/4")[2]
        assert "LabelsChanged" in back
        screen.wait("speech")
        assert "v1 Created" in screen.press("\x1b[H", "1/4")
        screen.wait("q  quit")
        assert "v2 Started" in screen.press("\x1b[C", "2/4")
        screen.wait("node-7")
        assert "recorded" in screen.wait("q  quit")
        screen.press("np" * 3 + "G", "4/4")
        screen.press("pppppppp", "1/4")
        screen.press("z\x1b[F", "4/4")
        os.write(screen._fd, b"q")
        assert process.wait(timeout=60) == 0
    assert ledger.size() == 3


@pytest.mark.slow
@pytest.mark.parametrize("key", ["\x03", "\x04", "\x1b"])
def test_every_quit_key_ends_the_replay(cli: Cli, job: str, key: str) -> None:
    with terminal(cli, "replay", "x") as (screen, process):
        screen.wait("q  quit")
        os.write(screen._fd, key.encode())
        assert process.wait(timeout=60) == 0

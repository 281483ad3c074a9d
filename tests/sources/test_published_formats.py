"""What systems write of the less usual lives of jobs, in the formats of the mappings that come with the program."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from jobledger.domain.states import JobState
from jobledger.domain.values.job_ids import job_id
from jobledger.infra import Ledger
from jobledger.infra.sources.mapping.model import read_mapping

from tests.sources.test_mapping import Example, run

S = JobState
DONE = "7ad2d189f7e94e70a38c781354912448"
EXITED = "98e322203f7a4ed290d09fe03c09fe15"
FAILED = "d9b373ed55a64feb8242e02dbe79a49c"
NOT_STARTED = "be02cf6855d2428ba40df7e9d022f03d"
STARTED = "39f53479d3a045ac8e11786248231fbf"
STARTING = "7d4958e842da4a758f6c1cdc7b36dcc5"
STOPPED = "9d1aaa27d60140bd96365438aad20286"
STOPPING = "de5b426a63be47a7b6ac3eaac82e2f6f"
USED = "ae8f7b866b0347b9af31fe1c80b127c0"
"""systemd's ids of messages (sd-messages.h)."""


def lines(records: Iterable[dict[str, Any]]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def journal(*said: tuple[str, str, str], **fields: str) -> str:
    """What systemd says of a unit: id and text of each message, and the invocation that it is of."""
    about = {"UNIT": "backup.service", "_HOSTNAME": "db1"} | fields
    run = "USER_INVOCATION_ID" if "USER_UNIT" in fields else "INVOCATION_ID"
    return lines(
        {"__REALTIME_TIMESTAMP": str(1793527200000000 + n * 1_000_000), **about,
         "MESSAGE_ID": id_, "MESSAGE": text, run: invocation}
        for n, (id_, text, invocation) in enumerate(said)
    )  # fmt: skip


def celery(*events: dict[str, Any]) -> str:
    return lines(
        {"uuid": "u", "hostname": "celery@n1", "timestamp": 1793527200.25 + n, **event}
        for n, event in enumerate(events)
    )


def tekton(kind: str, reason: str, message: str) -> str:
    run = {
        "metadata": {"name": "build", "labels": {"tekton.dev/pipelineRun": "nightly"}},
        "status": {"conditions": [{"type": "Succeeded", "status": "False", "reason": reason, "message": message}]},
    }  # fmt: skip
    return lines(
        {"specversion": "1.0", "id": str(n), "source": "/ns/build", "subject": "build",
         "type": f"dev.tekton.event.{kind.lower()}.{what}.v1", "time": f"2026-11-01T10:0{n}:00Z",
         "data": {kind: run}}
        for n, what in enumerate(["started", "running", "unknown", "failed"])
    )  # fmt: skip


def query(**fields: Any) -> dict[str, Any]:
    times = {"creationTime": "1793527200000", "startTime": "1793527201000", "endTime": "1793527209000"}  # fmt: skip
    return {"jobReference": {"jobId": "q"}, "statistics": times, **fields}


def vertex(kind: str, state: str, **more: Any) -> str:
    job = {
        "name": "projects/1/locations/l/x/7", "state": state, "createTime": "2026-11-01T10:00:00Z",
        "startTime": "2026-11-01T10:01:00Z", "endTime": "2026-11-01T10:05:00Z",
    }  # fmt: skip
    return json.dumps({kind: [job | more]})


def argo(phase: str, started: str, finished: str) -> str:
    ran = {
        "phase": phase, "startedAt": f"2026-11-01T{started}Z", "finishedAt": f"2026-11-01T{finished}Z",
    }  # fmt: skip
    node = {"id": "w-1", "type": "Pod", "displayName": "fit", **ran}
    about = {"namespace": "ml", "name": "w", "creationTimestamp": "2026-11-01T10:00:00Z"}
    return json.dumps({"items": [{"metadata": about, "status": {**ran, "nodes": {"w-1": node}}}]})


STOPPED_QUERY = {"reason": "stopped", "message": "Job execution was cancelled: User requested cancellation"}  # fmt: skip
GITHUB_JOB = {"databaseId": 9, "name": "test", "conclusion": "", "completedAt": "0001-01-01T00:00:00Z", "steps": []}  # fmt: skip
GITHUB_RUN = {
    "id": 7, "name": "CI", "display_title": "Fix", "head_branch": "main", "head_sha": "abc", "event": "push",
    "run_attempt": 1, "status": "completed", "conclusion": "timed_out", "created_at": "2026-11-01T10:00:00Z",
    "run_started_at": "2026-11-01T10:00:05Z", "updated_at": "2026-11-01T16:00:00Z",
}  # fmt: skip
UNIT = "db1/backup.service"
VERTEX = "projects/1/locations/l/x/7"

CASES = {
    "systemd-journal oneshot": Example(
        journal(
            (STARTING, "Starting backup.service - Nightly backup...", "a"),
            (DONE, "backup.service: Deactivated successfully.", "a"),
            (STARTED, "Finished backup.service - Nightly backup.", "a"),
            (USED, "backup.service: Consumed 1.2s CPU time.", "a"),
        ),
        {UNIT: (S.SUCCEEDED, 1, None)},
    ),
    "systemd-journal oneshot that remains": Example(
        journal((STARTING, "Starting x", "a"), (STARTED, "Finished x", "a")),
        {UNIT: (S.SUCCEEDED, 1, None)},
    ),
    "systemd-journal failure": Example(
        journal(
            (STARTING, "Starting backup.service - Nightly backup...", "a"),
            (EXITED, "backup.service: Main process exited, code=exited, status=2/INVALIDARGUMENT", "a"),
            (FAILED, "backup.service: Failed with result 'exit-code'.", "a"),
            (NOT_STARTED, "Failed to start backup.service - Nightly backup.", "a"),
            (STARTING, "Starting backup.service - Nightly backup...", "b"),
        ),
        {UNIT: (S.RUNNING, 2, None)},
    ),
    "systemd-journal dependency": Example(
        journal((NOT_STARTED, "Dependency failed for backup.service.", "")),
        {UNIT: (S.FAILED, 1, "Dependency failed for backup.service.")},
    ),
    "systemd-journal daemon of a user": Example(
        journal(
            (STARTED, "Started sync.service.", "a"),
            (STOPPING, "Stopping sync.service...", "a"),
            (DONE, "sync.service: Deactivated successfully.", "a"),
            (STOPPED, "Stopped sync.service.", "a"),
            UNIT="", USER_UNIT="sync.service", _UID="1000",
        ),
        {"db1/user-1000/sync.service": (S.SUCCEEDED, 1, None)},
    ),
    "systemd-journal other units": Example(
        journal((STARTED, "Started x", "a"), (DONE, "x", "a"))
        + journal((STARTED, "Reached target multi-user.target.", "a"), UNIT="multi-user.target"),
        {UNIT: (S.SUCCEEDED, 1, None)},
    ),
    "systemd-journal hosts": Example(
        journal((STARTED, "Started x", "a"), (DONE, "x", "a"))
        + journal((STARTED, "Started x", "b"), _HOSTNAME="db2"),
        {UNIT: (S.SUCCEEDED, 1, None), "db2/backup.service": (S.RUNNING, 1, None)},
    ),
    "slurm-sacct names with quotes": Example(
        "JobID|JobName|Submit|Start|End|State|ExitCode\n"
        '7|"train|2026-11-01T10:00:00|2026-11-01T10:01:00|2026-11-01T11:00:00|COMPLETED|0:0\n'
        '8|"a" b|2026-11-01T10:00:00|2026-11-01T10:01:00|2026-11-01T11:00:00|TIMEOUT|0:0\n',
        {"7": (S.SUCCEEDED, 1, None), "8": (S.EXPIRED, 1, "TIMEOUT")},
    ),
    "celery-events revoked": Example(
        celery({"type": "task-sent", "name": "add"}, {"type": "task-revoked", "terminated": True, "expired": False, "signum": "15"}),
        {"u": (S.CANCELLED, 1, "revoked")},
    ),
    "celery-events sent and received again before the try ends": Example(
        celery(
            {"type": "task-sent", "name": "add", "retries": 0}, {"type": "task-received", "name": "add", "retries": 0},
            {"type": "task-started"}, {"type": "task-sent", "name": "add", "retries": 1},
            {"type": "task-received", "name": "add", "retries": 1}, {"type": "task-retried", "exception": "Timeout()"},
            {"type": "task-started"}, {"type": "task-succeeded", "result": "3", "runtime": 0.5},
        ),
        {"u": (S.SUCCEEDED, 2, None)},
    ),
    "celery-events expired": Example(
        celery({"type": "task-sent", "name": "add"}, {"type": "task-revoked", "terminated": False, "expired": True, "signum": None}),
        {"u": (S.EXPIRED, 1, "the task expired before it ran")},
    ),
    "celery-events rejected": Example(
        celery({"type": "task-received", "name": "add"}, {"type": "task-rejected", "requeue": False}),
        {"u": (S.FAILED, 1, "the worker rejected the task")},
    ),
    "celery-events requeued, and an event of the program": Example(
        celery(
            {"type": "task-received", "name": "add"}, {"type": "task-started"},
            {"type": "task-rejected", "requeue": True}, {"type": "task-received"}, {"type": "task-started"},
            {"type": "task-halfway"}, {"type": "task-succeeded", "result": "3", "runtime": 0.5},
        ),
        {"u": (S.SUCCEEDED, 2, None)},
    ),
    "bigquery-jobs one, with the error in its status": Example(
        json.dumps(query(status={"state": "DONE", "errorResult": {"reason": "invalidQuery", "message": "Syntax error"}})),
        {"q": (S.FAILED, 1, "Syntax error")},
    ),
    "bigquery-jobs list without statuses": Example(
        json.dumps({"jobs": [query(state="DONE")]}), {"q": (S.SUCCEEDED, 1, None)}
    ),
    "bigquery-jobs cancelled": Example(
        json.dumps([query(status={"state": "DONE", "errorResult": STOPPED_QUERY}, errorResult=STOPPED_QUERY)]),
        {"q": (S.CANCELLED, 1, STOPPED_QUERY["message"])},
    ),
    "github-actions-jobs queued": Example(
        json.dumps({"jobs": [GITHUB_JOB | {"status": "queued", "startedAt": "2026-11-01T10:00:00Z"}]}),
        {"job-9": (S.QUEUED, 1, None)},
    ),
    "github-actions-jobs running": Example(
        json.dumps({"jobs": [GITHUB_JOB | {"status": "in_progress", "startedAt": "2026-11-01T10:00:00Z"}]}),
        {"job-9": (S.RUNNING, 1, None)},
    ),
    "github-actions-runs of the API": Example(
        json.dumps({"total_count": 1, "workflow_runs": [GITHUB_RUN]}), {"run-7": (S.EXPIRED, 1, "timed_out")}
    ),
    "tekton-cloudevents failed": Example(
        tekton("taskRun", "Failed", '"step-fit" exited with code 1'),
        {"/ns/build": (S.FAILED, 1, '"step-fit" exited with code 1')},
    ),
    "tekton-cloudevents cancelled": Example(
        tekton("taskRun", "TaskRunCancelled", "cancelled by ada"), {"/ns/build": (S.CANCELLED, 1, "cancelled by ada")}
    ),
    "tekton-cloudevents too long": Example(
        tekton("pipelineRun", "PipelineRunTimeout", "it took over 1h"), {"/ns/build": (S.EXPIRED, 1, "it took over 1h")}
    ),
    "argo-workflows a pod that waits": Example(
        json.dumps([{
            "metadata": {"namespace": "ml", "name": "w", "creationTimestamp": "2026-11-01T10:00:00Z"},
            "status": {"phase": "Running", "startedAt": "2026-11-01T10:00:00Z", "finishedAt": None, "nodes": {
                "w-1": {"type": "Pod", "displayName": "fit", "phase": "Pending", "id": "w-1",
                        "startedAt": "2026-11-01T10:00:01Z", "finishedAt": None}}},
        }]),
        {"ml/w": (S.RUNNING, 1, None), "ml/w/w-1": (S.QUEUED, 1, None)},
    ),
    "vertex-jobs batch": Example(
        vertex("batchPredictionJobs", "JOB_STATE_SUCCEEDED"), {VERTEX: (S.SUCCEEDED, 1, None)}
    ),
    "vertex-jobs pipelines": Example(
        vertex("trainingPipelines", "PIPELINE_STATE_CANCELLED"), {VERTEX: (S.CANCELLED, 1, None)}
    ),
    "vertex-jobs cancelled with a message": Example(
        vertex("pipelineJobs", "PIPELINE_STATE_CANCELLED", error={"code": 1, "message": "cancelled by ada"}),
        {VERTEX: (S.CANCELLED, 1, "cancelled by ada")},
    ),
    "github-actions-runs that wait for an approval, or were skipped": Example(
        json.dumps({"workflow_runs": [
            GITHUB_RUN | {"conclusion": "action_required"}, GITHUB_RUN | {"id": 8, "conclusion": "skipped"},
        ]}),
        {"run-7": (S.QUEUED, 1, None), "run-8": (S.CANCELLED, 1, "skipped")},
    ),
    "github-actions-runs run again, and waiting": Example(
        json.dumps({"workflow_runs": [
            GITHUB_RUN, GITHUB_RUN | {"status": "queued", "conclusion": None, "run_attempt": 2, "run_started_at": "2026-11-01T17:00:00Z"},
        ]}),
        {"run-7": (S.QUEUED, 2, None)},
    ),
    "slurm-sacct cancelled before it ran": Example(
        "JobID|JobName|Submit|Start|End|State|ExitCode|NodeList\n"
        "7|a|2026-11-01T10:00:00|2026-11-01T10:05:00|2026-11-01T10:05:00|CANCELLED by 7|0:0|None assigned\n",
        {"7": (S.CANCELLED, 1, "CANCELLED by 7")},
    ),
    "swf of an unknown status": Example(
        "; UnixStartTime: 1300000000\n"
        "  1  20   5  90 -1 -1 -1 -1  1  60 -1 -1 4 1 -1 2 -1 -1\n",
        {"1": (S.EXPIRED, 1, "the log does not say how it ended")},
    ),
    "pbs-accounting checkpointed, held and restarted": Example(
        "11/01/2026 10:00:00;S;12.srv;user=ann exec_host=n1/0\n"
        "11/01/2026 10:10:00;C;12.srv;user=ann\n"
        "11/01/2026 10:20:00;T;12.srv;user=ann exec_host=n2/0\n"
        "11/01/2026 11:00:00;E;12.srv;user=ann Exit_status=0\n",
        {"12.srv": (S.SUCCEEDED, 2, None)},
    ),
    "swf cancelled before it ran": Example(
        "; UnixStartTime: 1300000000\n"
        "  1  20  -1  -1 -1 -1 -1  1  60 -1 5 4 1 -1 2 -1 -1 -1\n"
        "  2  20  90  -1 -1 -1 -1  1  60 -1 5 4 1 -1 2 -1 -1 -1\n",
        {"1": (S.CANCELLED, 1, "cancelled before it ran"), "2": (S.CANCELLED, 1, "cancelled before it ran")},
    ),
}  # fmt: skip
"""A mapping and what is unusual, and the jobs of the file: state, attempt, error."""


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_life_ends_as_its_system_says(ledger: Ledger, tmp_path: Path, case: str) -> None:
    text, jobs = CASES[case]
    file, mapping = tmp_path / "file", read_mapping(case.split(maxsplit=1)[0])
    file.write_text(text)
    summary = run(ledger, mapping, file)
    assert (summary.unplaced, summary.contradicted) == ([], 0)
    found = {job.name: (job.state, job.attempt, job.error_message) for job in ledger.list()}
    assert found == {f"projects/p/jobs/{job_id(id_)}": job for id_, job in jobs.items()}
    assert run(ledger, mapping, file).events == 0


def test_a_retry_of_celery_has_its_exception_and_no_root_of_its_own(
    ledger: Ledger, tmp_path: Path
) -> None:
    """Celery's root_id is the task's own id, if no other task made it."""
    file = tmp_path / "file"
    file.write_text(
        celery(
            {"type": "task-received", "name": "add", "root_id": "u", "parent_id": None},
            {"type": "task-started"},
            {"type": "task-retried", "exception": "Timeout()", "traceback": "..."},
        )
    )
    run(ledger, read_mapping("celery-events"), file)
    job = ledger.get("projects/p/jobs/u")
    assert job.root is None
    assert b"Timeout()" in ledger.history(job.name)[-1].stored


def test_a_workflow_that_argo_retries_has_a_new_attempt(ledger: Ledger, tmp_path: Path) -> None:
    """Argo gives it a new start; the nodes that it runs again keep their ids."""
    (file := tmp_path / "file").write_text(argo("Failed", "10:00:00", "10:10:00"))
    run(ledger, read_mapping("argo-workflows"), file)
    file.write_text(argo("Succeeded", "12:00:00", "12:10:00"))
    summary = run(ledger, read_mapping("argo-workflows"), file)
    assert (summary.unplaced, summary.contradicted) == ([], 0)
    assert {(job.state, job.attempt) for job in ledger.list()} == {(S.SUCCEEDED, 2)}


def test_a_kubernetes_job_goes_on_after_it_was_suspended(ledger: Ledger, tmp_path: Path) -> None:
    """Kueue suspends jobs, which then have no start, and get a new one."""
    file, at = tmp_path / "file", "2026-11-01T10:{:02}:00Z".format
    about = {"namespace": "ml", "name": "j", "creationTimestamp": at(0)}
    for minute, type_, status in [
        (1, "Suspended", "True"),
        (5, "Suspended", "False"),
        (9, "Complete", "True"),
    ]:
        condition = {"type": type_, "status": status, "lastTransitionTime": at(minute)}
        seen = {"conditions": [condition]} | ({"startTime": at(5)} if minute > 1 else {})
        file.write_text(json.dumps({"items": [{"kind": "Job", "metadata": about, "status": seen}]}))
        summary = run(ledger, read_mapping("kubernetes-jobs"), file)
        assert (summary.unplaced, summary.contradicted) == ([], 0)
    (job,) = ledger.list()
    assert (job.state, job.attempt) == (S.SUCCEEDED, 1)


def test_a_run_whose_update_time_moved_ended_once(ledger: Ledger, tmp_path: Path) -> None:
    """GitHub gives no time of the end, and updates a run also after it."""
    file, mapping = tmp_path / "file", read_mapping("github-actions-runs")
    for update in ("2026-11-01T16:00:00Z", "2026-11-02T09:00:00Z"):
        file.write_text(json.dumps({"workflow_runs": [GITHUB_RUN | {"updated_at": update}]}))
        assert run(ledger, mapping, file).contradicted == 0
    (job,) = ledger.list()
    assert (job.state, str(job.end_time)) == (S.EXPIRED, "2026-11-01 16:00:00+00:00")


def test_what_a_task_run_is_of_is_a_label(ledger: Ledger, tmp_path: Path) -> None:
    """Its key has a dot, within an object."""
    file = tmp_path / "file"
    file.write_text(tekton("taskRun", "Failed", "x"))
    run(ledger, read_mapping("tekton-cloudevents"), file)
    assert ledger.list()[0].labels == {"pipeline_run": "nightly"}


def test_a_requeue_that_is_imported_later_is_no_later_attempt(
    ledger: Ledger, tmp_path: Path
) -> None:
    """sacct shows the last record of a job, and the ones before it only with --duplicates."""
    header = "JobID|JobName|Submit|Start|End|State|ExitCode|NodeList\n"
    row = "7|a|2026-11-01T10:{:02}:00|2026-11-01T10:{:02}:00|2026-11-01T10:{:02}:00|{}|0:0|n1\n"
    last, mapping = row.format(5, 8, 20, "COMPLETED"), read_mapping("slurm-sacct")
    for number, state in enumerate(["REQUEUED", "NODE_FAIL"]):
        (file := tmp_path / str(number)).write_text(header + last)
        run(ledger, mapping, file)
        file.write_text(header + row.format(0, 1, 5, state) + last)
        assert run(ledger, mapping, file).contradicted == 0
        (job,) = ledger.list()
        assert (job.state, job.attempt, str(job.end_time)[14:19]) == (S.SUCCEEDED, 1, "20:00")
        assert run(ledger, mapping, file).events == 0


UNORDERED = {
    "celery-events": "".join(reversed(celery(
        {"type": "task-sent", "name": "add"}, {"type": "task-received", "name": "add"}, {"type": "task-started"},
        {"type": "task-succeeded", "result": "3"},
    ).splitlines(keepends=True))),
    "tekton-cloudevents": "".join(reversed(tekton("taskRun", "Failed", "x").splitlines(keepends=True))),
}  # fmt: skip
"""Events that came in another order than they happened in."""


@pytest.mark.parametrize("name", UNORDERED)
def test_a_job_is_as_old_as_its_first_event_in_a_file(
    ledger: Ledger, tmp_path: Path, name: str
) -> None:
    (file := tmp_path / "file").write_text(UNORDERED[name])
    summary = run(ledger, read_mapping(name), file)
    assert (summary.unplaced, summary.contradicted, summary.before) == ([], 0, 0)
    (job,) = ledger.list()
    assert job.create_time is not None
    assert job.start_time is not None
    assert job.create_time <= job.start_time < (job.end_time or job.start_time)
    assert run(ledger, read_mapping(name), file).events == 0


def test_what_only_later_records_of_a_job_say_is_added(ledger: Ledger, tmp_path: Path) -> None:
    """PBS names the user and the job only when it starts, not when it is queued."""
    (file := tmp_path / "file").write_text(
        "11/01/2026 10:00:00;Q;12.srv;queue=route\n"
        "11/01/2026 10:01:00;S;12.srv;user=ann jobname=train queue=batch exec_host=n1/0\n"
        "11/01/2026 11:00:00;E;12.srv;user=ann jobname=train queue=batch Exit_status=0\n"
    )
    mapping = read_mapping("pbs-accounting")
    run(ledger, mapping, file)
    (job,) = ledger.list()
    assert job.labels == {"queue": "route", "user": "ann"}
    assert (job.spec["displayName"], job.state) == ("train", S.SUCCEEDED)
    ledger.change_labels(job.name, {"team": "x"})
    assert run(ledger, mapping, file).events == 0

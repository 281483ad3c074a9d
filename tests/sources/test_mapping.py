"""Files of other systems by the mappings that come with the program, and by mappings of one's own."""

from __future__ import annotations

import gzip
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.states import JobState
from jobledger.domain.values.job_ids import job_id
from jobledger.domain.values.names import job_name as name_of
from jobledger.infra import Ledger
from jobledger.infra.errors import InputError
from jobledger.infra.sources.mapping.histories import Histories
from jobledger.infra.sources.mapping.importing import ImportSummary, MappedImport
from jobledger.infra.sources.mapping.model import Mapping, read_mapping, shipped

from tests.command_line import Cli

NOW = datetime(2026, 11, 28, tzinfo=UTC)
S = JobState


class Example(NamedTuple):
    """A file in a published format, and the jobs it tells of: state, attempt, error."""

    text: str
    jobs: dict[str, tuple[JobState, int, str | None]]


EXAMPLES = {
    "swf": Example(
        "; Version: 2.2\n"
        "; UnixStartTime: 1300000000\n"
        "  1   0   5 100  4 -1 -1  4 200 -1 1 3 1 -1 1 -1 -1 -1\n"
        "  2  10   0  50  1 -1 -1  1  60 -1 0 4 1 -1 2 -1 -1 -1\n"
        "  3  20  -1  -1 -1 -1 -1  1  60 -1 5 4 1 -1 2 -1 -1 -1\n",
        {"1": (S.SUCCEEDED, 1, None), "2": (S.FAILED, 1, ""), "3": (S.CANCELLED, 1, "cancelled before it ran")},
    ),
    "slurm-sacct": Example(
        "JobID|JobName|User|Account|Partition|Submit|Start|End|State|ExitCode|NodeList\n"
        "71|train|ann|ml|gpu|2026-11-01T10:00:00|2026-11-01T10:01:00|2026-11-01T11:00:00|COMPLETED|0:0|n1\n"
        "71.batch|batch|ann|ml|gpu|2026-11-01T10:00:00|2026-11-01T10:01:00|2026-11-01T11:00:00|COMPLETED|0:0|n1\n"
        "72_[1-9%2]|array|bob|ml|gpu|2026-11-01T10:00:00|Unknown|Unknown|PENDING|0:0|None assigned\n"
        "73|train|ann|ml|gpu|2026-11-01T10:00:00|2026-11-01T10:01:00|2026-11-01T10:30:00|NODE_FAIL|1:0|n1\n"
        "73|train|ann|ml|gpu|2026-11-01T10:30:00|2026-11-01T10:31:00|2026-11-01T10:40:00|CANCELLED by 0|0:15|n2\n",
        {
            "71": (S.SUCCEEDED, 1, None),
            "72_[1-9%2]": (S.QUEUED, 1, None),
            "73": (S.CANCELLED, 2, "CANCELLED by 0"),
        },
    ),
    "pbs-accounting": Example(
        "11/01/2026 10:00:00;Q;12.srv;queue=batch\n"
        "11/01/2026 10:01:00;S;12.srv;user=ann group=ml jobname=train queue=batch exec_host=n1/0\n"
        "11/01/2026 11:00:00;E;12.srv;user=ann group=ml jobname=train queue=batch Exit_status=271\n"
        "11/01/2026 11:00:00;L;license;floating license hour:3\n",
        {"12.srv": (S.FAILED, 1, "exit status 271")},
    ),
    "github-actions-runs": Example(
        json.dumps(
            [
                {
                    "databaseId": 1, "displayTitle": "Fix", "workflowName": "CI", "headBranch": "main",
                    "headSha": "abc", "event": "push", "attempt": 2, "status": "completed",
                    "conclusion": "failure", "createdAt": "2026-11-01T10:00:00Z",
                    "startedAt": "2026-11-01T10:05:00Z", "updatedAt": "2026-11-01T10:10:00Z",
                    "url": "https://example.com/1",
                },
                {
                    "databaseId": 2, "displayTitle": "Add", "workflowName": "CI", "headBranch": "main",
                    "headSha": "def", "event": "push", "attempt": 1, "status": "in_progress",
                    "conclusion": "", "createdAt": "2026-11-01T11:00:00Z",
                    "startedAt": "2026-11-01T11:05:00Z", "updatedAt": "2026-11-01T11:10:00Z", "url": "",
                },
            ]
        ),
        {"run-1": (S.FAILED, 2, "failure"), "run-2": (S.RUNNING, 1, None)},
    ),
    "github-actions-jobs": Example(
        json.dumps(
            {
                "jobs": [
                    {
                        "databaseId": 9, "name": "test", "status": "completed", "conclusion": "success",
                        "startedAt": "2026-11-01T10:00:00Z", "completedAt": "2026-11-01T10:10:00Z",
                        "url": "https://example.com/9",
                        "steps": [
                            {"name": "Set up", "number": 1, "status": "completed", "conclusion": "success",
                             "startedAt": "2026-11-01T10:00:00Z", "completedAt": "2026-11-01T10:01:00Z"},
                        ],
                    }
                ]
            }
        ),
        {"job-9": (S.SUCCEEDED, 1, None)},
    ),
    "systemd-journal": Example(
        "\n".join(
            json.dumps(
                {
                    "__REALTIME_TIMESTAMP": str(1793527200000000 + n * 1_000_000), "UNIT": "backup.service",
                    "_HOSTNAME": "web-1", "INVOCATION_ID": invocation, "MESSAGE_ID": message, "MESSAGE": text,
                }
            )
            for n, (invocation, message, text) in enumerate(
                [
                    ("a1", "39f53479d3a045ac8e11786248231fbf", "Started backup."),
                    ("a1", "7ad2d189f7e94e70a38c781354912448", "backup.service: Deactivated successfully."),
                    ("a2", "39f53479d3a045ac8e11786248231fbf", "Started backup."),
                    ("a2", "d9b373ed55a64feb8242e02dbe79a49c", "backup.service: Failed with result 'exit-code'."),
                ]
            )
        ),
        {"web-1/backup.service": (S.FAILED, 2, "backup.service: Failed with result 'exit-code'.")},
    ),
    "celery-events": Example(
        "\n".join(
            json.dumps({"uuid": "u-1", "hostname": "celery@n1", "timestamp": 1793527200.25 + n, **event})
            for n, event in enumerate(
                [
                    {"type": "task-sent", "name": "app.add", "args": "(1,)", "kwargs": "{}"},
                    {"type": "task-received", "name": "app.add"},
                    {"type": "task-started"},
                    {"type": "task-retried", "exception": "Timeout()", "traceback": "..."},
                    {"type": "task-started"},
                    {"type": "task-failed", "exception": "ValueError('x')", "traceback": "..."},
                ]
            )
        ),
        {"u-1": (S.FAILED, 2, "ValueError('x')")},
    ),
    "argo-workflows": Example(
        json.dumps(
            {
                "items": [
                    {
                        "metadata": {"namespace": "ml", "name": "train-x", "uid": "u",
                                     "creationTimestamp": "2026-11-01T10:00:00Z"},
                        "status": {
                            "phase": "Failed", "message": "child failed", "startedAt": "2026-11-01T10:00:00Z",
                            "finishedAt": "2026-11-01T10:10:00Z",
                            "nodes": {
                                "train-x-1": {"id": "train-x-1", "type": "Pod", "displayName": "fit",
                                              "templateName": "fit", "phase": "Failed", "message": "exit 137",
                                              "startedAt": "2026-11-01T10:01:00Z",
                                              "finishedAt": "2026-11-01T10:09:00Z"},
                                "train-x": {"id": "train-x", "type": "DAG", "phase": "Failed"},
                            },
                        },
                    }
                ]
            }
        ),
        {"ml/train-x": (S.FAILED, 1, "child failed"), "ml/train-x/train-x-1": (S.FAILED, 1, "exit 137")},
    ),
    "tekton-cloudevents": Example(
        "\n".join(
            json.dumps({"specversion": "1.0", "id": str(n), "source": "/ns/taskruns/build", "subject": "build",
                        "type": f"dev.tekton.event.taskrun.{kind}.v1", "time": f"2026-11-01T10:0{n}:00Z"})
            for n, kind in enumerate(["started", "running", "successful"])
        ),
        {"/ns/taskruns/build": (S.SUCCEEDED, 1, None)},
    ),
    "vertex-jobs": Example(
        json.dumps(
            {
                "customJobs": [
                    {
                        "name": "projects/1/locations/us-central1/customJobs/7", "displayName": "fit",
                        "state": "JOB_STATE_FAILED", "createTime": "2026-11-01T10:00:00.123456789Z",
                        "startTime": "2026-11-01T10:01:00Z", "endTime": "2026-11-01T10:05:00Z",
                        "error": {"code": 8, "message": "out of quota"}, "jobSpec": {},
                    }
                ]
            }
        ),
        {"projects/1/locations/us-central1/customJobs/7": (S.FAILED, 1, "out of quota")},
    ),
    "bigquery-jobs": Example(
        json.dumps(
            [
                {
                    "jobReference": {"jobId": "bq_1", "location": "EU"}, "status": {"state": "DONE"},
                    "statistics": {"creationTime": "1793527200000", "startTime": "1793527201000",
                                   "endTime": "1793527209000"},
                },
                {
                    "jobReference": {"jobId": "bq_2", "location": "EU"}, "status": {"state": "DONE"},
                    "errorResult": {"reason": "quotaExceeded", "message": "Quota exceeded"},
                    "statistics": {"creationTime": "1793527200000", "startTime": "1793527201000",
                                   "endTime": "1793527209000"},
                },
            ]
        ),
        {"bq_1": (S.SUCCEEDED, 1, None), "bq_2": (S.FAILED, 1, "Quota exceeded")},
    ),
    "kubernetes-jobs": Example(
        # As kubectl get --watch writes: one document after the other.
        "\n".join(
            json.dumps(
                {
                    "kind": "Job",
                    "metadata": {"namespace": "ml", "name": "fit", "uid": "u",
                                 "creationTimestamp": "2026-11-01T10:00:00Z"},
                    "spec": {"parallelism": 1, "completions": 1},
                    "status": {"startTime": "2026-11-01T10:00:01Z", "conditions": conditions},
                }
            )
            for conditions in (
                [],
                [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded",
                  "message": "too many retries", "lastTransitionTime": "2026-11-01T10:10:00Z"}],
            )
        ),
        {"ml/fit": (S.FAILED, 1, "BackoffLimitExceeded: too many retries")},
    ),
}  # fmt: skip


RELATED = {
    "argo-workflows": (
        {"items": [{"metadata": {"namespace": "ml", "name": "w", "creationTimestamp": "2026-11-01T10:00:00Z",
                                 "ownerReferences": [{"kind": "CronWorkflow", "name": "nightly"}]}}]},
        "ml/w", ["ml/nightly"], None, "CronWorkflow/nightly",
    ),
    "bigquery-jobs": (
        [{"jobReference": {"jobId": "q"}, "user_email": "ada@example.com",
          "statistics": {"creationTime": "1793527200000", "parentJobId": "script"}}],
        "q", ["script"], None, "ada@example.com",
    ),
    "github-actions-jobs": (
        # As the API lists the jobs of a run.
        {"jobs": [{"id": 9, "run_id": 7, "run_attempt": 2, "name": "test", "status": "completed", "conclusion": "success",
                   "started_at": "2026-11-01T10:00:00Z", "completed_at": "2026-11-01T10:10:00Z", "steps": []}]},
        "job-9", ["run-7"], "run-7", None,
    ),
    "kubernetes-jobs": (
        {"items": [{"kind": "Job", "metadata": {
            "namespace": "ml", "name": "fit", "creationTimestamp": "2026-11-01T10:00:00Z",
            "ownerReferences": [{"kind": "CronJob", "name": "nightly"}]}}]},
        "ml/fit", ["ml/nightly"], None, "CronJob/nightly",
    ),
}  # fmt: skip
"""A record of each format, the job of it, its parents, its root, and what began it."""


@pytest.mark.slow
@pytest.mark.parametrize("name", RELATED)
def test_what_a_job_belongs_to_is_recorded(ledger: Ledger, tmp_path: Path, name: str) -> None:
    record, id_, parents, root, trigger = RELATED[name]
    file = tmp_path / "records.json"
    file.write_text(json.dumps(record))
    assert run(ledger, read_mapping(name), file).unplaced == []
    job = ledger.get(name_of("p", id_))
    assert job.parents == [name_of("p", each) for each in parents]
    assert job.root == (root and name_of("p", root))
    assert job.triggered_by == trigger


def importing(mapping: Mapping, file: Path | str) -> MappedImport:
    return MappedImport(mapping.source, str(file), Histories(mapping, "p", "import test"))


def run(ledger: Ledger, mapping: Mapping, file: Path | str) -> ImportSummary:
    return importing(mapping, file).record(ledger, lambda _: None)


def test_every_mapping_has_an_example() -> None:
    assert sorted(EXAMPLES) == shipped()


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_record_of_a_published_format_is_read(
    ledger: Ledger, tmp_path: Path, name: str
) -> None:
    text, jobs = EXAMPLES[name]
    file, mapping = tmp_path / "file", read_mapping(name)
    file.write_text(text)
    rehearsed = importing(mapping, file)
    body = rehearsed.rehearse(lambda _: None)

    summary = run(ledger, mapping, file)
    assert (summary.unplaced, summary.contradicted) == ([], 0)
    assert summary.events == rehearsed.summary.events
    found = {job.name: (job.state, job.attempt, job.error_message) for job in ledger.list()}
    assert found == {f"projects/p/jobs/{job_id(id_)}": job for id_, job in jobs.items()}
    for job_name, events in body.items():
        recorded = [(each.type, each.occurred_time) for each in ledger.history(job_name)]
        assert [(each.type, each.occurred_time) for each in events] == recorded

    again = run(ledger, mapping, file)
    assert (again.events, again.unplaced) == (0, [])
    packed = tmp_path / "file without a suffix"
    packed.write_bytes(gzip.compress(text.encode()))
    assert run(ledger, mapping, packed).events == 0


OWN: dict[str, Any] = {
    "title": "runs of a shop",
    "source": {"kind": "csv"},
    "times": {"format": "%d.%m.%Y %H:%M", "zone": "Europe/Berlin"},
    "histories": [
        {
            "name": "{id}",
            "labels": {"team": "{team}"},
            "events": [
                {"event": "Started", "time": "begin"},
                {"event": {"field": "end state", "values": {"ok": "Succeeded", "*": "Failed"}},
                 "time": "end", "data": {"error": "{end state}"}},
            ],
        }
    ],
}  # fmt: skip
HEADER = "id,team,begin,end,end state\n"


def test_a_bad_record_does_not_stop_the_others(ledger: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "runs.csv"
    file.write_text(
        HEADER
        + "1,Shop Team,01.11.2026 10:00,01.11.2026 11:00,ok\n"
        + "2,b,yesterday,01.11.2026 11:00,ok\n"
        + ",b,01.11.2026 10:00,01.11.2026 11:00,ok\n"
        + "3,b,01.11.2026 10:00,01.11.2026 11:00,disk full,more\n"
        + '4,b,01.11.2026 10:00,01.11.2026 11:00,"disk ""full"""\n'
    )
    summary = run(ledger, Mapping.model_validate(OWN), file)
    assert [each.split(":")[0] for each in summary.unplaced] == ["line 3", "line 4", "line 5"]
    jobs = {job.name.rpartition("/")[2]: job for job in ledger.list()}
    assert jobs.keys() == {"1", "4"}
    assert jobs["1"].labels == {"team": "Shop_Team"}
    assert jobs["1"].start_time == datetime(2026, 11, 1, 9, tzinfo=UTC)
    assert jobs["4"].error_message == 'disk "full"'


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["swf", "slurm-sacct", "pbs-accounting", "celery-events", "github-actions-runs"]
)
def test_a_byte_order_mark_is_not_part_of_the_first_record(
    ledger: Ledger, tmp_path: Path, name: str
) -> None:
    """Programs on Windows write it, such as PowerShell, at the beginning of a file in UTF-8."""
    (file := tmp_path / "file").write_text(EXAMPLES[name].text, "utf-8-sig")
    summary = run(ledger, read_mapping(name), file)
    assert (summary.unplaced, len(summary.jobs)) == ([], len(EXAMPLES[name].jobs))


@pytest.mark.parametrize("name", ["github-actions-runs", "slurm-sacct"])
def test_a_file_in_utf_16_is_read(ledger: Ledger, tmp_path: Path, name: str) -> None:
    """So Windows PowerShell redirects the output of a command to a file."""
    text = EXAMPLES[name].text.replace("\n", "\r\n")
    (file := tmp_path / "file").write_bytes(text.encode("utf-16"))
    summary = run(ledger, read_mapping(name), file)
    assert (summary.unplaced, len(summary.jobs)) == ([], len(EXAMPLES[name].jobs))
    file.write_bytes(gzip.compress(text.encode("utf-16")))
    assert run(ledger, read_mapping(name), file).events == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("times", "row", "why"),
    [
        (
            {"format": "iso", "zone": "America/New_York"},
            "1,a,2026-11-01 10:00,9999-12-31 23:59,ok\n",
            "end: '9999-12-31 23:59' is not within the years 1 to 9999, in UTC",
        ),
        (
            {"format": "iso"},
            "1,a,0001-01-01T00:00+01:00,,ok\n",
            "begin: '0001-01-01T00:00+01:00' is not within the years 1 to 9999, in UTC",
        ),
        (
            {},
            f"1,a,01.11.2026 10:00,01.11.2026 11:00,{'x' * 140_000}\n",
            "is not CSV: field larger than field limit (131072)",
        ),
    ],
)
def test_an_extreme_value_does_not_stop_the_other_records(
    ledger: Ledger, tmp_path: Path, times: dict[str, str], row: str, why: str
) -> None:
    file, good = tmp_path / "runs.csv", "2,b,01.11.2026 10:00,01.11.2026 11:00,ok\n"
    if times:
        good = "2,b,2026-11-01 10:00Z,2026-11-01 11:00Z,ok\n"
    file.write_text(HEADER + row + good)
    summary = run(ledger, Mapping.model_validate(OWN | {"times": OWN["times"] | times}), file)
    assert summary.unplaced == [f"line 2: {why}"]
    assert ledger.get(name_of("p", "2")).state is S.SUCCEEDED


def test_a_wait_of_too_many_seconds_does_not_stop_the_other_records(
    ledger: Ledger, tmp_path: Path
) -> None:
    file = tmp_path / "log.swf"
    long = EXAMPLES["swf"].text.replace("  5 100 ", "  99999999999999 100 ")
    file.write_text(long)
    summary = run(ledger, read_mapping("swf"), file)
    assert summary.unplaced == ["line 3: wait: '99999999999999' is too many seconds"]
    assert len(summary.jobs) == 2


def test_a_row_that_lacks_columns_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "cut.csv"
    file.write_text(EXAMPLES["slurm-sacct"].text + "74|train|ann\n")
    summary = run(ledger, read_mapping("slurm-sacct"), file)
    assert summary.unplaced == ["line 7: has 3 columns instead of 11"]
    assert len(summary.jobs) == 3


def test_the_time_of_creation_is_the_one_that_the_file_has(ledger: Ledger, tmp_path: Path) -> None:
    header = EXAMPLES["slurm-sacct"].text.splitlines()[0]
    submit, start, end = (f"2026-11-01T{time}" for time in ("10:00:00", "09:59:59", "10:05:00"))
    file = tmp_path / "skewed.csv"
    file.write_text(f"{header}\n75|train|ann|ml|gpu|{submit}|{start}|{end}|COMPLETED|0:0|n1\n")
    run(ledger, read_mapping("slurm-sacct"), file)
    job = ledger.get(name_of("p", "75"))
    assert job.create_time == datetime(2026, 11, 1, 10, tzinfo=UTC)
    assert job.state is S.SUCCEEDED
    assert [event.type for event in ledger.history(job.name)][-1] == "Succeeded"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("kubernetes-jobs", '{"kind": "JobList", "items": null}'),
        ("vertex-jobs", "{}"),
        ("vertex-jobs", '{"customJobs": [], "nextPageToken": ""}'),
    ],
)
def test_a_list_without_records_has_none(
    ledger: Ledger, tmp_path: Path, name: str, text: str
) -> None:
    (file := tmp_path / "list.json").write_text(text)
    summary = run(ledger, read_mapping(name), file)
    assert (summary.records, summary.unplaced) == (0, [])


def test_lines_of_json_can_be_batches_and_text_sequences(ledger: Ledger, tmp_path: Path) -> None:
    lines = EXAMPLES["tekton-cloudevents"].text.splitlines()
    file, mapping = tmp_path / "events.jsonl", read_mapping("tekton-cloudevents")
    file.write_text(f"[{', '.join(lines)}, 7]\n")
    batch = run(ledger, mapping, file)
    assert (batch.records, batch.unplaced) == (len(lines) + 1, ["line 1: is not a JSON object"])
    file.write_text("".join(f"\x1e{line}\n" for line in lines))
    sequence = run(ledger, mapping, file)
    assert (sequence.before, sequence.unplaced, sequence.jobs) == (batch.events, [], batch.jobs)


def test_a_message_that_systemd_writes_as_bytes_is_a_text(ledger: Ledger, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in EXAMPLES["systemd-journal"].text.splitlines()]
    lines[-1]["MESSAGE"] = list(b"caf\xe9.service: Failed.")
    (file := tmp_path / "journal.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert run(ledger, read_mapping("systemd-journal"), file).unplaced == []
    assert ledger.get(name_of("p", "web-1/backup.service")).error_message == (
        "caf\ufffd.service: Failed."
    )


def test_what_swf_does_not_know_is_not_recorded(ledger: Ledger, tmp_path: Path) -> None:
    (file := tmp_path / "log.swf").write_text(EXAMPLES["swf"].text)
    run(ledger, read_mapping("swf"), file)
    created, *_, ended = (event.json for event in ledger.history(name_of("p", "1")))
    assert created["labels"] == {"user": "user-3", "queue": "queue-1"}
    assert created["spec"].keys() == {"processors", "requestedSeconds"}
    assert ended == {}


def test_an_end_without_a_time_is_reported(ledger: Ledger, tmp_path: Path) -> None:
    (file := tmp_path / "runs.csv").write_text(
        HEADER + "1,a,01.11.2026 10:00,,ok\n2,a,01.11.2026 10:00,,\n"
    )
    summary = run(ledger, Mapping.model_validate(OWN), file)
    assert summary.unplaced == ["line 2, Succeeded: end: has no time, so the end is not recorded"]
    assert {job.state for job in ledger.list()} == {S.RUNNING}


def test_an_end_of_bigquery_without_a_time_is_reported(ledger: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "jobs.json"
    about = {"jobReference": {"jobId": "q"}, "statistics": {"creationTime": "1793527200000"}}
    file.write_text(json.dumps([about | {"state": "RUNNING"}, about | {"state": "DONE"}]))
    why = "statistics.endTime: has no time, so the end is not recorded"
    assert run(ledger, read_mapping("bigquery-jobs"), file).unplaced == [
        f"record 2, Succeeded: {why}"
    ]


def test_an_end_that_an_attempt_had_is_a_comment_at_another_time(
    ledger: Ledger, tmp_path: Path
) -> None:
    begin, end = ({**rule, "attempt": "{team}"} for rule in OWN["histories"][0]["events"])
    history = {"name": "{id}", "events": [begin, end]}
    mapping = Mapping.model_validate(OWN | {"histories": [history]})
    file = tmp_path / "runs.csv"
    for minute in ("00", "05"):
        file.write_text(f"{HEADER}1,2,01.11.2026 10:00,01.11.2026 11:{minute},ok\n")
        assert run(ledger, mapping, file).contradicted == 0
    types = [event.type for event in ledger.history(name_of("p", "1"))]
    assert types == ["Created", "Started", "Succeeded", "Commented"]


def test_an_invalid_item_does_not_stop_the_other_items_of_its_record(
    ledger: Ledger, tmp_path: Path
) -> None:
    mapping = Mapping.model_validate(
        {
            "title": "steps",
            "source": {"kind": "jsonl"},
            "histories": [
                {
                    "name": "{item.id}",
                    "for_each": "steps",
                    "events": [{"event": "Started", "time": "item.at"}],
                }
            ],
        }
    )
    steps = [{"id": f"s{number}", "at": f"2026-11-0{number}T10:00:00Z"} for number in range(3)]
    file = tmp_path / "steps.jsonl"
    file.write_text(json.dumps({"steps": steps}))
    summary = run(ledger, mapping, file)
    assert summary.unplaced == [
        "line 1, steps[0]: item.at: '2026-11-00T10:00:00Z' is not a time (iso)"
    ]
    assert sorted(summary.jobs) == [name_of("p", f"s{number}") for number in (1, 2)]


def test_a_corrected_file_imports_the_bad_records(ledger: Ledger, tmp_path: Path) -> None:
    file, mapping = tmp_path / "runs.csv", Mapping.model_validate(OWN)
    good = "1,a,01.11.2026 10:00,01.11.2026 11:00,ok\n"
    file.write_text(HEADER + good + "2,a,01.11.2026,01.11.2026 11:00,ok\n")
    assert len(run(ledger, mapping, file).unplaced) == 1
    file.write_text(HEADER + good + "2,a,01.11.2026 10:00,01.11.2026 11:00,ok\n")
    summary = run(ledger, mapping, file)
    assert (summary.unplaced, summary.events, summary.contradicted) == ([], 3, 0)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"histories": []}, "histories"),
        ({"colour": "red"}, "colour"),
        ({"source": {"kind": "xml"}}, "source.kind"),
        ({"source": {"kind": "csv", "delimiter": "||"}}, "'||' is not one character"),
        ({"times": {"zone": "Atlantis"}}, "there is no time zone 'Atlantis'"),
        (
            {"histories": [{"name": "{id}", "events": [{"event": "started", "time": "t"}]}]},
            "did you mean Started?",
        ),
        (
            {
                "histories": [
                    {
                        "name": "{id}",
                        "events": [
                            {"event": {"field": "end", "values": {"ok": "Suceeded"}}, "time": "end"}
                        ],
                    }
                ]
            },
            "event.lookup.values.ok: there is no event type 'Suceeded'",
        ),
    ],
)
def test_an_invalid_mapping_is_refused_with_the_reason(
    tmp_path: Path, change: dict[str, Any], why: str
) -> None:
    file = tmp_path / "map.yaml"
    file.write_text(json.dumps(OWN | change))  # JSON is YAML.
    with pytest.raises(InvalidFieldError) as caught:
        read_mapping(str(file))
    assert why in str(caught.value)


def test_a_mapping_of_a_database_is_not_for_a_file(ledger: Ledger, tmp_path: Path) -> None:
    mapping = Mapping.model_validate(OWN | {"source": {"kind": "changes"}})
    (file := tmp_path / "runs.csv").write_text(HEADER)
    with pytest.raises(InvalidFieldError, match="jobledger attach DSN --as FILE"):
        run(ledger, mapping, file)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"name": "{id"}, "histories.0.name"),
        ({"labels": {"team": "team}"}}, "histories.0.labels.team"),
        ({"spec": {"steps": ["{id"]}}, "histories.0.spec"),
    ],
)
def test_a_template_with_an_open_brace_is_refused(
    tmp_path: Path, change: dict[str, Any], where: str
) -> None:
    history = OWN["histories"][0] | change
    (file := tmp_path / "map.yaml").write_text(json.dumps(OWN | {"histories": [history]}))
    with pytest.raises(
        InvalidFieldError, match=rf"{where}: .*without its counterpart: write {{FIELD}}"
    ):
        read_mapping(str(file))


def test_a_key_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "map.yaml"
    file.write_text("title: runs\nsource: {kind: csv}\ntitle: jobs\n")
    with pytest.raises(InvalidFieldError, match=r"the key 'title' is given twice.*line 3"):
        read_mapping(str(file))


def test_a_state_that_yaml_reads_as_a_number_is_a_text(ledger: Ledger, tmp_path: Path) -> None:
    exit_codes = {"field": "end state", "values": {0: "Succeeded", "*": "Failed"}}
    history = {
        "name": "{id}",
        "when": {"team": [7]},
        "events": [{"event": exit_codes, "time": "end"}],
    }
    mapping = Mapping.model_validate(OWN | {"histories": [history]})
    (file := tmp_path / "runs.csv").write_text(HEADER + "1,7,,01.11.2026 11:00,0\n")
    run(ledger, mapping, file)
    assert ledger.get(name_of("p", "1")).state is S.SUCCEEDED


@pytest.mark.slow
def test_files_that_cannot_be_read(ledger: Ledger, tmp_path: Path) -> None:
    mapping = Mapping.model_validate(OWN)
    with pytest.raises(InputError, match="No such file"):
        run(ledger, mapping, tmp_path / "missing.csv")
    cut = tmp_path / "cut.csv.gz"
    rows = "".join(f"{n},a,01.11.2026 10:00,01.11.2026 11:00,ok\n" for n in range(5_000))
    cut.write_bytes(gzip.compress((HEADER + rows).encode())[:-20])
    with pytest.raises(InputError, match="end-of-stream"):
        run(ledger, mapping, cut)
    packed = bytearray(gzip.compress((HEADER + rows).encode()))
    packed[20:40] = bytes(20)
    cut.write_bytes(packed)
    with pytest.raises(InputError, match="decompressing"):
        run(ledger, mapping, cut)
    for text, why in (
        ('{"id": 1}\n{"id"', "line 2"),
        ("[" * 100_000, "nests too deep"),
    ):
        (broken := tmp_path / "broken.json").write_text(text)
        with pytest.raises(InputError, match=f"{broken}: is not JSON: .*{why}"):
            run(ledger, read_mapping("argo-workflows"), broken)
    with pytest.raises(InvalidFieldError, match="did you mean slurm-sacct"):
        read_mapping("slurm-sact")


@pytest.mark.slow
def test_a_file_that_grows_while_it_is_read(ledger: Ledger, tmp_path: Path) -> None:
    file, mapping = tmp_path / "runs.csv", Mapping.model_validate(OWN)
    row = "{},b,01.11.2026 10:00,01.11.2026 11:00,{}\n"
    whole = HEADER + "".join(row.format(n, "ok") for n in range(2_000))
    file.write_text(whole + row.format("last", "disk full")[:-6])
    written = False

    def moved(_: int) -> None:
        nonlocal written
        if not written:
            with file.open("a") as more:
                more.write(" ")
            written = True

    histories = Histories(mapping, "p", "import own")
    summary = MappedImport(mapping.source, str(file), histories).record(ledger, moved)
    assert summary.unplaced == [
        "line 2002: is not finished, as the file is being written: import it again later"
    ]
    file.write_text(whole + row.format("last", "disk full"))
    assert run(ledger, mapping, file).unplaced == []
    assert ledger.get("projects/p/jobs/last").error_message == "disk full"


def test_a_mapping_that_matches_nothing_is_reported(
    cli: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    (file := tmp_path / "pods.json").write_text(json.dumps({"items": [{"kind": "Pod"}] * 3}))
    done = cli.run("import", "kubernetes-jobs", str(file))
    assert done.returncode == 1
    assert "matches nothing: no record of 3 has what it looks for" in done.stderr
    assert ledger.size() == 0


@pytest.mark.slow
def test_rows_of_databases(ledger: Ledger, tmp_path: Path, dsn: str) -> None:
    query = "SELECT 'q' || n AS id, timestamptz '2026-11-01 10:00Z' AS begin FROM generate_series(1, 3) AS n (n)"
    expected = OWN | {
        "source": {"kind": "sql", "query": query},
        "times": {},
        "histories": [{"name": "{id}", "events": [{"event": "Started", "time": "begin"}]}],
    }
    assert run(ledger, Mapping.model_validate(expected), dsn).events == 6
    file = str(tmp_path / "runs.duckdb")
    with duckdb.connect(file) as connection:
        connection.execute(
            "CREATE TABLE runs AS SELECT 'd' AS id, TIMESTAMP '2026-11-01 10:00:00' AS begin"
        )
    expected |= {"source": {"kind": "sql", "query": "SELECT * FROM runs"}, "times": {"zone": "UTC"}}
    assert run(ledger, Mapping.model_validate(expected), file).events == 2
    expected |= {"source": {"kind": "sql", "query": "SELECT * FROM nothing"}}
    with pytest.raises(InputError, match="nothing"):
        run(ledger, Mapping.model_validate(expected), dsn)


def test_a_pipe_is_imported(cli: Cli) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(
            b"JobID|State|Submit|Start|End\n7|COMPLETED|2026-01-01T00:00:00|2026-01-01T00:00:01|2026-01-01T00:00:02\n"
        )
    assert "1 record of 1 job; wrote 3 events" in cli("import", "slurm-sacct", f"/dev/fd/{reading}")
    os.close(reading)


@pytest.mark.slow
def test_the_command_shows_what_it_would_write(cli: Cli, ledger: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "sacct.txt"
    file.write_text(EXAMPLES["slurm-sacct"].text + "74|x|ann|ml|gpu|2026-11-01|soon|||0:0|\n")
    done = cli.run("import", "slurm-sacct", str(file), "--dry-run")
    assert done.returncode == 1
    assert "  2026-11-01T10:01:00.000000Z  Started" in done.stdout
    assert "'soon' is not a time" in done.stderr
    assert ledger.size() == 0
    done = cli.run("import", "slurm-sacct", str(file))
    assert done.returncode == 1
    assert "6 records of 3 jobs" in done.stdout or "records of 3 jobs" in done.stdout
    assert len(ledger.list()) == 3
    assert "slurm-sacct" in cli("import", "mappings")
    assert cli.run("import", "slurm-sacc", str(file)).returncode == 2

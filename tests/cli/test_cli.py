"""The command line as people and scripts use it, in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from jobledger.infra import Ledger
from jobledger.infra.cli.app import _shared_first, app
from jobledger.infra.cli.exit_codes import NO, NOT_FOUND, UNREACHABLE, USAGE
from typer.testing import CliRunner

from tests.command_line import Cli

JOB_KEYS = [
    "name",
    "project",
    "kind",
    "state",
    "version",
    "attempt",
    "createTime",
    "startTime",
    "endTime",
    "updateTime",
    "error",
    "errorMessage",
    "labels",
    "etag",
    "spec",
    "output",
]
EVENT_KEYS = [
    "position",
    "name",
    "version",
    "type",
    "occurredTime",
    "recordedTime",
    "actor",
    "requestId",
    "data",
    "state",
]


@pytest.mark.slow
def test_a_command_that_succeeds_is_a_succeeded_job(cli: Cli) -> None:
    done = cli.child(
        "run", "--name", "train", "--label", "team=a", "--", "sh", "-c", "echo out; echo err >&2"
    )
    assert (done.returncode, done.stdout) == (0, "out\n")
    assert "err" in done.stderr
    job = cli.json("show", "train", "--json")
    assert list(job) == JOB_KEYS
    assert (job["name"], job["state"], job["version"]) == ("projects/p/jobs/train", "SUCCEEDED", 3)
    assert job["labels"] == {"team": "a"}
    assert job["spec"]["command"] == ["sh", "-c", "echo out; echo err >&2"]
    assert job["createTime"].endswith("Z")
    assert len(job["createTime"]) == len("2026-11-22T10:00:00.000000Z")
    events = cli.json("history", "train", "--json")
    assert [list(event) for event in events] == [EVENT_KEYS] * 3
    assert [e["type"] for e in events] == ["Created", "Started", "Succeeded"]


@pytest.mark.slow
def test_a_command_that_fails_is_a_failed_job_with_its_error(cli: Cli) -> None:
    script = "echo one >&2; echo out of memory >&2; exit 3"
    assert cli.child("run", "--name", "train", "--", "sh", "-c", script).returncode == 3
    job = cli.json("show", "train", "--json")
    assert (job["state"], job["error"]["code"]) == ("FAILED", 2)
    assert job["errorMessage"] == "one\nout of memory"
    assert cli.json("history", "train", "--json")[-1]["data"]["exitCode"] == 3


@pytest.mark.slow
def test_a_missing_command_fails_as_in_a_shell(cli: Cli) -> None:
    done = cli.child("run", "--name", "train", "--", "no-such-command-anywhere")
    assert done.returncode == 127
    assert cli.json("show", "train", "--json")["state"] == "FAILED"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_stopped_is_a_job_that_was_cancelled(
    cli: Cli, number: signal.Signals
) -> None:
    process = cli.start("run", "--name", "train", "--", "sh", "-c", "echo ready; exec sleep 60")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 128 + number
    job = cli.json("show", "train", "--json")
    assert job["state"] == "CANCELLED"
    assert number.name in job["errorMessage"]


@pytest.mark.slow
def test_a_command_runs_even_if_the_ledger_cannot_be_reached(cli: Cli) -> None:
    cli.environment["JOBLEDGER_DSN"] = "host=127.0.0.1 port=1"
    done = cli.child("run", "--", "sh", "-c", "echo done; exit 5")
    assert (done.returncode, done.stdout) == (5, "done\n")
    assert "cannot be reached" in done.stderr


PROMPT = """
import sys, time
sys.stderr.write("Continue? [y/N] "); sys.stderr.flush(); sys.stdin.read(1)
for n in range(3): sys.stderr.write(f"\\r{n} of 3"); sys.stderr.flush()
sys.stderr.write("\\nlast words\\n"); sys.exit(3)
"""


@pytest.mark.slow
def test_the_output_of_a_command_is_passed_on_at_once(cli: Cli) -> None:
    words = [*cli.command, "run", "--name", "asks", "--", sys.executable, "-c", PROMPT]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(words, env=cli.environment, **pipes) as running:  # type: ignore[call-overload]
        seen = b""
        while b"[y/N] " not in seen:  # It ends only after it is answered.
            chunk = os.read(running.stderr.fileno(), 4096)
            assert chunk, seen
            seen += chunk
        _, rest = running.communicate(b"y")
    assert running.returncode == 3
    assert b"\r0 of 3\r1 of 3\r2 of 3\nlast words" in seen + rest
    assert json.loads(cli("show", "asks", "--json"))["errorMessage"] == "2 of 3\nlast words"


@pytest.mark.slow
def test_a_command_of_any_bytes_and_any_length_is_recorded(cli: Cli) -> None:
    odd, long = b"/tmp/caf\xe9", "a" * 100_000
    done = subprocess.run(
        [*cli.command, "run", "--name", "odd", "--", "ls", odd],
        env=cli.environment,
        capture_output=True,
    )
    assert done.returncode == 2
    cli("run", "--name", "long", "--", "true", long, long, long)
    for name, state in (("odd", "FAILED"), ("long", "SUCCEEDED")):
        job = json.loads(cli("show", name, "--json"))
        assert job["state"] == state
        assert job["spec"]["@mended"]
    assert job["spec"]["command"][0] == "true"


def test_unrecorded_reports_are_named_on_standard_error(cli: Cli) -> None:
    cli("run", "--name", "twice", "--", "true")
    for arguments in (["--dsn", "port=1 host=127.0.0.1", "run", "--", "true"],):
        done = cli.run(*arguments)
        assert done.returncode == 0
        assert "not recorded: the ledger's server cannot be reached" in done.stderr
        assert "recorded as" not in done.stderr


def test_labels_of_kubernetes_are_accepted_with_a_note_on_googles_form(cli: Cli) -> None:
    done = cli.run("run", "--name", "k", "--label", "app.kubernetes.io/version=v1.2", "--", "true")
    assert "show it as app_kubernetes_io_version=v1_2" in done.stderr
    job = json.loads(cli("show", "k", "--json"))
    assert job["labels"] == {"app.kubernetes.io/version": "v1.2"}


def test_a_large_integer_is_kept_exactly(cli: Cli) -> None:
    for data in ('{"spec":{"id":1546130668394913822}}', '{"spec": {"id": 1546130668394913822}}'):
        name = f"big{len(data)}"
        cli("record", name, "Created", "--data", data)
        assert json.loads(cli("show", name, "--json"))["spec"] == {"id": "1546130668394913822"}


def test_data_of_any_depth_is_printed(cli: Cli, ledger: Ledger) -> None:
    deep: dict[str, Any] = {}
    for _ in range(252):
        deep = {"in": deep}
    ledger.create("projects/p/jobs/deep", spec=deep)
    [event] = cli.json("history", "deep", "--format", "json")
    assert event["data"]["spec"] == deep
    assert json.loads(cli("events", "--json"))["data"]["spec"] == deep
    assert cli("history", "deep", "--format", "csv").count('""in""') == 252


@pytest.mark.slow
def test_times_with_nanoseconds_are_cut_to_microseconds(cli: Cli) -> None:
    time = "2020-07-30T00:30:03.082421999Z"
    cli("record", "ns", "Created", "--time", time)
    cut = "2020-07-30T00:30:03.082421Z"
    assert json.loads(cli("show", "ns", "--json"))["createTime"] == cut
    for as_of in (time, cut):
        assert json.loads(cli("show", "ns", "--as-of", as_of, "--json"))["asOf"] == cut
    for filter_ in (f'create_time = "{time}"', f'create_time <= "{time}"'):
        assert len(json.loads(cli("list", "--filter", filter_, "--json"))) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["record", "scheduled__2023-01-12T02:00:00+00:00", "Started"], "letters (A-Z, a-z)"),
        (["record", "x", "succeeded"], "did you mean 'Succeeded'?"),
        (
            ["list", "--filter", "create_time > 2024-01-01T00:00:00Z"],
            'in quotes: "2024-01-01T00:00:00Z"',
        ),
        (["list", "--filter", "state = FAILED and labels.team = a"], "AND is written in capitals"),
        (["list", "--filter", "state = failed"], "write FAILED"),
        (["record", "nobody", "Succeeded"], "report that it is Created"),
        (["events", "--after", "999999999"], "the ledger's last position is 0"),
    ],
)
def test_a_refusal_names_a_valid_form(cli: Cli, arguments: list[str], wanted: str) -> None:
    done = cli.run(*arguments)
    assert done.returncode in {USAGE, NOT_FOUND}
    assert wanted in done.stderr


@pytest.mark.slow
def test_a_week_is_simulated_listed_followed_rebuilt_and_verified(cli: Cli) -> None:
    simulate = ["simulate", "--jobs", "300", "--seed", "5", "--end", "2026-06-08"]
    assert cli(*simulate).startswith("300 jobs, ")
    jobs = [json.loads(line) for line in cli("list", "--format", "jsonl").splitlines()]
    assert len(jobs) == 300
    assert cli.json("list", "--json", "--limit", "2") == jobs[:2]
    failed = cli.json("list", "--filter", "state = FAILED", "--json")
    assert [job for job in jobs if job["state"] == "FAILED"] == failed
    assert "and more than these 50" in cli.run("list").stderr
    events = [json.loads(line) for line in cli("events", "--after", "10").splitlines()]
    assert [e["position"] for e in events] == list(range(11, 11 + len(events)))
    assert any(e["type"] == "Contradicted" for e in events)
    rebuilt = cli.json("rebuild", "--json")
    assert rebuilt["events"] == len(events) + 10
    assert cli.json("verify", "--json") == {
        "ok": True,
        "events": len(events) + 10,
        "jobs": 300,
        "findings": [],
    }
    assert cli(*simulate) == "300 jobs, 0 events\n"
    assert len(cli("events", "--after", "0").splitlines()) == len(events) + 10


@pytest.mark.slow
def test_verify_names_what_differs_and_exits_1(cli: Cli, ledger: Ledger) -> None:
    ledger.create("projects/p/jobs/x")
    with ledger.connection() as connection:
        connection.execute("UPDATE jobs SET state = 'RUNNING'")
    out = cli("verify", code=1)
    assert "differs: projects/p/jobs/x state is" in out
    assert "1 job replayed from 1 event: 1 finding" in out
    assert cli.child("verify", "--json").returncode == 1


@pytest.mark.slow
def test_reports_by_hand(cli: Cli) -> None:
    cli(
        "record",
        "x",
        "Created",
        "--data",
        '{"labels": {"team": "a"}}',
        "--time",
        "2026-06-01T10:00:00Z",
    )
    body = cli.json(
        "record", "x", "Failed", "--data", '{"error": "boom"}', "--request-id", "r1", "--json"
    )
    assert body["job"]["errorMessage"] == "boom"
    assert body["events"][0]["requestId"] == "r1"
    assert (
        cli.json(
            "record", "x", "Failed", "--data", '{"error": "boom"}', "--request-id", "r1", "--json"
        )
        == body
    )
    done = cli.run("record", "x", "Started")
    assert done.returncode == 0
    assert "contradicted: the job was FAILED" in done.stderr
    assert (
        cli.json("show", "projects/p/jobs/x", "--json")["createTime"]
        == "2026-06-01T10:00:00.000000Z"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["show", "nobody"], "there is no job projects/p/jobs/nobody"),
        (["history", "nobody"], "there is no job"),
        (["show", "a b"], "name: "),
        (["record", "nobody", "Started"], "there is no job"),
        (["record", "x", "Exploded"], "unknown event type 'Exploded'"),
        (["record", "x", "Created", "--data", "{not json"], "is not JSON"),
        (["record", "x", "Created", "--data", "[]"], "is not a JSON object"),
        (["run", "--label", "Team=a", "--", "true"], "lowercase letters"),
        (["record", "x", "Created", "--time", "2026-06-01T10:00:00"], "has no time zone"),
        (["bisect", "x", "--count", "jobs > 1"], "leave out NAME and --filter"),
        (
            ["bisect", "--filter", "state = FAILED", "--count", "jobs > 1"],
            "leave out NAME and --filter",
        ),
        (["record", "x", "Created", "--time", "1066-10-14T00:00:00Z"], "is before 1970"),
        (["record", "x", "Created", "--time", "2999-01-01T00:00:00Z"], "more than a day ahead"),
        (["record", "x", "Created", "--time", "soon"], "is not an ISO 8601 time"),
        (["list", "--filter", "colour = red"], "there is no field 'colour'"),
        (["list", "--filter", "state ="], "cannot be read"),
        (["run", "--label", "nothing", "--", "true"], "is not K=V"),
        (["rebuild", "nothing"], "there is no projection"),
        (["bench", "nothing"], "there is no measure"),
        (["--ledger", "nowhere", "list"], "does not exist; make it with"),
        (["list", "--ledger", "Not A Name"], "is not a lowercase letter"),
        (["list", "--dsn", "port=1 host=127.0.0.1"], "cannot be reached"),
        (["list", "--dsn", "nonsense"], "is not a connection string"),
        (["import", "google-cluster-trace", "--kind", "job", "/nowhere/x.gz"], "No such file"),
    ],
)
def test_bad_input_gets_one_sentence(cli: Cli, arguments: list[str], sentence: str) -> None:
    done = cli.run(*arguments)
    kinds = {
        "there is no job": NOT_FOUND,
        "does not exist": NOT_FOUND,
        "cannot be reached": UNREACHABLE,
    }
    # An import continues after an unreadable file, and then reports the incomplete import.
    kinds["No such file"] = NO
    wanted = [code for part, code in kinds.items() if part in sentence]
    assert done.returncode == (wanted[0] if wanted else USAGE)
    assert sentence in done.stderr
    assert done.stderr.startswith("jobledger: ")
    assert done.stderr.count("\n") == 1
    assert json.loads(cli("list", "--json")) == []


def test_the_simulated_week_ends_now_or_at_the_given_time(cli: Cli, ledger: Ledger) -> None:
    before = datetime.now(UTC)
    cli("simulate", "--jobs", "30")
    cli("simulate", "--jobs", "30", "--seed", "2", "--date", "2026-06-08")
    for seed, begin, end in (
        (1, before - timedelta(days=7), datetime.now(UTC)),
        (2, datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 8, tzinfo=UTC)),
    ):
        times = [job.update_time for job in ledger.scan() if f"/sim_{seed}_" in job.name]
        assert len(times) == 30
        assert all(time is not None and begin <= time <= end for time in times)


@pytest.mark.slow
def test_a_closed_pipe_is_not_an_error(cli: Cli) -> None:
    cli("simulate", "--jobs", "500")
    shell = f"{cli.command[0]} list --format jsonl | head -n 1"
    done = subprocess.run(["sh", "-c", shell], env=cli.environment, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("to", "code", "why"),
    [(">&-", 0, ""), (">/dev/full", 2, "jobledger: No space left on device\n")],
)
def test_output_that_cannot_be_written_is_no_traceback(
    cli: Cli, to: str, code: int, why: str
) -> None:
    cli("record", "resnet_1", "Created")
    shell = f"{cli.command[0]} comment resnet_1 checked {to}"
    done = subprocess.run(["sh", "-c", shell], env=cli.environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (code, why)


@pytest.mark.slow
def test_a_locale_without_a_character_prints_its_code(cli: Cli) -> None:
    cli.environment |= {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    assert cli.child("record", "resnet_1", "Created").returncode == 0  # And signs a checkpoint.
    cli("comment", "resnet_1", "30 \N{DEGREE SIGN}C")
    done = cli.child("history", "resnet_1")
    assert done.returncode == 0, done.stderr
    assert "note: 30 \\xb0C" in done.stdout


def test_shared_options_may_stand_anywhere_before_a_command_of_the_users() -> None:
    given = ["run", "--ledger", "x", "--name=n", "--dsn=d", "--", "cmd", "--dsn", "y"]
    assert _shared_first(given) == [
        "--ledger",
        "x",
        "--dsn=d",
        "run",
        "--name=n",
        "--",
        "cmd",
        "--dsn",
        "y",
    ]


@pytest.mark.parametrize("command", [[], ["run"], ["list"], ["record"], ["import"], ["bench"]])
def test_every_command_explains_itself(command: list[str]) -> None:
    assert CliRunner().invoke(app, [*command, "--help"]).exit_code == 0


def test_help_does_not_break_lines_where_docstrings_do() -> None:
    output = CliRunner().invoke(app, ["run", "--help"], env={"COLUMNS": "100"}).output
    assert "spooled on" not in [line.strip() for line in output.splitlines()]


@pytest.mark.slow
def test_init_is_safe_to_run_twice_at_once(cli: Cli, ledger_name: str) -> None:
    processes = [cli.start("init") for _ in range(4)]
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert "up to date" in out

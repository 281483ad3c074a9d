"""Conventions of the command line: exit codes, output formats, verbs, times, and advice."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import traceback
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

import jobledger
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobledger.domain.errors import JobExistsError, LedgerError
from jobledger.domain.job import Job
from jobledger.domain.states import JobState
from jobledger.infra import Ledger
from jobledger.infra.cli import exit_codes
from jobledger.infra.cli.exit_codes import EXIT_CODES, exit_code
from jobledger.infra.cli.jobs.columns import job_cells, plain_table
from jobledger.infra.errors import LedgerClosedError, LoginRefusedError, MissingGrantError
from jobledger.infra.postgres.connections import connect, translated
from jobledger.infra.settings import VARIABLES, Settings
from jobledger.infra.transfer.traces.simulation import simulate
from psycopg import errors

from tests.checkout import ROOT
from tests.command_line import Cli

PUBLIC_ERRORS = [
    found
    for name in jobledger.__all__
    if isinstance(found := getattr(jobledger, name), type) and issubclass(found, LedgerError)
]


@pytest.mark.slow
@pytest.mark.parametrize("error", PUBLIC_ERRORS)
def test_every_error_has_the_exit_code_of_its_kind(error: type[LedgerError]) -> None:
    named = [cls for cls in error.__mro__ if cls in EXIT_CODES]
    assert named or error is LedgerError
    code = exit_code(error.__new__(error))
    assert code == (EXIT_CODES[named[0]] if named else exit_codes.NO)
    assert code in {1, 2, 3, 4, 5}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["show", "nobody"], 3),
        (["list", "--columns", "nam"], 2),
        (["cancel", "nobody"], 3),
        (["comment", "x", "  "], 2),
        (["--ledger", "typo", "list"], 3),
        (["verify", "--dsn", "host=127.0.0.1 port=1"], 5),
    ],
)
def test_commands_exit_by_kind(cli: Cli, arguments: list[str], code: int) -> None:
    assert cli.run(*arguments).returncode == code


def test_an_unknown_ledger_name_lists_the_ledgers(cli: Cli, ledger: Ledger) -> None:
    done = cli.run("--ledger", "typo", "list")

    assert "make it with: jobledger --ledger typo init; there are: " in done.stderr
    assert ledger.name in done.stderr.partition("there are: ")[2]


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["list", "--filter", "stat = FAILED"], "did you mean state?"),
        (["list", "--order-by", "nam"], "did you mean name?"),
        (["list", "--columns", "labls.team"], "did you mean labels?"),
        (["record", "x", "Creatd"], "did you mean 'Created'?"),
        (["rebuild", "job"], "did you mean jobs?"),
    ],
)
def test_a_mistyped_name_suggests_the_right_one(cli: Cli, arguments: list[str], meant: str) -> None:
    assert meant in cli.run(*arguments).stderr


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["list", "--limit", "-1"], "'--limit': must be greater than or equal to 0, not '-1'"),
        (["list", "--limit", "x"], "'--limit': must be a valid integer, not 'x'"),
        (
            ["serve", "--port", "70000"],
            "'--port': must be less than or equal to 65535, not '70000'",
        ),
        (["list", "--format", "xml"], "'--format': 'xml' is not one of 'table', 'json'"),
    ],
)
def test_an_invalid_option_names_its_value_and_what_would_be_right(
    cli: Cli, arguments: list[str], why: str
) -> None:
    words = re.sub(r"[│\s]+", " ", cli.run(*arguments).stderr)
    assert f"Invalid value for {why}" in words


@pytest.mark.slow
def test_label_sets_labels_as_labels_does(cli: Cli, ledger: Ledger) -> None:
    ledger.create("projects/p/jobs/x", {"team": "a"})
    for words in (["label"], ["label", "set"], ["labels"]):
        cli(*words, "x", "team=", f"by={'-'.join(words)}", "--actor", "ann")
        assert ledger.get("projects/p/jobs/x").labels == {"by": "-".join(words)}
    assert cli.json("label", "--json", "x", "by=b")["labels"] == {"by": "b"}
    assert "Did you mean 'tasks'?" in cli.run("label", "taks", "x").stderr


@pytest.mark.slow
def test_commands_for_operators_change_jobs(cli: Cli, ledger: Ledger) -> None:
    ledger.create("projects/p/jobs/x", {"team": "a", "env": "b"})
    assert cli("pause", "x", "--reason", "lunch") == "projects/p/jobs/x v2: PAUSED\n"
    assert cli("resume", "x") == "projects/p/jobs/x v3: QUEUED\n"
    assert cli.json("labels", "x", "env=", "tier=1", "--json")["labels"] == {
        "team": "a", "tier": "1",
    }  # fmt: skip
    assert cli("cancel", "x") == "projects/p/jobs/x v6: CANCELLED\n"
    assert cli("retry", "x", "--actor", "ann") == "projects/p/jobs/x v7: QUEUED\n"
    done = cli.run("delete", "x")
    assert (done.returncode, done.stderr.count("\n")) == (4, 1)
    cli("delete", "x", "--stop")
    assert cli.run("show", "x").returncode == 3


@pytest.mark.slow
@pytest.mark.parametrize("end", [None, "started", "succeeded", "failed"])
def test_a_comment_has_an_author_and_changes_nothing(
    cli: Cli, ledger: Ledger, end: str | None
) -> None:
    before = ledger.create("projects/p/jobs/x")
    if end is not None:
        before = getattr(ledger, end)(before.name)
    cli("comment", "x", "the disk was full", "--author", "ann")

    after, expected = ledger.get(before.name), [*ledger.history(before.name)][-1]
    assert (expected.type, expected.actor, expected.json) == (
        "Commented",
        "ann",
        {"note": "the disk was full"},
    )
    assert (after.state, after.output, after.labels) == (before.state, before.output, before.labels)
    assert "note: the disk was full" in cli("history", "x")
    assert cli.json("verify", "--json")["ok"]


def test_a_list_has_five_output_formats(cli: Cli, ledger: Ledger) -> None:
    ledger.append_many(simulate(5, 1, "p"))
    jobs = cli.json("list", "--json")
    assert cli.json("list", "--format", "json") == jobs
    lines = cli("list", "--format", "jsonl").splitlines()
    assert [json.loads(line) for line in lines] == jobs
    for form, dialect in (("csv", "excel"), ("tsv", "excel-tab")):
        printed = cli("list", "--format", form, "--columns", "name,state,labels.team,labels")
        rows = [*csv.DictReader(io.StringIO(printed), dialect=dialect)]
        assert [row["name"] for row in rows] == [job["name"] for job in jobs]
        assert [row["labels.team"] for row in rows] == [job["labels"]["team"] for job in jobs]
        assert [json.loads(row["labels"]) for row in rows] == [job["labels"] for job in jobs]
    ids = [job["name"].rpartition("/")[2] for job in jobs]
    assert [line.split()[0] for line in cli("list").splitlines()[1:]] == ids
    assert jobs[0]["name"] in cli("list", "--wide")


LISTING = (
    ("list",), ("history", "x"), ("show", "x"), ("blame", "x"), ("events",), ("count",),
    ("spool", "list"), ("token", "list"), ("ledgers", "list"), ("settings",), ("doctor",),
)  # fmt: skip
"""Commands whose output has rows."""


@pytest.mark.slow
@pytest.mark.parametrize("command", LISTING, ids=" ".join)
def test_rows_are_the_same_in_every_output_format(
    cli: Cli, ledger: Ledger, tmp_path: Path, command: tuple[str, ...]
) -> None:
    cli.environment["JOBLEDGER_SPOOL"] = str(tmp_path)
    (tmp_path / "1_broken.jsonl").write_text("{")
    ledger.create("projects/p/jobs/x", {"team": "a"}, {"note": "one, two\tthree"})
    cli("token", "create", "--role", "reader")

    rows = [json.loads(line) for line in cli.run(*command, "--format", "jsonl").stdout.splitlines()]
    assert rows
    whole = json.loads(cli.run(*command, "--format", "json").stdout)
    if isinstance(whole, list):
        assert whole == rows
    for form, dialect in (("csv", "excel"), ("tsv", "excel-tab")):
        printed = cli.run(*command, "--format", form).stdout
        found = [*csv.DictReader(io.StringIO(printed), dialect=dialect)]
        assert len(found) == len(rows)
        first = next(iter(found[0]))
        assert [row[first] for row in found] == [str(row[first]) for row in rows]


@pytest.mark.parametrize("form", ["csv", "tsv"])
def test_an_error_comes_without_a_header(cli: Cli, form: str) -> None:
    done = cli.run("list", "--filter", "foo = 1", "--format", form)
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [("show", "x"), ("history", "x", "--wide"), ("blame", "x"), ("diff", "x", "--from", "v1")],
    ids=" ".join,
)
def test_a_pipe_gets_values_unbroken_and_no_trailing_blanks(
    cli: Cli, ledger: Ledger, command: tuple[str, ...]
) -> None:
    why = " ".join(["out of memory"] * 40)
    ledger.create("projects/p/jobs/x")
    ledger.started("projects/p/jobs/x")
    ledger.failed("projects/p/jobs/x", {"code": 8, "message": why})
    printed = cli(*command)
    assert why in printed
    assert [line for line in printed.splitlines() if line.endswith(" ")] == []


def test_an_endless_feed_has_only_line_formats(cli: Cli) -> None:
    done = cli.run("events", "--follow", "--format", "table")
    assert done.returncode == 2
    assert "--follow never ends; use jsonl, csv or tsv" in done.stderr


JOBS = st.builds(
    Job,
    name=st.from_regex(r"projects/p/jobs/[a-z0-9_]{1,30}", fullmatch=True),
    state=st.sampled_from(JobState),
    attempt=st.integers(1, 1_000),
    create_time=st.just(datetime(2026, 6, 1, tzinfo=UTC)),
    end_time=st.none() | st.just(datetime(2026, 6, 1, tzinfo=UTC)),
    error_message=st.none() | st.text(st.characters(min_codepoint=32, max_codepoint=126)),
)


@pytest.mark.slow
@given(st.lists(JOBS, min_size=1, max_size=5))
def test_a_job_is_one_line_of_80_columns_with_its_name_whole(jobs: list[Job]) -> None:
    lines = plain_table(jobs, "p", 80).splitlines()

    assert len(lines) == len(jobs) + 1
    assert max(map(len, lines)) <= 80
    for job, line in zip(jobs, lines[1:], strict=True):
        assert line.split()[0] == job.name.removeprefix("projects/p/jobs/")
    header, rows = job_cells(jobs, "p", 80)
    assert len(header) == len(rows[0])


@pytest.mark.slow
def test_times_name_their_zone(cli: Cli, ledger: Ledger) -> None:
    ledger.create("projects/p/jobs/x", occurred_time=datetime(2026, 6, 1, 12, tzinfo=UTC))
    assert "created (UTC)" in cli("list")
    assert "2026-06-01 12:00:00\n" in cli("list")
    cli.environment["TZ"] = "Europe/Berlin"
    assert "2026-06-01 14:00:00+0200" in cli.child("list", "--local").stdout


@pytest.mark.slow
def test_every_variable_is_shown() -> None:
    assert {field.name.upper() for field in fields(Settings)} <= VARIABLES.keys()
    done = subprocess.run(
        [sys.executable, "-m", "jobledger", "settings", "--json"],
        env={**os.environ, "JOBLEDGER_DSN": "password=secret", "JOBLEDGER_LEDGER": "mine"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "secret" not in done.stdout
    shown = {row["variable"]: row["value"] for row in json.loads(done.stdout)}
    assert shown.keys() == {f"JOBLEDGER_{name}" for name in VARIABLES}
    assert shown["JOBLEDGER_LEDGER"] == "mine"


def test_every_variable_that_is_read_is_documented() -> None:
    readme = (ROOT / "infra/cli/README.md").read_text()
    assert [name for name in VARIABLES if f"JOBLEDGER_{name}" not in readme] == []


def test_an_error_in_python_is_one_traceback(ledger: Ledger) -> None:
    ledger.create("projects/p/jobs/x")
    with pytest.raises(JobExistsError) as caught:
        ledger.create("projects/p/jobs/x")
    printed = "".join(traceback.format_exception(caught.value))
    assert printed.count("Traceback") == 1


def test_a_closed_ledger_raises_an_error_that_says_it_is_closed(dsn: str, ledger_name: str) -> None:
    opened = Ledger.open(dsn, ledger_name)
    opened.close()
    with pytest.raises(LedgerClosedError, match="was closed; open it again"):
        opened.create("projects/p/jobs/x")
    with pytest.raises(LedgerClosedError, match="was closed; open it again"):
        opened.get("projects/p/jobs/x")


def test_a_refused_login_and_a_missing_grant_have_messages_of_their_own(dsn: str) -> None:
    with pytest.raises(LoginRefusedError, match=r"refuses the login: .*check the"):
        connect(
            f"{dsn} dbname=no_such_database"
            if "://" not in dsn
            else dsn.replace("/postgres", "/none")
        )
    with pytest.raises(MissingGrantError, match="--grant-to ROLE") as caught, translated():
        raise errors.InsufficientPrivilege("permission denied for table events")
    assert caught.value.__suppress_context__

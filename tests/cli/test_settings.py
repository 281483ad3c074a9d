"""Every variable is documented and shown; a ledger and a project mean the same in every command."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
from jobledger.infra import Ledger
from jobledger.infra.cli.commands import COMMANDS
from jobledger.infra.postgres.connections import connect
from jobledger.infra.settings import SECRETS, VARIABLES, Settings

from tests.checkout import ROOT
from tests.command_line import Cli, run_main

GIVEN_TO_PROGRAMS = {"ORIGIN", "SIZE"}
"""Variables that the program sets for others, and does not read."""
NOT_A_FIELD = {"SPOOL", "ARCHIVES", "PAGER"}
DOCUMENTED = (ROOT / "infra" / "cli" / "README.md").read_text()


def sources() -> list[str]:
    return [
        file.read_text()
        for folder in ("infra", "domain", "projections")
        for file in (ROOT / folder).rglob("*.py")
    ]


def test_the_settings_model_has_a_field_for_each_variable() -> None:
    named = {field.name.upper() for field in fields(Settings)} | {"HOME"}
    assert named == VARIABLES.keys() - NOT_A_FIELD


def test_each_variable_that_the_program_names_is_listed() -> None:
    named = {name for text in sources() for name in re.findall(r"JOBLEDGER_([A-Z_]*[A-Z])\b", text)}
    read = {
        name for text in sources() for name in re.findall(r'_(?:read|variable)\("([A-Z_]+)"', text)
    }
    assert read <= VARIABLES.keys() <= named | read
    assert {name for name in named if not name.startswith("TEST_")} <= (
        VARIABLES.keys() | GIVEN_TO_PROGRAMS
    )


def test_the_table_in_the_documents_is_the_list() -> None:
    [table] = re.findall(r"<!-- settings -->\n(.*?)<!-- /settings -->", DOCUMENTED, re.DOTALL)
    rows = re.findall(r"^\| `JOBLEDGER_(\w+)` \| (.*) \|$", table, re.MULTILINE)
    assert dict(rows) == VARIABLES
    assert all(f"JOBLEDGER_{name}" in DOCUMENTED for name in GIVEN_TO_PROGRAMS)


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIABLES)
def test_the_command_shows_each_variable(name: str) -> None:
    value = "password=hidden host=shown" if name == "DSN" else "hidden" if name in SECRETS else "x"
    done = run_main({f"JOBLEDGER_{name}": value, "HOME": "/nowhere"}, "settings", "--json")
    assert done.returncode == 0, done.stderr
    found = {setting["variable"]: setting for setting in json.loads(done.stdout)}
    assert list(found) == [f"JOBLEDGER_{each}" for each in VARIABLES]
    for each in VARIABLES:
        source = "environment" if each == name else "default"
        setting = found[f"JOBLEDGER_{each}"]
        assert (setting["source"], setting["meaning"]) == (source, VARIABLES[each])
    assert "hidden" not in done.stdout
    shown = {"DSN": "host=shown"}.get(name, "(set, not shown)" if name in SECRETS else "x")
    assert found[f"JOBLEDGER_{name}"]["value"] == shown


def test_a_setting_from_an_option_is_shown_with_its_source() -> None:
    done = run_main({"JOBLEDGER_LEDGER": "x"}, "--ledger", "y", "settings")
    assert "JOBLEDGER_LEDGER = y  (option)\n    the ledger's name\n" in done.stdout


COMMON = {
    "list": ["list"], "count": ["count"], "show": ["show", "ID"], "history": ["history", "ID"],
    "events": ["events"], "diff": ["diff", "ID", "--from", "v1"], "blame": ["blame", "ID"],
    "bisect": ["bisect", "ID", "--filter", "state = QUEUED"], "why": ["why", "ID"], "tree": ["tree", "ID"], "replay": ["replay", "ID"],
    "report": ["report", "throughput"], "export": ["export", "ID"],
    "record": ["record", "ID", "Started"], "simulate": ["simulate", "--jobs", "1"],
    "rebuild": ["rebuild"], "verify": ["verify"], "receipt": ["receipt", "ID"],
    "erase": ["erase", "user:7"], "prune": ["prune", "--before", "2020-01-01T00:00:00Z", "--to", "FILE"],
    "serve": ["serve", "--port", "0"], "serve-grpc": ["serve-grpc", "--port", "0"],
    "scheduler": ["scheduler", "--once"], "evaluations": ["evaluations", "ID"],
    "import": ["import", "google-cluster-trace", "--kind", "job", "FILE"],
    "log": ["log", "show"], "token": ["token", "list"], "label": ["label", "tasks", "ID"],
    "cancel": ["cancel", "ID"], "pause": ["pause", "ID"], "resume": ["resume", "ID"],
    "retry": ["retry", "ID"], "delete": ["delete", "ID"], "comment": ["comment", "ID", "a note"],
    "retention": ["retention", "list"], "hold": ["hold", "ID", "--reason", "x"],
    "release": ["release", "ID"],
    "labels": ["labels", "ID", "a=b"], "follow": ["follow", "kubernetes", "--from", "FILE"],
}  # fmt: skip
"""How each command that opens a ledger is called; ID and FILE stand for names."""
ELSEWHERE = {
    "init", "doctor", "settings", "status", "stop", "psql", "run", "verify-report", "verify-receipt",
    "witness", "bench", "spool", "attach", "detach", "ledgers", "plan-capacity", "verify-export",
}  # fmt: skip
"""Commands that make a ledger, need none, or go on without."""


def words(name: str, folder: Path, job: str) -> list[str]:
    file = folder / "file"
    file.write_text("")
    return [str(file) if w == "FILE" else job if w == "ID" else w for w in COMMON[name]]


def test_each_command_is_tried_here() -> None:
    assert COMMON.keys() | ELSEWHERE == COMMANDS.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMON)
def test_a_missing_ledger_is_an_error_that_names_the_existing_ones(
    cli: Cli, name: str, tmp_path: Path
) -> None:
    done = cli.run("--ledger", "typo", *words(name, tmp_path, "x"))
    assert done.returncode != 0
    assert "ledger 'typo' does not exist; make it with: jobledger --ledger typo init" in done.stderr
    assert cli.environment["JOBLEDGER_LEDGER"] in done.stderr.partition("there are: ")[2]
    with connect(cli.environment["JOBLEDGER_DSN"]) as connection:
        found = connection.execute("SELECT to_regnamespace('ledger_typo')").fetchone()
    assert found == (None,)


@pytest.mark.slow
def test_the_embedded_server_creates_only_the_default_ledger(tmp_path: Path) -> None:
    environment = {"JOBLEDGER_HOME": str(tmp_path)}
    assert run_main(environment, "list").returncode == 0
    done = run_main(environment, "--ledger", "typo", "list")
    assert done.returncode != 0
    assert "there are: default" in done.stderr
    assert run_main(environment, "--ledger", "typo", "init").returncode == 0
    assert run_main(environment, "--ledger", "typo", "list").returncode == 0


OF_JOBS = ["show", "history", "diff", "blame", "bisect", "why", "replay", "receipt"]
OF_EVALUATION_JOBS = ["evaluations", "label"]


@pytest.fixture
def of_two_projects(ledger: Ledger) -> Ledger:
    """Jobs and evaluation jobs of two projects, by the same ids."""
    for project in ("p", "q"):
        for collection in ("jobs", "evaluationJobs"):
            ledger.create(f"projects/{project}/{collection}/x", {"of": project})
    return ledger


@pytest.mark.slow
@pytest.mark.parametrize("name", [*OF_JOBS, *OF_EVALUATION_JOBS])
def test_the_project_is_that_of_names_by_id(
    of_two_projects: Ledger, cli: Cli, name: str, tmp_path: Path
) -> None:
    collection = "jobs" if name in OF_JOBS else "evaluationJobs"
    cli.environment["JOBLEDGER_HOME"] = str(tmp_path / "home")  # No other ledger's keys.
    if name == "receipt":
        cli("init")
    for project in ("p", "q", "nobodys"):
        whole = words(name, tmp_path, f"projects/{project}/{collection}/x")
        wanted = cli.run(*whole)
        cli.environment["JOBLEDGER_PROJECT"] = project
        by_id = words(name, tmp_path, "x")
        for done in (cli.run(*by_id), cli.run("--project", project, *by_id)):
            assert done.returncode == wanted.returncode
            assert untimed(done.stdout + done.stderr) == untimed(wanted.stdout + wanted.stderr)
        assert (wanted.returncode == 0) is (project != "nobodys"), wanted.stderr


def untimed(printed: str) -> str:
    """The same without times: now is another one each time."""
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", printed)

"""`jobledger doctor` finds each thing that is wrong, says what to do about it, and exits 1."""

from __future__ import annotations

import fcntl
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jobledger.infra.cli.diagnosis import doctor
from jobledger.infra.cli.diagnosis.check import Status
from jobledger.infra.cli.diagnosis.machine import check_port
from jobledger.infra.postgres.connections import schema_of
from jobledger.infra.proof.signing.keys import write_private
from jobledger.infra.proof.signing.pins import pin_file
from jobledger.infra.settings import Settings
from psycopg.conninfo import make_conninfo

from tests.command_line import Cli
from tests.desks import Desk
from tests.servers import Server

NAMES = [
    "settings", "server", "schema", "grants", "clock", "keys", "checkpoint", "spool", "disk",
]  # fmt: skip


@pytest.fixture
def examined(desk: Desk, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line on a signed ledger, without the check of ports."""
    monkeypatch.setattr(doctor, "PORTS", {})
    desk.ledger.create("projects/p/jobs/a")
    desk.ledger.checkpoint()
    return Cli(dsn, desk.ledger.name, JOBLEDGER_HOME=str(tmp_path / "home"))


def examine(cli: Cli, *arguments: str) -> dict[str, list[dict[str, Any]]]:
    """Returns the doctor's results by the names of checks."""
    done = cli.run(*arguments, "doctor", "--json")
    body = json.loads(done.stdout)
    problems = [check for check in body["checks"] if check["status"] == "problem"]
    assert body["ok"] is (not problems)
    assert done.returncode == (1 if problems else 0)
    assert all(check["remedy"] for check in problems)
    found: dict[str, list[dict[str, Any]]] = {}
    for check in body["checks"]:
        found.setdefault(check["name"], []).append(check)
    return found


def problem(cli: Cli, name: str, *arguments: str) -> str:
    """Returns the only problem, of the check of that name; the others are fine or skipped."""
    found = examine(cli, *arguments)
    wrong = [c for checks in found.values() for c in checks if c["status"] == Status.PROBLEM]
    assert [check["name"] for check in wrong] == [name], wrong
    return f"{wrong[0]['detail']} -> {wrong[0]['remedy']}"


def test_a_healthy_ledger_has_no_problem(examined: Cli) -> None:
    found = examine(examined)
    assert list(found) == NAMES
    assert {check["status"] for checks in found.values() for check in checks} == {"ok"}
    lines = examined("doctor").splitlines()
    assert [line.split()[:2] for line in lines] == [["ok", name] for name in NAMES]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("JOBLEDGER_LEGER", "x", "set JOBLEDGER_LEDGER instead"),
        ("JOBLEDGER_SEAL", "maybe", "'maybe' is not true or false"),
        ("JOBLEDGER_PROJECT", "no such", "cannot be used"),
        ("JOBLEDGER_POLICY", "/nowhere", "No such file"),
        ("JOBLEDGER_PUBLISH", "ftp://x", "is not a folder, http(s) address or exec:PROGRAM"),
        ("JOBLEDGER_SCHEDULES", "often", "is not one of daily, exact"),
        ("JOBLEDGER_SMTP", "mail.example", "is not of the form smtp://"),
    ],
)
def test_a_variable_that_cannot_be_used(
    examined: Cli, variable: str, value: str, expected: str
) -> None:
    examined.environment[variable] = value
    assert expected in problem(examined, "settings")


def test_an_unreachable_server(examined: Cli) -> None:
    found = examine(examined, "--dsn", "host=127.0.0.1 port=1")
    assert "cannot be reached" in found["server"][0]["detail"]
    assert {found[name][0]["status"] for name in doctor.NEEDS_SERVER} == {"skipped"}
    assert found["disk"][0]["status"] == "ok"


def test_a_missing_ledger(examined: Cli) -> None:
    assert "init" in problem(examined, "schema", "--ledger", "nowhere")


@pytest.mark.slow
def test_a_role_without_grants_gets_the_command_that_grants_them(
    examined: Cli, desk: Desk, dsn: str
) -> None:
    schema, role = schema_of(desk.ledger.name), f"weak_{desk.ledger.name}"
    with desk.ledger.connection() as owner:
        owner.execute(f"CREATE ROLE {role} LOGIN".encode())
        try:
            as_role = ("--dsn", make_conninfo(dsn, user=role))
            assert "init --grant-to" in problem(examined, "schema", *as_role)
            owner.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}".encode())
            owner.execute(
                f"GRANT SELECT ON migrations, projections, log, head, checkpoints, events, tiles TO {role}".encode()
            )
            message = problem(examined, "grants", *as_role)
            assert "lacks SELECT on alert_mails" in message
            assert f"init --grant-to {role}" in message
            examined("init", "--grant-to", role)
            assert "it may not sign" in examine(examined, *as_role)["grants"][0]["detail"]
        finally:
            owner.execute(f"DROP OWNED BY {role}".encode())
            owner.execute(f"DROP ROLE {role}".encode())


def test_a_clock_that_is_wrong(examined: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    here = time.time
    monkeypatch.setattr(time, "time", lambda: here() + 60)
    assert "s behind this machine's" in problem(examined, "clock")


def test_a_key_that_others_can_read(examined: Cli) -> None:
    [file] = (Path(examined.environment["JOBLEDGER_HOME"]) / "keys").glob("*.key")
    file.chmod(0o644)
    assert "chmod 600" in problem(examined, "keys")


def test_a_log_of_another_name_than_the_pinned_one(examined: Cli, desk: Desk) -> None:
    with desk.ledger.connection() as connection:
        write_private(pin_file(Settings(), connection), "another\n")
    assert "and was 'another' when it was last signed" in problem(examined, "keys")
    shown = examined.run("log", "show", "--json")
    assert "was 'another'" in json.loads(shown.stdout)["stopped"]


def test_a_log_that_was_rolled_back(examined: Cli) -> None:
    [file] = (Path(examined.environment["JOBLEDGER_HOME"]) / "keys").glob("*.checkpoint")
    lines = file.read_text().split("\n")
    file.write_text("\n".join([lines[0], "9", *lines[2:]]))
    assert "rolled back" in problem(examined, "checkpoint")


def test_unsigned_events(examined: Cli, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.ledger.started("projects/p/jobs/a")
    assert (
        examine(examined)["checkpoint"][0]["detail"] == "the last checkpoint covers 1 of 2 events"
    )
    monkeypatch.setattr("jobledger.infra.cli.diagnosis.log.MAX_UNSIGNED_SECONDS", -1.0)
    assert "jobledger log checkpoint" in problem(examined, "checkpoint")


def test_events_that_were_recorded_in_the_future(examined: Cli, desk: Desk) -> None:
    """The server's clock was ahead, and is right again."""
    with desk.ledger.connection() as connection:
        connection.execute("UPDATE head SET recorded_time = now() + interval '2 hours'")
    desk.ledger.started("projects/p/jobs/a")
    assert "which is in the future -> set the clocks" in problem(examined, "checkpoint")
    done = examined.run("log", "checkpoint")
    assert (done.returncode, done.stdout) == (1, "")
    assert "covers 1 of 2 events" in done.stderr


def test_spooled_runs(examined: Cli) -> None:
    spool = Path(examined.environment["JOBLEDGER_HOME"]) / "spool"
    spool.mkdir(parents=True)
    with (spool / "run.jsonl").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # As a run does that goes on.
        assert examine(examined)["spool"][0]["status"] == "ok"
    assert "1 run waits" in problem(examined, "spool")


def test_a_home_that_cannot_be_written_to(examined: Cli) -> None:
    examined.environment |= {"JOBLEDGER_HOME": "/dev/null/home", "JOBLEDGER_SPOOL": "/nowhere"}
    found = examine(examined)
    assert found["disk"][0]["status"] == "problem"
    assert "JOBLEDGER_HOME" in found["disk"][0]["remedy"]


def test_folders_that_cannot_be_made_say_which_variable_to_set(examined: Cli) -> None:
    examined.environment |= {"JOBLEDGER_HOME": "/dev/null/home"}
    assert "JOBLEDGER_SPOOL" in examine(examined)["spool"][0]["remedy"]
    del examined.environment["JOBLEDGER_DSN"]
    done = examined.run("list")
    assert done.returncode == 5
    assert "cannot keep its data in /dev/null/home/postgres: Not a directory" in done.stderr
    assert "set JOBLEDGER_HOME to a folder of yours" in done.stderr


@pytest.fixture
def stranger() -> Iterator[int]:
    """A port that a foreign program listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.listen()
        yield listening.getsockname()[1]


@pytest.mark.parametrize("command", ["serve", "serve-grpc"])
def test_a_port_that_another_program_uses(
    stranger: int, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobledger.infra.cli.diagnosis.machine.ANSWER_TIMEOUT_SECONDS", 0.1)
    check = check_port(stranger, command)
    assert (check.status, check.remedy) == (Status.PROBLEM, f"jobledger {command} --port 0")


def test_a_port_where_the_server_itself_listens(server: Server, grpc_server: Server) -> None:
    assert check_port(server.port, "serve").status is Status.OK
    assert check_port(grpc_server.port, "serve-grpc").status is Status.OK


def test_a_port_that_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert check_port(port, "serve").status is Status.OK

"""The embedded server stops when its last user has ended in any way; status, stop and psql."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from jobledger.infra.errors import ServerInUseError
from jobledger.infra.postgres.embedded_server.control import find_running, stop_running, stop_unused
from jobledger.infra.postgres.embedded_server.users import ServerUsers, is_used
from jobledger.infra.postgres.embedded_server.wheel import data_folder

from tests.command_line import run_main

TIMEOUT_SECONDS = 60.0
USE = """
import os, sys
from pathlib import Path
from jobledger.infra.postgres.embedded_server.starting import server_dsn
print(server_dsn(Path(sys.argv[1])), flush=True)
if "fork" in sys.argv and os.fork() == 0:
    sys.exit()  # With what the interpreter does at its end.
if "outlived" in sys.argv and os.fork():
    sys.exit()
sys.stdin.read()
"""


@contextmanager
def user(home: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A process that uses the server under `home`; it ends when its standard input does."""
    command = [sys.executable, "-c", USE, str(home), *words]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("postgresql://")
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.kill()


def wait_until_stopped(home: Path) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while find_running(home) is not None:
        assert time.monotonic() < deadline, "the server runs on without a user"
        time.sleep(0.05)


def command_line(home: Path, *arguments: str) -> tuple[int, str, str]:
    environment = {"JOBLEDGER_HOME": str(home), "NO_COLOR": "1", "PATH": "/usr/bin:/bin"}
    done = run_main(environment, *arguments)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
def test_the_server_stops_after_the_last_of_its_users_was_killed(tmp_path: Path) -> None:
    with user(tmp_path) as first, user(tmp_path) as second:
        running = find_running(tmp_path)
        assert running is not None
        assert {each.pid for each in running.users} == {first.pid, second.pid}
        first.kill()
        first.wait()
        again = find_running(tmp_path)
        assert again is not None
        assert (again.pid, [each.pid for each in again.users]) == (running.pid, [second.pid])
        second.kill()
        second.wait()
        wait_until_stopped(tmp_path)
    with user(tmp_path) as third:  # Earlier users do not count.
        code, body, _ = command_line(tmp_path, "status", "--json")
        assert code == 0
        assert [each["pid"] for each in json.loads(body)["users"]] == [third.pid]
        third.communicate()
        wait_until_stopped(tmp_path)


@pytest.mark.slow
def test_a_child_that_was_forked_off_does_not_stop_it(tmp_path: Path) -> None:
    with user(tmp_path, "fork") as parent:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while b"Z" not in _states_of_children(parent.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert find_running(tmp_path) is not None


@pytest.mark.slow
def test_a_child_that_outlives_its_parent_is_a_user(tmp_path: Path) -> None:
    with user(tmp_path, "outlived") as parent:
        assert parent.wait(TIMEOUT_SECONDS) == 0
        running = find_running(tmp_path)
        assert running is not None
        assert [each.pid for each in running.users] != [parent.pid]
        assert parent.stdin is not None
        parent.stdin.close()
        wait_until_stopped(tmp_path)


def _states_of_children(pid: int) -> bytes:
    listed = subprocess.run(["ps", "-o", "stat=", "--ppid", str(pid)], capture_output=True)
    return listed.stdout


@pytest.mark.slow
def test_status_and_stop_neither_start_it_nor_take_it_from_its_users(tmp_path: Path) -> None:
    code, message, _ = command_line(tmp_path, "status")
    assert (code, message.split(";")[0]) == (1, "not running")
    assert command_line(tmp_path, "stop") == (0, "it was not running\n", "")
    assert not data_folder(tmp_path).exists()
    with user(tmp_path) as process:
        code, message, _ = command_line(tmp_path, "status")
        assert code == 0
        assert f"used by {process.pid} " in message
        with pytest.raises(ServerInUseError, match=f"processes: {process.pid}; .* --force"):
            stop_running(tmp_path)
        code, message, error = command_line(tmp_path, "stop")
        assert code != 0
        assert str(process.pid) in error
        code, message, _ = command_line(tmp_path, "stop", "--force")
        assert (code, message.split()[0]) == (0, "stopped")
    assert find_running(tmp_path) is None


def test_commands_of_the_embedded_server_refuse_another_one(tmp_path: Path) -> None:
    for command in ("status", "stop"):
        code, expected, error = command_line(tmp_path, "--dsn", "host=x", command)
        assert code != 0
        assert not expected
        assert "does not start or stop" in error


@pytest.mark.slow
def test_psql_runs_on_the_ledgers_schema(dsn: str, ledger_name: str) -> None:
    command = [
        str(Path(sys.executable).parent / "jobledger"),
        "--dsn",
        dsn,
        "--ledger",
        ledger_name,
    ]
    done = subprocess.run(
        [*command, "psql", "-c", "SHOW search_path", "--", "-At"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, f"ledger_{ledger_name}\n"), done.stderr
    done = subprocess.run(
        [*command, "psql", "-Atc", "SELECT 1", "-c", "SELECT 2"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "1\n2\n"), done.stderr
    script = "SELECT 1/0;"
    done = subprocess.run(
        [*command, "psql", "--", "-v", "ON_ERROR_STOP=1"],
        input=script,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3
    assert "division by zero" in done.stderr


def test_the_last_user_is_known_by_the_lock(tmp_path: Path) -> None:
    data = tmp_path / "postgres"
    assert not is_used(data)
    first, second = ServerUsers(data), ServerUsers(data)
    assert is_used(data)
    assert not first.is_last()
    first.leave()
    assert second.is_last()
    second.leave()
    assert not is_used(data)


def test_a_server_whose_folder_was_deleted_is_not_stopped(tmp_path: Path) -> None:
    stop_unused(tmp_path / "gone")

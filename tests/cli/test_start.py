"""What the command line imports before it does something: as little as the command needs."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.events import EVENT_TYPES
from jobledger.domain.job import Job
from jobledger.domain.states import JobState
from jobledger.infra import Ledger
from jobledger.infra.cli.app import app
from jobledger.infra.cli.commands import COMMANDS, OTHER_WORDS
from jobledger.infra.cli.jobs.columns import plain_table
from jobledger.infra.cli.tables import jobs_table
from jobledger.infra.settings import Settings
from jobledger.infra.transfer.traces.simulation import simulate
from rich.console import Console
from typer.testing import CliRunner

JOBLEDGER = str(Path(sys.executable).parent / "jobledger")
PROGRAM = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
from jobledger.infra.cli import main
main()
"""
"""A program that runs the command line, and prints the imported modules on standard error."""
COMPLETING = {"_JOBLEDGER_COMPLETE": "complete_bash", "COMP_WORDS": "jobledger ", "COMP_CWORD": "1"}
PERSONAL = '{"spec": {"by": {"@personal": {"subject": "user:alice", "value": "Alice"}}}}'
HEAVY = {
    "cryptography",
    "eventsourcing",
    "fastapi",
    "itsdangerous",
    "jinja2",
    "lark",
    "platformdirs",
    "rich",
    "urllib.request",
}
"""Modules that reading the present must not import."""


class Run:
    """The command line in a process of its own."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self.done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.modules = set(self.done.stderr.splitlines()[-1].split())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "environment", "code"),
    [
        (["--help"], {}, 0),
        (["--version"], {}, 0),
        ([], {}, 2),
        ([], COMPLETING, 0),
    ],
)
def test_help_and_version_import_nearly_nothing(
    arguments: list[str], environment: dict[str, str], code: int
) -> None:
    run = Run(*arguments, **environment)

    assert run.done.returncode == code, run.done
    assert run.done.stdout
    assert not run.modules & (HEAVY | {"psycopg", "orjson"})
    # typer itself reads the words to complete with it.
    assert environment or "pydantic" not in run.modules
    ours = {name for name in run.modules if name.startswith("jobledger.infra.")}
    assert ours <= {"jobledger.infra.cli"} | {
        f"jobledger.infra.cli.{name}" for name in ("app", "commands", "lazy")
    }


@pytest.fixture
def of_this_ledger(ledger: Ledger, dsn: str) -> list[str]:
    ledger.append_many(simulate(5, 1, "p"))
    return ["--dsn", dsn, "--ledger", ledger.name]


@pytest.mark.slow
@pytest.mark.parametrize("form", [["--limit", "1"], ["--json"], ["--format", "jsonl"]])
def test_a_list_imports_only_what_it_needs(of_this_ledger: list[str], form: list[str]) -> None:
    run = Run(*of_this_ledger, "list", *form)

    assert "projects/p/jobs/" in run.done.stdout
    assert not run.modules & HEAVY


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "environment", "needed"),
    [
        (["list", "--filter", "state = FAILED"], {}, "lark"),
        (["list", "--page-size", "1"], {}, "itsdangerous"),
        (["list"], {"FORCE_COLOR": "1"}, "rich"),
        (["record", "x", "Created", "--data", PERSONAL], {}, "cryptography"),
    ],
)
def test_a_command_imports_what_it_needs(
    of_this_ledger: list[str], arguments: list[str], environment: dict[str, str], needed: str
) -> None:
    run = Run(*of_this_ledger, *arguments, **environment)

    assert run.done.returncode == 0, run.done
    assert needed in run.modules


def test_help_lists_every_command_with_its_help() -> None:
    printed = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())

    for name, entry in COMMANDS.items():
        assert f"{name} {entry.help}" in printed


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_what_the_command_says(name: str) -> None:
    found = COMMANDS[name].find()

    text = found.info.help if isinstance(found, typer.Typer) else inspect.getdoc(found)
    assert text
    assert COMMANDS[name].help == " ".join(text.split("\n\n")[0].split())
    explained = CliRunner().invoke(app, [name, "--help"], prog_name="jobledger")
    assert explained.exit_code == 0
    assert f"Usage: jobledger {name} " in explained.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_mistyped_command_suggests_the_right_one(name: str) -> None:
    mistyped = f"{name[:-1]}_"
    answer = CliRunner().invoke(app, [mistyped])

    assert answer.exit_code == 2
    assert f"No such command '{mistyped}'. Did you mean" in " ".join(answer.stderr.split())
    assert f"'{name}'" in answer.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "command"),
    [(word, command) for command, words in OTHER_WORDS.items() for word in words.split()],
)
def test_a_word_of_another_program_suggests_the_command(word: str, command: str) -> None:
    answer = CliRunner().invoke(app, [word, "resnet_1"])

    assert answer.exit_code == 2
    assert command in COMMANDS
    assert f"Did you mean '{command}'?" in " ".join(answer.stderr.split())


def test_an_option_or_a_subcommand_keeps_its_own_suggestion() -> None:
    option, subcommand = (
        CliRunner().invoke(app, words) for words in (["status", "--jsn"], ["log", "keyz"])
    )
    assert "--json" in option.stderr
    assert "Did you mean 'keys'?" in subcommand.stderr
    assert "'show'" not in option.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", [[JOBLEDGER], [sys.executable, "-m", "jobledger"]])
def test_the_program_is_called_jobledger_however_it_is_run(command: list[str]) -> None:
    def printed(*arguments: str) -> str:
        return subprocess.run([*command, *arguments], capture_output=True, text=True).stdout

    assert printed("--version") == f"jobledger {version('jobledger')}\n"
    assert printed("--help").startswith("Usage: jobledger [OPTIONS] COMMAND")


FIRST_USE = """
import sys, threading
from jobledger.domain.events import EVENT_TYPES
cls, barrier, wrong = EVENT_TYPES[sys.argv[1]], threading.Barrier(16), []
def use():
    barrier.wait()
    made = cls.model_validate(eval(sys.argv[2]))
    if type(made) is not cls or made.json_object() != eval(sys.argv[3]):
        wrong.append(made)
threads = [threading.Thread(target=use) for _ in range(16)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
sys.exit(repr(wrong) if wrong else 0)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("type_", "data", "output"),
    [
        ("Failed", {"error": "boom"}, {"error": {"code": 2, "message": "boom"}}),
        ("Created", {"labels": {"a": "b"}}, {"labels": {"a": "b"}}),
        ("Queued", {"queuePosition": 3}, {"queuePosition": 3}),
    ],
)
def test_threads_may_use_an_event_for_the_first_time_at_once(
    type_: str, data: dict[str, Any], output: dict[str, Any]
) -> None:
    assert EVENT_TYPES[type_].model_validate(data).json_object() == output
    command = [sys.executable, "-c", FIRST_USE, type_, repr(data), repr(output)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=70)
TIMES = st.none() | st.datetimes(datetime(1970, 1, 2), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis takes no zone here
JOBS = st.builds(
    Job,
    name=st.from_regex(r"projects/p/jobs/[a-z0-9_]{1,40}", fullmatch=True),
    state=st.sampled_from([None, *JobState]),
    attempt=st.integers(1, 1_000),
    create_time=TIMES,
    end_time=TIMES,
    error_message=st.none() | WORDS | st.lists(WORDS).map("\n".join),
)


@pytest.mark.slow
@given(st.lists(JOBS, max_size=5))
def test_a_pipe_gets_the_table_that_a_terminal_shows(jobs: list[Job]) -> None:
    drawn = StringIO()
    Console(file=drawn, width=1_000).print(jobs_table(jobs))

    lines = [line.rstrip() for line in drawn.getvalue().splitlines()]
    assert [line.rstrip() for line in plain_table(jobs).splitlines()] == lines


def test_an_error_message_cannot_break_its_line() -> None:
    job = Job(name="projects/p/jobs/a", error_message="before\n\x1b[2Jand\rafter\x07\t.")

    assert plain_table([job]).splitlines()[1].endswith("  [2Jand after .")


@pytest.fixture
def no_variables(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    for name in list(os.environ):
        if name.upper().startswith("JOBLEDGER_"):
            monkeypatch.delenv(name)
    yield monkeypatch


def test_settings_are_read_from_the_environment(no_variables: pytest.MonkeyPatch) -> None:
    assert Settings() == Settings(
        dsn=None, ledger="default", project="default", seal=True, signing_key=None, policy=None,
        publish="", schedules="daily", smtp="", mail_from="jobledger@localhost",
    )  # fmt: skip
    assert Settings().home.name == "jobledger"
    no_variables.setenv("JOBLEDGER_HOME", "/somewhere")
    no_variables.setenv("JOBLEDGER_POLICY", "/policy")
    no_variables.setenv("jobledger_dsn", "host=x")
    no_variables.setenv("JOBLEDGER_SMTP", "smtp://u:secret@host")
    settings = Settings(project="mine")
    assert (settings.home, settings.policy) == (Path("/somewhere"), Path("/policy"))
    assert (settings.dsn, settings.project) == ("host=x", "mine")
    assert Settings(home=Path("/given")).home == Path("/given")
    assert "secret" not in repr(settings)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "value"),
    [*((t, True) for t in ("1", "TRUE", "t", "Yes", "y", "on")),
     *((t, False) for t in ("0", "False", "f", "NO", "n", "off"))],
)  # fmt: skip
def test_a_switch_is_read_in_any_usual_word(
    no_variables: pytest.MonkeyPatch, text: str, value: bool
) -> None:
    no_variables.setenv("JOBLEDGER_SEAL", text)
    assert Settings().seal is value


@pytest.mark.parametrize("text", ["", "2", "maybe"])
def test_another_word_is_refused(no_variables: pytest.MonkeyPatch, text: str) -> None:
    no_variables.setenv("JOBLEDGER_SEAL", text)
    with pytest.raises(InvalidFieldError, match=r"JOBLEDGER_SEAL: .* is not true or false"):
        Settings()

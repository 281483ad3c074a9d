"""`jobledger run` as a process: with a broken or missing ledger, and with signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from jobledger.infra import Ledger
from jobledger.infra.cli.jobs.fast_run import parse_run
from jobledger.infra.programs.leases import expire_lost
from psycopg.conninfo import make_conninfo

from tests.command_line import Cli, Done
from tests.proxies import Proxy, proxy_to

pytestmark = pytest.mark.slow
STOPPING = [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM]
WAITS = """
import signal, sys, time
def end(number, _):
    sys.stderr.write(f"got {signal.Signals(number).name}"); sys.stderr.flush()
    sys.exit(7)
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM): signal.signal(number, end)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def cli(dsn: str, ledger_name: str, spool: Path) -> Cli:
    return Cli(dsn, ledger_name, JOBLEDGER_SPOOL=str(spool))


@pytest.fixture
def proxy(dsn: str) -> Iterator[Proxy]:
    with proxy_to(dsn) as made:
        yield made


def run(cli: Cli, *words: str, **environment: str) -> Done:
    """`jobledger run --name j`, with other variables than the command line has otherwise."""
    return Cli.child(_with(cli, environment), "run", "--name", "j", "--", *words)


def start(cli: Cli, *words: str, **environment: str) -> subprocess.Popen[str]:
    process = _with(cli, environment).start("run", "--name", "j", "--", *words)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _with(cli: Cli, environment: dict[str, str]) -> Cli:
    other = Cli(**_places(cli))
    other.environment = cli.environment | environment
    return other


def _places(cli: Cli) -> dict[str, str]:
    return {"dsn": cli.environment["JOBLEDGER_DSN"], "ledger": cli.environment["JOBLEDGER_LEDGER"]}


def wait_for_spooled(cli: Cli, type_: str) -> None:
    """Waits until a report of that type is in the spool."""
    spool = Path(cli.environment["JOBLEDGER_SPOOL"])
    while not any(f'"{type_}"' in file.read_text() for file in spool.glob("*.jsonl")):
        time.sleep(0.01)


def shown(cli: Cli, name: str = "j") -> Any:
    return json.loads(cli("show", name, "--json"))


def types(cli: Cli, name: str = "j") -> list[str]:
    return [event["type"] for event in json.loads(cli("history", name, "--json"))]


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"JOBLEDGER_DSN": "host=127.0.0.1 port=1"}, "cannot be reached"),
        ({"JOBLEDGER_DSN": "not a DSN"}, "is not a connection string"),
        ({"JOBLEDGER_LEDGER": "Bad-Name"}, "'Bad-Name' is not a lowercase letter"),
        ({"JOBLEDGER_LEDGER": "no_such_ledger"}, "does not exist"),
        ({"JOBLEDGER_SEAL": "maybe"}, "'maybe' is not true or false"),
        ({"JOBLEDGER_PROJECT": "bad/project"}, "'bad/project' is not the id of a project"),
    ],
)
def test_the_command_runs_and_unrecorded_reports_are_sent_later(
    cli: Cli, spool: Path, environment: dict[str, str], why: str
) -> None:
    done = run(cli, "sh", "-c", "echo out; echo err >&2; exit 3", **environment)
    assert (done.returncode, done.stdout) == (3, "out\n")
    err, line = done.stderr.splitlines()
    assert err == "err"
    assert line.startswith("jobledger: ")
    assert "j was not recorded: " in line
    assert why in line
    assert f"it is spooled in {spool}" in line

    sent = json.loads(cli("spool", "send", "--anywhere", "--json"))
    assert sent == {"sent": ["projects/p/jobs/j"], "waiting": {}, "refused": {}, "left": []}
    assert types(cli) == ["Created", "Started", "Failed"]
    assert (shown(cli)["state"], shown(cli)["errorMessage"]) == ("FAILED", "err")
    assert "nothing is in the spool" in cli("spool", "list")


def test_the_command_runs_though_the_role_has_no_rights(cli: Cli, dsn: str) -> None:
    role = f"nobody_{os.getpid()}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN".encode())
        try:
            done = run(cli, "echo", "out", JOBLEDGER_DSN=make_conninfo(dsn, user=role))
        finally:
            connection.execute(f"DROP ROLE {role}".encode())
    assert (done.returncode, done.stdout) == (0, "out\n")
    assert "j was not recorded: " in done.stderr
    cli("spool", "send")
    assert shown(cli)["state"] == "SUCCEEDED"


def test_a_report_that_is_neither_recorded_nor_spooled_is_named_as_lost(
    cli: Cli, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    away = {"JOBLEDGER_DSN": "host=127.0.0.1 port=1", "JOBLEDGER_SPOOL": str(tmp_path / "file/x")}
    done = run(cli, "echo", "out", **away)
    assert (done.returncode, done.stdout) == (0, "out\n")
    assert "it is lost, because it could not be spooled" in done.stderr
    # An unwritable spool does not prevent recording.
    done = run(cli, "true", JOBLEDGER_SPOOL=str(tmp_path / "file/x"))
    assert (done.returncode, done.stderr) == (0, "")
    assert shown(cli)["state"] == "SUCCEEDED"


def test_the_command_starts_though_the_server_never_answers(cli: Cli, proxy: Proxy) -> None:
    proxy.block()
    process = start(cli, sys.executable, "-c", WAITS, JOBLEDGER_DSN=proxy.dsn)
    # The command runs before the server has answered.
    proxy.mend()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 7
    assert "got SIGTERM" in err


@pytest.mark.parametrize("number", STOPPING)
@pytest.mark.parametrize("answers", [True, False])
def test_a_signal_reaches_the_command_at_once(
    cli: Cli, proxy: Proxy, number: signal.Signals, answers: bool
) -> None:
    """Also while the server does not answer; a second one ends the wait for it."""
    if not answers:
        proxy.block()
    process = start(cli, sys.executable, "-c", WAITS, JOBLEDGER_DSN=proxy.dsn)
    process.send_signal(number)
    assert process.stderr is not None
    seen = ""
    while f"got {number.name}" not in seen:  # Without the signal, it would sleep for a minute.
        more = process.stderr.read(1)
        assert more, f"it ended with {seen!r}"
        seen += more
    if not answers:
        wait_for_spooled(cli, "Cancelled")
        process.send_signal(number)
    _, rest = process.communicate(timeout=20)
    assert process.returncode == 7
    if not answers:
        assert "not known" in rest or "was not recorded" in rest
        cli("spool", "send", "--anywhere")
    job = shown(cli)
    assert (job["state"], job["errorMessage"]) == ("CANCELLED", f"stopped by {number.name}")


def test_a_command_that_was_killed_says_by_which_signal(cli: Cli) -> None:
    done = run(cli, "sh", "-c", "echo working >&2; kill -9 $$")
    assert done.returncode == 137
    job = shown(cli)
    assert (job["state"], job["errorMessage"]) == ("FAILED", "killed by SIGKILL\nworking")


def test_a_signal_that_is_ignored_stays_ignored(cli: Cli) -> None:
    words = [*cli.command, "run", "--name", "j", "--", sys.executable, "-c",
             "import signal; print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)"]  # fmt: skip
    done = subprocess.run(
        ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *words],
        env=cli.environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "True\n")


def test_a_wrapper_that_was_killed_leaves_a_lost_job(cli: Cli, ledger: Ledger) -> None:
    process = start(cli, "sh", "-c", "echo ready; exec sleep 60")
    events = ledger.events()
    while (event := next(events)).type != "Started":
        pass
    process.kill()
    process.wait(timeout=20)
    # Its command lives on, and the ledger names the process.
    os.kill(event.json["pid"], signal.SIGKILL)
    process.communicate(timeout=20)
    # Its lease expires, which a server or scheduler notices …
    with ledger.connection() as connection:
        connection.execute("UPDATE leases SET expire_time = heartbeat_time")
    assert expire_lost(ledger, "scheduler") == 1
    assert "no heartbeat since" in shown(cli)["errorMessage"]
    # … and its file is left behind, without further reports.
    assert run(cli, "true").returncode == 0
    assert types(cli)[:4] == ["Created", "Started", "Expired", "Retried"]
    assert "nothing is in the spool" in cli("spool", "list")


def test_a_wrapper_that_was_killed_without_the_ledger_leaves_a_lost_job(
    cli: Cli, proxy: Proxy
) -> None:
    proxy.cut()
    process = start(cli, "sh", "-c", "echo ready; exec sleep 60", JOBLEDGER_DSN=proxy.dsn)
    wait_for_spooled(cli, "Started")
    assert json.loads(cli("spool", "list", "--json"))[0]["state"] == "held"
    process.kill()
    process.wait(timeout=20)
    assert json.loads(cli("spool", "list", "--json"))[0]["state"] == "waiting"
    cli("spool", "send", "--anywhere")
    assert types(cli) == ["Created", "Started", "Expired"]
    os.kill(json.loads(cli("history", "j", "--json"))[1]["data"]["pid"], signal.SIGKILL)
    process.communicate(timeout=20)


@pytest.mark.parametrize("returns", [True, False])
def test_the_end_of_a_run_is_kept_though_the_server_goes_away(
    cli: Cli, proxy: Proxy, ledger: Ledger, returns: bool
) -> None:
    process = start(cli, sys.executable, "-c", WAITS, JOBLEDGER_DSN=proxy.dsn)
    events = ledger.events()
    while next(events).type != "Started":
        pass
    proxy.cut()
    if returns:
        proxy.mend()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 7
    if returns:
        assert "recorded" not in err
    else:
        assert "of projects/p/jobs/j was recorded: Created Started; not recorded: Cancelled" in err
        proxy.mend()
        # The next run, of whatever job, sends it.
        other = _with(cli, {"JOBLEDGER_DSN": proxy.dsn})
        assert other.child("run", "--name", "other", "--", "true").returncode == 0
    assert types(cli) == ["Created", "Started", "Cancelled"]


def test_heartbeats_come_while_the_command_runs_and_end_with_it(cli: Cli, ledger: Ledger) -> None:
    words = ("run", "--name", "j", "--heartbeat", "0.05", "--", "sh", "-c", "echo ready; read line")
    process = subprocess.Popen(
        [*cli.command, *words], env=cli.environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    heard: set[tuple[Any, ...]] = set()
    with ledger.connection() as connection:
        while len(heard) < 3:
            heard |= set(connection.execute("SELECT heartbeat_time FROM leases").fetchall())
            time.sleep(0.01)
        process.communicate("\n", timeout=20)
        assert connection.execute("SELECT FROM leases").fetchall() == []
    assert types(cli) == ["Created", "Started", "Succeeded"]


def test_an_actor_is_a_user_also_without_variables(cli: Cli) -> None:
    import pwd

    for name in ("USER", "LOGNAME", "LNAME", "USERNAME"):
        cli.environment.pop(name, None)
    assert run(cli, "true").returncode == 0
    actor = json.loads(cli("history", "j", "--json"))[0]["actor"]
    assert actor == f"{pwd.getpwuid(os.geteuid()).pw_name}@{os.uname().nodename}"


def test_stderr_is_passed_on_unchanged_also_without_a_last_newline(cli: Cli) -> None:
    message = bytes(range(256)) * 3 + b"no end"
    code = f"import sys; sys.stderr.buffer.write({message!r}); sys.exit(3)"
    words = [*cli.command, "run", "--name", "j", "--", sys.executable, "-c", code]
    done = subprocess.run(words, env=cli.environment, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (3, message)
    assert shown(cli)["errorMessage"].endswith("no end")


def test_a_run_that_is_refused_is_listed_and_tried_again(cli: Cli, ledger: Ledger) -> None:
    ledger.create("projects/p/jobs/j")
    ledger.delete("projects/p/jobs/j", stop=True)
    done = run(cli, "true")
    assert done.returncode == 0
    assert "j was not recorded: " in done.stderr
    assert ".refused" in done.stderr
    (listed,) = json.loads(cli("spool", "list", "--json"))
    assert (listed["state"], listed["name"]) == ("refused", "projects/p/jobs/j")
    assert f"  {listed['server']}  {listed['ledger']}  " in cli("spool", "list")
    assert "0 runs recorded" in cli("spool", "send")
    assert "0 runs recorded" in cli("spool", "send", "--refused", code=1)


@pytest.mark.parametrize(
    "arguments",
    [
        "run true", "run -- true", "run -- ls -la", "run --name x -- true", "run --name=x true a b",
        "--dsn=port=1 run --label a=b --label=c=d --heartbeat 0 true", "--ledger a --project p run true",
        "run --ledger a --dsn port=1 -- x -- y", "run --name x --name y --heartbeat=30 -- run --name z",
        "run --once true", "run ls -la", "run --help", "run", "run --", "--version run", "run --name",
        "run --heartbeat x true", "run --heartbeat 0.5 true", "run --unknown true", "run --name -x true",
        "list run", "run ls -- -la", "history run", "run --name -- true", "run -x true",
    ],
)  # fmt: skip
def test_the_quick_parser_of_run_agrees_with_typer(
    monkeypatch: pytest.MonkeyPatch, arguments: str
) -> None:
    from jobledger.infra.cli import app
    from jobledger.infra.cli.jobs import run_command

    read: list[Any] = []

    class Kept:
        def __init__(self, *parsed: Any) -> None:
            read.append(parsed)

        def run(self) -> int:
            return 0

    monkeypatch.setattr(run_command, "Runner", Kept)
    monkeypatch.setattr(sys, "argv", ["jobledger", *arguments.split()])
    fast = parse_run(arguments.split())
    if fast is None:
        return
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 0
    (given, options) = read[0]
    assert (
        given,
        options._replace(command=list(options.command), labels=list(options.labels)),
    ) == fast


def test_the_quick_parser_handles_the_usual_forms() -> None:
    assert parse_run(["run", "--", "make", "-j"]) is not None
    assert parse_run(["run", "--name", "x", "--label", "a=b", "--", "make", "-j"]) is not None
    assert parse_run(["run", "make", "all"]) is not None
    assert parse_run(["run", "make", "-j"]) is None


def test_a_command_starts_before_the_ledger_is_imported(cli: Cli) -> None:
    program = (
        "import sys; from jobledger.infra.cli.jobs import child, fast_run, run; print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not {"psycopg", "pydantic", "typer", "rich", "asyncio"} & set(done.stdout.split())


def test_a_scheduler_sends_the_spool_of_its_machine(cli: Cli, proxy: Proxy) -> None:
    proxy.cut()
    assert run(cli, "true", JOBLEDGER_DSN=proxy.dsn).returncode == 0
    cli("scheduler", "--once")
    assert (
        len(json.loads(cli("spool", "list", "--json"))) == 1
    )  # The report belongs to another ledger.
    proxy.mend()
    other = _with(cli, {"JOBLEDGER_DSN": proxy.dsn})
    other("scheduler", "--once")
    assert types(cli) == ["Created", "Started", "Succeeded"]
    assert json.loads(cli("spool", "list", "--json")) == []

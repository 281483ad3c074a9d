"""`--server URL --token`: commands through a server print what they print of the database itself."""

from __future__ import annotations

import json
import os

import pytest
from jobledger.infra.access.tokens import Role, Tokens
from jobledger.infra.client.client import headers_of

from tests.command_line import Done, run_main
from tests.servers import Server, new_server

READS = [
    ("show", "a"),
    ("show", "a", "--as-of", "v2", "--json"),
    ("history", "a"),
    ("history", "a", "--json"),
    ("list", "--filter", "project = PROJECT"),
    ("list", "--filter", "project = PROJECT", "--format", "jsonl"),
    ("list", "--filter", "project = PROJECT", "--page-size", "1", "--json"),
    ("count", "--filter", "project = PROJECT", "--json"),
    ("events", "--json"),
    ("tree", "a"),
    ("tree", "a", "--as-of", "v2"),
]


def ask(
    server: Server, project: str, *arguments: str, through: bool, code: int = 0, token: str = ""
) -> Done:
    """A command through the server, with no database to be had, or on the database itself."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JOBLEDGER_")}
    environment |= {"JOBLEDGER_PROJECT": project, "NO_COLOR": "1"}
    given = [word.replace("PROJECT", project) for word in arguments]
    if through:
        environment["JOBLEDGER_DSN"] = "host=127.0.0.1 port=1"
        environment |= {"JOBLEDGER_TOKEN": token} if token else {}
        done = run_main(environment, "--server", server.url, *given)
    else:
        environment |= {"JOBLEDGER_DSN": server.dsn, "JOBLEDGER_LEDGER": server.ledger.name}
        done = run_main(environment, *given)
    assert done.returncode == code, (done.stdout, done.stderr)
    return done


@pytest.mark.slow
def test_commands_and_reports_need_no_database(server: Server, project: str) -> None:
    name = f"projects/{project}/jobs/a"
    for command in (
        ("record", "a", "Created", "--data", '{"labels": {"team": "x"}}'),
        ("record", "a", "Started"),
        ("labels", "a", "team=y"),
        ("comment", "a", "the disk was full"),
        ("cancel", "a", "--reason", "too dear"),
        ("record", "a", "Cancelled"),
        ("retry", "a"),
        ("pause", "a"),
        ("resume", "a"),
    ):
        ask(server, project, *command, through=True)
    types = [event.type for event in server.ledger.history(name)]
    assert types == [
        "Created", "Started", "LabelsChanged", "Commented", "Cancelling", "Cancelled", "Retried", "Paused",
        "Resumed",
    ]  # fmt: skip
    assert server.ledger.get(name).labels == {"team": "y"}
    ask(server, project, "hold", "a", "--reason", "case 7", through=True)
    assert name in [each.name for each in server.ledger.holds()]
    ask(server, project, "release", "a", through=True)
    ask(server, project, "retention", "set", "old", "--keep", "90d", through=True)
    listed = ask(server, project, "retention", "list", through=True)
    assert listed.stdout == ask(server, project, "retention", "list", through=False).stdout
    ask(server, project, "retention", "drop", "old", through=True)
    for command, code in (
        (("resume", "a"), 4),
        (("cancel", "none"), 3),
        (("list", "--filter", "("), 2),
    ):
        direct = ask(server, project, *command, through=False, code=code)
        through = ask(server, project, *command, through=True, code=code)
        assert through.stderr == direct.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", READS, ids=" ".join)
def test_a_read_prints_the_same(server: Server, project: str, command: tuple[str, ...]) -> None:
    for job in ("a", "b"):
        name = f"projects/{project}/jobs/{job}"
        server.ledger.create(name, {"team": "x"}, {"epochs": 9})
        server.ledger.started(name, {"worker": "w"})
        server.ledger.failed(name, {"code": 8, "message": "out of memory"})
    direct = ask(server, project, *command, through=False)
    through = ask(server, project, *command, through=True)
    if "asOf" in direct.stdout:
        # The second read has another present moment and page token.
        shown, other = json.loads(direct.stdout), json.loads(through.stdout)
        for key in ("asOf", "nextPageToken"):
            assert bool(shown.pop(key, None)) is bool(other.pop(key, None))
        assert shown == other
    else:
        assert through.stdout == direct.stdout


@pytest.mark.slow
def test_a_token_is_required_and_commands_that_need_the_database_are_refused(dsn: str) -> None:
    with new_server(dsn) as server:
        tokens = Tokens(server.ledger.pool)
        server.ledger.create("projects/p/jobs/a")
        secret = tokens.create("worker", Role.REPORTER)
        ask(server, "p", "record", "a", "Started", through=True, token=secret)
        assert server.ledger.history("projects/p/jobs/a")[-1].actor == "worker"
        refused = ask(server, "p", "cancel", "a", through=True, token=secret, code=4)
        assert "operator" in refused.stderr
        for command in (("verify",), ("diff", "a", "--from", "v1")):
            done = ask(server, "p", *command, through=True, token=secret, code=2)
            assert "leave out --server" in done.stderr, command
        named = ask(server, "p", "comment", "a", "x", "--actor", "me", token=secret, through=True, code=2)  # fmt: skip
        assert "is the token's name" in named.stderr


@pytest.mark.parametrize(
    ("server", "token", "why"),
    [
        ("127.0.0.1:8080", "jlt_x", "jobledger: server: '127.0.0.1:8080' is not an address"),
        ("ftp://ledger", "jlt_x", "jobledger: server: 'ftp://ledger' is not an address"),
        ("http://[::1", "jlt_x", "jobledger: server: 'http://[::1' is not an address"),
        (
            "http://a/ledger/v1/",
            "x",
            "jobledger: server: 'http://a/ledger/v1/' ends with /ledger/v1, which",
        ),
        ("http://127.0.0.1:1", "jlt_\nx", "jobledger: token: has characters that no token has"),
    ],
)
def test_an_invalid_address_or_token_is_a_wrong_option(server: str, token: str, why: str) -> None:
    done = run_main(dict(os.environ), "--server", server, "--token", token, "list")
    assert (done.returncode, done.stderr[: len(why)]) == (2, why)
    assert "jlt_" not in done.stderr


def test_a_token_from_a_file_may_end_with_a_line_feed() -> None:
    assert headers_of("jlt_x\n") == headers_of("jlt_x")

"""Access tokens: authentication, roles, projects and expiry, on a real server with a test clock."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from jobledger.domain.errors import InvalidFieldError
from jobledger.infra import Ledger
from jobledger.infra.access.tokens import ANYBODY, REMEMBERED, Caller, Role, Tokens, check
from jobledger.infra.cli.app import app
from jobledger.infra.cli.server.tokens import parse_expiry
from jobledger.infra.errors import (
    LedgerUnavailableError,
    MissingGrantError,
    PermissionDeniedError,
    TokenExistsError,
    UnauthenticatedError,
)
from jobledger.infra.ttl_cache import TtlCache
from typer.testing import CliRunner

from tests.command_line import Cli
from tests.ledgers import application_of

NOW = datetime.now(UTC)
UNKNOWN = "jlt_" + "x" * 43


class Clock:
    """A clock that tests advance."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(ledger: Ledger, clock: Clock) -> Tokens:
    return Tokens(ledger.pool, clock)


@pytest.fixture
def elsewhere(ledger: Ledger) -> Tokens:
    """The tokens as another process caches them."""
    return Tokens(ledger.pool)


@pytest.fixture
def cli(dsn: str, ledger_name: str) -> Cli:
    # JOBLEDGER_PROJECT is `p` there, and must not become the project of tokens.
    return Cli(dsn, ledger_name)


def refused(tokens: Tokens, secret: str | None, now: datetime = NOW) -> str:
    with pytest.raises(UnauthenticatedError) as caught:
        tokens.find(secret, now)
    return caught.value.reason


def rows(ledger: Ledger, statement: str) -> list[tuple[Any, ...]]:
    with ledger.connection() as connection:
        return connection.execute(statement.encode()).fetchall()


# Roles, callers


def test_each_role_includes_the_rights_of_the_roles_before_it() -> None:
    assert [str(role) for role in Role] == ["reader", "reporter", "operator", "admin"]
    for less, more in pairwise(Role):
        assert Caller("a", more).may(less)
        assert not Caller("a", less).may(more)
    assert all(Caller("a", role).may(role) for role in Role)


def test_a_role_is_parsed_from_its_name() -> None:
    assert [Role.parse(str(role)) for role in Role] == list(Role)
    for text in ("", "READER", "king", "1"):
        with pytest.raises(InvalidFieldError):
            Role.parse(text)


@pytest.mark.parametrize(
    ("name", "seen"),
    [("p", True), ("projects/p", True), ("projects/p/jobs/x", True), ("q", False), ("", False),
     ("projects/p/locations/l/customJobs/1", True), ("projects/q/jobs/p", False),
     ("projects/-", False), ("projects/pp/jobs/x", False), ("projects/", False), ("projects", False)],
)  # fmt: skip
def test_a_token_of_a_project_shows_only_that_project(name: str, seen: bool) -> None:
    assert Caller("a", Role.ADMIN, "p").sees(name) is seen
    assert Caller("a", Role.READER).sees(name)


def test_a_refused_check_names_the_token_and_the_reason() -> None:
    caller = Caller("ci", Role.REPORTER, "p")
    check(caller, Role.REPORTER, "projects/p/jobs/x")
    check(caller, Role.READER)
    with pytest.raises(PermissionDeniedError, match=r"'ci' does not permit.* operator") as role:
        check(caller, Role.OPERATOR, "projects/q/jobs/x")
    assert (role.value.name, role.value.role, role.value.project) == ("ci", "operator", None)
    with pytest.raises(PermissionDeniedError, match="project 'p' only") as project:
        check(caller, Role.READER, "projects/q/jobs/x")
    assert (project.value.role, project.value.project) == (None, "p")
    check(ANYBODY, Role.ADMIN, "projects/q/jobs/x")


# Making tokens


def test_a_secret_finds_its_token(tokens: Tokens) -> None:
    reader = tokens.create("dash.board@example-1_x", Role.READER)
    worker = tokens.create("worker", Role.REPORTER, "p")
    assert len({reader, worker}) == 2
    assert tokens.find(reader, NOW) == Caller("dash.board@example-1_x", Role.READER, None)
    assert tokens.find(worker, NOW) == Caller("worker", Role.REPORTER, "p")


def test_only_the_hash_of_a_secret_is_kept(ledger: Ledger, tokens: Tokens) -> None:
    secret = tokens.create("ci", Role.ADMIN, created_by="ana")
    (row,) = rows(ledger, "SELECT * FROM tokens")
    assert hashlib.sha256(secret.encode()).digest() in row
    assert secret.removeprefix("jlt_") not in str(row)
    (text,) = rows(ledger, "SELECT tokens::text FROM tokens")[0]
    assert secret.removeprefix("jlt_") not in text


def test_expired_and_revoked_tokens_are_listed_too(tokens: Tokens) -> None:
    until = NOW + timedelta(days=90)
    tokens.create("a", Role.READER, "p", until, "ana")
    tokens.create("b", Role.ADMIN)
    tokens.revoke("b")
    a, b = tokens.list()
    assert a[:3] == ("a", Role.READER, "p")
    assert (a.created_by, a.expire_time, a.revoke_time) == ("ana", until, None)
    assert b[:3] == ("b", Role.ADMIN, None)
    assert b.revoke_time is not None
    assert b.revoke_time >= b.create_time


def test_a_name_is_never_given_out_twice(tokens: Tokens) -> None:
    first = tokens.create("ci", Role.READER)
    for _ in range(2):
        with pytest.raises(TokenExistsError, match="'ci'"):
            tokens.create("ci", Role.ADMIN)
        tokens.revoke("ci")
    assert refused(tokens, first) == "revoked"
    assert [t.role for t in tokens.list()] == [Role.READER]


def test_tokens_without_a_name_are_numbered(tokens: Tokens) -> None:
    tokens.create("reader-2", Role.READER)
    made = [tokens.create_numbered(Role.READER) for _ in range(2)]
    tokens.revoke("reader-1")
    made += [tokens.create_numbered(Role.READER, "p"), tokens.create_numbered(Role.ADMIN)]
    assert [name for name, _ in made] == ["reader-1", "reader-3", "reader-4", "admin-1"]
    assert tokens.find(made[2][1], NOW) == Caller("reader-4", Role.READER, "p")


def test_many_at_once_get_a_number_each(tokens: Tokens) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: tokens.create_numbered(Role.READER), range(16)))
    assert {name for name, _ in made} == {f"reader-{n}" for n in range(1, 17)}
    assert {tokens.find(secret, NOW).name for _, secret in made} == {name for name, _ in made}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["", "a b", "-a", ".a", "a/b", "ü", "a\n", "a\0", "\udcff", "x" * 65, None, 7]
)
def test_other_names_are_refused(tokens: Tokens, name: Any) -> None:
    for asked in (lambda: tokens.create(name, Role.READER), lambda: tokens.revoke(name)):
        with pytest.raises(InvalidFieldError) as caught:
            asked()
        assert caught.value.field == "name"
    assert tokens.list() == []


@pytest.mark.slow
@pytest.mark.parametrize("project", ["", "a b", "p/locations/l", "-", "p/jobs/y", "x" * 129, "a\n"])
def test_an_invalid_project_is_refused(tokens: Tokens, project: str) -> None:
    """Above all the empty one, which must not mean all."""
    with pytest.raises(InvalidFieldError, match="project"):
        tokens.create("a", Role.READER, project)


@pytest.mark.parametrize("time", [NOW, datetime(1970, 1, 1, tzinfo=UTC), datetime(2999, 1, 1)])  # noqa: DTZ001
def test_a_time_that_is_past_or_has_no_zone_is_refused(tokens: Tokens, time: datetime) -> None:
    with pytest.raises(InvalidFieldError, match="expires"):
        tokens.create("a", Role.READER, expires=time)


# Authentication


@pytest.mark.parametrize("secret", [None, ""])
def test_a_request_without_a_token_is_refused_as_missing(
    tokens: Tokens, secret: str | None
) -> None:
    tokens.create("a", Role.READER)
    assert refused(tokens, secret) == "missing"


@pytest.mark.slow
@pytest.mark.parametrize(
    "secret", [UNKNOWN, UNKNOWN[:-1], "x", "jlt_ü", "\udcff", "\0", "a" * 100_000, UNKNOWN + "\n"]
)
def test_an_unknown_secret_finds_no_token(tokens: Tokens, secret: str) -> None:
    real = tokens.create("a", Role.READER)
    assert refused(tokens, secret) == "unknown"
    assert refused(tokens, real[:-1]) == "unknown"
    assert refused(tokens, real.removeprefix("jlt_")) == "unknown"
    assert refused(tokens, real.swapcase()) == "unknown"


def test_the_hash_is_not_accepted_as_a_secret(ledger: Ledger, tokens: Tokens) -> None:
    tokens.create("a", Role.READER)
    ((hash_,),) = rows(ledger, "SELECT encode(hash, 'hex') FROM tokens")
    assert refused(tokens, hash_) == "unknown"
    assert refused(tokens, f"jlt_{hash_}"[:47]) == "unknown"


def test_a_token_serves_until_it_expires(tokens: Tokens) -> None:
    until = NOW + timedelta(hours=1)
    secret = tokens.create("a", Role.READER, expires=until)
    assert tokens.find(secret, until - timedelta(microseconds=1)).name == "a"
    assert refused(tokens, secret, until) == "expired"
    assert refused(tokens, secret, until + timedelta(days=1)) == "expired"


def test_a_revocation_acts_at_once_where_it_is_made(tokens: Tokens) -> None:
    secret, other = tokens.create("a", Role.READER), tokens.create("b", Role.READER)
    assert tokens.find(secret, NOW).name == "a"
    first = tokens.revoke("a")
    assert refused(tokens, secret) == "revoked"
    assert tokens.revoke("a") == first
    assert tokens.find(other, NOW).name == "b"


def test_a_revocation_acts_elsewhere_within_five_seconds(
    tokens: Tokens, elsewhere: Tokens, clock: Clock
) -> None:
    assert REMEMBERED <= 5
    secret = tokens.create("a", Role.READER)
    tokens.find(secret, NOW)
    elsewhere.revoke("a")
    clock.now += REMEMBERED - 0.001
    assert tokens.find(secret, NOW).name == "a"
    clock.now += 0.001
    assert refused(tokens, secret) == "revoked"


def test_the_cache_time_of_a_token_starts_before_its_look_up(
    ledger: Ledger, clock: Clock, elsewhere: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was revoked while it was being looked up is remembered no longer for a slow answer."""
    tokens = Tokens(ledger.pool, clock)
    secret = tokens.create("a", Role.READER)
    slowly = tokens._rows

    def rows_after_a_while(statement: bytes, parameters: Any = None) -> Any:
        found = slowly(statement, parameters)
        elsewhere.revoke("a")
        clock.now += 4
        return found

    with monkeypatch.context() as patch:
        patch.setattr(tokens, "_rows", rows_after_a_while)
        assert tokens.find(secret, NOW).name == "a"
    clock.now += REMEMBERED - 4
    assert refused(tokens, secret) == "revoked"


def test_a_cached_token_needs_no_server(ledger: Ledger, tokens: Tokens, clock: Clock) -> None:
    secret = tokens.create("a", Role.READER)
    tokens.find(secret, NOW)
    refused(tokens, UNKNOWN)
    ledger.pool.close()
    assert tokens.find(secret, NOW).name == "a"
    assert refused(tokens, UNKNOWN) == "unknown"
    clock.now += REMEMBERED
    for asked in (secret, UNKNOWN):
        with pytest.raises(LedgerUnavailableError):
            tokens.find(asked, NOW)


@pytest.mark.slow
def test_many_wrong_secrets_evict_no_valid_one_from_the_cache(tokens: Tokens) -> None:
    secret = tokens.create("a", Role.READER)
    tokens.find(secret, NOW)
    for n in range(1_100):
        refused(tokens, f"jlt_{n:043}")
    assert (len(tokens._known), len(tokens._unknown)) == (1, 1_024)


def test_threads_may_look_up_and_revoke_at_once(tokens: Tokens) -> None:
    made = [tokens.create_numbered(Role.READER) for _ in range(8)]

    def use(n: int) -> None:
        name, secret = made[n % 8]
        with suppress(UnauthenticatedError):
            assert tokens.find(secret, NOW).name == name
        if n >= 56:
            tokens.revoke(name)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(64)))
    tokens._known.clear()
    assert {refused(tokens, secret) for _, secret in made} == {"revoked"}


def test_the_cache_is_bounded_and_evicts_the_oldest_first() -> None:
    recent = TtlCache[int](5, max_values=2)
    for key, value in ((b"a", 1), (b"b", 2), (b"a", 3), (b"c", 4)):
        recent.keep(key, value, began=10)
    assert [recent.find(key, 14.9) for key in (b"a", b"b", b"c")] == [3, None, 4]
    assert recent.find(b"a", 15) is None
    assert len(recent) == 2


# Open access


def test_access_is_open_until_the_first_token_is_made_and_stays_closed_after_it(
    tokens: Tokens, elsewhere: Tokens, clock: Clock
) -> None:
    assert tokens.is_open()
    assert not tokens.configured()
    assert tokens.admit(None, NOW) == ANYBODY
    assert tokens.admit(UNKNOWN, NOW) == ANYBODY  # Some clients always send one.
    secret = elsewhere.create("a", Role.READER)
    clock.now += REMEMBERED
    assert not tokens.is_open()
    assert tokens.configured()
    assert tokens.admit(secret, NOW).name == "a"
    elsewhere.revoke("a")
    clock.now += REMEMBERED
    assert not tokens.configured()
    for given in (None, "", secret):
        with pytest.raises(UnauthenticatedError):
            tokens.admit(given, NOW)


def test_an_expired_token_does_not_configure_access(ledger: Ledger, tokens: Tokens) -> None:
    with ledger.connection() as connection:
        connection.execute(
            "INSERT INTO tokens (name, hash, role, expire_time)"
            " VALUES ('old', sha256('x'), 'reader', now() - interval '1 second')"
        )
    assert not tokens.configured()
    assert not tokens.is_open()


# Rights in the database


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO tokens (name, hash, role) VALUES ('x', sha256('x'), 'admin')",
        "UPDATE tokens SET revoke_time = now()",
        "UPDATE tokens SET role = 'admin'",
        "DELETE FROM tokens",
        "TRUNCATE tokens",
    ],
)
def test_an_application_may_look_tokens_up_and_change_none(
    dsn: str, ledger: Ledger, tokens: Tokens, change: str
) -> None:
    secret = tokens.create("a", Role.READER)
    with application_of(dsn, ledger) as application:
        its = Tokens(application.pool)
        assert its.find(secret, NOW).name == "a"
        assert its.configured()
        with pytest.raises(MissingGrantError):
            its.create("b", Role.ADMIN)
        with (
            application.connection() as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(change.encode())


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM tokens",
        "TRUNCATE tokens",
        "UPDATE tokens SET name = 'c' WHERE name = 'live'",
        "UPDATE tokens SET role = 'admin'",
        "UPDATE tokens SET hash = sha256('x') WHERE name = 'live'",
        "UPDATE tokens SET expire_time = NULL",
        "UPDATE tokens SET revoke_time = NULL",
        "UPDATE tokens SET revoke_time = now() WHERE name = 'revoked'",
    ],
)
def test_a_token_is_only_ever_revoked_even_by_the_owner(
    ledger: Ledger, tokens: Tokens, change: str
) -> None:
    tokens.create("live", Role.READER)
    tokens.create("revoked", Role.READER)
    tokens.revoke("revoked")
    with ledger.connection() as connection, pytest.raises(psycopg.errors.RestrictViolation):
        connection.execute(change.encode())


def test_roles_in_the_database_are_those_of_the_program(ledger: Ledger) -> None:
    ((constraint,),) = rows(
        ledger,
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = 'tokens'::regclass AND contype = 'c' AND conname LIKE '%role%'",
    )
    assert constraint.split("'")[1::2] == [str(role) for role in Role]


# The command line


def test_a_new_secret_is_all_that_is_printed(cli: Cli, ledger: Ledger) -> None:
    done = cli.run("token", "create", "ci", "--role", "operator", "--project", "q")
    secret = done.stdout.removesuffix("\n")
    assert Tokens(ledger.pool).find(secret, NOW) == Caller("ci", Role.OPERATOR, "q")
    assert "operator of project q" in done.stderr
    assert secret not in done.stderr


def test_a_token_without_a_name_is_given_one(cli: Cli, ledger: Ledger) -> None:
    for number in (1, 2):
        done = cli.run("token", "create", "--role", "reader")
        assert f"'reader-{number}', reader of all projects" in done.stderr
    assert Tokens(ledger.pool).find(done.stdout.strip(), NOW).name == "reader-2"


@pytest.mark.slow
def test_tokens_are_listed_without_their_secrets(cli: Cli) -> None:
    secret = cli("token", "create", "ci", "--role", "admin", "--expires", "90d").strip()
    cli("token", "create", "old", "--role", "reader", "--project=q")
    assert "'old' was revoked at" in cli("token", "revoke", "old")
    ci, old = listed = cli.json("token", "list", "--json")
    assert list(ci) == [
        "name", "role", "project", "state", "createTime", "createdBy", "expireTime", "revokeTime",
    ]  # fmt: skip
    assert (ci["role"], ci["project"], ci["state"]) == ("admin", None, "live")
    assert (old["role"], old["project"], old["state"]) == ("reader", "q", "revoked")
    assert ci["expireTime"] > ci["createTime"]
    hash_ = hashlib.sha256(secret.encode()).hexdigest()
    table = cli("token", "list")
    for output in (json.dumps(listed), table):
        assert secret[4:] not in output
        assert hash_ not in output
    assert [line.split()[:2] for line in table.splitlines()[1:]] == [
        ["ci", "admin"],
        ["old", "reader"],
    ]


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == (4 if re.search("never used|denied", done.stderr) else 2)
    assert done.stdout == ""
    assert done.stderr.startswith("jobledger: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["create", "a b", "--role", "reader"], "name: 'a b' is not"),
        (["create", "--role", "king"], "role: 'king' is not reader, reporter"),
        (["create", "--role", "reader", "--project", "a b"], "project: 'a b'"),
        (["create", "--role", "reader", "--project", ""], "project: ''"),
        (["create", "--role", "reader", "--expires", "soon"], "expires: 'soon' is not like 90d"),
        (["create", "--role", "reader", "--expires", "2020-01-01"], "is in the past"),
        (["create", "--role", "reader", "--expires", "999999999w"], "expires: "),
        (["revoke", "nobody"], "there is no token 'nobody'"),
        (["create", "taken", "--role", "reader"], "choose a name that was never used"),
    ],
)
def test_each_refusal_is_one_sentence(
    cli: Cli, tokens: Tokens, arguments: list[str], sentence: str
) -> None:
    tokens.create("taken", Role.READER)
    tokens.revoke("taken")
    assert sentence in one_sentence(cli.run("token", *arguments))
    assert len(tokens.list()) == 1


@pytest.mark.slow
def test_the_application_role_may_not_create_or_revoke_tokens(
    dsn: str, ledger: Ledger, tokens: Tokens
) -> None:
    with application_of(dsn, ledger) as application:
        cli = Cli(application.conninfo, ledger.name)
        for arguments in (["create", "--role", "reader"], ["revoke", "a"]):
            assert "permission denied" in one_sentence(cli.run("token", *arguments))


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("90d", NOW + timedelta(days=90)),
        (" 12h ", NOW + timedelta(hours=12)),
        ("2w", NOW + timedelta(weeks=2)),
        ("2999-12-31", datetime(2999, 12, 31, tzinfo=UTC)),
        ("2999-12-31T01:00:00+01:00", datetime(2999, 12, 31, tzinfo=UTC)),
    ],
)
def test_the_lifetime_of_a_token_is_a_duration_or_a_time(text: str, time: datetime) -> None:
    assert parse_expiry(text, NOW) == time


@pytest.mark.parametrize("text", ["", "0d", "-1d", "90", "90 days", "v1", "9999-12-31T23:00-05:00"])
def test_other_forms_of_a_lifetime_are_refused(text: str) -> None:
    with pytest.raises(InvalidFieldError, match="expires"):
        parse_expiry(text, NOW)


@pytest.mark.parametrize("command", [["token"], ["token", "create"], ["token", "revoke"]])
def test_the_commands_explain_themselves(command: list[str]) -> None:
    assert CliRunner().invoke(app, [*command, "--help"]).exit_code == 0

"""Settings of a role, a database or a pooler do not weaken guarantees: each is tried on real roles."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any

import psycopg
import pytest
from jobledger import Ledger, LedgerUnavailableError
from jobledger.domain.events import Created, Event, Started
from jobledger.infra.eventstore.commit.appender import Appender
from jobledger.infra.postgres.connections import connect, conninfo, schema_of, translated
from jobledger.infra.upkeep.verify import verify
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.clusters import new_cluster
from tests.forms import Opener
from tests.ledgers import new_ledger
from tests.proxies import proxy_to
from tests.schemas import make_ledger

NAME = "projects/p/jobs/one"
AT = datetime(2026, 6, 1, tzinfo=UTC)
SETTINGS = {
    "search_path": "public",
    "TimeZone": "'Asia/Kolkata'",
    "DateStyle": "'SQL, DMY'",
    "IntervalStyle": "sql_standard",
    "bytea_output": "escape",
    "standard_conforming_strings": "off",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "synchronous_commit": "off",
    "plan_cache_mode": "force_custom_plan",
    "idle_session_timeout": "'50ms'",
    "idle_in_transaction_session_timeout": "'500ms'",
    "extra_float_digits": "-15",
    "enable_indexscan": "off",
    "row_security": "off",
    "quote_all_identifiers": "on",
    "gin_fuzzy_search_limit": "1",
}
KEPT = {
    "synchronous_commit": "on",
    "default_transaction_isolation": "read committed",
    "DateStyle": "ISO, MDY",
    "idle_session_timeout": "0",
    "quote_all_identifiers": "off",
    "gin_fuzzy_search_limit": "0",
}
WATCHED = (
    socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT,
)  # fmt: skip
_numbers = count(1)


def test_both_ends_notice_that_the_other_is_gone(dsn: str, ledger: Ledger) -> None:
    with proxy_to(dsn) as proxy:
        info = conninfo(proxy.dsn, schema_of(ledger.name))
        with connect(info) as connection, socket.socket(fileno=connection.fileno()) as own:
            options = [own.getsockopt(socket.IPPROTO_TCP, option) for option in WATCHED]
            own.detach()
            names = ("idle", "interval", "count")
            kept = [connection.execute(f"SHOW tcp_keepalives_{name}").fetchone() for name in names]
    assert options == [60, 10, 3, 60_000]
    # Through a Unix socket the server has nothing to watch.
    assert kept in ([("60",), ("10",), ("3",)], [("0",)] * 3)
    given = conninfo(make_conninfo(dsn, tcp_user_timeout=5_000), "s")
    assert conninfo_to_dict(given)["tcp_user_timeout"] == "5000"


def test_a_writer_that_stopped_keeps_the_lock_no_longer_than_the_server_waits(
    dsn: str, ledger: Ledger
) -> None:
    stopped = Appender(connect(conninfo(dsn, schema_of(ledger.name))))
    limit = stopped.connection.execute("SHOW idle_in_transaction_session_timeout").fetchone()
    assert limit == ("30s",)
    stopped.connection.execute("SET idle_in_transaction_session_timeout = '100ms'")
    with pytest.raises(LedgerUnavailableError), translated(), stopped.transaction():
        stopped.lock()
        ledger.create(NAME)
        stopped.lock()


@contextmanager
def role_with(dsn: str, settings: dict[str, str]) -> Iterator[str]:
    """The connection string of a new owner of everything, with settings of its own."""
    role = f"set_{next(_numbers)}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN SUPERUSER".encode())
        for name, value in settings.items():
            connection.execute(f"ALTER ROLE {role} SET {name} = {value}".encode())
    try:
        yield make_conninfo(dsn, user=role)
    finally:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(f"DROP ROLE {role}".encode())


def use(ledger: Ledger) -> dict[str, Any]:
    """Writes and reads in all ways; returns the results without times."""
    ledger.create(NAME, {"a": "b"}, {"x": 0.1 + 0.2}, request_id="r")
    ledger.create(NAME, {"a": "b"}, {"x": 0.1 + 0.2}, request_id="r")
    ledger.append_many(
        event
        for number in range(50)
        for event in (
            Event(f"projects/p/jobs/m{number}", 1, Created(), AT),
            Event(f"projects/p/jobs/m{number}", 2, Started(), AT),
        )
    )
    time.sleep(0.12)  # Longer than an idle session may last where that is set.
    ledger.started(NAME, {"y": [1, "\\x41"]}, occurred_time=AT)
    with ledger.connection() as connection:
        findings = verify(connection).findings
    job = ledger.get(NAME)
    return {
        "job": (job.version, job.state, job.labels, job.spec, job.start_time),
        "findings": findings,
        "counts": ledger.count().counts,
        "past": ledger.count(as_of="@60").counts,
        "events": [(event.name, event.version, event.stored) for event in ledger.events(follow=False)],
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.both_forms
@pytest.mark.parametrize("setting", [*SETTINGS, "all"])
def test_a_role_s_settings_change_no_answer(dsn: str, open_ledger: Opener, setting: str) -> None:
    settings = SETTINGS if setting == "all" else {setting: SETTINGS[setting]}
    with new_ledger(dsn) as plain, open_ledger(dsn, plain) as ledger:
        expected = use(ledger)
    with (
        new_ledger(dsn) as name,
        role_with(dsn, settings) as as_role,
        open_ledger(as_role, name) as ledger,
    ):
        assert use(ledger) == expected


@pytest.mark.parametrize("stricter", ["local", "remote_apply"])
def test_a_stricter_or_chosen_durability_is_kept(dsn: str, ledger_name: str, stricter: str) -> None:
    with (
        role_with(dsn, {"synchronous_commit": stricter}) as as_role,
        Ledger.open(as_role, ledger_name) as ledger,
        ledger.connection() as connection,
    ):
        assert connection.execute("SHOW synchronous_commit").fetchone() == (stricter,)


def test_every_connection_is_set(dsn: str, ledger_name: str) -> None:
    with (
        role_with(dsn, SETTINGS) as as_role,
        Ledger.open(as_role, ledger_name) as ledger,
        ledger.connection() as own,
        ledger.pool.connection() as pooled,
    ):
        ledger.create(NAME)
        writing = ledger.writer.committer._appender
        assert writing is not None
        for connection in (own, pooled, writing.connection):
            for name, value in KEPT.items():
                assert connection.execute(f"SHOW {name}".encode()).fetchone() == (value,)
            assert connection.execute("SELECT current_schema()").fetchone() == (
                schema_of(ledger_name),
            )


@pytest.mark.slow
@pytest.mark.both_forms
@pytest.mark.parametrize("setting", ["statement_timeout", "lock_timeout"])
def test_a_timeout_while_others_hold_the_head_writes_nothing_and_says_so(
    dsn: str, ledger_name: str, open_ledger: Opener, setting: str
) -> None:
    with (
        role_with(dsn, {setting: "'150ms'"}) as as_role,
        open_ledger(as_role, ledger_name) as ledger,
    ):
        ledger.create(NAME)
        with psycopg.connect(ledger.conninfo) as other:
            other.execute("UPDATE head SET size = size")
            with pytest.raises(LedgerUnavailableError) as caught:
                ledger.started(NAME, request_id="s")
            assert caught.value.written is False
            other.rollback()
        assert ledger.size() == 1
        assert ledger.started(NAME, request_id="s").version == 2
        assert ledger.started(NAME, request_id="s").version == 2
        assert [event.version for event in ledger.history(NAME)] == [1, 2]


@pytest.mark.slow
def test_what_a_role_without_durability_acknowledged_survives_a_crash() -> None:
    with new_cluster(wal_writer_delay="10s", fsync="on") as cluster:
        name = make_ledger(cluster.dsn)
        with role_with(cluster.dsn, {"synchronous_commit": "off"}) as as_role:
            ledger = Ledger.open(as_role, name, catch_up=False)
            for number in range(20):
                ledger.create(f"projects/p/jobs/j{number}")
            cluster.kill()
            cluster.start()
            with Ledger.open(cluster.dsn, name) as after:
                assert after.size() == 20
            ledger.close()

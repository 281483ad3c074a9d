"""`jobledger doctor`: whether the ledger has what it needs, and what to do where it has not."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import typer
from jobledger.domain.errors import LedgerError
from jobledger.infra.cli.context import OUT, Json, Target, print_json, target
from jobledger.infra.postgres import migrate
from jobledger.infra.postgres.connections import Connection, schema_of
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.settings import Settings, spool_folder

MAX_SKEW: Final = timedelta(seconds=2)
MIN_FREE_BYTES: Final = 1 << 30
HTTP_PORT: Final = 8080
GRPC_PORT: Final = 8081


class Check(NamedTuple):
    """What was looked at, whether it is as it must be, how it is, and what to do if not."""

    what: str
    ok: bool
    found: str
    advice: str = ""


def doctor(context: typer.Context, json: Json = False) -> None:
    """Check what the ledger needs, and say what to do about each fault; exits 1 if there is one."""
    checks = [*_checks(target(context))]
    if json:
        print_json([check._asdict() for check in checks])
    else:
        for check in checks:
            mark = "ok   " if check.ok else "FAULT"
            OUT.print(f"{mark} {check.what}: {check.found}", markup=False)
            if check.advice:
                OUT.print(f"      {check.advice}", markup=False)
    if not all(check.ok for check in checks):
        raise typer.Exit(1)


def _checks(aim: Target) -> Iterator[Check]:
    yield _disk()
    yield from map(_port, (HTTP_PORT, GRPC_PORT))
    yield _spool()
    try:
        connection = aim.connect()
    except LedgerError as error:
        yield Check(
            "server", False, str(error), "start the server, or correct JOBLEDGER_DSN or --dsn"
        )
        return
    with connection:
        version = connection.info.parameter_status("server_version")
        yield Check("server", True, f"PostgreSQL {version} answers")
        yield _clock(connection)
        for check in (_schema, _grants, _checkpoint):
            yield _checked(check, connection, aim)
    yield _keys()


def _checked(
    check: Callable[[Connection, Target], Check], connection: Connection, aim: Target
) -> Check:
    """The check, or the error that kept it from being made."""
    try:
        return check(connection, aim)
    except LedgerError as error:
        return Check(check.__name__.strip("_"), False, str(error), "mend the faults above first")


def _clock(connection: Connection) -> Check:
    before = datetime.now(UTC)
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    after = datetime.now(UTC)
    skew = row[0] - (before + (after - before) / 2)
    said = f"the server's is {skew.total_seconds():+.3f} s from this machine's"
    ok = abs(skew) <= MAX_SKEW
    return Check("clock", ok, said, "" if ok else "synchronise both with NTP")


def _schema(connection: Connection, aim: Target) -> Check:
    try:
        migrate.check(connection, aim.ledger)
    except LedgerError as error:
        return Check("schema", False, str(error), f"jobledger --ledger {aim.ledger} init")
    return Check("schema", True, f"ledger {aim.ledger!r} is at version {len(migrate.migrations())}")


def _grants(connection: Connection, aim: Target) -> Check:
    schema = schema_of(aim.ledger)
    row = connection.execute(
        "SELECT has_schema_privilege(%s, 'USAGE') AND has_table_privilege(%s, 'SELECT'), current_user",
        (schema, f"{schema}.events"),
    ).fetchone()
    assert row is not None
    ok, user = row
    said = f"role {user} may {'' if ok else 'not '}read the ledger"
    return Check(
        "grants", ok, said, "" if ok else f"as its owner: jobledger init --grant-to {user}"
    )


def _checkpoint(connection: Connection, aim: Target) -> Check:
    del aim
    standing = Tree().standing(connection)
    behind = standing.events - standing.size
    said = f"the log has {standing.size} of {standing.events} events"
    advice = "jobledger log checkpoint" if behind else ""
    return Check("checkpoint", True, said, advice)


def _keys() -> Check:
    settings = Settings()
    if settings.signing_key is not None:
        return Check("keys", True, "the log is signed with JOBLEDGER_SIGNING_KEY")
    folder = settings.home / "keys"
    count = sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0
    return Check(
        "keys", count > 0, f"{count} files in {folder}",
        "" if count else "jobledger init makes a key; nothing is signed without one",
    )  # fmt: skip


def _spool() -> Check:
    folder = spool_folder()
    waiting = sum(1 for _ in folder.glob("*.jsonl")) if folder.is_dir() else 0
    return Check(
        "spool", waiting == 0, f"{waiting} runs wait to be recorded in {folder}",
        "jobledger spool send" if waiting else "",
    )  # fmt: skip


def _disk() -> Check:
    folder = Settings().home
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    ok = free >= MIN_FREE_BYTES
    said = f"{free / (1 << 30):.1f} GiB free at {folder}"
    return Check("disk", ok, said, "" if ok else "free at least 1 GiB, or move JOBLEDGER_HOME")


def _port(port: int) -> Check:
    import socket

    with socket.socket() as probe:
        taken = probe.connect_ex(("127.0.0.1", port)) == 0
    said = "a program listens there" if taken else "free"
    return Check(
        f"port {port}", True, said, "if it is not jobledger's: serve --port" if taken else ""
    )

"""Checks of the database: server, schema, grants and clock."""

import time
from typing import Final

from jobledger.domain.errors import LedgerError
from jobledger.infra.cli.diagnosis.check import Check, ok, problem
from jobledger.infra.errors import SchemaError
from jobledger.infra.postgres import grants, schema_versions
from jobledger.infra.postgres.connections import Connection, connect
from jobledger.infra.upkeep.rights import missing_rights
from psycopg.conninfo import conninfo_to_dict, make_conninfo

CONNECT_TIMEOUT_SECONDS: Final = 5
OLDEST_SERVER: Final = 15
MAX_SKEW_SECONDS: Final = 2.0
"""A larger difference of clocks is a problem, because it distorts times of jobs."""
MAX_NAMED_RIGHTS: Final = 5


def connect_soon(info: str) -> Connection:
    """Connects within CONNECT_TIMEOUT_SECONDS; raises LedgerUnavailableError."""
    given = conninfo_to_dict(info)
    limit = {"connect_timeout": given.get("connect_timeout") or str(CONNECT_TIMEOUT_SECONDS)}
    return connect(make_conninfo(info, **limit))


def check_server(connection: Connection) -> Check:
    """Checks that the server's version is supported."""
    about = connection.info
    version = about.server_version // 10_000
    place = f"PostgreSQL {about.parameter_status('server_version')} at {about.host}"
    detail = f"{place}, database {about.dbname}, as {about.user}"
    if version < OLDEST_SERVER:
        return problem("server", detail, f"use PostgreSQL {OLDEST_SERVER} or newer")
    return ok("server", detail)


def unreachable(error: LedgerError) -> Check:
    """Returns the problem of an unreachable server."""
    return problem(
        "server",
        str(error),
        "start the server, or correct JOBLEDGER_DSN or --dsn (host, port, database, user, password)",
    )


def check_schema(connection: Connection, ledger: str) -> Check:
    """Checks that the ledger exists and has the version that this program needs."""
    try:
        schema_versions.check(connection, ledger)
    except SchemaError as error:
        advice = error.command or "do what it says; init does not help"
        return problem("schema", str(error), advice)
    return ok("schema", f"ledger {ledger!r} is at schema version {schema_versions.newest()}")


def check_grants(connection: Connection, ledger: str) -> Check:
    """Checks that the role may read the ledger and append to it."""
    rows = missing_rights(connection, ledger)
    role = connection.info.user
    missing = [f"{right} on {name}" for name, right in rows if name not in grants.SIGNING]
    if missing:
        more = (
            f" and {len(missing) - MAX_NAMED_RIGHTS} more"
            if len(missing) > MAX_NAMED_RIGHTS
            else ""
        )
        return problem(
            "grants",
            f"role {role} lacks {', '.join(missing[:MAX_NAMED_RIGHTS])}{more}",
            f"as the owner: jobledger --ledger {ledger} init --grant-to {role}",
        )
    signs = "" if not rows else "; it may not sign (init --sign-as grants that)"
    return ok("grants", f"role {role} may read and append{signs}")


def check_clock(connection: Connection) -> Check:
    """Checks how far the server's clock is from this machine's."""
    skew, uncertainty = min((_skew(connection) for _ in range(3)), key=lambda measured: measured[1])
    side = "ahead of" if skew > 0 else "behind"
    detail = (
        f"the server's clock is {abs(skew):.3f} s {side} this machine's (+-{uncertainty:.3f} s)"
    )
    if abs(skew) - uncertainty > MAX_SKEW_SECONDS:
        return problem("clock", detail, "set both clocks by NTP; times of events come from both")
    return ok("clock", detail)


def _skew(connection: Connection) -> tuple[float, float]:
    """Returns how many seconds the server's clock is ahead, and the error of that measurement."""
    sent = time.time()
    row = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
    received = time.time()
    assert row is not None
    return float(row[0]) - (sent + received) / 2, (received - sent) / 2

"""Settings of eventsourcing for tests on a ledger."""

from __future__ import annotations

import pytest
from psycopg.conninfo import conninfo_to_dict


@pytest.fixture
def env(dsn: str, ledger_name: str) -> dict[str, str]:
    given = conninfo_to_dict(dsn)
    return {
        "PERSISTENCE_MODULE": "jobledger.infra.recorder",
        "POSTGRES_DBNAME": str(given.get("dbname") or "postgres"),
        "POSTGRES_HOST": str(given.get("host") or "127.0.0.1"),
        "POSTGRES_PORT": str(given.get("port") or "5432"),
        "POSTGRES_USER": str(given.get("user") or "postgres"),
        "POSTGRES_PASSWORD": str(given.get("password") or ""),
        "POSTGRES_SCHEMA": ledger_name,
    }

"""Abandoned and slow queries are ended by the server."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from jobledger.domain.errors import InvalidFieldError
from jobledger.infra import Ledger
from jobledger.infra.errors import QueryTimeoutError
from jobledger.infra.google.wire.status import status_of

from tests.forms import Opener

NAME = "projects/p/jobs/x"


@pytest.mark.slow
@pytest.mark.both_forms
@pytest.mark.parametrize("read", [lambda found: found.get(NAME), lambda found: found.page()])
def test_a_query_over_the_time_limit_is_ended_with_an_error(
    dsn: str, ledger: Ledger, open_ledger: Opener, monkeypatch: pytest.MonkeyPatch,
    read: Callable[[Ledger], object],
) -> None:  # fmt: skip
    ledger.create(NAME)
    monkeypatch.setenv("JOBLEDGER_QUERY_TIMEOUT", "0.2")
    with open_ledger(dsn, ledger.name) as limited:
        with ledger.connection() as other, other.transaction():
            other.execute("LOCK TABLE jobs")
            with pytest.raises(QueryTimeoutError) as caught:
                read(limited)
        assert status_of(caught.value).code.name == "DEADLINE_EXCEEDED"
        assert limited.get(NAME).version == 1


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf", "1e12"])
def test_an_invalid_duration_is_refused(
    dsn: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("JOBLEDGER_QUERY_TIMEOUT", text)
    with pytest.raises(InvalidFieldError, match="query_timeout"):
        Ledger.open(dsn, ledger.name)


@pytest.mark.slow
def test_the_query_of_a_killed_process_ends(dsn: str, ledger: Ledger) -> None:
    code = (
        "import sys\nfrom jobledger import Ledger\n"
        "with Ledger.open(sys.argv[1], sys.argv[2], catch_up=False) as ledger:\n"
        "    with ledger.reader.pool.connection() as connection:\n"
        "        connection.execute('SELECT /* endless */ pg_sleep(600)')\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, dsn, ledger.name])
    with ledger.connection() as connection:

        def running() -> int:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'"
                " AND pid <> pg_backend_pid() AND query LIKE '%endless%'"
            ).fetchone()
            return 0 if row is None else int(row[0])

        for wanted in (1, 0):
            deadline = time.monotonic() + 60
            while running() != wanted:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            process.kill()
            process.wait()

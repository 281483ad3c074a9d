"""A signed ledger with rows in nearly every table, and a superuser's changes of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from jobledger.infra import Ledger
from jobledger.infra.evaluation.runs.scheduler import Scheduler
from jobledger.infra.proof.audit.audit import audit
from jobledger.infra.proof.signing.origin import name_log
from jobledger.infra.settings import Settings
from jobledger.infra.upkeep.definitions import Installed, install_definitions
from jobledger.infra.upkeep.findings import Finding
from psycopg.sql import SQL, Identifier

from tests.evaluation_jobs import Clock, predictions_of, spec_of
from tests.ledgers import odd_jobs

SPEC_SET = "projects/p/annotationSpecSets/1"
EVALUATION_JOB = "projects/p/evaluationJobs/7"


class Rich(NamedTuple):
    """The ledger, and its tables."""

    ledger: Ledger
    tables: list[str]
    installed: Installed
    """What its schema is compared with: installed once for all audits."""

    def findings(self) -> list[Finding]:
        with self.ledger.connection() as connection:
            return audit(connection, Settings(), installed=self.installed).findings

    def rows(self, table: str) -> int:
        with self.ledger.connection() as connection:
            row = connection.execute(
                SQL("SELECT count(*) FROM {}").format(Identifier(table))
            ).fetchone()
        assert row is not None
        return int(row[0])

    def attack(self, *statements: str) -> None:
        """As a superuser with triggers off, in one transaction."""
        with self.ledger.connection() as connection, connection.transaction():
            connection.execute("SET LOCAL session_replication_role = replica")
            for statement in statements:
                connection.execute(statement.encode())

    @contextmanager
    def restored(self, *tables: str) -> Iterator[None]:
        """Puts back the rows of tables at the end."""
        with self.ledger.connection() as connection:
            for table in tables:
                connection.execute(f"CREATE TEMP TABLE saved_{table} AS TABLE {table}".encode())
            try:
                yield
            finally:
                with connection.transaction():
                    connection.execute("SET LOCAL session_replication_role = replica")
                    for table in tables:
                        connection.execute(f"DELETE FROM {table}".encode())
                        connection.execute(
                            f"INSERT INTO {table} SELECT * FROM saved_{table}".encode()
                        )
                for table in tables:
                    connection.execute(f"DROP TABLE saved_{table}".encode())


def personal(value: Any, subject: str) -> dict[str, Any]:
    return {"@personal": {"subject": subject, "value": value}}


def make_rich(ledger: Ledger) -> Rich:
    """Fills an empty ledger; its log's key is in JOBLEDGER_HOME."""
    with ledger.connection() as connection:
        name_log(connection, Settings())
        specs = '[{"displayName": "cat", "index": 0}, {"displayName": "dog", "index": 1}]'
        connection.execute("SELECT keep_spec_set(%s, 'animals', '', %s)", (SPEC_SET, specs))
        connection.execute("SELECT keep_lease('projects/p/jobs/late', 'night', 3600000)")
    ledger.append_many(odd_jobs())
    ledger.create("projects/p/jobs/personal", spec={"who": personal("Alice", "user:alice")})
    ledger.create("projects/p/jobs/erased", spec={"who": personal("Bob", "user:bob")})
    clock = Clock()
    ledger.create(EVALUATION_JOB, spec=spec_of(spec_set=SPEC_SET), occurred_time=clock())
    ledger.record_predictions(EVALUATION_JOB, predictions_of("abcd", truth="dog"))
    Scheduler(ledger, clock=clock).do_due()
    clock.forward(hours=25)
    Scheduler(ledger, clock=clock).do_due()
    ledger.erase("user:bob", "tester")
    ledger.count()
    ledger.seal()
    with ledger.connection() as connection:
        found = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
            " AND relkind = 'r' ORDER BY 1"
        ).fetchall()
        installed = install_definitions(connection)
    return Rich(ledger, [name for (name,) in found], installed)

"""The ledger of an eventsourcing datastore."""

from collections.abc import Iterator
from contextlib import contextmanager

from eventsourcing import postgres
from jobledger.infra.postgres import migrate
from jobledger.infra.postgres.connections import connect, conninfo
from jobledger.infra.upkeep.rebuild import rebuild_all
from psycopg.conninfo import make_conninfo


def ledger_of(schema: str) -> str:
    """The ledger's name, from POSTGRES_SCHEMA or a schema's name."""
    return schema.removeprefix("ledger_")


def conninfo_of(datastore: postgres.PostgresDatastore) -> str:
    """Libpq's connection string to the ledger."""
    kwargs = datastore.pool.kwargs
    assert isinstance(kwargs, dict)
    given = {key: value for key, value in kwargs.items() if key not in ("row_factory", "options")}
    if datastore.pool.get_password_func:
        given["password"] = datastore.pool.get_password_func()
    return conninfo(make_conninfo(**given), datastore.schema)


def make_ledger(datastore: postgres.PostgresDatastore) -> None:
    """Makes the ledger or brings it up to date."""
    with connect(conninfo_of(datastore)) as connection:
        migrate.migrate(connection, ledger_of(datastore.schema), rebuild_all)


@contextmanager
def one_at_a_time(datastore: postgres.PostgresDatastore) -> Iterator[None]:
    """The library's CREATE TABLE IF NOT EXISTS fails when several processes begin at once."""
    with connect(conninfo_of(datastore)) as connection:
        migrate.lock(connection)
        yield

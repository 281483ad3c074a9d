"""Which server a ledger is on: a given one, or the embedded one."""

from jobledger.infra.postgres.connections import conninfo, schema_of
from jobledger.infra.settings import Settings


def server(dsn: str | None, ledger: str) -> str:
    """Returns the connection string of a ledger's schema, on the server that `Ledger.open` would use."""
    return conninfo(server_of(dsn), schema_of(ledger))


def server_of(dsn: str | None) -> str:
    """Returns `dsn` if given, else JOBLEDGER_DSN, else the embedded server's, which is started if necessary."""
    settings = Settings()
    if named := dsn or settings.dsn:
        return named
    from jobledger.infra.postgres.embedded_server.starting import server_dsn

    return server_dsn(settings.home)

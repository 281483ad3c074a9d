"""Which server a ledger is on: the one that is named, or the embedded one."""

from jobledger.infra.postgres.connections import conninfo, schema_of
from jobledger.infra.settings import Settings


def server(dsn: str | None, ledger: str) -> str:
    """The connection string of a ledger's schema, on the server that `Ledger.open` would use."""
    return conninfo(server_of(dsn), schema_of(ledger))


def server_of(dsn: str | None) -> str:
    """`dsn` if there is one, else JOBLEDGER_DSN, else the embedded server, started if need be."""
    settings = Settings()
    if named := dsn or settings.dsn:
        return named
    from jobledger.infra.postgres.embedded import server_dsn

    return server_dsn(settings.home)

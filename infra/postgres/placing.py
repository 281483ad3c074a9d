"""Puts a ledger on one node of a Citus cluster, which calls that schema-based sharding.

Source: Citus documentation, "Schema Based Sharding"; https://docs.citusdata.com/en/stable/develop/reference_ddl.html
"""

from collections.abc import Iterable
from typing import Final

from jobledger.domain.errors import InvalidFieldError
from jobledger.infra.postgres import grants, migrate, schema_versions, sql
from jobledger.infra.postgres.connections import Connection, schema_of, translated
from jobledger.infra.postgres.grants import Right
from psycopg.sql import SQL, Identifier

ADAPT_FUNCTIONS: Final = sql.load(__package__, "adapt_functions")
DISTRIBUTE: Final = sql.load(__package__, "distribute")
TRUNCATE_LOCAL: Final = sql.load(__package__, "truncate_local")
READ_FUNCTION_DEFINITIONS: Final = sql.load(__package__, "read_function_definitions")
IS_CITUS: Final = "SELECT to_regproc('citus_schema_distribute') IS NOT NULL"
WITHOUT_CITUS: Final = "this database has no extension citus; make it with CREATE EXTENSION citus on each server of the cluster"
ALLOW_TRIGGERS: Final = "SET LOCAL citus.enable_unsafe_triggers = on"
"""Triggers of a ledger read and write only what is on its node."""


def place(connection: Connection) -> bool:
    """Puts a ledger of this version on a node that Citus chooses.

    Args:
        connection: A connection of the ledger's owner to its schema, through the coordinator.

    Returns:
        Whether it was put there; False if it is on a node already.

    Raises:
        InvalidFieldError: The database has no extension citus, or a role besides the owner may write.
    """
    with translated():
        if connection.execute(IS_CITUS).fetchone() != (True,):
            raise InvalidFieldError("citus", WITHOUT_CITUS)
        if schema_versions.is_placed(connection):
            return False
        check_rights(grants.granted(connection))
        with connection.transaction():
            connection.execute(ALLOW_TRIGGERS)
            connection.execute(ADAPT_FUNCTIONS)
            connection.execute(DISTRIBUTE)
            if connection.info.parameter_status("is_superuser") == "on":
                connection.execute(TRUNCATE_LOCAL)
    return True


def check_rights(granted: Iterable[tuple[str, Right]]) -> None:
    """Raises InvalidFieldError if a role may write: on Citus, a transaction must not write as two users."""
    writers = [role for role, right in granted if right != Right.READ]
    if writers:
        why = f"{writers[0]} may only read a ledger on Citus: let programs that write connect as the ledger's owner"
        raise InvalidFieldError("role", why)


def withdraw_to_migrate(connection: Connection, ledger: str) -> None:
    """Takes a ledger of an earlier version from its node to the coordinator, where its tables can be migrated.

    Its functions become what the applied migrations made, as `place` changes some. Writers wait meanwhile.
    """
    if not schema_versions.is_placed(connection) or schema_versions.is_current(connection, ledger):
        return
    schema = schema_of(ledger)
    with translated(), connection.transaction():
        definitions = _definitions_as_migrated(connection, ledger)
        connection.execute(SQL("SET LOCAL search_path = {}").format(Identifier(schema)))
        connection.execute(ALLOW_TRIGGERS)
        connection.execute("SELECT citus_schema_undistribute(%s::regnamespace)", (schema,))
        connection.execute("DROP FUNCTION refold(text, text[])")
        for definition in definitions:
            connection.execute(definition.encode())


def _definitions_as_migrated(connection: Connection, ledger: str) -> list[str]:
    """Returns the statements that define the ledger's functions, as its applied migrations made them."""
    scratch = f"{ledger[:40]}_as_migrated"
    migrate.install(connection, scratch, schema_versions.applied(connection, ledger))
    definitions = [text for (text,) in connection.execute(READ_FUNCTION_DEFINITIONS).fetchall()]
    connection.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(schema_of(scratch))))
    return [text.replace(schema_of(scratch), schema_of(ledger)) for text in definitions]

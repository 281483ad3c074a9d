"""The rights of roles on a ledger: to read, to append, to sign."""

from enum import StrEnum
from typing import Final

from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, schema_of, translated
from psycopg.sql import SQL, Identifier

READ_GRANTED: Final = sql.load(__package__, "read_granted")
SIGNING: Final = ("grow_log", "keep_checkpoint")
"""Functions that only signers of the log may call."""
SECRET_TABLES: Final = ("secrets", "subject_keys", "tokens", "tiles")
"""Tables with keys and tokens, which the right READ does not include."""


class Right(StrEnum):
    """What a role may do with a ledger; each right includes those before it."""

    READ = "read"
    APPEND = "append"
    SIGN = "sign"


def granted(connection: Connection) -> list[tuple[str, Right]]:
    """Returns the roles that the ledger was granted to, and their rights."""
    return [(role, Right(right)) for role, right in connection.execute(READ_GRANTED)]


def grant(connection: Connection, ledger: str, role: str, right: Right = Right.APPEND) -> None:
    """Grants one right to a role, and revokes its other rights on the ledger.

    READ includes tables, views and functions that change nothing, but no tokens and no keys of personal values.
    APPEND adds those, and writing through functions that check their arguments. SIGN adds the log's tree.
    """
    schema, to = Identifier(schema_of(ledger)), Identifier(role)
    statements = [
        "REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role}",
        "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {schema} FROM {role}",
        "REVOKE ALL ON SCHEMA {schema} FROM {role}",
        "GRANT USAGE ON SCHEMA {schema} TO {role}",
        "GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}",
    ]
    if right == Right.READ:
        statements += [f"REVOKE ALL ON {{schema}}.{table} FROM {{role}}" for table in SECRET_TABLES]
    else:
        statements.append("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO {role}")
    if right == Right.APPEND:
        statements += [
            f"REVOKE ALL ON FUNCTION {{schema}}.{function} FROM {{role}}" for function in SIGNING
        ]
    for statement in statements:
        with translated():
            connection.execute(SQL(statement).format(schema=schema, role=to))

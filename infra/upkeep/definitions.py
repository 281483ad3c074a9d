"""Whether the schema is what this version installs: compared with a scratch schema that it is installed into.

A table that is another one, a view or a function that was replaced, a trigger that is off: each would
let the database show something else than its rows, or something else to a verifier.
"""

import secrets
from typing import Any, Final, NamedTuple

from jobledger.infra.postgres import grants, migrate, schema_versions, sql
from jobledger.infra.postgres.connections import Connection, schema_of, translated
from jobledger.infra.postgres.placing import ADAPT_FUNCTIONS
from jobledger.infra.upkeep.findings import Finding
from psycopg import errors

READ_DEFINITIONS: Final = sql.load(__package__, "read_definitions")
SCRATCH: Final = "scratch_"
"""The prefix of the names of scratch ledgers; each is removed when its transaction ends."""
PLAIN_TABLE: Final = "r "
"""How the text of a table's definition begins."""

Definitions = dict[tuple[str, str, str], set[str]]
"""The definitions' texts by kind, relation and name; a grant has several."""


class Installed(NamedTuple):
    """The definitions that this version installs on a server, kept for callers that compare often."""

    definitions: Definitions
    placeholder: str
    """The placeholder for the schema's name in the texts."""


class _Difference(NamedTuple):
    kind: str
    what: str
    detail: str


def check_definitions(connection: Connection, installed: Installed | None = None) -> list[Finding]:
    """Compares the schema with that of a new ledger. Tables that are not the ledger's own are ignored.

    Args:
        connection: A connection to the ledger's schema that is in no transaction.
        installed: What `install_definitions` returned, while the ledger was granted to the same
            roles; None installs a scratch schema to compare with.

    Returns:
        What is "missing", "changed" or "extra"; "unchecked" if this role may create no schema.
    """
    with translated():
        schema = str(connection.execute("SELECT current_schema()").fetchone()[0])  # type: ignore[index]
        try:
            wanted = installed or install_definitions(connection)
            found = _read(connection, schema, wanted.placeholder)
        except (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction) as error:
            why = f"its definitions were compared with nothing: {error.diag.message_primary}"
            return [Finding("unchecked", 0, "schema", why)]
    return [
        Finding(kind, 0, *(text.replace(wanted.placeholder, schema) for text in texts))
        for kind, *texts in _differences(found, wanted.definitions)
    ]


def install_definitions(connection: Connection) -> Installed:
    """Reads the definitions of a scratch schema with the ledger's grants, in a transaction that is rolled back."""
    placeholder = secrets.token_hex(16)
    with connection.transaction(force_rollback=True):
        return Installed(_installed(connection, placeholder), placeholder)


def _installed(connection: Connection, placeholder: str) -> Definitions:
    """Returns the definitions of a scratch schema, which stays in the current transaction."""
    roles, is_placed = grants.granted(connection), schema_versions.is_placed(connection)
    ledger = f"{SCRATCH}{secrets.token_hex(8)}"
    migrate.install(connection, ledger)
    if is_placed:
        connection.execute(ADAPT_FUNCTIONS)
    for role, right in roles:
        grants.grant(connection, ledger, role, right)
    return _read(connection, schema_of(ledger), placeholder)


def _read(connection: Connection, schema: str, placeholder: str) -> Definitions:
    given: dict[str, Any] = {
        "schema": schema, "placeholder": placeholder, "secrets": list(grants.SECRET_TABLES)
    }  # fmt: skip
    found: Definitions = {}
    # So every name is shown with its schema, and none of the ledger's names hides one of PostgreSQL's.
    with connection.transaction():
        before = connection.execute("SELECT current_setting('search_path')").fetchone()
        connection.execute("SET LOCAL search_path = pg_catalog")
        for kind, relation, name, text in connection.execute(READ_DEFINITIONS, given):
            found.setdefault((kind, relation, name), set()).add(text)
        connection.execute("SELECT set_config('search_path', %s, true)", before)
    return found


def _differences(found: Definitions, wanted: Definitions) -> list[_Difference]:
    own = {name for kind, name, _ in wanted if kind == "relation"}
    differences = []
    for place in sorted(found.keys() | wanted.keys()):
        kind, relation, name = place
        is_now, should_be = found.get(place), wanted.get(place)
        if is_now == should_be or (relation and relation not in own and _is_plain(found, relation)):
            continue
        what = f"the {kind} {name}".rstrip()
        if is_now is None:
            differences.append(_Difference("missing", relation or name, f"{what} is not there"))
        elif should_be is None:
            detail = f"{what} is not of this version: {_short(is_now)}"
            differences.append(_Difference("extra", relation or name, detail))
        else:
            detail = f"{what} is not what this version installs: {_short(is_now - should_be)}"
            differences.append(_Difference("changed", relation or name, detail))
    return differences


def _is_plain(found: Definitions, relation: str) -> bool:
    return any(
        text.startswith(PLAIN_TABLE) for text in found.get(("relation", relation, relation), ())
    )


def _short(texts: set[str]) -> str:
    return " ".join("; ".join(sorted(texts)).split())[:160]

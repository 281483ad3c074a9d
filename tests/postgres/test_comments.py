"""Comments of the schema, which SQL clients show for tables and columns."""

from pathlib import Path
from typing import Final

import pytest
from jobledger import Ledger
from jobledger.infra.postgres.connections import Connection
from jobledger.infra.upkeep.rebuild import rebuild
from jobledger.projections.catalogue import PROJECTIONS

UNCOMMENTED: Final = Path(__file__).with_name("read_uncommented.sql").read_bytes()


def uncommented(connection: Connection) -> list[str]:
    return [name for (name,) in connection.execute(UNCOMMENTED)]


def test_every_object_of_the_schema_has_a_comment(ledger: Ledger) -> None:
    with ledger.connection() as connection:
        assert uncommented(connection) == []
        connection.execute("CREATE TABLE without_comment (a int)")
        assert uncommented(connection) == ["without_comment", "without_comment.a"]
        connection.execute("DROP TABLE without_comment")


@pytest.mark.slow
@pytest.mark.unused_schema
def test_a_rebuild_comments_the_tables_that_it_makes(ledger: Ledger) -> None:
    with ledger.connection() as connection:
        for projection in PROJECTIONS:
            rebuild(connection, projection)
        assert uncommented(connection) == []

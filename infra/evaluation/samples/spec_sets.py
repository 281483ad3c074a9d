"""Annotation spec sets: the labels that evaluation jobs may use (Data Labeling's AnnotationSpecSet)."""

from typing import Final

from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection

READ_SPEC_SET: Final = sql.load(__package__, "read_spec_set")


def find_spec_set(connection: Connection, name: str) -> list[str] | None:
    """The labels of a set in their order; None if the set does not exist, so that any label is allowed."""
    row = connection.execute(READ_SPEC_SET, (name,)).fetchone()
    return None if row is None else [spec["displayName"] for spec in row[0]]

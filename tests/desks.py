"""A ledger with its log's key, and its owner's command line."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from jobledger.infra import Ledger
from jobledger.infra.cli import main


class Desk(NamedTuple):
    """A ledger with a key, and its command line."""

    ledger: Ledger
    dsn: str
    folder: Path
    monkeypatch: pytest.MonkeyPatch

    def run(self, *arguments: str) -> int:
        given = ["jobledger", "--dsn", self.dsn, "--ledger", self.ledger.name, *arguments]
        self.monkeypatch.setattr("sys.argv", given)
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    def attack(self, statement: str) -> None:
        with self.ledger.connection() as connection, connection.transaction():
            connection.execute("SET LOCAL session_replication_role = replica")
            connection.execute(statement.encode())

"""What a function takes that both reads and writes a ledger; `Ledger` is one."""

from typing import Protocol

from jobledger.infra.eventstore.writer import Writer
from jobledger.infra.read.reader import Reader


class Store(Protocol):
    """One ledger, to read and to write."""

    @property
    def reader(self) -> Reader:
        """Reads it."""

    @property
    def writer(self) -> Writer:
        """Writes to it."""

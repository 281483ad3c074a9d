"""The interface of functions that read and write a ledger; `Ledger` implements it."""

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

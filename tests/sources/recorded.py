"""Changes that another system's database sent, in a file, beside what triggers noted of them."""

from __future__ import annotations

import base64
import json
import lzma
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from jobledger.infra.sources.attach.pgoutput import Decoder, Transaction
from jobledger.infra.sources.attach.slot import Slot

CHANGES = 500
"""As many of the recorded changes as one batch has."""


class Recording(NamedTuple):
    """A life of a system."""

    noted: list[list[str | None]]
    messages: list[bytes]
    """The messages of its slot."""


def read_recording(system: str) -> Recording:
    """The recorded life of a system."""
    file = Path(__file__).parent / f"{system}_changes.xz"
    found = json.loads(lzma.decompress(file.read_bytes()))
    return Recording(found["noted"], [base64.b85decode(each) for each in found["messages"]])


class RecordedSlot(Slot):
    """A slot whose messages are those of a file, from where it was advanced to."""

    source = "recorded"

    def __init__(self, messages: list[bytes]) -> None:
        super().__init__("", "recorded")
        decoder = Decoder()
        self._left = [each for message in messages if (each := decoder.read(message))]

    def status(self) -> None:
        """There is no server to ask."""

    def peek(self, _advance: Callable[[str], object] | None = None) -> list[Transaction]:
        """The next transactions, of about CHANGES changes."""
        return list(self._batch())

    def _batch(self) -> Iterator[Transaction]:
        count = 0
        for transaction in self._left:
            yield transaction
            count += len(transaction.changes)
            if count >= CHANGES:
                return

    def advance(self, lsn: str) -> None:
        """Forgets what was carried over."""
        ends = [each.commit_lsn for each in self._left]
        self._left = self._left[ends.index(lsn) + 1 :]

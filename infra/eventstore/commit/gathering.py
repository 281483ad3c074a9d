"""How long a batch waits for more callers. It waits only while other processes write to the ledger.

Each commit holds the head's lock until it is flushed, and costs the server as much as five events
do. One process alone fills its next batch while the one before is on its way. Several processes
take turns, so each has time to wait for all its callers; a batch that does not wait takes half.
"""

import time
from collections.abc import Callable, Iterator
from typing import Final

from jobledger.infra.eventstore.stored_event import Placed

OTHERS_SECONDS: Final = 0.1
"""How long other processes count as writing after a write of theirs was seen."""
PAUSE_SECONDS: Final = 0.000_2
MAX_WAIT_SECONDS: Final = 0.001


class Gathering:
    """Determines how long a batch waits; only the thread or task that commits uses it."""

    def __init__(self) -> None:
        self._next_position = 0
        """The position of the next event, if no other process writes."""
        self._others_until = 0.0
        """The time (`time.monotonic`) up to which other processes count as writing."""
        self._expected = 1
        """How many callers were in the last batch, or waited behind it."""

    @property
    def waits(self) -> bool:
        """Whether a batch should wait for more callers."""
        return self._expected > 1 and time.monotonic() < self._others_until

    def note(self, placed: Placed, rows: int) -> None:
        """Records where rows were written; a gap before them was filled by another process."""
        if self._next_position and placed.first_position != self._next_position:
            self._others_until = time.monotonic() + OTHERS_SECONDS
        self._next_position = placed.first_position + rows

    def expect(self, callers: int) -> None:
        """Records how many callers were in a batch, or waited behind it."""
        self._expected = callers

    def pauses(self, waiting: Callable[[], int]) -> Iterator[float]:
        """Yields pauses until the expected number of callers wait, or the time is over.

        Args:
            waiting: Returns how many callers wait.

        Yields:
            Seconds.
        """
        if self.waits:
            end = time.monotonic() + MAX_WAIT_SECONDS
            while waiting() < self._expected and time.monotonic() < end:
                yield PAUSE_SECONDS

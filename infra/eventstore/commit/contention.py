"""Jobs that several processes write to, so that the cached job is often outdated."""

import time
from collections.abc import Iterable, Mapping
from typing import Final

from jobledger.domain.job import Job
from jobledger.infra.eventstore.writes.pending import Pending

CONTENDED_SECONDS: Final = 1.0
"""How long a job counts as contended after another process wrote to it."""
MAX_CONTENDED: Final = 10_000


class Contention:
    """The jobs that another process just wrote to. One thread records them, and any thread may ask."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        """The time (`time.monotonic`) up to which each job counts as contended."""

    def among(self, writes: Iterable[Pending]) -> list[str]:
        """Returns which jobs of the writes are contended."""
        if not self._until:
            return []
        now = time.monotonic()
        return [name for name in names_of(writes) if self._until.get(name, 0) > now]

    def note(self, known: Mapping[str, Job | None], read: Mapping[str, Job]) -> None:
        """Records the jobs that were read at another version than the cached one."""
        now = time.monotonic()
        if len(self._until) > MAX_CONTENDED:
            self._until = {name: until for name, until in self._until.items() if until > now}
        for name, job in read.items():
            before = known.get(name)
            if before is not None and before.version != job.version:
                self._until[name] = now + CONTENDED_SECONDS


def names_of(writes: Iterable[Pending]) -> list[str]:
    """Returns the jobs of the writes, without duplicates."""
    return list(dict.fromkeys(name for write in writes for name in write.names))

"""What was read a moment ago, so that it need not be read again."""

from __future__ import annotations

from threading import Lock
from typing import Final, Generic, TypeVar

Value = TypeVar("Value")
MOST: Final = 1_024


class Recent(Generic[Value]):
    """Values by key, each for some seconds and the oldest given up for the newest; for any number of threads.

    Who keeps a value says when reading it began: what changed since then is not in it.
    """

    def __init__(self, seconds: float, most: int = MOST) -> None:
        self._seconds = seconds
        self._most = most
        self._lock = Lock()
        # Oldest first, by when they were kept.
        self._kept: dict[bytes, tuple[float, Value]] = {}

    def find(self, key: bytes, now: float) -> Value | None:
        """The value, unless it is too old or was given up."""
        with self._lock:
            kept = self._kept.get(key)
        return None if kept is None or now - kept[0] >= self._seconds else kept[1]

    def keep(self, key: bytes, value: Value, began: float) -> None:
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = began, value
            if len(self._kept) > self._most:
                del self._kept[next(iter(self._kept))]

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()

    def __len__(self) -> int:
        return len(self._kept)

"""A cache whose values expire."""

from threading import Lock
from typing import Final, Generic, TypeVar

Value = TypeVar("Value")
MAX_VALUES: Final = 1_024


class TtlCache(Generic[Value]):
    """Values by key, each valid for some seconds; the oldest is removed when it is full.

    Any number of threads may use it. `began` is when the reading of a value began: later changes
    are not in it.
    """

    def __init__(self, seconds: float, max_values: int = MAX_VALUES) -> None:
        self._seconds = seconds
        self._max_values = max_values
        self._lock = Lock()
        # Oldest first, by when they were kept.
        self._kept: dict[bytes, tuple[float, Value]] = {}

    def find(self, key: bytes, now: float) -> Value | None:
        """Returns the value, unless it expired or was removed."""
        with self._lock:
            kept = self._kept.get(key)
        return None if kept is None or now - kept[0] >= self._seconds else kept[1]

    def keep(self, key: bytes, value: Value, began: float) -> None:
        """Keeps a value that was looked up at `began` (seconds of the monotonic clock)."""
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = began, value
            if len(self._kept) > self._max_values:
                del self._kept[next(iter(self._kept))]

    def clear(self) -> None:
        """Removes all values."""
        with self._lock:
            self._kept.clear()

    def __len__(self) -> int:
        return len(self._kept)

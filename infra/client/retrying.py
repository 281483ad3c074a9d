"""When a request is sent again: if it got no answer, or one of RETRIED."""

import random
from contextlib import suppress
from typing import Final

import httpx
from jobledger.domain.errors import LedgerError
from jobledger.infra.client.refusals import RETRIED, error_of
from jobledger.infra.errors import LedgerUnavailableError

FIRST_PAUSE_SECONDS: Final = 0.1
MAX_PAUSE_SECONDS: Final = 5.0


class Tries:
    """The tries of one request or one stream; `retries` is how many may follow the first."""

    def __init__(self, retries: int) -> None:
        self._retries = retries
        self._failed = 0

    def reset(self) -> None:
        """Counts from the beginning, because something arrived."""
        self._failed = 0

    def check(self, error: LedgerError) -> None:
        """Raises the error of the last try if no other may follow."""
        if self._failed >= self._retries:
            raise error

    def pause(self, retry_after: str | None) -> float:
        """Seconds to wait before the next try: as long as the server asks, else longer each time."""
        self._failed += 1
        with suppress(TypeError, ValueError):
            return min(float(retry_after or ""), MAX_PAUSE_SECONDS)
        longest = min(FIRST_PAUSE_SECONDS * 2.0 ** (self._failed - 1), MAX_PAUSE_SECONDS)
        spread: float = random.uniform(0.5, 1)  # noqa: S311  so that clients do not retry together
        return longest * spread


def refusal(status: int, content: bytes) -> LedgerError:
    """The error of a refused request; raises it unless the request may be sent again."""
    error = error_of(status, content)
    if status not in RETRIED:
        raise error
    return error


def unavailable(error: httpx.TransportError) -> LedgerUnavailableError:
    """The error of a request that got no answer."""
    return LedgerUnavailableError(f"it gave no answer: {error or type(error).__name__}")

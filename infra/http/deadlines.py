"""Deadlines of requests. All deadlines of a server are equally long, so one timer is enough."""

import asyncio
from typing import Self

from jobledger.infra.errors import DeadlineExceededError


class Deadlines:
    """The deadlines of a server's requests, used only in its event loop."""

    def __init__(self, seconds: float) -> None:
        """`seconds` is how long each request may take."""
        self.seconds = seconds
        self._ends: dict[Deadline, float] = {}
        """The deadlines, the next one first, in seconds of the loop's clock."""
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, deadline: "Deadline") -> None:
        """Starts a deadline, which passes in `seconds` unless it is ended before."""
        loop = asyncio.get_running_loop()
        self._ends[deadline] = end = loop.time() + self.seconds
        if self._timer is None:
            self._timer = loop.call_at(end, self._pass, loop)

    def end(self, deadline: "Deadline") -> None:
        """Ends a deadline; the timer keeps running for the later ones."""
        self._ends.pop(deadline, None)

    def _pass(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for deadline in [each for each, end in self._ends.items() if end <= now]:
            del self._ends[deadline]
            deadline.abandon()
        following = next(iter(self._ends.values()), None)
        self._timer = None if following is None else loop.call_at(following, self._pass, loop)


class Deadline:
    """A block of the current task that is cancelled if it takes too long.

    It then raises DeadlineExceededError. It does the same as asyncio.timeout in less time.
    """

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._passed = False
        self._over = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._deadlines.begin(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._deadlines.end(self)
        self._over = True
        if self._passed and kind is asyncio.CancelledError:
            raise DeadlineExceededError(self._deadlines.seconds) from None

    def abandon(self) -> None:
        """Cancels the block after its deadline, or when the client has disconnected."""
        if not self._over:
            self._passed = True
            self._task.cancel()

"""Deadlines of requests: all of a server take equally long, so that one timer does for all."""

import asyncio
from typing import Self

from jobledger.infra.errors import DeadlineExceededError


class Deadlines:
    """The deadlines of a server's requests; used in its event loop only."""

    def __init__(self, seconds: float) -> None:
        """`seconds` is how long the work of each may take."""
        self.seconds = seconds
        self._ends: dict[Deadline, float] = {}
        """When each passes, the next one first: the loop's clock, in seconds."""
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, deadline: "Deadline") -> None:
        """Has it pass in `seconds`, unless it ends before."""
        loop = asyncio.get_running_loop()
        self._ends[deadline] = end = loop.time() + self.seconds
        if self._timer is None:
            self._timer = loop.call_at(end, self._pass, loop)

    def end(self, deadline: "Deadline") -> None:
        """The work has ended; the timer runs on for those that follow."""
        self._ends.pop(deadline, None)

    def _pass(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for deadline in [each for each, end in self._ends.items() if end <= now]:
            del self._ends[deadline]
            deadline.abandon()
        following = next(iter(self._ends.values()), None)
        self._timer = None if following is None else loop.call_at(following, self._pass, loop)


class Deadline:
    """A block of the current task that is cancelled when it takes too long.

    Raises DeadlineExceededError where it was. What asyncio.timeout does, in less time.
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
        """Ends the work after its deadline, or when the client has disconnected."""
        if not self._over:
            self._passed = True
            self._task.cancel()

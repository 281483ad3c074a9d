"""A limited resource of a server, which no single caller can use up."""

from typing import Final

from jobledger.infra.errors import OverloadedError

SHARE: Final = 0.75
"""The share that one caller may have."""


class Shares:
    """Counts the shares of callers."""

    def __init__(self, most: int, sentence: str) -> None:
        """`most` is the total of all shares; `sentence` is the error's message, with a placeholder for the number."""
        self.taken = 0
        self._most = most
        self._share = max(1, int(most * SHARE))
        self._sentence = sentence
        self._of: dict[bytes, int] = {}

    def take(self, caller: bytes | None, amount: int = 1) -> None:
        """Takes a share; raises OverloadedError if the caller has too many. None: callers are not distinguished."""
        taken = self.taken + amount
        if caller is not None:
            mine = self._of.get(caller, 0) + amount
            if taken > self._most or mine > self._share:
                self.check(caller, amount)
            self._of[caller] = mine
        elif taken > self._most:
            self.check(caller, amount)
        self.taken = taken

    def check(self, caller: bytes | None, amount: int = 1) -> None:
        """Raises the errors of `take`, but takes nothing."""
        if self.taken + amount > self._most:
            raise OverloadedError(self._sentence.format(self.taken))
        mine = 0 if caller is None else self._of.get(caller, 0)
        if mine + amount > self._share and caller is not None:
            raise OverloadedError(f"{self._sentence.format(mine)}, all by this caller")

    def give(self, caller: bytes | None, amount: int = 1) -> None:
        """Returns a share."""
        self.taken -= amount
        if caller is not None:
            left = self._of[caller] - amount
            if left:
                self._of[caller] = left
            else:
                del self._of[caller]

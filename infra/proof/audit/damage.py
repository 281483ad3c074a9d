"""Finds which events of a damaged history were changed, removed, added or moved.

The tree has the hashes of the original events. Events and hashes are compared in order. At a
difference, the next few decide whether an event was removed, added or changed.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, takewhile
from operator import itemgetter
from typing import Final

from jobledger.infra.proof.log.leaves import Stored
from jobledger.infra.upkeep.findings import Finding

LOOKAHEAD_EVENTS: Final = 24
"""Events that are compared to decide whether the following ones were moved."""
MAX_MOVE_EVENTS: Final = 512
"""The largest distance that an event is searched for."""
MAX_FINDINGS: Final = 1_000
"""Damaged events that are reported one by one."""

LeafOf = Callable[[int], tuple[bytes, bytes]]
"""The hash in the tree at an index, and the salt of that leaf."""
Ranges = Sequence[tuple[int, int]]
"""Positions from the first to the last, in order."""


class Damage:
    """Compares events with the tree, from a position up to which they are equal."""

    def __init__(
        self, rows: Iterator[bytes], leaf_of: LeafOf, size: int, first: int, pruned: Ranges
    ) -> None:
        self._rows = (Stored.of(row) for row in rows)
        self._ahead: deque[Stored] = deque()
        self._leaf_of = leaf_of
        self._size = size
        self._pruned = pruned
        self._position = first
        """The position at which the next event must be."""
        self._index = first - 1
        """The index of its leaf, which differs from the position once events were removed and the rest renumbered."""
        self._different: list[tuple[Stored, int]] = []
        self._not_moved_until = 0
        """The position up to which a search for moved events found nothing."""
        self.findings: list[Finding] = []

    def find(self) -> list[Finding]:
        """Returns the findings, by positions."""
        while self._index < self._size and len(self.findings) + len(self._different) < MAX_FINDINGS:
            if not self._look_ahead(1):
                self._add_missing_rest()
                break
            event = self._ahead[0]
            if event.position < self._position:
                self._add_duplicate(self._ahead.popleft())
            elif event.position > self._position:
                self._add_missing(event.position - self._position)
            elif self._matches(event, self._index):
                self._advance()
            elif not self._is_swapped() and (moved := self._moved()):
                self._add_moved(moved)
            else:
                self._different.append((event, self._index))
                self._advance()
        self.findings += self._name_different()
        return sorted(self.findings, key=lambda finding: finding.position)

    def _advance(self) -> None:
        self._ahead.popleft()
        self._position += 1
        self._index += 1

    def _add_duplicate(self, event: Stored) -> None:
        detail = "is one of several events at its position"
        self.findings.append(Finding("inserted", event.position, event.name, detail))

    def _add_missing(self, count: int) -> None:
        """Notes that the next `count` positions have no event."""
        last = self._position + count - 1
        for first, end in _without(self._position, last, self._pruned):
            self.findings.append(
                Finding("missing", first, "", _span("is", first, end, "not there"))
            )
        self._position += count
        self._index += count

    def _add_missing_rest(self) -> None:
        last = self._position + self._size - self._index - 1
        for first, end in _without(self._position, last, self._pruned):
            detail = f"the tree has {self._size} events, and the last {end - first + 1} are missing"
            self.findings.append(Finding("cut tail", first, "", detail))

    def _add_moved(self, moved: int) -> None:
        if moved > 0:
            events = "an event was" if moved == 1 else f"{moved} events were"
            detail = f"{events} removed here, and the later ones were renumbered"
            self.findings.append(Finding("missing", self._position, "", detail))
            self._index += moved
            return
        inserted = [self._ahead.popleft() for _ in range(-moved)]
        for event in inserted:
            detail = "was inserted here, and the later ones were renumbered"
            self.findings.append(Finding("inserted", event.position, event.name, detail))
        self._position -= moved

    def _is_swapped(self) -> bool:
        """Whether the missing event is further on, alone: it was swapped with others."""
        count = self._look_ahead(MAX_MOVE_EVENTS)
        for place, event in enumerate(self._ahead):
            if place and self._matches(event, self._index):
                swapped = self._matches(self._ahead[0], self._index + place)
                alone = place + 1 < count and not self._matches(
                    self._ahead[place + 1], self._index + 1
                )
                return swapped or alone
        return False

    def _moved(self) -> int:
        """Returns by how many positions the following events were moved; 0 if they were not."""
        if self._position <= self._not_moved_until:
            return 0
        best, most = 0, self._matching(0, 0)
        for places in range(1, MAX_MOVE_EVENTS):
            if most >= LOOKAHEAD_EVENTS // 2:
                break
            here, there = self._matching(0, places), self._matching(places, 0)
            if max(here, there) > most:
                best, most = (places, here) if here >= there else (-places, there)
        if most == 0:
            self._not_moved_until = self._position + LOOKAHEAD_EVENTS
        return best

    def _matching(self, skipped: int, left_out: int) -> int:
        """Returns how many of the next events match the tree, if that many were added or removed."""
        some = islice(self._ahead, skipped, skipped + LOOKAHEAD_EVENTS)
        return sum(
            self._matches(event, self._index + left_out + place) for place, event in enumerate(some)
        )

    def _matches(self, event: Stored, index: int) -> bool:
        if index >= self._size:
            return False
        hash_, salt = self._leaf_of(index)
        return event.hash(salt) == hash_

    def _name_different(self) -> Iterator[Finding]:
        """Notes the events that were swapped, and those that were changed."""
        for event, index in self._different:
            at = next((other for _, other in self._different if self._matches(event, other)), None)
            if at is None:
                detail = "is not what was recorded: its data, a time, its actor or another part"
                yield Finding("changed", event.position, event.name, detail)
            else:
                detail = f"was at position {event.position + at - index}"
                yield Finding("reordered", event.position, event.name, detail)

    def _look_ahead(self, count: int) -> int:
        """Reads up to that many events ahead; returns how many there are."""
        while len(self._ahead) < count and (event := next(self._rows, None)) is not None:
            self._ahead.append(event)
        return len(self._ahead)


def _without(first: int, last: int, pruned: Ranges) -> Iterator[tuple[int, int]]:
    """Yields the ranges of positions from first to last that were not pruned."""
    for begin, end in overlapping(pruned, first, last):
        if begin > first:
            yield first, begin - 1
        first = end + 1
    if first <= last:
        yield first, last


def overlapping(ranges: Ranges, first: int, last: int) -> Iterator[tuple[int, int]]:
    """Returns the ranges that have a position from first to last; found by bisection."""
    at = bisect_left(ranges, first, key=itemgetter(1))
    later = (ranges[index] for index in range(at, len(ranges)))
    return takewhile(lambda each: each[0] <= last, later)


def _span(verb: str, first: int, last: int, what: str) -> str:
    return f"{verb} {what}" if first == last else f"{what}, and so up to position {last}"

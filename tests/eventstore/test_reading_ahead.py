"""Events are read a page ahead, for a caller who goes on reading them."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

import pytest
from jobledger import Ledger
from jobledger.domain.events import Created, Event
from jobledger.infra.eventstore.feed import PAGE_EVENTS

AT = datetime(2026, 1, 31, tzinfo=UTC)
FULL_PAGES = 3
REST = 7


@pytest.fixture
def asked(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The positions after which pages of a ledger with some full pages are read."""
    jobs = FULL_PAGES * PAGE_EVENTS + REST
    ledger.append_many(
        Event(f"projects/p/jobs/j{number}", 1, Created(), AT) for number in range(jobs)
    )
    positions: list[int] = []
    page = ledger.reader.feed.page

    def noting(after: int) -> list[tuple[object, ...]]:
        positions.append(after)
        return page(after)

    monkeypatch.setattr(ledger.reader.feed, "page", noting)
    return positions


def test_each_page_is_read_once(ledger: Ledger, asked: list[int]) -> None:
    found = [event.position for event in ledger.events(follow=False)]
    assert found == list(range(1, FULL_PAGES * PAGE_EVENTS + REST + 1))
    # Nothing is after the last events.
    assert asked == [n * PAGE_EVENTS for n in range(FULL_PAGES + 1)] + [found[-1]]


def test_one_who_takes_a_page_or_less_reads_no_other(ledger: Ledger, asked: list[int]) -> None:
    for count in (1, PAGE_EVENTS):
        assert len(list(islice(ledger.events(follow=False), count))) == count
    assert asked == [0, 0]


def test_what_is_recorded_meanwhile_follows(ledger: Ledger, asked: list[int]) -> None:
    events = ledger.events()
    before = list(islice(events, FULL_PAGES * PAGE_EVENTS + REST))
    ledger.started("projects/p/jobs/j0")
    assert next(events).position == len(before) + 1

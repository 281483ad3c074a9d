"""Jobs in a state that few jobs are in are found without reading all jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from jobledger.domain.values.filters import parse_filter
from jobledger.domain.values.moments import AtTime, Clock
from jobledger.infra import Ledger
from jobledger.infra.read.lists import in_states
from jobledger.infra.read.lists.in_states import InStates, find_in_states

from tests.state_pages import check_pages

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
NAMES = [f"projects/p/jobs/j{n}" for n in range(4)]


@pytest.fixture
def paused(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """A ledger with four jobs, of which two run, and two were paused, one after the other."""
    monkeypatch.setattr(in_states, "MIN_EVENTS", 0)
    for n, name in enumerate(NAMES):
        ledger.create(name, occurred_time=AT + timedelta(minutes=n))
        ledger.started(name, occurred_time=AT + timedelta(minutes=10))
    for n, name in enumerate(NAMES[:2]):
        ledger.pause(name, occurred_time=AT + timedelta(minutes=20 + n))
    ledger.resume(NAMES[0], occurred_time=AT + timedelta(minutes=30))
    ledger.follow(ledger.size())
    return ledger


@pytest.mark.slow
@pytest.mark.parametrize(
    ("as_of", "names"),
    [
        ("@8", ()),
        ("@10", (NAMES[1], NAMES[0])),
        ("@11", (NAMES[1],)),
        (AT + timedelta(minutes=20), (NAMES[0],)),
        (AT + timedelta(minutes=40), (NAMES[1],)),
    ],
)
def test_few_jobs_are_found_by_their_state(
    paused: Ledger, as_of: str | datetime, names: tuple[str, ...]
) -> None:
    tree = parse_filter("kind = jobs AND state = PAUSED")
    moment = paused.moment(as_of)
    with paused.connection() as connection:
        assert find_in_states(connection, tree, moment) == InStates(len(names), names)
    assert {job.name for job in paused.page("state = PAUSED", as_of=as_of).jobs} == {*names}


def test_many_jobs_are_only_counted(paused: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_states, "FEW_JOBS", 1)
    with paused.connection() as connection:
        running = find_in_states(connection, parse_filter("state = RUNNING"), paused.moment("@8"))
        other = find_in_states(connection, parse_filter("kind = jobs"), paused.moment("@8"))
    assert (running, other) == (InStates(4, None), None)


@pytest.mark.slow
def test_a_late_report_is_followed_before_jobs_are_found_by_their_state(paused: Ledger) -> None:
    paused.paused(NAMES[2], occurred_time=AT + timedelta(minutes=5))
    for minute in (6, 40):
        check_pages(paused, AtTime(AT + timedelta(minutes=minute), Clock.OCCURRED))

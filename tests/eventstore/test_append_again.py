"""A history appended again: stored events are skipped, new ones written, and different ones refused."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jobledger.domain.data import Data
from jobledger.domain.errors import VersionConflictError
from jobledger.domain.events import Created, Event, Started, Succeeded, parse_data
from jobledger.infra import Ledger
from jobledger.infra.eventstore.writes import bulk
from jobledger.infra.transfer.traces.simulation import simulate
from jobledger.infra.upkeep.verify import verify

from tests.ledgers import application_of

BEGIN = datetime(2026, 6, 1, tzinfo=UTC)
NAME = "projects/p/jobs/a"
_names = count()


def sound(ledger: Ledger) -> bool:
    with ledger.connection() as connection:
        return verify(connection).ok


def at(version: int, data: Data, name: str = NAME) -> Event:
    return Event(name, version, data, BEGIN + timedelta(minutes=version))


@pytest.mark.slow
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=30),
    st.data(),
)
def test_any_part_may_be_there(
    ledger: Ledger, entries: list[tuple[int, int]], data: st.DataObject
) -> None:
    run = next(_names)
    events: list[Event] = []
    for job, value in entries:
        name = f"projects/p/jobs/r{run}_{job}"
        version = 1 + sum(event.name == name for event in events)
        fact: Data = Created() if version == 1 else parse_data("ProgressReported", {"n": value})
        events.append(at(version, fact, name))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "BATCH_EVENTS", data.draw(st.integers(1, 40)))
        # Some events of each job, from its first on.
        there = {job: data.draw(st.integers(0, 30)) for job in range(4)}
        part = [e for e in events if e.version <= there[int(e.name.rpartition("_")[2])]]
        assert ledger.append_many(part) == len(part)
        assert ledger.append_many(events) == len(events) - len(part)
        assert ledger.append_many(events) == ledger.append_many(part) == 0
        changed = data.draw(st.sampled_from(range(len(events))))
        other = events[changed]._replace(actor="somebody else")
        with pytest.raises(VersionConflictError, match=f"version {other.version - 1} "):
            ledger.append_many([*events[:changed], other, *events[changed + 1 :]])
    for name in {event.name for event in events}:
        assert [e.event for e in ledger.history(name)] == [e for e in events if e.name == name]


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        lambda event: event._replace(data=parse_data("Started", {"worker": "other"})),
        lambda event: event._replace(data=Succeeded()),
        lambda event: event._replace(occurred_time=BEGIN),
        lambda event: event._replace(request_id="r"),
    ],
)
def test_another_event_at_a_version_is_refused_whole(
    ledger: Ledger, change: Callable[[Event], Event]
) -> None:
    events = [at(1, Created()), at(2, Started()), at(3, Succeeded())]
    ledger.append_many(events[:2])
    with pytest.raises(VersionConflictError) as caught:
        ledger.append_many([events[0], change(events[1]), events[2]])
    assert (caught.value.expected, caught.value.actual) == (1, 2)
    assert ledger.size() == 2
    with pytest.raises(VersionConflictError):
        ledger.append_many([at(1, Created()), at(4, Succeeded())])
    assert ledger.append_many(events) == 1
    assert sound(ledger)


@pytest.mark.slow
def test_an_import_that_broke_off_is_repeated(ledger: Ledger) -> None:
    events = list(simulate(2_000, 3, "p"))
    assert ledger.append_many(events[:7_001]) == 7_001
    assert ledger.append_many(events) == len(events) - 7_001
    assert ledger.append_many(iter(events)) == 0
    assert ledger.size() == len(events)
    assert sound(ledger)


def test_personal_values_are_the_same_though_enciphered_anew(ledger: Ledger) -> None:
    secret = {"@personal": {"subject": "user:7", "value": "a@example.com"}}
    events = [at(1, Created()), at(2, parse_data("Started", {"who": secret})), at(3, Succeeded())]
    assert ledger.append_many(events[:2]) == 2
    assert ledger.append_many(events) == 1
    secret["@personal"]["value"] = "b@example.com"
    other = at(2, parse_data("Started", {"who": secret}))
    with pytest.raises(VersionConflictError):
        ledger.append_many([events[0], other])


@pytest.mark.plain_server
def test_an_application_may_append_again(dsn: str, ledger: Ledger) -> None:
    events = [at(1, Created()), at(2, Started()), at(3, Succeeded())]
    with application_of(dsn, ledger) as application:
        assert application.append_many(events[:2]) == 2
        assert application.append_many(events) == 1
    assert sound(ledger)

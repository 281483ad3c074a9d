"""A server whose clock is far ahead: writes are refused, rather than recorded years ahead."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from jobledger import ClockError, Ledger
from jobledger.domain.events import Created, Event
from jobledger.infra.eventstore.commit import appender
from jobledger.infra.history.counts.state_counts import Extent, series
from jobledger.infra.read import standby

from tests.forms import Opener

NAME = "projects/p/jobs/one"
YEARS = timedelta(days=3_650)
AHEAD = "clock says .* more than a day after"


def set_back(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    """Sets this machine's clock back, which is to the server as if its own was ahead."""
    clock = SimpleNamespace(time=lambda: time.time() - by.total_seconds())
    monkeypatch.setattr(appender, "time", clock)


def age(ledger: Ledger, by: timedelta) -> None:
    """Makes the last event one of so long ago."""
    with ledger.connection() as connection:
        connection.execute("UPDATE head SET recorded_time = recorded_time - %s", (by,))


@pytest.mark.both_forms
def test_writes_are_refused_while_the_server_s_clock_is_years_ahead(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.create(NAME)
    age(ledger, YEARS)
    with monkeypatch.context() as patch:
        set_back(patch, YEARS)
        with pytest.raises(ClockError, match=AHEAD) as caught:
            ledger.started(NAME, request_id="s")
        assert caught.value.written is False
        events = [Event("projects/p/jobs/two", 1, Created(), datetime(2026, 1, 1, tzinfo=UTC))]
        with pytest.raises(ClockError, match="a day ahead of this machine"):
            ledger.append_many(events)
        assert ledger.size() == 1
    # Both clocks agree again.
    assert ledger.started(NAME, request_id="s").version == 2
    assert ledger.append_many(events) == 1
    assert ledger.history(NAME)[-1].recorded_time < datetime.now(UTC) + timedelta(minutes=1)


@pytest.mark.slow
@pytest.mark.both_forms
@pytest.mark.parametrize(
    ("idle", "back"),
    [
        (timedelta(0), YEARS),  # Events come every day: a writer with a wrong clock goes on.
        (YEARS, timedelta(hours=23)),  # Nobody wrote for years, and clocks differ by less.
        (YEARS, -YEARS),
    ],
)
def test_a_wrong_clock_of_a_writer_or_a_long_silence_alone_refuse_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, idle: timedelta, back: timedelta
) -> None:
    ledger.create(NAME)
    age(ledger, idle)
    set_back(monkeypatch, back)
    assert ledger.started(NAME).version == 2


def test_a_read_far_in_the_future_does_not_move_recorded_times(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.create(NAME)
    age(ledger, YEARS)
    with monkeypatch.context() as patch:
        patch.setattr(standby, "MAX_AHEAD", -YEARS + timedelta(days=1))
        moment = ledger.moment("now", "recorded")
        assert ledger.get(NAME, as_of=moment).version == 1
        assert moment.position == 1
        assert moment.time < datetime.now(UTC) - YEARS + timedelta(minutes=1)
    with ledger.connection() as connection:
        (recorded,) = connection.execute("SELECT recorded_time FROM head").fetchone() or ()
    assert recorded == moment.time


def test_now_shows_what_was_recorded_before_the_server_s_clock_was_set_back(ledger: Ledger) -> None:
    ledger.create(NAME)
    with ledger.connection() as connection, connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        for table in ("events", "head"):
            later = f"UPDATE {table} SET recorded_time = recorded_time + interval '1 hour'"
            connection.execute(later.encode())
    ledger.started(NAME)
    assert ledger.get(NAME, as_of="now", clock="recorded").version == 2
    moment = ledger.moment("now", "recorded")
    assert moment.position == 2
    past = Extent(moment.time - timedelta(hours=1), moment.time)
    assert series(ledger.reader, moment, past).counts["RUNNING"][-1] == 1


def test_an_older_program_s_batch_without_a_clock_is_taken(
    ledger: Ledger, open_ledger: Opener
) -> None:
    with ledger.connection() as connection:
        connection.execute(
            "SELECT append(1, json_build_array(json_build_object('n', 0, 'name', 'projects/p/jobs/x',"
            " 'version', 0, 'schema', 0, 'type', 'topic', 'data', 'x', 'first', true)), NULL, NULL, NULL)"
        )
    assert ledger.size() == 1

"""Moments as text, and the moments of answers."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.moments import (
    AsOf,
    AtPosition,
    AtTime,
    AtVersion,
    Clock,
    Moment,
    parse_as_of,
    parse_clock,
)

NOW = datetime(2026, 6, 2, 9, 30, 15, 7, tzinfo=UTC)
DAY = datetime(2026, 6, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("v7", AtVersion(7)),
        (" v123456789 ", AtVersion(123_456_789)),
        ("@0", AtPosition(0)),
        ("@4711", AtPosition(4711)),
        ("@" + "9" * 18, AtPosition(10**18 - 1)),
    ],
)
def test_versions_and_positions_are_moments_by_themselves(text: str, moment: AsOf) -> None:
    for clock in (None, Clock.RECORDED, "occurred"):
        assert parse_as_of(text, clock, NOW) == moment


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("now", NOW),
        (" NOW ", NOW),
        ("2h ago", NOW - 2 * HOUR),
        ("2 hours ago", NOW - 2 * HOUR),
        ("1 hour  ago", NOW - HOUR),
        ("5m ago", NOW - timedelta(minutes=5)),
        ("5 min ago", NOW - timedelta(minutes=5)),
        ("30 sec ago", NOW - timedelta(seconds=30)),
        ("3d ago", NOW - timedelta(days=3)),
        ("2 Weeks ago", NOW - timedelta(weeks=2)),
        ("today", DAY),
        ("today 14:05", DAY + 14 * HOUR + timedelta(minutes=5)),
        ("today 9:05", DAY + 9 * HOUR + timedelta(minutes=5)),
        ("yesterday", DAY - 24 * HOUR),
        ("Yesterday 00:00:01.5", DAY - 24 * HOUR + timedelta(seconds=1.5)),
        ("2026-05-01", datetime(2026, 5, 1, tzinfo=UTC)),
        ("2026-05-01T10:00", datetime(2026, 5, 1, 10, tzinfo=UTC)),
        ("2026-05-01 10:00:00", datetime(2026, 5, 1, 10, tzinfo=UTC)),
        ("2026-05-01t10:00:00z", datetime(2026, 5, 1, 10, tzinfo=UTC)),
        ("2026-05-01 10:00:00 Z", datetime(2026, 5, 1, 10, tzinfo=UTC)),
        ("2026-05-01t10:00:00 z", datetime(2026, 5, 1, 10, tzinfo=UTC)),
        ("2026-05-01 10:00  -0230", datetime(2026, 5, 1, 12, 30, tzinfo=UTC)),
        ("2026-05-01T10:00:00.123456789Z", datetime(2026, 5, 1, 10, 0, 0, 123_456, tzinfo=UTC)),
        (" 2026-05-01T10:00:00.25+02:00 ", datetime(2026, 5, 1, 8, 0, 0, 250_000, tzinfo=UTC)),
    ],
)
def test_times_are_on_the_occurred_clock_unless_another_is_named(text: str, at: datetime) -> None:
    for clock in (None, "occurred", Clock.OCCURRED):
        assert parse_as_of(text, clock, NOW) == AtTime(at, Clock.OCCURRED, None)
        assert parse_as_of(f"{text}@12", clock, NOW) == AtTime(at, Clock.OCCURRED, 12)
    for clock in ("recorded", Clock.RECORDED):
        found = parse_as_of(text, clock, NOW)
        assert found == AtTime(at, Clock.RECORDED, None)
        assert isinstance(found, AtTime)
        assert found.time.tzinfo is UTC


WANTED = "vN, @POSITION, an ISO 8601 time, '2h ago', or 'yesterday 14:00'"


@pytest.mark.parametrize(
    ("text", "clock", "why"),
    [
        ("", None, f"'' is not a moment; write {WANTED}"),
        ("tomorrow", None, f"'tomorrow' is not a moment; write {WANTED}"),
        ("v", None, f"'v' is not a moment; write {WANTED}"),
        ("V7", None, f"'V7' is not a moment; write {WANTED}"),
        ("@x", None, f"'@x' is not a moment; write {WANTED}"),
        ("now@x", None, f"'now@x' is not a moment; write {WANTED}"),
        ("now@", None, f"'now@' is not a moment; write {WANTED}"),
        ("now@1@2", None, f"'now@1@2' is not a moment; write {WANTED}"),
        (
            "now@7",
            "recorded",
            "'now@7' has a position and a time, which is valid time; it cannot be read on the clock recorded",
        ),
        ("1/2/2026", None, f"'1/2/2026' is ambiguous; write {WANTED}"),
        ("1.2.2026 10:00", None, f"'1.2.2026 10:00' is ambiguous; write {WANTED}"),
        ("10:00", None, f"'10:00' is ambiguous; write {WANTED}"),
    ],
)
def test_an_invalid_moment_is_refused_with_valid_forms(
    text: str, clock: str | None, why: str
) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        parse_as_of(text, clock, NOW)
    assert (caught.value.field, caught.value.why) == ("as_of", why)


@pytest.mark.parametrize("text", ["2026-02-30", "today 24:01", "999999999 weeks ago"])
def test_an_impossible_time_is_refused_with_the_reason(text: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        parse_as_of(text, None, NOW)
    assert caught.value.field == "as_of"
    assert caught.value.why.startswith(f"{text!r} is not a time: ")


def test_there_are_two_clocks() -> None:
    assert parse_clock(None) is None
    assert parse_clock("recorded") is parse_clock(Clock.RECORDED) is Clock.RECORDED
    assert parse_clock("occurred") is Clock.OCCURRED
    with pytest.raises(InvalidFieldError) as caught:
        parse_clock("wall")
    assert (caught.value.field, caught.value.why) == (
        "clock", "'wall' is not a clock; the clocks are recorded and occurred",
    )  # fmt: skip


def test_a_moment_is_written_as_it_is_asked_for() -> None:
    for clock, text in ((Clock.OCCURRED, "2026-06-02T09:30:15.000007Z@7"), (Clock.RECORDED, "@7")):
        moment = Moment(7, NOW, clock)
        assert str(moment) == text
        assert parse_as_of(text, None, NOW) == moment.as_of


def test_a_time_without_a_zone_is_in_utc_wherever_the_program_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        found = [parse_as_of(text, None, NOW) for text in ("2026-05-01", "2026-05-01T10:00")]
    time.tzset()
    day = datetime(2026, 5, 1, tzinfo=UTC)
    assert found == [AtTime(day), AtTime(day + 10 * HOUR)]


def test_a_moment_before_a_pruning_is_refused_with_its_reason() -> None:
    for pruned, concerns in ((None, False), (NOW, False), (NOW + HOUR, True), (NOW - HOUR, False)):
        moment = Moment(7, NOW, Clock.OCCURRED, pruned)
        assert moment.pruned_past == (pruned if concerns else None)
        assert moment._replace(pruned_since=True).pruned_past == pruned

"""When recurring jobs are due: crontabs, App Engine's cron text, and Google's rule of whole days."""

from __future__ import annotations

import time
from calendar import monthrange
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import example, given
from hypothesis import strategies as st
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.schedules import Schedule, due_daily, parse_schedule

NOW = datetime(2026, 11, 23, 4, 45, 16, tzinfo=UTC)
"""A Monday, the fourth of its month."""
DAY = timedelta(days=1)
LEAP_DAYS_ON_SUNDAYS = ["2032-02-29 00:00", "2060-02-29 00:00", "2088-02-29 00:00"]

moments = st.datetimes(
    datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)  # noqa: DTZ001
)  # fmt: skip
times_of_day = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
weekdays = st.sampled_from(["mon", "tuesday", "Wed", "thu", "FRIDAY", "sat", "sunday"])
months = st.sampled_from(
    ["jan", "february", "mar", "april", "may", "june", "jul", "aug", "september", "october", "nov", "dec"]
)  # fmt: skip
ordinals = st.sampled_from(["1st", "first", "2nd", "second", "third", "4th", "fourth"])

WORDS = [
    "every", "day", "days", "hour", "hours", "mins", "2", "15", "mon", "tuesday", ",", ",", "from", "to",
    "synchronized", "of", "month", "feb", "1st", "fifth", "10:00", "1", "31", "*", "@daily", "\n",
]  # fmt: skip


def some(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(values, min_size=1, max_size=4).map(",".join)


of_months = st.just("") | st.just(" of month") | some(months).map(" of {}".format)
texts = st.one_of(
    st.builds("every {} {}".format, st.integers(1, 3000), st.sampled_from(["mins", "hours", "days"])),
    st.builds("every {} minutes synchronized".format, st.integers(1, 1440)),
    st.builds("every {} hours from {} to {}".format, st.integers(1, 24), times_of_day, times_of_day),
    st.builds("every {}{} {}".format, st.just("day") | some(weekdays), of_months, times_of_day),
    st.builds("{} {}{} {}".format, some(ordinals), some(weekdays), of_months, times_of_day),
    st.builds("{} of {}".format, some(st.integers(1, 28).map(str)), st.just("month") | some(months)),
    st.builds("{} {} * * {}".format, st.integers(0, 59), st.integers(0, 23), some(st.sampled_from("*0246"))),
    st.sampled_from(["@hourly", "@weekly", "@yearly", "*/7 8-18/3 * * MON-FRI", "0 0 29 2 */7", "5th sun of feb"]),
)  # fmt: skip
schedules = texts.map(parse_schedule)


def firings(text: str, count: int, since: datetime = NOW) -> list[str]:
    """The next times, to the second only where there are any."""
    entries, schedule = [], parse_schedule(text)
    for _ in range(count):
        due = schedule.next_after(since)
        assert due is not None
        assert due.tzinfo is UTC
        entries.append(f"{due:%Y-%m-%d %H:%M:%S}".removesuffix(":00"))
        since = due
    return entries


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "due"),
    [
        # Crontabs; a day of the month or of the week, where both are said, as cron has it.
        ("0 10 * * *", ["2026-11-23 10:00", "2026-11-24 10:00"]),
        ("*/20 4 * * *", ["2026-11-24 04:00", "2026-11-24 04:20", "2026-11-24 04:40"]),
        ("  30 9   * * mon-WED ", ["2026-11-23 09:30", "2026-11-24 09:30", "2026-11-25 09:30", "2026-11-30 09:30"]),
        ("0 0 30 2 1", ["2027-02-01 00:00", "2027-02-08 00:00"]),
        ("0 0 29 2 */7", LEAP_DAYS_ON_SUNDAYS),
        ("0 0 1 jan,JUL *", ["2027-01-01 00:00", "2027-07-01 00:00"]),
        ("@hourly", ["2026-11-23 05:00", "2026-11-23 06:00"]),
        ("@daily", ["2026-11-24 00:00", "2026-11-25 00:00"]),
        ("@midnight", ["2026-11-24 00:00"]),
        ("@Weekly", ["2026-11-29 00:00", "2026-12-06 00:00"]),
        ("@monthly", ["2026-12-01 00:00", "2027-01-01 00:00"]),
        ("@yearly", ["2027-01-01 00:00", "2028-01-01 00:00"]),
        ("@annually", ["2027-01-01 00:00"]),
        # So long after the moment asked about.
        ("every 24 hours", ["2026-11-24 04:45:16", "2026-11-25 04:45:16"]),
        ("every 1 hours", ["2026-11-23 05:45:16"]),
        ("every hour", ["2026-11-23 05:45:16"]),
        ("EVERY\t90  Mins\n", ["2026-11-23 06:15:16"]),
        ("every minute", ["2026-11-23 04:46:16"]),
        ("every 2 days", ["2026-11-25 04:45:16"]),
        ("every 3650 days", ["2036-11-20 04:45:16"]),
        # On a grid in a window of each day, which may be over midnight.
        ("every 2 hours from 10:00 to 14:00", ["2026-11-23 10:00", "2026-11-23 12:00", "2026-11-23 14:00", "2026-11-24 10:00"]),
        ("every 2 hours from 22:00 to 03:59", ["2026-11-23 22:00", "2026-11-24 00:00", "2026-11-24 02:00", "2026-11-24 22:00"]),
        ("every 90 minutes from 22:00 to 05:00", ["2026-11-23 22:00"]),
        ("every 20 minutes from 22:05 to 5:25", ["2026-11-23 05:05", "2026-11-23 05:25", "2026-11-23 22:05"]),
        ("every hour from 7:30 to 07:30", ["2026-11-23 07:30", "2026-11-24 07:30"]),
        ("every 1 day from 07:30 to 09:00", ["2026-11-23 07:30", "2026-11-24 07:30"]),
        ("every 8 hours synchronized", ["2026-11-23 08:00", "2026-11-23 16:00", "2026-11-24 00:00"]),
        ("every minute synchronized", ["2026-11-23 04:46", "2026-11-23 04:47"]),
        ("every 9 hours synchronized", ["2026-11-23 09:00", "2026-11-23 18:00", "2026-11-24 00:00"]),
        # On days.
        ("every day 00:00", ["2026-11-24 00:00", "2026-11-25 00:00"]),
        ("every day", ["2026-11-24 00:00"]),
        ("every day of march 12:00", ["2027-03-01 12:00", "2027-03-02 12:00"]),
        ("every monday 09:00", ["2026-11-23 09:00", "2026-11-30 09:00"]),
        ("every monday 4:45", ["2026-11-30 04:45"]),
        ("every mon,wed,fri 09:00", ["2026-11-23 09:00", "2026-11-25 09:00", "2026-11-27 09:00", "2026-11-30 09:00"]),
        ("Every Sat , Sunday of Month 01:30", ["2026-11-28 01:30", "2026-11-29 01:30"]),
        ("1st,third monday of month 04:00", ["2026-12-07 04:00", "2026-12-21 04:00", "2027-01-04 04:00"]),
        ("4th monday 04:00", ["2026-12-28 04:00"]),
        ("2nd,third mon,wed,thu of march 17:00", [f"2027-03-{day} 17:00" for day in ("08", "10", "11", "15", "17", "18")]),
        ("first monday of sep,oct,nov 17:00", ["2027-09-06 17:00", "2027-10-04 17:00", "2027-11-01 17:00"]),
        ("fifth tue of december", ["2026-12-29 00:00", "2030-12-31 00:00"]),
        ("1 of jan,april,july,oct 00:00", ["2027-01-01 00:00", "2027-04-01 00:00", "2027-07-01 00:00"]),
        ("1,15 of month 10:00", ["2026-12-01 10:00", "2026-12-15 10:00"]),
        ("01, 15 of month", ["2026-12-01 00:00"]),
        ("31 of month", ["2026-12-31 00:00", "2027-01-31 00:00", "2027-03-31 00:00"]),
        ("first,15th,31st day of month 10:00", ["2026-12-01 10:00", "2026-12-15 10:00", "2026-12-31 10:00"]),
        ("29 of feb", ["2028-02-29 00:00", "2032-02-29 00:00"]),
        ("5th sunday of feb", LEAP_DAYS_ON_SUNDAYS),
    ],
)  # fmt: skip
def test_the_next_times(text: str, due: list[str]) -> None:
    assert firings(text, len(due)) == due
    assert parse_schedule(text).text == text


def test_the_next_time_is_later_and_in_the_zone_of_the_schedule() -> None:
    schedule = parse_schedule("every day 10:00")
    ten = datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert schedule.next_after(ten) == ten + DAY
    assert schedule.next_after(ten - timedelta(microseconds=1)) == ten
    assert schedule.next_after(ten + timedelta(microseconds=1)) == ten + DAY
    in_tokyo = ten.astimezone(timezone(timedelta(hours=9))) - timedelta(hours=1)
    due = schedule.next_after(in_tokyo)
    assert due == ten
    assert due.tzinfo is UTC


@pytest.mark.parametrize(
    "text", ["0 10 * * *", "every 24 hours", "every 2 hours synchronized", "29 of feb"]
)
def test_nothing_is_due_beyond_the_last_year(text: str) -> None:
    schedule, end = parse_schedule(text), datetime(9999, 12, 31, 23, 30, tzinfo=UTC)
    assert schedule.next_after(end) is None
    assert schedule.last_before(end, end) is None
    with pytest.raises(OverflowError, match="not due twice"):
        schedule.interval(end)
    with pytest.raises(OverflowError, match="not due twice"):
        due_daily(schedule, end)


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("every 50 hours", 50), ("every 90 minutes", 1.5), ("0 10 * * *", 24), ("every monday", 168),
        ("every 2 hours from 10:00 to 14:00", 2), ("every mon,wed,fri 09:00", 48),
        ("every 5 hours synchronized", 5), ("1 of month", 31 * 24), ("29 of feb", 1461 * 24),
    ],
)  # fmt: skip
def test_the_interval_is_between_the_next_two_times(text: str, hours: float) -> None:
    assert parse_schedule(text).interval(NOW) == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("text", "made", "runs"),
    [
        # Made at 04:45 on the 23rd: a daily one is due on that day, one of 2 days on the day after.
        ("every 24 hours", NOW, [23, 24, 25]),
        ("every 5 minutes", NOW, [23, 24, 25]),
        ("every day 17:00", NOW, [23, 24, 25]),
        ("0 3 * * *", NOW, [23, 24, 25]),
        ("every 35 hours", NOW, [23, 24, 25]),
        ("every 36 hours", NOW, [24, 26, 28]),
        ("every 50 hours", NOW, [24, 26, 28]),
        ("every 59 hours", NOW, [24, 26, 28]),
        ("every 60 hours", NOW, [25, 28]),
        ("every 100 hours", NOW, [26, 30]),
        ("every 2 days", NOW, [24, 26, 28]),
        ("every monday 09:00", NOW, [29]),
        # After 10:00, and at it, as after a run at 10:00.
        ("every 24 hours", NOW.replace(hour=10, minute=0, second=1), [24, 25]),
        ("every 24 hours", NOW.replace(hour=10, minute=0, second=0), [24, 25]),
        ("every 50 hours", NOW.replace(hour=10, minute=0, second=0), [25, 27]),
        ("every 50 hours", NOW.replace(hour=23), [25, 27, 29]),
    ],
)  # fmt: skip
def test_evaluation_jobs_run_at_ten_every_so_many_days(
    text: str, made: datetime, runs: list[int]
) -> None:
    schedule, last, due = parse_schedule(text), made, []
    for _ in runs:
        last = due_daily(schedule, last)
        due.append(last)
    assert due == [datetime(2026, 11, day, 10, tzinfo=UTC) for day in runs]


@pytest.mark.slow
@given(schedules, moments)
def test_times_only_ever_increase(schedule: Schedule, moment: datetime) -> None:
    due = [moment]
    for _ in range(6):
        following = schedule.next_after(due[-1])
        assert following is not None
        assert schedule.last_before(due[-1], following) == following
        due.append(following)
    assert all(earlier < later for earlier, later in pairwise(due))
    assert schedule.interval(moment) == due[2] - due[1]


@pytest.mark.slow
@given(schedules, moments, st.integers(0, 999))
def test_no_time_is_left_out(schedule: Schedule, moment: datetime, part: int) -> None:
    """Asked from anywhere before the next time, the answer is that time (but for plain intervals)."""
    due = schedule.next_after(moment)
    assert due is not None
    between = moment + (due - moment) // 1000 * part
    if schedule.text[-4:] not in {"mins", "ours", "days"}:
        assert schedule.next_after(between) == due


@pytest.mark.slow
@given(schedules, moments)
def test_google_runs_at_ten_and_in_the_future(schedule: Schedule, last: datetime) -> None:
    due = due_daily(schedule, last)
    assert (due.hour, due.minute, due.second, due.microsecond, due.tzinfo) == (10, 0, 0, 0, UTC)
    days = max(1, round(schedule.interval(last) / DAY + 1e-9))
    assert (days - 1) * DAY < due - last <= days * DAY
    again = due_daily(schedule, due)
    assert again - due == max(1, round(schedule.interval(due) / DAY + 1e-9)) * DAY


@pytest.mark.slow
@given(
    st.builds(
        " ".join,
        st.tuples(
            st.sampled_from(["*", "*/15", "7", "0-10/5", "59"]),
            st.sampled_from(["*", "10", "*/5", "22-23"]),
            st.sampled_from(["*", "1", "31", "13,29", "*/10", "L"]),
            st.sampled_from(["*", "2", "JAN", "*/3", "jun-aug"]),
            st.sampled_from(["*", "0", "7", "fri", "1-5", "MON#1", "*/2"]),
        ),
    ),
    moments,
)
def test_a_crontab_is_as_cronsim_reads_it(text: str, moment: datetime) -> None:
    try:
        expected = [due for due, _ in zip(CronSim(text, moment), range(4), strict=False)]
    except CronSimError:
        expected = []
    if not expected:
        with pytest.raises(InvalidFieldError, match="is never due"):
            parse_schedule(text)
        return
    schedule, due = parse_schedule(text), []
    for _ in expected:
        moment = schedule.next_after(moment) or moment
        due.append(moment)
    assert due == expected


@pytest.mark.slow
@given(
    st.sets(st.integers(1, 5), min_size=1),
    st.sets(st.integers(0, 6), min_size=1),
    st.sets(st.integers(1, 12), max_size=3),
    moments,
)
def test_ordinals_of_weekdays_are_those_of_the_calendar(
    nths: set[int], days: set[int], in_months: set[int], moment: datetime
) -> None:
    names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    suffix = {1: "st", 2: "nd", 3: "rd"}
    text = ",".join(f"{nth}{suffix.get(nth, 'th')}" for nth in nths)
    text += " " + ",".join(names[day] for day in days)
    if in_months:
        text += " of " + ",".join(f"{datetime(2000, m, 1, tzinfo=UTC):%B}" for m in in_months)
    due = parse_schedule(text + " 06:30").next_after(moment)
    candidate = moment.replace(hour=6, minute=30, second=0, microsecond=0)
    while not (
        candidate > moment
        and candidate.weekday() in days
        and (candidate.day + 6) // 7 in nths
        and (not in_months or candidate.month in in_months)
    ):
        candidate += DAY
    assert due == candidate


def test_the_last_days_of_months_are_skipped_where_there_are_none() -> None:
    schedule, due = parse_schedule("30,31 of month 12:00"), NOW
    for _ in range(60):
        due = schedule.next_after(due) or due
        assert due.day in {30, 31}
        assert due.day <= monthrange(due.year, due.month)[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is neither a crontab .* nor App Engine's cron text"),
        (" \n ", "is neither a crontab"),
        ("\0", "is neither a crontab"),
        ("every day\0 10:00", "is neither a crontab"),
        ("every 1\u0968 hours", "is neither a crontab"),
        ("0 0 * * fr\u0131", "is neither a crontab"),
        ("daily", "is neither a crontab"),
        ("@reboot", "is neither a crontab"),
        ("@daily 10:00", "is neither a crontab"),
        ("monday 09:00", "is neither a crontab"),
        ("32 of jan", "is neither a crontab"),
        ("0 of month", "is neither a crontab"),
        ("32nd day of month", "is neither a crontab"),
        ("x" * 10_000, "characters; the limit is 500"),
        ("every " + "9" * 10_000 + " hours", "characters; the limit is 500"),
        ("0 " * 5000, "characters; the limit is 500"),
        ("* * * *", "has 4 fields; a crontab has 5"),
        ("* * * * * *", "has 6 fields; a crontab has 5"),
        ("1,15 10:00", "has 2 fields; a crontab has 5"),
        ("60 * * * *", "is never due: bad minute"),
        ("0 24 * * *", "is never due: bad hour"),
        ("0 0 32 * *", "is never due: bad day-of-month"),
        ("0 0 * 13 *", "is never due: bad month"),
        ("0 0 * * 8", "is never due: bad day-of-week"),
        ("0 0 30 2 *", "is never due: bad day-of-month"),
        ("0 0 */29 2 MON#5", "is never due: there is no such day"),
        ("31 of feb", "is never due"),
        ("30,31 of feb", "is never due"),
        ("31st day of apr,jun", "is never due"),
        ("6th monday of month", "is never due: bad day-of-week"),
        ("every", "at its end: .* a weekday or a whole number above 0 was expected"),
        ("every weekday", "at column 7: .* a weekday or a whole number above 0 was expected"),
        ("every 0 hours", "at column 7: .* a whole number above 0 was expected"),
        ("every -1 hours", "at column 7"),
        ("every 1.5 hours", "at column 8"),
        ("every 99999999999999999999 hours", "at column 7"),
        ("every hours", "at column 7"),
        ("every 2 weeks", "at column 9: .* 'hours', 'minutes' or 'days' was expected"),
        ("every 12hours", "at column 7"),
        ("every 9999999 hours", "is too long an interval; the limit is 3650 days"),
        ("every 3651 days", "is too long an interval; the limit is 3650 days"),
        ("every 25 hours synchronized", "is too long an interval; the limit is a day"),
        ("every 2 days from 10:00 to 12:00", "is too long an interval; the limit is a day"),
        ("every 2 hours from 10:00", "at its end: 'to' was expected"),
        ("every 2 hours from 10:00 to 24:00", "at column 29: a time from 00:00 to 23:59 was expected"),
        ("every 2 hours synchronized from 10:00 to 12:00", "at column 28: nothing more was expected"),
        ("every 2 hours 10:00", "at column 15: 'from' or 'synchronized' was expected"),
        ("every day 25:00", "at column 11: 'of' or a time from 00:00 to 23:59 was expected"),
        ("every day 10:60", "at column 11"),
        ("every day from 10:00 to 12:00", "at column 11"),
        ("every monday,", "at its end: a weekday was expected"),
        ("every monday, 09:00", "at column 15: a weekday was expected"),
        ("every monday of", "at its end: a month was expected"),
        ("every monday of brumaire", "at column 17: a month was expected"),
        ("every monday 09:00 Europe/Zurich", "at column 20: nothing more was expected"),
        ("first of month", "at column 7: 'day' or a weekday was expected"),
        ("1 of", "at its end: a month was expected"),
    ],
)  # fmt: skip
def test_an_invalid_schedule_is_refused_with_the_reason(text: str, why: str) -> None:
    started = time.monotonic()
    with pytest.raises(InvalidFieldError, match=why) as caught:
        parse_schedule(text)
    assert time.monotonic() - started < 20
    assert caught.value.field == "schedule"
    assert repr(text[:79])[1:-1] in caught.value.why
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@given(
    st.text(max_size=40)
    | st.text("0123456789*/,-#LWLMONFEB ", max_size=20).map("0 0 {}".format)
    | st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join)
)
@example("0 0 LW,L/2 * *")
@example("0 0 * * 5L,1#5")
def test_any_text_is_a_schedule_or_is_refused(text: str) -> None:
    try:
        schedule = parse_schedule(text)
    except InvalidFieldError as error:
        assert error.field == "schedule"
    else:
        due = schedule.next_after(NOW)
        assert due is not None
        assert due > NOW


def test_a_long_schedule_is_shown_in_part() -> None:
    for length, shown in ((80, "x" * 80), (81, "x" * 79 + "…")):
        with pytest.raises(InvalidFieldError) as caught:
            parse_schedule("x" * length)
        assert caught.value.why.startswith(f"{shown!r} is neither a crontab")


def test_no_interval_goes_beyond_the_last_year() -> None:
    schedule = parse_schedule("0 0 1 1 *")
    for since in (datetime(9998, 6, 1, tzinfo=UTC), datetime(9999, 6, 1, tzinfo=UTC)):
        with pytest.raises(OverflowError, match=r"'0 0 1 1 \*' is not due twice between .* 9999"):
            schedule.interval(since)


@pytest.mark.parametrize(
    ("text", "days", "expected"),
    [
        ("* * * * *", 20_000, "2024-10-04T09:30:00Z"),
        ("every 1 minutes", 20_000, "2024-10-04T09:30:00Z"),
        ("every 50 hours", 2, None),
        ("every 50 hours", 5, "1970-01-05T13:30:00Z"),
        ("0 0 29 2 *", 20_000, "2024-02-29T00:00:00Z"),
        ("every 2 hours from 22:00 to 04:00", 1, "1970-01-02T04:00:00Z"),
        ("0 0 1 1 *", 300, None),
    ],
)
def test_the_last_of_many_missed_times(text: str, days: int, expected: str | None) -> None:
    since = datetime(1970, 1, 1, 9, 30, tzinfo=UTC)
    found = parse_schedule(text).last_before(since, since + timedelta(days=days))
    assert found == (expected and datetime.fromisoformat(expected))


def test_the_day_of_a_run_is_that_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    last = datetime(2026, 6, 1, 11, 30, tzinfo=UTC)
    with monkeypatch.context() as patch:
        # Twelve hours behind UTC: it is still May there.
        patch.setenv("TZ", "Etc/GMT+12")
        time.tzset()
        due = due_daily(parse_schedule("every 24 hours"), last)
    time.tzset()
    assert due == datetime(2026, 6, 2, 10, tzinfo=UTC)

"""Schedules of recurring jobs: when the next run is due (UTC). No clock is read here.

An EvaluationJob's `schedule` is a crontab (`30 9 * * MON`, `@daily`) or App Engine's cron text:

    every 50 hours                      that long after the last run
    every 2 hours from 22:00 to 04:00   on a grid from the first time up to the second, inclusive
    every 2 hours synchronized          the same as `from 00:00 to 23:59`
    every day [09:00]                   at 00:00 without a time of day
    every mon,wed [of march] [09:00]
    1st,third monday [of sep,oct] [04:00]
    1,15 of month [10:00]               or `1st,15th day of month`
    1 of jan,july [00:00]

Sources: https://cloud.google.com/appengine/docs/standard/scheduling-jobs-with-cron-yaml and, for
the questions that it leaves open, the parser of the App Engine SDK (google.appengine.cron). Also
accepted: `every hour`, `every minute`, `every N days`, a missing time of day, and `synchronized`
with a step that does not divide the day, which Google refuses: its grid starts again at 00:00. Not
accepted: `quarter`, which only the SDK knows.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

from cronsim import CronSim, CronSimError
from jobledger.domain.errors import InvalidFieldError
from lark import Lark, Token, Transformer, UnexpectedInput, UnexpectedToken

MAX_LENGTH: Final = 500
MAX_STEP: Final = timedelta(days=3650)
DAY: Final = timedelta(days=1)
RUN_TIME: Final = time(10, tzinfo=UTC)
"""The time of day at which Google runs evaluation jobs, whatever their schedules say."""

_LOOK_BACK: Final = (
    timedelta(hours=1), DAY, 32 * DAY, 366 * DAY, 41 * 366 * DAY, 400 * 366 * DAY,
)  # fmt: skip
WANTED: Final = (
    "a crontab ('0 10 * * *', '@daily') nor App Engine's cron text ('every 24 hours', "
    "'every monday 09:00', '1,15 of month 10:00')"
)

_NICKNAMES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

# Ranges are the grammar's business: what is out of them is not read, and the message says where.
_GRAMMAR: Final = r"""
    ?start: interval | on_days | on_dates

    interval: _EVERY NUMBER (UNITS | UNIT | DAY) [window]
            | _EVERY UNIT [window]
    window: _FROM TIME _TO TIME | _SYNCHRONIZED

    on_days: _days [_OF months] [TIME]
    on_dates: dates _OF months [TIME]
    _days: any_day | weekdays | nth_weekdays | nth_days
    any_day: _EVERY DAY
    weekdays: _EVERY _names
    nth_weekdays: nths _names
    nth_days: nths DAY
    nths: NTH (_COMMA NTH)*
    _names: WEEKDAY (_COMMA WEEKDAY)*
    dates: DATE (_COMMA DATE)*
    months: _MONTH | MONTH (_COMMA MONTH)*

    _EVERY: /every\b/
    _FROM: /from\b/
    _TO: /to\b/
    _SYNCHRONIZED: /synchronized\b/
    _OF: /of\b/
    _MONTH: /month\b/
    _COMMA: ","
    NUMBER: /[1-9][0-9]{0,8}\b/
    UNIT: /(hour|minute|min)\b/
    UNITS: /(hours|minutes|mins|days)\b/
    DAY: /day\b/
    DATE: /(0?[1-9]|[12][0-9]|3[01])\b/
    NTH.2: /([1-9]|[12][0-9]|3[01])(st|nd|rd|th)\b|(first|second|third|fourth|fifth)\b/
    WEEKDAY: /(mon(day)?|tue(sday)?|wed(nesday)?|thu(rsday)?|fri(day)?|sat(urday)?|sun(day)?)\b/
    MONTH: /(jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?|sep(tember)?)\b/
         | /(oct(ober)?|nov(ember)?|dec(ember)?)\b/
    TIME.3: /([01]?[0-9]|2[0-3]):[0-5][0-9]\b/
    %ignore /\s+/
"""

EXPECTED: Final = {
    "NUMBER": "a whole number above 0",
    "UNIT": "'hour' or 'minute'",
    "UNITS": "'hours', 'minutes' or 'days'",
    "DAY": "'day'",
    "DATE": "a day from 1 to 31",
    "NTH": "an ordinal ('1st', 'first')",
    "WEEKDAY": "a weekday",
    "MONTH": "a month",
    "TIME": "a time from 00:00 to 23:59",
    "_OF": "'of'",
    "_FROM": "'from'",
    "_TO": "'to'",
    "_SYNCHRONIZED": "'synchronized'",
}
"""The names of the grammar's symbols in messages."""


class _Crontab(NamedTuple):
    """Five fields, parsed by cronsim."""

    fields: str

    def next_after(self, moment: datetime) -> datetime | None:
        # cronsim gives up after 50 years, and no two times are further apart than 40: that is what
        # 29 February on one weekday takes where the last year of a century is no leap year.
        return next(CronSim(self.fields, moment), None)


class _Interval(NamedTuple):
    """Every `step`: after the given time, or on a grid in a window of each day."""

    step: timedelta
    window: tuple[timedelta, timedelta] | None
    """The time from midnight to the start of the window, and its length (less than a day)."""

    def next_after(self, moment: datetime) -> datetime:
        if self.window is None:
            return moment + self.step
        start, length = self.window
        opened = datetime.combine(moment, time(), UTC) + start
        if opened > moment:
            opened -= DAY
        due = opened + ((moment - opened) // self.step + 1) * self.step
        return due if due <= opened + length else opened + DAY


@dataclass(frozen=True, slots=True)
class Schedule:
    """The times at which runs are due, made by `parse_schedule`; there is always a next one."""

    text: str
    """The schedule's text."""
    _rule: _Crontab | _Interval

    def next_after(self, moment: datetime) -> datetime | None:
        """Returns the first time (UTC) after `moment` (with a time zone); None beyond the year 9999."""
        try:
            return self._rule.next_after(moment.astimezone(UTC))
        except OverflowError:
            return None

    def last_before(self, since: datetime, now: datetime) -> datetime | None:
        """Returns the last time (UTC) after `since` and up to `now`; None if there is none."""
        since, now = since.astimezone(UTC), now.astimezone(UTC)
        if isinstance(self._rule, _Interval) and self._rule.window is None:
            steps = (now - since) // self._rule.step
            return since + steps * self._rule.step if steps > 0 else None
        # Other times do not follow from each other, so the nearest ones are looked for first.
        for length in _LOOK_BACK:
            begin = max(since, now - length)
            last, due = None, self.next_after(begin)
            while due is not None and due <= now:
                last, due = due, self.next_after(due)
            if last is not None or begin == since:
                return last
        return None

    def interval(self, since: datetime) -> timedelta:
        """Returns the time between the first and the second run after `since`; others may differ.

        Args:
            since: A time with a time zone.

        Returns:
            The time between the two runs.

        Raises:
            OverflowError: One of them is beyond the year 9999.
        """
        first = self.next_after(since)
        second = self.next_after(first) if first else None
        if first is None or second is None:
            raise OverflowError(f"{self.text!r} is not due twice between {since} and year 9999")
        return second - first


def due_daily(schedule: Schedule, last: datetime) -> datetime:
    """Returns the next run (UTC) by Google's rules for evaluation jobs.

    Only the schedule's interval counts: at least a day, rounded to whole days (50 hours are 2 days;
    half a day rounds up, so 36 hours are 2), and always at 10:00 UTC. The run of an interval of n
    days is the first 10:00 that is more than n - 1 days after `last`: n days after a run at 10:00;
    a daily job created at 09:00 runs at 10:00 of the same day, one of 2 days on the next day.
    `last` is the last run, or the job's creation. Raises OverflowError as `Schedule.interval` does.
    """
    days = max(1, (schedule.interval(last) + DAY / 2) // DAY)
    earliest = last.astimezone(UTC) + (days - 1) * DAY
    due = datetime.combine(earliest, RUN_TIME)
    return due if due > earliest else due + DAY


def last_daily(schedule: Schedule, since: datetime, now: datetime) -> datetime | None:
    """Returns the last run up to `now` by Google's rules, if `since` was the run before; None if none is due."""
    last, due = None, due_daily(schedule, since)
    while due <= now:
        last, due = due, due_daily(schedule, due)
    return last


@lru_cache(maxsize=256)
def parse_schedule(text: str) -> Schedule:
    """Parses a crontab or App Engine's cron text.

    Args:
        text: The schedule.

    Returns:
        The schedule.

    Raises:
        InvalidFieldError: The text is not a schedule, or is never due.
    """
    if len(text) > MAX_LENGTH:
        raise _refusal(text, f"has {len(text)} characters; the limit is {MAX_LENGTH}")
    message = text.strip().lower()
    if not message.isascii() or not message or "\0" in message:
        raise _refusal(text, f"is neither {WANTED}")
    rule = _Crontab(fields) if (fields := _crontab(message)) else _english(text)
    if isinstance(rule, _Interval):
        if rule.step > (DAY if rule.window else MAX_STEP):
            most = "a day, on a grid of each day" if rule.window else f"{MAX_STEP.days} days"
            raise _refusal(text, f"is too long an interval; the limit is {most}")
        return Schedule(text, rule)
    try:
        fires = rule.next_after(datetime(2000, 1, 1, tzinfo=UTC)) is not None
    except CronSimError as error:
        raise _refusal(text, f"is never due: {str(error).lower()}") from None
    if not fires:
        raise _refusal(text, "is never due: there is no such day")
    return Schedule(text, rule)


def _crontab(text: str) -> str | None:
    """Returns the five fields of a crontab; None if it is not one."""
    words = text.split()
    if text.startswith("@"):
        return _NICKNAMES.get(text)
    if set(words[0]) <= set("0123456789*/,-") and "of" not in words:
        if len(words) != 5:
            raise _refusal(text, f"has {len(words)} fields; a crontab has 5")
        return " ".join(words)
    return None


def _english(text: str) -> _Crontab | _Interval:
    try:
        rule: _Crontab | _Interval = _Rules().transform(_parser().parse(text.lower()))
    except UnexpectedInput as error:
        at_end = isinstance(error, UnexpectedToken) and error.token.type == "$END"
        if error.column == 1 and not at_end:
            raise _refusal(text, f"is neither {WANTED}") from None
        place = "at its end" if at_end else f"at column {error.column}"
        symbols = getattr(error, "accepts", None) or getattr(error, "allowed", None) or ()
        expected = " or ".join(sorted(EXPECTED[s] for s in symbols if s in EXPECTED))
        why = f"cannot be read {place}: {expected or 'nothing more'} was expected"
        raise _refusal(text, why) from None
    return rule


def _refusal(text: str, why: str) -> InvalidFieldError:
    shown = text if len(text) <= 80 else text[:79] + "…"
    return InvalidFieldError("schedule", f"{shown!r} {why}")


class _Rules(Transformer[Token, Any]):
    """Makes the rule of a cron text; a rule of days becomes the equivalent crontab."""

    def interval(self, parts: list[Any]) -> _Interval:
        *number, unit, window = parts
        name = {"h": "hours", "m": "minutes", "d": "days"}[unit[0]]
        return _Interval(timedelta(**{name: int(number[0]) if number else 1}), window)

    def window(self, parts: list[str]) -> tuple[timedelta, timedelta]:
        start, end = (_since_midnight(part) for part in parts or ["00:00", "23:59"])
        return start, (end - start) % DAY

    def on_days(self, parts: list[Any]) -> _Crontab:
        (dates, weekdays), months, at = parts
        hour, minute = (at or "0:0").split(":")
        return _Crontab(f"{int(minute)} {int(hour)} {dates} {months or '*'} {weekdays}")

    on_dates = on_days

    def any_day(self, _parts: list[Token]) -> tuple[str, str]:
        return "*", "*"

    def weekdays(self, parts: list[Token]) -> tuple[str, str]:
        return "*", ",".join(name[:3] for name in parts)

    def nth_weekdays(self, parts: list[Any]) -> tuple[str, str]:
        nths, *names = parts
        return "*", ",".join(f"{name[:3]}#{nth}" for name in names for nth in nths)

    def nth_days(self, parts: list[Any]) -> tuple[str, str]:
        return ",".join(parts[0]), "*"

    def nths(self, parts: list[Token]) -> list[str]:
        words = {"first": "1", "second": "2", "third": "3", "fourth": "4", "fifth": "5"}
        return [words.get(part) or part[:-2] for part in parts]

    def dates(self, parts: list[Token]) -> tuple[str, str]:
        return ",".join(parts), "*"

    def months(self, parts: list[Token]) -> str:
        return ",".join(name[:3] for name in parts) or "*"


def _since_midnight(text: str) -> timedelta:
    hours, minutes = text.split(":")
    return timedelta(hours=int(hours), minutes=int(minutes))


@cache
def _parser() -> Lark:
    """Makes the parser when it is first needed: most programs have no schedule."""
    return Lark(_GRAMMAR, parser="lalr", maybe_placeholders=True)

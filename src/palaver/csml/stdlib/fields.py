"""From the numbers that were read of a date and time to an instant. Spec: csml-language §10.12.

Reading (`strptime`) fills `Fields`, refusing contradictions; `instant` finds the day by whatever
names it (month and day, day of the year, week and weekday), and the clock time. The rules are
those of Rust's chrono 0.4.19: every field that was read must agree with the result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from palaver.csml.stdlib.calendar import (
    DAY_MAX,
    DAY_MIN,
    DAY_S,
    YEAR_MAX,
    YEAR_MIN,
    Date,
    days_of,
    full_date,
    is_date,
    is_leap,
    weekday_of,
)


class Missing(ValueError):
    """The fields that were read do not make a date or a clock time."""


class Fields(dict[str, int]):
    """What was read so far. `half` is 0 in the morning; `weekday` counts from Monday = 0."""

    def put(self, field: str, value: int) -> None:
        """Raises: ValueError: it was read before, differently."""
        if self.setdefault(field, value) != value:
            raise ValueError(f"two values for {field}")

    def put_hour(self, hour: int) -> None:
        """An hour from 0 to 23, kept as half of the day and hour within it."""
        self.put("half", hour // 12)
        self.put("hour12", hour % 12)


def instant_with_offset(fields: Fields) -> int:
    """Unix milliseconds of a date and clock time with offset. Raises: ValueError."""
    offset = fields.get("offset")
    if offset is None or abs(offset) >= DAY_S:
        raise Missing("there is no offset")
    return _local_ms(fields, offset) - offset * 1000


def instant(fields: Fields) -> int:
    """Unix milliseconds of whatever was read: with offset, in UTC, or a date's midnight.

    Raises:
        ValueError: there is not even a date.
    """
    for resolve in (instant_with_offset, lambda f: _local_ms(f, 0)):
        try:
            return resolve(fields)
        except ValueError:
            continue
    return _days(fields) * DAY_S * 1000


def _local_ms(fields: Fields, offset: int) -> int:
    try:
        days, (clock, nanosecond) = _days(fields), _clock(fields)
    except Missing:
        if "timestamp" not in fields:
            raise
        fields = _completed(fields, offset)
        days, (clock, nanosecond) = _days(fields), _clock(fields)
    local = days * DAY_S + clock
    leap = fields.get("second") == 60
    given = fields.get("timestamp")
    if given is not None and given + offset not in (local, local - leap):
        raise ValueError("the timestamp is of another time")
    return local * 1000 + nanosecond // 1_000_000


def _completed(fields: Fields, offset: int) -> Fields:
    """The fields with those that follow from the timestamp."""
    local = fields["timestamp"] + offset
    if fields.get("second") == 60 and local % 60 == 0:
        # a leap second is the one before
        local -= 1
    days, clock = divmod(local, DAY_S)
    if not DAY_MIN <= days <= DAY_MAX:
        raise ValueError("beyond the calendar")
    date = full_date(days)
    complete = Fields(fields)
    complete.put("year", date.year)
    complete.put("ordinal", date.ordinal)
    complete.put_hour(clock // 3600)
    complete.put("minute", clock // 60 % 60)
    if fields.get("second") != 60 or clock % 60 != 59:
        complete.put("second", clock % 60)
    return complete


def _clock(fields: Fields) -> tuple[int, int]:
    """(seconds since midnight, nanoseconds); second 60 is the first of the next minute."""
    if not {"half", "hour12", "minute"} <= fields.keys():
        raise Missing("no clock time")
    nanosecond = fields.get("nanosecond", 0)
    if "nanosecond" in fields and "second" not in fields:
        raise Missing("a fraction without second")
    half, minute, second = fields["half"], fields["minute"], fields.get("second", 0)
    if half > 1 or minute > 59 or second > 60:
        raise ValueError("an impossible clock time")
    return (half * 12 + fields["hour12"]) * 3600 + minute * 60 + second, nanosecond


def _year(fields: Fields, whole: str, short: str) -> int | None:
    """A year from its full number, or from its last two digits with or without a century."""
    year, rest = fields.get(whole), fields.get(short)
    century = fields.get("century") if whole == "year" else None
    if year is None and rest is None:
        return None
    if year is None and rest is not None:
        year = rest + (century * 100 if century is not None else 2000 if rest < 70 else 1900)
    elif year is not None and year < 0 and (rest is not None or century is not None):
        raise ValueError("a negative year has no short form")
    if year is None or not YEAR_MIN <= year <= YEAR_MAX:
        raise ValueError("beyond the calendar")
    return year


def _days(fields: Fields) -> int:
    """The day that the fields name. Raises: Missing, ValueError."""
    year = _year(fields, "year", "short_year")
    iso_year = _year(fields, "iso_year", "short_iso_year")
    given = fields.keys()
    if year is not None and {"month", "day"} <= given:
        days = _from_month(year, fields["month"], fields["day"])
    elif year is not None and "ordinal" in given:
        days = _from_ordinal(year, fields["ordinal"])
    elif year is not None and {"sunday_week", "weekday"} <= given:
        days = _from_week(year, fields["sunday_week"], (fields["weekday"] + 1) % 7, first=6)
    elif year is not None and {"monday_week", "weekday"} <= given:
        days = _from_week(year, fields["monday_week"], fields["weekday"], first=0)
    elif iso_year is not None and {"iso_week", "weekday"} <= given:
        days = _from_iso_week(iso_year, fields["iso_week"], fields["weekday"])
    else:
        raise Missing("no date")
    date = full_date(days)
    if any(fields[name] != actual(date) for name, actual in _ACTUAL.items() if name in fields):
        raise ValueError("the fields contradict each other")
    return days


_ACTUAL: Final[dict[str, Callable[[Date], int]]] = {
    "year": lambda date: date.year,
    "century": lambda date: date.year // 100,
    "short_year": lambda date: date.year % 100,
    "month": lambda date: date.month,
    "day": lambda date: date.day,
    "ordinal": lambda date: date.ordinal,
    "weekday": lambda date: date.weekday,
    "sunday_week": lambda date: date.sunday_week,
    "monday_week": lambda date: date.monday_week,
    "iso_year": lambda date: date.iso_year,
    "short_iso_year": lambda date: date.iso_year % 100,
    "iso_week": lambda date: date.iso_week,
}


def _from_month(year: int, month: int, day: int) -> int:
    if not is_date(year, month, day):
        raise ValueError("no such date")
    return days_of(year, month, day)


def _from_ordinal(year: int, ordinal: int) -> int:
    if not 1 <= ordinal <= 365 + is_leap(year):
        raise ValueError("no such day of the year")
    return days_of(year, 1, 1) + ordinal - 1


def _from_week(year: int, week: int, day: int, *, first: int) -> int:
    """Args: day: within the week, from 0; first: the weekday that weeks begin with."""
    new_year = days_of(year, 1, 1)
    days = new_year + (first - weekday_of(new_year)) % 7 + (week - 1) * 7 + day
    if week > 53 or not new_year <= days < days_of(year + 1, 1, 1):
        raise ValueError("no such week of the year")
    return days


def _from_iso_week(year: int, week: int, weekday: int) -> int:
    fourth = days_of(year, 1, 4)
    days = fourth - weekday_of(fourth) + (week - 1) * 7 + weekday
    if week < 1 or full_date(days).iso_year != year or not DAY_MIN <= days <= DAY_MAX:
        raise ValueError("no such week of the year")
    return days

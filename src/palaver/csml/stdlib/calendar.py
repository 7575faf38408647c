"""Days, dates and instants of the proleptic Gregorian calendar, far beyond `datetime`'s years.

Days count from 1970-01-01, weekdays from Monday = 0, instants are Unix milliseconds. The years
are those of the reference's time library: -262144 to 262143. Spec: csml-language §10.12.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

YEAR_MIN: Final = -262144
YEAR_MAX: Final = 262143
DAY_S: Final = 86_400

_MONTH_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def is_date(year: int, month: int, day: int) -> bool:
    """Whether the calendar has this date."""
    if not (YEAR_MIN <= year <= YEAR_MAX and 1 <= month <= 12):
        return False
    return 1 <= day <= _MONTH_DAYS[month - 1] + (month == 2 and is_leap(year))


def days_of(year: int, month: int, day: int) -> int:
    """The day's number. Years count from March here, so that leap days come last."""
    year -= month <= 2
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return (
        era * 146_097
        + year_of_era * 365
        + year_of_era // 4
        - year_of_era // 100
        + (day_of_year - 719_468)
    )


def date_of(days: int) -> tuple[int, int, int]:
    """(year, month, day) of a day's number: `days_of` backwards."""
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (
        day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096
    ) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    day = day_of_year - (153 * shifted + 2) // 5 + 1
    return era * 400 + year_of_era + (month <= 2), month, day


def weekday_of(days: int) -> int:
    """Monday = 0 … Sunday = 6; day 0 was a Thursday."""
    return (days + 3) % 7


DAY_MIN: Final = days_of(YEAR_MIN, 1, 1)
DAY_MAX: Final = days_of(YEAR_MAX, 12, 31)
INSTANT_MIN: Final = DAY_MIN * DAY_S * 1000
INSTANT_MAX: Final = (DAY_MAX + 1) * DAY_S * 1000 - 1


@dataclass(frozen=True, slots=True)
class Date:
    """A day with its place in the year and in the ISO week calendar.

    `ordinal` counts from 1, `weekday` from Monday = 0; `sunday_week` and `monday_week` count from
    the year's first Sunday or Monday, days before it are in week 0.
    """

    year: int
    month: int
    day: int
    ordinal: int
    weekday: int
    sunday_week: int
    monday_week: int
    iso_year: int
    iso_week: int


def full_date(days: int) -> Date:
    year, month, day = date_of(days)
    weekday = weekday_of(days)
    ordinal = days - days_of(year, 1, 1) + 1
    # an ISO week belongs to the year of its Thursday
    thursday = days - weekday + 3
    iso_year = date_of(thursday)[0]
    return Date(
        year,
        month,
        day,
        ordinal,
        weekday,
        (ordinal - (weekday + 1) % 7 + 6) // 7,
        (ordinal - weekday + 6) // 7,
        iso_year,
        (thursday - days_of(iso_year, 1, 1)) // 7 + 1,
    )


# --- time zones --------------------------------------------------------------------------------

_CYCLE_S: Final = 146_097 * DAY_S
"""400 years: the calendar repeats, weekdays included, and so do the rules of summer time."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_S: Final = days_of(1000, 1, 1) * DAY_S
_LAST_S: Final = days_of(2400, 1, 1) * DAY_S


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    return frozenset(files("tzdata").joinpath("zones").read_text("ascii").split())


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def is_zone(name: str) -> bool:
    """Whether this is the IANA name of a time zone, letter case included."""
    return name in _zone_names()


def zone_offset(name: str, unix_s: int) -> tuple[int, str]:
    """Seconds east of UTC, and their name (`CEST`, `+0545`), in a zone at an instant.

    Args:
        name: a name for which `is_zone` holds.
    """
    if unix_s >= _LAST_S:
        unix_s = _LAST_S + (unix_s - _LAST_S) % _CYCLE_S
    local = (_EPOCH + timedelta(seconds=max(unix_s, _FIRST_S))).astimezone(_zone(name))
    offset = local.utcoffset() or timedelta()
    return offset.days * DAY_S + offset.seconds, local.tzname() or "UTC"

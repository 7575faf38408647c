"""Reading dates and clock times: by a format, or as RFC 3339. Spec: csml-language §10.12.

The rules are those of Rust's chrono 0.4.19: numbers may lack leading zeros and have blanks before
them, names come in any letter case. What was read becomes an instant in `fields`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from palaver.csml.stdlib.calendar import DAY_S
from palaver.csml.stdlib.fields import Fields
from palaver.csml.stdlib.strftime import MONTHS, WEEKDAYS, Blank, Item, Number, Text
from palaver.csml.values import INT_MAX

_BLANKS = re.compile(r"\s*")
_DIGIT = re.compile("[0-9]")
_DIGITS = re.compile("[0-9]*")
_NOT_BLANK = re.compile(r"\S*")
_COLON_OR_BLANKS = re.compile(r"[:\s]*")
_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-5][0-9]))"
)
_UNLIMITED: Final = 10**9

# --- reading -----------------------------------------------------------------------------------


def parse_by(text: str, items: Iterable[Item]) -> Fields:
    """Reads the whole text by the items of a format. Raises: ValueError when it does not fit."""
    fields = Fields()
    at = 0
    for item in items:
        if isinstance(item, Text):
            if not text.startswith(item.text, at):
                raise ValueError(f"expected {item.text}")
            at += len(item.text)
        elif isinstance(item, Blank):
            at = _past(_BLANKS, text, at)
        elif isinstance(item, Number):
            at = _number(fields, text, at, item)
        else:
            at = _PART_READERS[item.code](fields, text, at)
    if at != len(text):
        raise ValueError("text behind the end of the format")
    return fields


def parse_rfc3339(text: str) -> Fields:
    """Reads a complete RFC 3339 date and time. Raises: ValueError."""
    fields = Fields()
    if _rfc3339(fields, text, 0) != len(text):
        raise ValueError("text behind the time")
    return fields


def _past(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Where a match that may be empty ends."""
    found = pattern.match(text, at)
    return found.end() if found is not None else at


def _digits(text: str, at: int, least: int, most: int) -> tuple[int, int]:
    """A number of `least` to `most` digits, and where it ends."""
    found = _DIGITS.match(text, at, min(len(text), at + most))
    end = found.end() if found is not None else at
    if end - at < least:
        raise ValueError("expected a number")
    significant = text[at:end].lstrip("0")
    number = int(significant or "0") if len(significant) < 20 else INT_MAX + 1
    if number > INT_MAX:
        raise ValueError("the number is too large")
    return number, end


def _number(fields: Fields, text: str, at: int, item: Number) -> int:
    at = _past(_BLANKS, text, at)
    sign = text[at : at + 1]
    if item.field in ("year", "iso_year") and sign in ("+", "-") and sign:
        value, at = _digits(text, at + 1, 1, _UNLIMITED)
        value = -value if sign == "-" else value
    else:
        most = _UNLIMITED if item.field == "timestamp" else item.width
        value, at = _digits(text, at, 1, most)
    setter = _NUMBER_SETTERS.get(item.field)
    if setter is None:
        fields.put(item.field, value)
    else:
        setter(fields, value)
    return at


def _put_hour12(fields: Fields, hour: int) -> None:
    if not 1 <= hour <= 12:
        raise ValueError("an hour from 1 to 12 was expected")
    fields.put("hour12", hour % 12)


def _put_weekday_from_sunday(fields: Fields, day: int) -> None:
    if day > 6:
        raise ValueError("a weekday from 0 to 6 was expected")
    fields.put("weekday", (day - 1) % 7)


def _put_weekday_from_monday(fields: Fields, day: int) -> None:
    if not 1 <= day <= 7:
        raise ValueError("a weekday from 1 to 7 was expected")
    fields.put("weekday", day - 1)


_NUMBER_SETTERS: Final[dict[str, Callable[[Fields, int], None]]] = {
    "hour": Fields.put_hour,
    "hour12": _put_hour12,
    "weekday_from_sunday": _put_weekday_from_sunday,
    "weekday_from_monday": _put_weekday_from_monday,
}

PartReader = Callable[[Fields, str, int], int]


def _name(field: str, names: Sequence[str], *, long: bool) -> PartReader:
    """Reads a name's first three letters; for a `long` one also the rest, if that is there."""
    numbers = {name[:3].lower(): number for number, name in enumerate(names)}

    def read(fields: Fields, text: str, at: int) -> int:
        number = numbers.get(text[at : at + 3].lower())
        if number is None:
            raise ValueError(f"expected a {field}")
        fields.put(field, number + (field == "month"))
        rest = names[number][3:]
        at += 3
        return at + len(rest) if long and text[at : at + len(rest)].lower() == rest else at

    return read


def _half(fields: Fields, text: str, at: int) -> int:
    halves = {"am": 0, "pm": 1}
    half = halves.get(text[at : at + 2].lower())
    if half is None:
        raise ValueError("expected am or pm")
    fields.put("half", half)
    return at + 2


def _nanoseconds(digits: str) -> int:
    """Digits behind a point; those beyond nanoseconds are dropped."""
    return int(digits[:9].ljust(9, "0"))


def _fraction(fields: Fields, text: str, at: int) -> int:
    """A point with digits, or nothing."""
    if not text.startswith(".", at):
        return at
    end = _past(_DIGITS, text, at + 1)
    if end == at + 1:
        raise ValueError("expected digits")
    fields.put("nanosecond", _nanoseconds(text[at + 1 : min(end, at + 10)]))
    return end


def _bare_fraction(width: int) -> PartReader:
    def read(fields: Fields, text: str, at: int) -> int:
        _, end = _digits(text, at, width, width)
        fields.put("nanosecond", _nanoseconds(text[at:end]))
        return end

    return read


def _zone_name(fields: Fields, text: str, at: int) -> int:
    """Names of zones say nothing: skipped."""
    return _past(_NOT_BLANK, text, at)


def _offset(fields: Fields, text: str, at: int) -> int:
    return _read_offset(fields, text, _past(_BLANKS, text, at), lax=False)


def _lax_offset(fields: Fields, text: str, at: int) -> int:
    at = _past(_BLANKS, text, at)
    if text[at : at + 1] in ("z", "Z"):
        fields.put("offset", 0)
        return at + 1
    return _read_offset(fields, text, at, lax=True)


def _read_offset(fields: Fields, text: str, at: int, *, lax: bool) -> int:
    """`+0930`, `+09:30`, `+09 30`. Args: lax: minutes may be missing."""
    sign = text[at : at + 1]
    if sign not in ("+", "-") or not sign:
        raise ValueError("expected an offset")
    hours, at = _digits(text, at + 1, 2, 2)
    minutes, after = 0, _past(_COLON_OR_BLANKS, text, at)
    if not lax or _DIGIT.match(text, after):
        minutes, at = _digits(text, after, 2, 2)
        if minutes > 59:
            raise ValueError("an offset has less than 60 minutes")
    else:
        at = after
    seconds = hours * 3600 + minutes * 60
    fields.put("offset", -seconds if sign == "-" else seconds)
    return at


def _rfc3339(fields: Fields, text: str, at: int) -> int:
    found = _RFC3339.match(text, at)
    if found is None:
        raise ValueError("expected a time as in RFC 3339")
    year, month, day, hour, minute, second, fraction, sign, hours, minutes = found.groups()
    fields.put("year", int(year))
    fields.put("month", int(month))
    fields.put("day", int(day))
    fields.put_hour(int(hour))
    fields.put("minute", int(minute))
    fields.put("second", int(second))
    if fraction is not None:
        fields.put("nanosecond", _nanoseconds(fraction))
    offset = int(hours) * 3600 + int(minutes) * 60 if sign else 0
    if offset >= DAY_S:
        raise ValueError("an offset of a day or more")
    fields.put("offset", -offset if sign == "-" else offset)
    return found.end()


_PART_READERS: Final[dict[str, PartReader]] = {
    "a": _name("weekday", WEEKDAYS, long=False),
    "A": _name("weekday", WEEKDAYS, long=True),
    "b": _name("month", MONTHS, long=False),
    "B": _name("month", MONTHS, long=True),
    "p": _half,
    "P": _half,
    ".f": _fraction,
    ".3f": _fraction,
    ".6f": _fraction,
    ".9f": _fraction,
    "3f": _bare_fraction(3),
    "6f": _bare_fraction(6),
    "9f": _bare_fraction(9),
    "Z": _zone_name,
    "z": _offset,
    ":z": _offset,
    "#z": _lax_offset,
    "+": _rfc3339,
}

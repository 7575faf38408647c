"""Formats of dates and clock times, and writing with them. Reading is `strptime`'s.

A format is text with directives (`%Y`, `%-d`, `%.3f`); `compile_format` makes items of it, the
same for both directions. The set is that of Rust's chrono 0.4.19. Spec: csml-language §10.12.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from palaver.csml.bounds import MAX_TEXT, too_large
from palaver.csml.stdlib.calendar import DAY_S, Date, full_date

MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

# --- formats -----------------------------------------------------------------------------------


class Text(NamedTuple):
    """Characters that stand for themselves, none of them blank."""

    text: str


class Blank(NamedTuple):
    """White space: written as it is, any amount or none of it is read."""

    text: str


class Number(NamedTuple):
    """A number of `width` digits, filled up with `pad` (`0`, a blank, or nothing)."""

    field: str
    width: int
    pad: str


class Part(NamedTuple):
    """Anything else, by its directive without `%`."""

    code: str


Item: TypeAlias = Text | Blank | Number | Part

_NUMBERS: Final = {
    code: Number(field, width, pad)
    for code, field, width, pad in (
        ("Y", "year", 4, "0"),
        ("C", "century", 2, "0"),
        ("y", "short_year", 2, "0"),
        ("G", "iso_year", 4, "0"),
        ("g", "short_iso_year", 2, "0"),
        ("m", "month", 2, "0"),
        ("d", "day", 2, "0"),
        ("e", "day", 2, " "),
        ("j", "ordinal", 3, "0"),
        ("w", "weekday_from_sunday", 1, ""),
        ("u", "weekday_from_monday", 1, ""),
        ("U", "sunday_week", 2, "0"),
        ("W", "monday_week", 2, "0"),
        ("V", "iso_week", 2, "0"),
        ("H", "hour", 2, "0"),
        ("k", "hour", 2, " "),
        ("I", "hour12", 2, "0"),
        ("l", "hour12", 2, " "),
        ("M", "minute", 2, "0"),
        ("S", "second", 2, "0"),
        ("f", "nanosecond", 9, "0"),
        ("s", "timestamp", 1, ""),
    )
}
_PARTS: Final = frozenset(
    {"a", "A", "b", "B", "p", "P", "Z", "z", ":z", "#z", "+"}
    | {".f", ".3f", ".6f", ".9f", "3f", "6f", "9f"}
)
_COMPOSED: Final = {
    "D": "%m/%d/%y",
    "x": "%m/%d/%y",
    "F": "%Y-%m-%d",
    "v": "%e-%b-%Y",
    "R": "%H:%M",
    "T": "%H:%M:%S",
    "X": "%H:%M:%S",
    "r": "%I:%M:%S %p",
    "c": "%a %b %e %H:%M:%S %Y",
    "h": "%b",
}
_TOKEN = re.compile(r"%([-_0]?)(\.?[369]f|\.f|[:#]z|.)|(\s+)|([^\s%]+)", re.DOTALL)
_PADS: Final = {"-": "", "_": " ", "0": "0"}


def compile_format(text: str) -> list[Item]:
    """The items of a format. Raises: ValueError: an unknown directive, or one without padding."""
    items: list[Item] = []
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise ValueError("a format ends with %")
        at = token.end()
        pad, code, blanks, plain = token.groups()
        if plain is not None:
            items.append(Text(plain))
        elif blanks is not None:
            items.append(Blank(blanks))
        elif pad:
            if code not in _NUMBERS:
                raise ValueError(f"%{pad}{code} is no directive")
            items.append(_NUMBERS[code]._replace(pad=_PADS[pad]))
        else:
            items.extend(_directive(code))
    return items


def _directive(code: str) -> Iterable[Item]:
    if code in _NUMBERS:
        return (_NUMBERS[code],)
    if code in _PARTS:
        return (Part(code),)
    found = _EXPANDED.get(code)
    if found is None:
        raise ValueError(f"%{code} is no directive")
    return found


_EXPANDED: dict[str, list[Item]] = {"%": [Text("%")], "t": [Blank("\t")], "n": [Blank("\n")]}
_EXPANDED |= {code: compile_format(composed) for code, composed in _COMPOSED.items()}


# --- moments -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant as clocks somewhere show it. `offset_s`: east of UTC; `zone`: what `%Z` writes."""

    date: Date
    hour: int
    minute: int
    second: int
    millisecond: int
    offset_s: int
    zone: str
    unix_s: int


def moment_of(unix_ms: int, offset_s: int = 0, zone: str = "UTC") -> Moment:
    unix_s, millisecond = divmod(unix_ms, 1000)
    days, clock = divmod(unix_s + offset_s, DAY_S)
    hour, rest = divmod(clock, 3600)
    minute, second = divmod(rest, 60)
    return Moment(full_date(days), hour, minute, second, millisecond, offset_s, zone, unix_s)


def offset_text(offset_s: int, colon: str = ":") -> str:
    """`+09:30`; seconds are dropped."""
    hours, minutes = divmod(abs(offset_s) // 60, 60)
    return f"{'-' if offset_s < 0 else '+'}{hours:02d}{colon}{minutes:02d}"


def rfc3339(moment: Moment, fraction: str) -> str:
    """`2021-03-04T15:06:07<fraction>+01:00`."""
    date = moment.date
    day = f"{_year_text(date.year, 4, '0')}-{date.month:02d}-{date.day:02d}"
    return f"{day}T{clock_text(moment)}{fraction}"


def clock_text(moment: Moment) -> str:
    return f"{moment.hour:02d}:{moment.minute:02d}:{moment.second:02d}"


_FIELDS: Final[dict[str, Callable[[Moment], int]]] = {
    "year": lambda moment: moment.date.year,
    "century": lambda moment: moment.date.year // 100,
    "short_year": lambda moment: moment.date.year % 100,
    "iso_year": lambda moment: moment.date.iso_year,
    "short_iso_year": lambda moment: moment.date.iso_year % 100,
    "month": lambda moment: moment.date.month,
    "day": lambda moment: moment.date.day,
    "ordinal": lambda moment: moment.date.ordinal,
    "weekday_from_sunday": lambda moment: (moment.date.weekday + 1) % 7,
    "weekday_from_monday": lambda moment: moment.date.weekday + 1,
    "sunday_week": lambda moment: moment.date.sunday_week,
    "monday_week": lambda moment: moment.date.monday_week,
    "iso_week": lambda moment: moment.date.iso_week,
    "hour": lambda moment: moment.hour,
    "hour12": lambda moment: moment.hour % 12 or 12,
    "minute": lambda moment: moment.minute,
    "second": lambda moment: moment.second,
    "nanosecond": lambda moment: moment.millisecond * 1_000_000,
    "timestamp": lambda moment: moment.unix_s,
}


def _fraction(moment: Moment) -> str:
    """A point and as many digits as it takes: none or three."""
    return f".{moment.millisecond:03d}" if moment.millisecond else ""


def _half(moment: Moment) -> str:
    return "pm" if moment.hour >= 12 else "am"


_WRITERS: Final[dict[str, Callable[[Moment], str]]] = {
    "a": lambda moment: WEEKDAYS[moment.date.weekday][:3],
    "A": lambda moment: WEEKDAYS[moment.date.weekday],
    "b": lambda moment: MONTHS[moment.date.month - 1][:3],
    "B": lambda moment: MONTHS[moment.date.month - 1],
    "P": _half,
    "p": lambda moment: _half(moment).upper(),
    "Z": lambda moment: moment.zone,
    "z": lambda moment: offset_text(moment.offset_s, ""),
    ":z": lambda moment: offset_text(moment.offset_s),
    "+": lambda moment: rfc3339(moment, _fraction(moment)) + offset_text(moment.offset_s),
    ".f": _fraction,
    ".3f": lambda moment: f".{moment.millisecond:03d}",
    ".6f": lambda moment: f".{moment.millisecond:03d}000",
    ".9f": lambda moment: f".{moment.millisecond:03d}000000",
    "3f": lambda moment: f"{moment.millisecond:03d}",
    "6f": lambda moment: f"{moment.millisecond:03d}000",
    "9f": lambda moment: f"{moment.millisecond:03d}000000",
}


def format_moment(moment: Moment, items: Iterable[Item], limit: int = MAX_TEXT) -> str:
    """The text of a moment.

    Args:
        limit: characters; more raise BudgetExceeded.

    Raises:
        ValueError: a directive that only reads (`%#z`).
    """
    out: list[str] = []
    left = limit
    for item in items:
        piece = _written(moment, item)
        left -= len(piece)
        if left < 0:
            raise too_large(limit)
        out.append(piece)
    return "".join(out)


def _written(moment: Moment, item: Item) -> str:
    if isinstance(item, Text | Blank):
        return item.text
    if isinstance(item, Part):
        write = _WRITERS.get(item.code)
        if write is None:
            raise ValueError(f"%{item.code} cannot be written")
        return write(moment)
    number = _FIELDS[item.field](moment)
    if item.field in ("year", "iso_year"):
        return _year_text(number, item.width, item.pad)
    return _padded(str(number), item.width, item.pad)


def _year_text(year: int, width: int, pad: str) -> str:
    """Years that need other than four digits have a sign (ISO 8601), beside `width` digits."""
    if 0 <= year <= 9999:
        return _padded(str(year), width, pad)
    return _padded(f"{year:+d}", width + 1, pad)


def _padded(number: str, width: int, pad: str) -> str:
    if pad == "0":
        return number.zfill(width)
    return number.rjust(width) if pad else number

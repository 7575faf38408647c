"""The `Time()` built-in and the methods of times. Spec: csml-language §10.12.

A time is an object of content type `time`: `{"milliseconds": <unix ms>}`, and perhaps `timezone`
(an IANA name) and `offset` (seconds). Authors' programs and the memory API may hold others, so
nothing here trusts those members.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from palaver.csml.failures import SoftError
from palaver.csml.source import Position
from palaver.csml.stdlib.calendar import (
    DAY_S,
    INSTANT_MAX,
    INSTANT_MIN,
    YEAR_MAX,
    YEAR_MIN,
    days_of,
    is_date,
    is_zone,
    zone_offset,
)
from palaver.csml.stdlib.fields import instant, instant_with_offset
from palaver.csml.stdlib.strftime import (
    Moment,
    compile_format,
    format_moment,
    moment_of,
    offset_text,
    rfc3339,
)
from palaver.csml.stdlib.strptime import parse_by, parse_rfc3339
from palaver.csml.stdlib.table import ANY, Arguments, Builtins, Methods, Result
from palaver.csml.values import Members, Value, share, with_content_type

if TYPE_CHECKING:
    from palaver.csml.state import Run

TIME_BUILTINS: Final = Builtins()
TIME: Final = Methods("Object")

ADD_USAGE: Final = "add(time_in_seconds: int) => Time Object"
SUB_USAGE: Final = "sub(time_in_seconds: int) => Time Object"
ZONE_USAGE: Final = (
    'with_timezone(timezone_name: string) => Time Object. Example: with_timezone("Europe/Paris") '
)
PARSE_USAGE: Final = (
    "expect one ore two arguments :\n"
    '                Time().parse("2020-08-13")   or\n'
    '                Time().parse("1983-08-13 12:09:14.274", "%Y-%m-%d %H:%M:%S%.3f")'
)
NOT_RFC3339: Final = (
    "invalid value, 'parse(String)' expect a valid RFC 3339 and ISO 8601 date and time string"
    " such as '1996-12-19T00:00:00Z'"
)
NOT_BY_FORMAT: Final = (
    "invalid value,\n"
    "    expect date and a specified format to parse the date example:\n"
    '    parse("1983 08 13 12:09:14.274", "%Y %m %d %H:%M:%S%.3f")'
)
NO_INSTANT_FORMAT: Final = "usage: Time().format(format: String)"
NO_INSTANT_UNIX: Final = (
    'unix(type_of_time) expect string argument "m" || "s" => int(time in seconds or milliseconds)'
)
BEYOND: Final = f"the time is beyond the calendar (years {YEAR_MIN} to {YEAR_MAX})"

FORMAT_COST: Final = 4
"""Instructions per character of a format: a directive of two is some microseconds of work."""


@TIME_BUILTINS.add("Time")
def now(run: Run, args: Arguments, at: Position) -> Result:
    """The present moment; arguments are ignored."""
    return _time(run.host.now_ms(), at)


def _time(unix_ms: int, at: Position, offset_s: int = 0) -> Value:
    members = Members({"milliseconds": Value(unix_ms, at)})
    if offset_s:
        members["offset"] = Value(offset_s, at)
    return with_content_type(members, "time", at)


def _members(this: Value) -> Members:
    assert isinstance(this.data, Members)  # noqa: S101 — the table is that of time objects
    return this.data


def _int(value: Value | None) -> int | None:
    """The value's int; None for anything else, booleans included."""
    return value.data if value is not None and type(value.data) is int else None


def _milliseconds(this: Value, complaint: str) -> int:
    """The instant. Raises: SoftError: there is none, or one that the calendar does not have."""
    unix_ms = _int(_members(this).get("milliseconds"))
    if unix_ms is None:
        raise SoftError(complaint)
    if not INSTANT_MIN <= unix_ms <= INSTANT_MAX:
        raise SoftError(BEYOND)
    return unix_ms


def _changed(this: Value, at: Position) -> Value:
    """The receiver as a result: its container has a second owner now."""
    share(this)
    return Value(this.data, at, this.meta)


# --- changing ----------------------------------------------------------------------------------

_DEFAULTS: Final = (0, 1, 1, 1, 0, 0, 0)
"""Year, month, day, hour (sic), minute, second, millisecond."""


@TIME.add("at", (0, ANY), mutates=True)
def set_instant(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    """Sets the UTC instant; false, and no change, for a date or clock time that is impossible.

    More than seven arguments give false too: the one soft error of the recorded
    `Time().at(…).format()` is then that of `format`.
    """
    if len(args) > len(_DEFAULTS):
        return False
    parts = list(_DEFAULTS)
    for index, arg in enumerate(args):
        if (number := _int(arg)) is not None:
            parts[index] = number
    year, month, day, hour, minute, second, ms = parts
    if not is_date(year, month, day):
        return False
    if not (0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second <= 59 and 0 <= ms <= 1999):
        return False
    seconds = days_of(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second
    _members(this)["milliseconds"] = Value(seconds * 1000 + ms, at)
    return _changed(this, at)


@TIME.add("add", (1, ANY), ADD_USAGE, mutates=True)
def add_seconds(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    return _shifted(this, args[0], 1, f"usage: {ADD_USAGE}", at)


@TIME.add("sub", (1, ANY), SUB_USAGE, mutates=True)
def subtract_seconds(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    return _shifted(this, args[0], -1, f"usage: {SUB_USAGE}", at)


def _shifted(this: Value, seconds: Value, sign: int, usage: str, at: Position) -> Value:
    amount = _int(seconds)
    if amount is None:
        raise SoftError(usage)
    unix_ms = _milliseconds(this, usage) + sign * amount * 1000
    if not INSTANT_MIN <= unix_ms <= INSTANT_MAX:
        raise SoftError(BEYOND)
    _members(this)["milliseconds"] = Value(unix_ms, at)
    return _changed(this, at)


@TIME.add("with_timezone", (1, ANY), ZONE_USAGE, mutates=True)
def set_timezone(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    name = args[0].data
    if not isinstance(name, str):
        raise SoftError(f"usage: {ZONE_USAGE}")
    if not is_zone(name):
        raise SoftError(f"invalid timezone {name}")
    _members(this)["timezone"] = Value(name, at)
    return _changed(this, at)


# --- reading out -------------------------------------------------------------------------------


@TIME.add("unix", (0, ANY), mutates=True)
def unix_time(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    """Milliseconds, or seconds rounded down; changes nothing, yet counts as mutating."""
    unix_ms = _int(_members(this).get("milliseconds"))
    if unix_ms is None:
        raise SoftError(NO_INSTANT_UNIX)
    return unix_ms // 1000 if args and args[0].data == "s" else unix_ms


@TIME.add("format", (0, ANY))
def format_time(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    """RFC 3339 with milliseconds, or by a format."""
    if not args:
        moment, is_local = _moment(this)
        zone = offset_text(moment.offset_s) if is_local else "Z"
        return rfc3339(moment, f".{moment.millisecond:03d}") + zone
    wanted = args[0].data
    if not isinstance(wanted, str):
        raise SoftError("format parameter must be of type string")
    moment, _ = _moment(this)
    run.spend(len(wanted) * FORMAT_COST)
    try:
        return format_moment(moment, compile_format(wanted), run.limits.value_bytes)
    except ValueError as error:
        raise SoftError(f"invalid format: {error}") from None


def _moment(this: Value) -> tuple[Moment, bool]:
    """The time in its zone or offset, and whether it has one."""
    unix_ms = _milliseconds(this, NO_INSTANT_FORMAT)
    members = _members(this)
    zone = members.get("timezone")
    if zone is not None:
        name = zone.data if isinstance(zone.data, str) else "UTC"
        if not is_zone(name):
            raise SoftError(f"invalid timezone {name}")
        return moment_of(unix_ms, *zone_offset(name, unix_ms // 1000)), True
    offset_s = _int(members.get("offset"))
    if offset_s is None or abs(offset_s) >= DAY_S:
        return moment_of(unix_ms), False
    return moment_of(unix_ms, offset_s, offset_text(offset_s)), True


# --- parsing -----------------------------------------------------------------------------------

_COMPLETIONS: Final = {
    4: "-01-01T00:00:00Z",
    7: "-01T00:00:00Z",
    10: "T00:00:00Z",
    13: ":00:00Z",
    16: ":00Z",
    19: "Z",
}
"""Length of a text that lacks its end → that end."""


@TIME.add("parse", (1, ANY), PARSE_USAGE)
def parse_time(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    """A new time; the receiver does not matter."""
    text = args[0].data
    if len(args) == 1:
        if not isinstance(text, str):
            raise SoftError(NOT_RFC3339)
        run.spend(len(text) // 16 + 1)
        return _parse_standard(text, at)
    wanted = args[1].data
    if not isinstance(text, str) or not isinstance(wanted, str):
        raise SoftError(NOT_BY_FORMAT)
    run.spend(len(text) // 16 + len(wanted) * FORMAT_COST)
    try:
        return _time(instant(parse_by(text, compile_format(wanted))), at)
    except ValueError:
        raise SoftError(NOT_BY_FORMAT) from None


def _parse_standard(text: str, at: Position) -> Value:
    try:
        fields = parse_rfc3339(text + _COMPLETIONS.get(len(text), ""))
        return _time(instant_with_offset(fields), at, fields["offset"])
    except ValueError:
        raise SoftError(NOT_RFC3339) from None

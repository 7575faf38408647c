"""Times: setting, shifting, zones, formats both ways. Spec: csml-language §10.12."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.csml.failures import BudgetExceeded, SoftError
from palaver.csml.limits import Limits
from palaver.csml.stdlib.calendar import (
    DAY_MAX,
    DAY_MIN,
    DAY_S,
    INSTANT_MAX,
    INSTANT_MIN,
    date_of,
    days_of,
    full_date,
)
from palaver.csml.stdlib.time import TIME, TIME_BUILTINS
from palaver.csml.values import Members, Meta, Value, owned
from tests.speed import takes_at_most
from tests.unit.csml.fakes import FakeRun, accepts_count, call, call_builtin, plain

PARSE_ERROR = (
    "invalid value, 'parse(String)' expect a valid RFC 3339 and ISO 8601 date and time string "
    "such as '1996-12-19T00:00:00Z'"
)
FORMAT_ERROR = (
    "invalid value,\n    expect date and a specified format to parse the date example:\n"
    '    parse("1983 08 13 12:09:14.274", "%Y %m %d %H:%M:%S%.3f")'
)


def moment(milliseconds: Any = 0, **members: Any) -> Value:
    """A time object, also one that only the memory API could write."""
    given = {"milliseconds": milliseconds} | members
    return Value(
        Members({key: Value(data) for key, data in given.items() if data is not ...}),
        meta=Meta(content_type="time"),
    )


def at(*parts: Any) -> Value:
    result = call(TIME, "at", moment(), *parts)
    assert isinstance(result, Value)
    return result


def shown(this: Value, *args: Any) -> Any:
    return call(TIME, "format", this, *args)


def error_of(name: str, this: Value, *args: Any) -> str:
    with pytest.raises(SoftError) as caught:
        call(TIME, name, this, *args)
    return caught.value.text


T = at(2021, 3, 4, 5, 6, 7, 89)
AFTERNOON = at(2021, 3, 4, 15, 6, 7, 89)


def test_time_is_the_present_whatever_its_arguments() -> None:
    run = FakeRun()
    for args in ((), (1, "x")):
        found = call_builtin(TIME_BUILTINS, "Time", *args, run=run)
        assert plain(found) == {"milliseconds": run.host.now_ms()}
        assert found.meta == Meta(content_type="time")


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((2021, 3, 4, 5, 6, 7, 89), "2021-03-04T05:06:07.089Z"),
        ((2021, 3, 4, 5), "2021-03-04T05:00:00.000Z"),
        ((2021, 3, 4), "2021-03-04T01:00:00.000Z"),
        ((2021, 3), "2021-03-01T01:00:00.000Z"),
        ((2021,), "2021-01-01T01:00:00.000Z"),
        ((), "0000-01-01T01:00:00.000Z"),
        (("2021", "3"), "0000-01-01T01:00:00.000Z"),
        ((2021, "x", 5), "2021-01-05T01:00:00.000Z"),
        ((2020, "5", 4.0, None, 30), "2020-01-01T01:30:00.000Z"),
        ((2020, True), "2020-01-01T01:00:00.000Z"),
        ((2020, 2, 29, 23, 59, 59, 999), "2020-02-29T23:59:59.999Z"),
        ((2020, 1, 1, 0, 0, 0, 1999), "2020-01-01T00:00:01.999Z"),
        ((1969, 12, 31, 23, 59, 59, 999), "1969-12-31T23:59:59.999Z"),
        ((-44, 3, 15, 12), "-0044-03-15T12:00:00.000Z"),
        ((99, 1, 1, 0), "0099-01-01T00:00:00.000Z"),
        ((12345, 1, 1, 0), "+12345-01-01T00:00:00.000Z"),
        ((262143, 12, 31, 23), "+262143-12-31T23:00:00.000Z"),
        ((-262144, 1, 1, 0), "-262144-01-01T00:00:00.000Z"),
    ],
)
def test_at_sets_the_utc_instant(parts: tuple[Any, ...], expected: str) -> None:
    assert shown(at(*parts)) == expected


@pytest.mark.parametrize(
    "parts",
    [
        (2021, 1, 1, 24), (2021, 1, 1, 0, 60), (2021, 1, 1, 0, 0, 60), (2021, 1, 1, -1),
        (2021, 1, 1, 0, 0, 0, 2000), (2021, 2, 29), (2021, 0, 1), (2021, 13), (2021, 1, 0),
        (2021, 4, 31), (1900, 2, 29), (999999,), (262144,), (-262145,), (2**63 - 1,), (-(2**63),),
    ],
)  # fmt: skip
def test_at_answers_false_for_what_is_impossible(parts: tuple[Any, ...]) -> None:
    this = moment(5)
    assert call(TIME, "at", this, *parts) is False
    assert plain(this) == {"milliseconds": 5}


def test_at_answers_false_for_more_than_seven_arguments() -> None:
    this = moment(5)
    assert accepts_count(TIME, "at", 8)
    assert call(TIME, "at", this, 2021, 1, 1, 0, 0, 0, 0, 5) is False
    assert plain(this) == {"milliseconds": 5}


def test_a_result_is_the_time_itself() -> None:
    this = moment(0)
    result = call(TIME, "add", this, 60)
    assert plain(this) == plain(result) == {"milliseconds": 60_000}
    assert result.meta == Meta(content_type="time")
    again = call(TIME, "add", owned(result), 60)
    assert plain(again) == {"milliseconds": 120_000}
    assert plain(this) == {"milliseconds": 60_000}


@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("add", (60,), 61_500),
        ("add", (-1,), 500),
        ("add", (1, "ignored"), 2_500),
        ("sub", (2,), -500),
        ("sub", (0,), 1_500),
    ],
)
def test_add_and_sub_shift(name: str, args: tuple[Any, ...], expected: int) -> None:
    this = moment(1_500)
    call(TIME, name, this, *args)
    assert plain(this) == {"milliseconds": expected}


@pytest.mark.parametrize("bad", [1.5, "60", None, True, [1]])
@pytest.mark.parametrize("name", ["add", "sub"])
def test_add_and_sub_want_an_int(name: str, bad: Any) -> None:
    usage = f"{name}(time_in_seconds: int) => Time Object"
    assert error_of(name, moment(), bad) == f"usage: {usage}"
    assert TIME[name].usage == usage
    assert not accepts_count(TIME, name, 0)


@pytest.mark.parametrize("amount", [2**63 - 1, -(2**63), 10**13])
def test_shifting_beyond_the_calendar_is_an_error(amount: int) -> None:
    this = moment(7)
    assert "beyond the calendar" in error_of("add", this, amount)
    assert "beyond the calendar" in error_of("sub", this, amount)
    assert plain(this) == {"milliseconds": 7}


@pytest.mark.parametrize(
    ("milliseconds", "args", "expected"),
    [
        (1614834367890, (), 1614834367890),
        (1614834367890, ("m",), 1614834367890),
        (1614834367890, ("s",), 1614834367),
        (1614834367890, ("x",), 1614834367890),
        (1614834367890, (5,), 1614834367890),
        (1614834367890, ("s", "m"), 1614834367),
        (-1500, ("s",), -2),
    ],
)
def test_unix(milliseconds: int, args: tuple[Any, ...], expected: int) -> None:
    assert call(TIME, "unix", moment(milliseconds), *args) == expected


def test_which_methods_change_the_receiver() -> None:
    assert {name for name, method in TIME.items() if method.mutates} == {
        "at", "unix", "add", "sub", "with_timezone",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("this", "name", "error"),
    [
        (moment("x"), "format", "usage: Time().format(format: String)"),
        (moment(...), "format", "usage: Time().format(format: String)"),
        (
            moment(1.5),
            "unix",
            'unix(type_of_time) expect string argument "m" || "s" => int(time in seconds or milliseconds)',
        ),
        (moment(0, timezone="x/y"), "format", "invalid timezone x/y"),
        (moment(0, timezone="../../etc/passwd"), "format", "invalid timezone ../../etc/passwd"),
    ],
)
def test_times_of_the_memory_api_that_are_none(this: Value, name: str, error: str) -> None:
    assert error_of(name, this) == error


@pytest.mark.parametrize("milliseconds", [INSTANT_MIN - 1, INSTANT_MAX + 1, 2**63 - 1, -(2**63)])
def test_instants_beyond_the_calendar_have_no_format(milliseconds: int) -> None:
    assert "beyond the calendar" in error_of("format", moment(milliseconds))
    assert "beyond the calendar" in error_of("format", moment(milliseconds, timezone="Asia/Tokyo"))


@pytest.mark.parametrize(
    ("this", "expected"),
    [
        (moment(0, timezone=5), "1970-01-01T00:00:00.000+00:00"),
        (moment(0, offset="x"), "1970-01-01T00:00:00.000Z"),
        (moment(0, offset=90_000), "1970-01-01T00:00:00.000Z"),
        (moment(0, offset=0), "1970-01-01T00:00:00.000+00:00"),
        (moment(0, offset=7200), "1970-01-01T02:00:00.000+02:00"),
        (moment(0, offset=-34200), "1969-12-31T14:30:00.000-09:30"),
        (moment(0, offset=7200, timezone="Asia/Tokyo"), "1970-01-01T09:00:00.000+09:00"),
        (moment(INSTANT_MAX, timezone="Asia/Tokyo"), "+262144-01-01T08:59:59.999+09:00"),
    ],
)
def test_zone_and_offset_of_a_time(this: Value, expected: str) -> None:
    assert shown(this) == expected


@pytest.mark.parametrize(
    ("parts", "zone", "form", "expected"),
    [
        ((2021, 7, 1, 12), "Europe/Paris", "%F %T %Z %z", "2021-07-01 14:00:00 CEST +0200"),
        ((2021, 10, 31, 0, 30), "Europe/Paris", "%F %T %Z %z", "2021-10-31 02:30:00 CEST +0200"),
        ((2021, 10, 31, 1, 30), "Europe/Paris", "%F %T %Z %z", "2021-10-31 02:30:00 CET +0100"),
        ((2021, 3, 28, 0, 59, 59), "Europe/Paris", "%F %T %Z", "2021-03-28 01:59:59 CET"),
        ((2021, 3, 28, 1), "Europe/Paris", "%F %T %Z", "2021-03-28 03:00:00 CEST"),
        ((1900, 1, 1, 0), "Europe/Paris", "%F %T %Z %z %:z", "1900-01-01 00:09:21 PMT +0009 +00:09"),
        ((-5000, 1, 1, 0), "Europe/Paris", "%F %T %Z", "-5000-01-01 00:09:21 LMT"),
        ((2099, 7, 1, 0), "Europe/Paris", "%H %Z", "02 CEST"),
        ((2100, 7, 1, 0), "Europe/Paris", "%H %Z", "02 CEST"),
        ((9999, 12, 31, 23, 30), "Asia/Tokyo", "%F %T", "+10000-01-01 08:30:00"),
        ((52021, 7, 1, 0), "Europe/Paris", "%H %Z", "02 CEST"),
        ((52021, 1, 1, 0), "Europe/Paris", "%H %Z", "01 CET"),
        ((2021, 7, 1, 12), "America/New_York", "%T %Z %z", "08:00:00 EDT -0400"),
        ((2021, 7, 1, 12), "Asia/Kolkata", "%T %Z %:z", "17:30:00 IST +05:30"),
        ((2021, 7, 1, 12), "Asia/Kathmandu", "%T %Z %z", "17:45:00 +0545 +0545"),
        ((2021, 1, 1, 0), "America/Sao_Paulo", "%F %T %Z %z", "2020-12-31 21:00:00 -03 -0300"),
        ((2021, 1, 1, 0), "Etc/GMT+5", "%Z %z", "-05 -0500"),
        ((2021, 1, 1, 0), "EST", "%T %Z %z", "19:00:00 EST -0500"),
        ((2021, 1, 1, 0), "GMT", "%Z %z", "GMT +0000"),
        ((2021, 7, 1, 0), "CET", "%Z", "CEST"),
        ((2021, 7, 1, 12), "UTC", "%T %Z %z %+", "12:00:00 UTC +0000 2021-07-01T12:00:00+00:00"),
    ],
)  # fmt: skip
def test_time_zones(parts: tuple[int, ...], zone: str, form: str, expected: str) -> None:
    this = call(TIME, "with_timezone", at(*parts), zone)
    assert shown(this, form) == expected


def test_with_timezone_stores_the_name() -> None:
    this = moment(0)
    call(TIME, "with_timezone", this, "Europe/Paris")
    assert plain(this) == {"milliseconds": 0, "timezone": "Europe/Paris"}


@pytest.mark.parametrize(
    "name", ["Mars/Base", "europe/paris", "+02:00", "", ".", "Europe", "zones"]
)
def test_unknown_time_zones(name: str) -> None:
    assert error_of("with_timezone", moment(), name) == f"invalid timezone {name}"


def test_with_timezone_wants_a_text() -> None:
    usage = 'with_timezone(timezone_name: string) => Time Object. Example: with_timezone("Europe/Paris") '
    assert error_of("with_timezone", moment(), 1) == f"usage: {usage}"
    assert TIME["with_timezone"].usage == usage
    assert not accepts_count(TIME, "with_timezone", 0)


# --- format ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("%Y", "2021"), ("%C", "20"), ("%y", "21"), ("%m", "03"), ("%b", "Mar"), ("%B", "March"),
        ("%h", "Mar"), ("%d", "04"), ("%e", " 4"), ("%a", "Thu"), ("%A", "Thursday"), ("%w", "4"),
        ("%u", "4"), ("%U", "09"), ("%W", "09"), ("%G", "2021"), ("%g", "21"), ("%V", "09"),
        ("%j", "063"), ("%D", "03/04/21"), ("%x", "03/04/21"), ("%F", "2021-03-04"),
        ("%v", " 4-Mar-2021"), ("%H", "05"), ("%k", " 5"), ("%I", "05"), ("%l", " 5"), ("%P", "am"),
        ("%p", "AM"), ("%M", "06"), ("%S", "07"), ("%f", "089000000"), ("%.f", ".089"),
        ("%.3f", ".089"), ("%.6f", ".089000"), ("%.9f", ".089000000"), ("%3f", "089"),
        ("%6f", "089000"), ("%9f", "089000000"), ("%R", "05:06"), ("%T", "05:06:07"),
        ("%X", "05:06:07"), ("%r", "05:06:07 AM"), ("%Z", "UTC"), ("%z", "+0000"),
        ("%:z", "+00:00"), ("%c", "Thu Mar  4 05:06:07 2021"),
        ("%+", "2021-03-04T05:06:07.089+00:00"), ("%s", "1614834367"), ("a%tb%nc", "a\tb\nc"),
        ("%%", "%"), ("%-d/%-m/%-y %-H:%-M:%-S", "4/3/21 5:6:7"),
        ("%_d/%_m %_H:%_M:%_S", " 4/ 3  5: 6: 7"), ("%0e %0k %0l", "04 05 05"),
        ("%-j|%_j|%-I|%-e|%_Y", "63| 63|5|4|2021"), ("le %d à %Hh%M 100%%", "le 04 à 05h06 100%"),
        ("plain", "plain"), ("", ""), (" \n %Y ", " \n 2021 "), ("%-f", "89000000"),
    ],
)  # fmt: skip
def test_format_directives(form: str, expected: str) -> None:
    assert shown(T, form) == expected
    assert shown(T, form, "ignored") == expected


@pytest.mark.parametrize(
    ("parts", "form", "expected"),
    [
        ((2021, 3, 4, 15), "%H %k %I %l %P %p %r", "15 15 03  3 pm PM 03:00:00 PM"),
        ((2021, 3, 4, 0), "%.f|%f|%I|%l|%k|%P|%p", "|000000000|12|12| 0|am|AM"),
        ((2021, 3, 4, 12), "%I %p %P %r", "12 PM pm 12:00:00 PM"),
        ((2021, 3, 4, 12), "%+", "2021-03-04T12:00:00+00:00"),
        ((7, 1, 1, 0), "%Y %C %y %F %-Y", "0007 00 07 0007-01-01 7"),
        ((2021, 1, 1, 0), "%U %W %V %G %g %j %u %w %a", "00 00 53 2020 20 001 5 5 Fri"),
        ((2021, 1, 3, 0), "%U %W %V %G %u %w %a", "01 00 53 2020 7 0 Sun"),
        ((2021, 1, 4, 0), "%U %W %V", "01 01 01"),
        ((2024, 12, 30, 0), "%G-W%V-%u %j", "2025-W01-1 365"),
        ((-5, 1, 1, 0), "%Y|%-Y|%_Y|%C|%y", "-0005|-5|   -5|-1|95"),
        ((10000, 1, 1, 0), "%Y|%-Y|%G", "+10000|+10000|9999"),
    ],
)  # fmt: skip
def test_format_of_particular_times(parts: tuple[int, ...], form: str, expected: str) -> None:
    assert shown(at(*parts), form) == expected


@pytest.mark.parametrize(
    "form",
    ["%Q", "%", "a %", "%-", "%-D", "%-a", "%-%", "%.4f", "%.", "%:", "%#z", "%é", "%\n", "%_.3f"],
)
def test_unknown_directives_are_soft_errors(form: str) -> None:
    assert error_of("format", T, form).startswith("invalid format: ")


@pytest.mark.parametrize("form", [1, None, ["%Y"]])
def test_a_format_is_a_text(form: Any) -> None:
    assert error_of("format", T, form) == "format parameter must be of type string"


def test_formats_are_bounded_and_paid_for() -> None:
    with pytest.raises(BudgetExceeded, match="max_value_bytes"):
        call(TIME, "format", T, "%+" * 100, run=FakeRun(limits=Limits(value_bytes=1000)))
    with pytest.raises(BudgetExceeded, match="max_instructions"):
        call(TIME, "format", T, "%+" * 1000, run=FakeRun(limits=Limits(instructions=1000)))


# --- parse -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2021", "2021-01-01T00:00:00.000Z"),
        ("2021-03", "2021-03-01T00:00:00.000Z"),
        ("2021-03-04", "2021-03-04T00:00:00.000Z"),
        ("2021-03-04T12", "2021-03-04T12:00:00.000Z"),
        ("2021-03-04T12:30", "2021-03-04T12:30:00.000Z"),
        ("2021-03-04T12:30:05", "2021-03-04T12:30:05.000Z"),
        ("2021-03-04T12:30:05Z", "2021-03-04T12:30:05.000Z"),
        ("2021-03-04T12:30:05.25Z", "2021-03-04T12:30:05.250Z"),
        ("2021-03-04T12:30:05.123456789123Z", "2021-03-04T12:30:05.123Z"),
        ("2021-03-04t12:30:05z", "2021-03-04T12:30:05.000Z"),
        ("2021-03-04T12:30:05+02:00", "2021-03-04T12:30:05.000+02:00"),
        ("2021-03-04T12:30:05-09:30", "2021-03-04T12:30:05.000-09:30"),
        ("2021-03-04T12:30:05+00:00", "2021-03-04T12:30:05.000Z"),
        ("2021-03-04T12:30:05.999999999+01:00", "2021-03-04T12:30:05.999+01:00"),
        ("2021-03-04T23:59:60Z", "2021-03-05T00:00:00.000Z"),
        ("0000-02-29", "0000-02-29T00:00:00.000Z"),
        ("0001-01-01", "0001-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
    ],
)
def test_parse_of_rfc_3339(text: str, expected: str) -> None:
    found = call(TIME, "parse", moment(5, timezone="Asia/Tokyo"), text)
    assert found.meta == Meta(content_type="time")
    assert shown(found) == expected


def test_parse_remembers_an_offset() -> None:
    found = call(TIME, "parse", moment(), "2021-03-04T12:30:05-09:30")
    assert plain(found) == {"milliseconds": 1614895205000, "offset": -34200}
    assert shown(found, "%z %Z %:z") == "-0930 -09:30 -09:30"


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "today", "20210304", "2021-3-4", "21-03-04", "2021-13-01", "2021-02-29", "2021-13",
        "2021-03-04 12:30:05", "2021-03-04T12:30:05+0200", "2021-03-04T12:30:05 Z", "12:30",
        "2021-03-04T25:00:00Z", "2021-03-04T24:00:00Z", "2021-03-04T12:60:00Z", "04/03/2021",
        "2021-03-04T12:30:61Z", "2021-03-04T12:30Z", "+2021", "2021-W01", "20211", "２０２１",
        "2021-03-04T12:30:05+24:00", "2021-03-04T12:30:05+01:60", "2021-03-04T12:30:05.Z",
        "2021-03-04T12:30:05Zx", 2021, None,
    ],
)  # fmt: skip
def test_parse_refuses_other_texts(text: Any) -> None:
    assert error_of("parse", moment(), text) == PARSE_ERROR


def test_parse_without_arguments() -> None:
    assert not accepts_count(TIME, "parse", 0)
    assert TIME["parse"].usage == (
        "expect one ore two arguments :\n"
        '                Time().parse("2020-08-13")   or\n'
        '                Time().parse("1983-08-13 12:09:14.274", "%Y-%m-%d %H:%M:%S%.3f")'
    )


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        ("1983 08 13 12:09:14.274", "%Y %m %d %H:%M:%S%.3f", "1983-08-13T12:09:14.274Z"),
        ("1983-08-13 12:09:14 +0200", "%Y-%m-%d %H:%M:%S %z", "1983-08-13T10:09:14.000Z"),
        ("2021-01-05 10:20 +02:00", "%F %R %z", "2021-01-05T08:20:00.000Z"),
        ("2021-01-05 10:20 +02 00", "%F %R %:z", "2021-01-05T08:20:00.000Z"),
        ("2021-01-05 10:20 -03", "%F %R %#z", "2021-01-05T13:20:00.000Z"),
        ("2021-01-05 10:20 Z", "%F %R %#z", "2021-01-05T10:20:00.000Z"),
        ("1983-08-13 12:09:14", "%Y-%m-%d %H:%M:%S", "1983-08-13T12:09:14.000Z"),
        ("13/08/1983", "%d/%m/%Y", "1983-08-13T00:00:00.000Z"),
        ("13 August 1983", "%d %B %Y", "1983-08-13T00:00:00.000Z"),
        ("13 Aug 1983", "%d %B %Y", "1983-08-13T00:00:00.000Z"),
        ("JANUARY 5, 2021", "%B %d, %Y", "2021-01-05T00:00:00.000Z"),
        ("13 aug 83", "%d %b %y", "1983-08-13T00:00:00.000Z"),
        ("70-01-05", "%y-%m-%d", "1970-01-05T00:00:00.000Z"),
        ("69-01-05", "%y-%m-%d", "2069-01-05T00:00:00.000Z"),
        ("18 69-01-05", "%C %y-%m-%d", "1869-01-05T00:00:00.000Z"),
        ("1983-08-13 1:09 pm", "%Y-%m-%d %I:%M %p", "1983-08-13T13:09:00.000Z"),
        ("10:00 PM 2021-01-05", "%I:%M %p %Y-%m-%d", "2021-01-05T22:00:00.000Z"),
        ("12:00 am 2021-01-05", "%I:%M %P %Y-%m-%d", "2021-01-05T00:00:00.000Z"),
        ("1983-225", "%Y-%j", "1983-08-13T00:00:00.000Z"),
        ("2020-366", "%Y-%j", "2020-12-31T00:00:00.000Z"),
        ("1983-W32-6", "%G-W%V-%u", "1983-08-13T00:00:00.000Z"),
        ("2021-W05-1", "%G-W%V-%u", "2021-02-01T00:00:00.000Z"),
        ("2021 09 4", "%Y %U %w", "2021-03-04T00:00:00.000Z"),
        ("2021 09 Thu", "%Y %W %a", "2021-03-04T00:00:00.000Z"),
        ("429624554", "%s", "1983-08-13T12:09:14.000Z"),
        ("1234567890.5", "%s%.f", "2009-02-13T23:31:30.500Z"),
        ("1234567890 +0200", "%s %z", "2009-02-13T23:31:30.000Z"),
        ("2009-02-13 1234567890", "%F %s", "2009-02-13T23:31:30.000Z"),
        ("Sat, 13 Aug 1983", "%a, %d %b %Y", "1983-08-13T00:00:00.000Z"),
        ("saturday 13 Aug 1983", "%A %d %b %Y", "1983-08-13T00:00:00.000Z"),
        ("1983-8-3", "%Y-%m-%d", "1983-08-03T00:00:00.000Z"),
        ("5 1 2021", "%e %m %Y", "2021-01-05T00:00:00.000Z"),
        (" 2021-  01- 05", "%Y-%m-%d", "2021-01-05T00:00:00.000Z"),
        ("2021-01-05", "%Y -%m-%d", "2021-01-05T00:00:00.000Z"),
        ("1983-08-13T12:09:14Z", "%+", "1983-08-13T12:09:14.000Z"),
        ("1983-08-13T12:09:14+01:00", "%+", "1983-08-13T11:09:14.000Z"),
        ("at 1983-08-13 now", "at %F now", "1983-08-13T00:00:00.000Z"),
        ("19830813", "%Y%m%d", "1983-08-13T00:00:00.000Z"),
        ("1983-08-13 12", "%Y-%m-%d %H", "1983-08-13T00:00:00.000Z"),
        ("2021-01-05 10:20:00 UTC", "%F %T %Z", "2021-01-05T10:20:00.000Z"),
        ("2021-01-05 23:59:60", "%F %T", "2021-01-06T00:00:00.000Z"),
        ("2021-01-05 10:20:30274", "%F %T%3f", "2021-01-05T10:20:30.274Z"),
        ("2021-01-05 10:20:30", "%F %T%.f", "2021-01-05T10:20:30.000Z"),
        ("-0044-03-15", "%Y-%m-%d", "-0044-03-15T00:00:00.000Z"),
        ("+12345-03-15", "%F", "+12345-03-15T00:00:00.000Z"),
        ("Thu Mar  4 05:06:07 2021", "%c", "2021-03-04T05:06:07.000Z"),
        ("100%\t2021-01-05", "100%% %F", "2021-01-05T00:00:00.000Z"),
    ],
)
def test_parse_by_a_format(text: str, form: str, expected: str) -> None:
    found = call(TIME, "parse", moment(), text, form, "third")
    assert shown(found) == expected
    assert set(plain(found)) == {"milliseconds"}


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Sun 13 Aug 1983", "%a %d %b %Y"), ("1983-08-13", "%d-%m-%Y"), ("1983-08-13x", "%Y-%m-%d"),
        ("1983-08", "%Y-%m"), ("12:30", "%H:%M"), ("x", ""), ("1983", "%Q"), ("1983", "%"),
        ("32/08/1983", "%d/%m/%Y"), ("13/août/1983", "%d/%B/%Y"), ("2021-02-30", "%F"), ("2021", "%Y"),
        ("2021-366", "%Y-%j"), ("2021-01-05", ""), ("nonsense", "%Y"), ("2021-01-05 10", "%F"),
        ("2021-W54-1", "%G-W%V-%u"), ("2021 54 4", "%Y %U %w"), ("2021 00 1", "%Y %W %u"),
        ("99999999999999999999", "%s"), ("9" * 30, "%Y"), ("+999999-01-01", "%F"), ("-1", "%s"),
        ("2021-01-05 13 pm", "%F %I %p"), ("2021-01-05 2020", "%F %Y"), ("2021-01-05 8", "%F %u"),
        ("2021-01-05 7", "%F %w"), ("-5 20-01-01", "%Y %C-%m-%d"), ("2009-02-14 1234567890", "%F x%s"),
        ("2021-01-05 x", "%F %p"), ("2021-01-05 10:20:30.", "%F %T%.f"), ("2021-01-05 +01:60", "%F %z"),
        ("2021-01-05 01:00", "%F %z"), ("x", "%+"), ("4", "%-"),
    ],
)  # fmt: skip
def test_parse_refuses_what_does_not_fit(text: str, form: str) -> None:
    assert error_of("parse", moment(), text, form) == FORMAT_ERROR


@pytest.mark.parametrize("args", [(1983, "%Y"), ("1983", 4), (None, None), ([], "%Y")])
def test_parse_by_a_format_wants_texts(args: tuple[Any, Any]) -> None:
    assert error_of("parse", moment(), *args) == FORMAT_ERROR


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("1" * 300_000, "%s"), (" " * 300_000, "%Y" * 1000), ("1 " * 100_000, "%s " * 100_000),
        ("0" * 300_000, "%s%Y%s"), ("." + "1" * 300_000, "%.f"), ("x" * 300_000, "%Z" * 1000),
        ("2021" * 50_000, "%Y" * 50_000),
    ],
)  # fmt: skip
def test_hostile_texts_take_linear_time(text: str, form: str) -> None:
    with takes_at_most(3), contextlib.suppress(SoftError):
        call(TIME, "parse", moment(), text, form)


# --- properties --------------------------------------------------------------------------------


@given(st.integers(DAY_MIN, DAY_MAX))
def test_days_and_dates_are_inverse(days: int) -> None:
    assert days_of(*date_of(days)) == days


@given(st.dates())
def test_dates_agree_with_datetime(date: Any) -> None:
    found = full_date(date.toordinal() - 719_163)
    assert (found.year, found.month, found.day) == (date.year, date.month, date.day)
    assert (found.iso_year, found.iso_week, found.weekday + 1) == tuple(date.isocalendar())
    names = "%j %U %W"
    wanted = [int(number) for number in date.strftime(names).split()]
    assert [found.ordinal, found.sunday_week, found.monday_week] == wanted


@given(
    st.integers(-(2**40), 2**42),
    st.sampled_from(
        ["Europe/Paris", "America/St_Johns", "Australia/Lord_Howe", "Africa/Casablanca"]
    ),
)
def test_zones_agree_with_datetime(unix_s: int, zone: str) -> None:
    from zoneinfo import ZoneInfo

    moment_there = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=unix_s // 64)).astimezone(
        ZoneInfo(zone)
    )
    this = moment(unix_s // 64 * 1000, timezone=zone)
    assert shown(this, "%m-%d %H:%M:%S %Z") == moment_there.strftime("%m-%d %H:%M:%S %Z")


MARGIN_MS = 10 * DAY_S * 1000
"""At the ends of the calendar, local dates and ISO years are outside of it."""


@given(
    st.integers(INSTANT_MIN + MARGIN_MS, INSTANT_MAX - MARGIN_MS),
    st.integers(-DAY_S + 60, DAY_S - 60),
)
def test_what_is_formatted_is_parsed_back(milliseconds: int, offset: int) -> None:
    offset -= offset % 60
    this = moment(milliseconds, offset=offset)
    for form in ("%Y-%m-%d %H:%M:%S%.3f %z", "%j %Y %I %p %M %S %3f %:z", "%G %V %a %T%.f %z"):
        found = call(TIME, "parse", moment(), shown(this, form), form)
        assert plain(found) == {"milliseconds": milliseconds}


@given(st.text(alphabet="%YmdHMSzZfsjUWGVuaAbBpI+:.-_0369# 12T", max_size=30), st.text(max_size=12))
def test_no_format_ends_in_anything_but_a_soft_error(form: str, text: str) -> None:
    for this in (T, moment(INSTANT_MIN, timezone="Asia/Tokyo")):
        try:
            written = shown(this, form)
        except SoftError:
            written = text
        for subject in (written, text, form):
            with contextlib.suppress(SoftError):
                call(TIME, "parse", this, subject, form)
            with contextlib.suppress(SoftError):
                call(TIME, "parse", this, subject)


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 3000), max_size=7))
def test_at_is_a_time_or_false(parts: list[int]) -> None:
    result = call(TIME, "at", moment(), *parts)
    if result is not False:
        assert isinstance(shown(result), str)

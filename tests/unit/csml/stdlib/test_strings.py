"""The methods of strings. Spec: csml-language §10.3."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.csml.failures import BudgetExceeded, SoftError
from palaver.csml.limits import Limits
from palaver.csml.source import Position
from palaver.csml.stdlib.methods import BY_TYPE
from palaver.csml.stdlib.strings import is_email
from palaver.csml.values import Value
from tests.unit.csml.fakes import FakeRun, accepts_count, call, plain

STRING = BY_TYPE[str]

MATCH = '[do_match] takes one parameter of type String. Usage: string.do_match("tag")'
STARTS = '[starts_with] takes one parameter of type String. Usage: string.starts_with("tag")'
ENDS = '[ends_with] takes one parameter of type String. Usage: string.ends_with("tag")'
APPEND = '[append] takes one parameter of type String. Usage: string.append("text to append")'
SPLIT = '[join] takes one parameter of type String. Usage: array.join("elem") '
REPLACE = '[replace] takes tow parameter of type String. Usage: "this is old".replace("old", "new")'
REPLACE_ALL = (
    "[replace_all] takes tow parameter of type String. "
    'Usage: "old old old old".replace_all("old", "new")'
)
CONTAINS_REGEX = (
    '[contains_regex] takes one parameter of type String. Usage: string.contains_regex("regex")'
)
STARTS_REGEX = (
    "[starts_with_regex] takes one parameter of type String. "
    'Usage: string.start_with_regex("regex")'
)
ENDS_REGEX = (
    '[ends_with_regex] takes one parameter of type String. Usage: string.ends_with_regex("regex")'
)
MATCH_REGEX = '[match_regex] takes one parameter of type String. Usage: string.match_regex("regex")'
REPLACE_REGEX = (
    "[replace_regex] takes tow parameter of type String. "
    'Usage: "hello world".replace_regex("world", "Clevy")'
)
BAD_REGEX = "parameter must be a valid regex expression"
BAD_JSON = "[from_json] [!] string to object failed]"
DEEP_JSON = "[from_json] the text is nested deeper than max_json_depth (64)"
RANGE = ".slice(start, optional<end>) args need to be inferior to the string length"


@pytest.mark.parametrize(
    ("this", "name", "args", "expected"),
    [
        ("ab", "append", ["cd"], "abcd"),
        ("", "append", ["é"], "é"),
        ("Hello World", "contains", ["World"], True),
        ("Hello World", "contains", ["world"], False),
        ("Hello World", "contains", [""], True),
        ("Hello World", "contains", ["o.W"], False),
        ("Straße.pdf", "starts_with", ["Str"], True),
        ("Straße.pdf", "starts_with", ["str"], False),
        ("Straße.pdf", "ends_with", [".pdf"], True),
        ("", "ends_with", ["a"], False),
        ("abcabcab", "match", ["ab"], ["ab", "ab", "ab"]),
        ("aaaa", "match", ["aa"], ["aa", "aa"]),
        ("abc", "match", ["x"], None),
        ("ab", "match", [""], ["", "", ""]),
        ("", "match", [""], [""]),
        ("one two one", "replace", ["one", "1"], "1 two one"),
        ("one two", "replace", ["", "-"], "-one two"),
        ("one", "replace", ["o.e", "z"], "one"),
        ("one", "replace", ["one", "$0"], "$0"),
        ("one two one", "replace_all", ["one", "1"], "1 two 1"),
        ("abé", "replace_all", ["", "-"], "-a-b-é-"),
        ("one", "replace_all", ["one", "one one"], "one one"),
        ("ÉCOLE Straße", "to_lowercase", [], "école straße"),
        ("ΑΣ ΟΔΟΣ", "to_lowercase", [], "ας οδος"),
        ("école straße ŉ", "to_uppercase", [], "ÉCOLE STRASSE ʼN"),
        ("élan vital", "capitalize", [], "Élan vital"),
        ("ßa", "capitalize", [], "SSa"),
        ("ǆ", "capitalize", [], "Ǆ"),
        ("", "capitalize", [], ""),
        ("ABC", "capitalize", [], "ABC"),
        (" \t\n a b \r\n\u3000\xa0", "trim", [], "a b"),
        ("\u2028x ", "trim_left", [], "x "),
        (" x\u2028", "trim_right", [], " x"),
        ("\x1cx\x1c", "trim", [], "\x1cx\x1c"),
        ("abc", "length", [], 3),
        ("日本", "length", [], 6),
        ("👍🏽", "length", [], 8),
        ("", "is_empty", [], True),
        ("a", "is_empty", [None], False),
        ("héllo 日本👍", "slice", [1], "éllo 日本👍"),
        ("héllo 日本👍", "slice", [6, 8], "日本"),
        ("héllo 日本👍", "slice", [-3, -1], "日本"),
        ("héllo 日本👍", "slice", [0, 9], "héllo 日本👍"),
        ("héllo 日本👍", "slice", [2, 2], ""),
        ("a,b,,c", "split", [","], ["a", "b", "", "c"]),
        ("a,b", "split", [";"], ["a,b"]),
        ("", "split", [","], [""]),
        ("aé", "split", [""], ["", "a", "é", ""]),
        ("", "split", [""], ["", ""]),
        ("a--b---c", "split", ["--"], ["a", "b", "-c"]),
        ("a@b.c", "is_email", [], True),
        ("Order 66 shipped", "contains_regex", [r"\d+"], True),
        ("Order 66 shipped", "contains_regex", ["^shipped"], False),
        ("ab12", "starts_with_regex", [r"\d"], False),
        ("ab12", "starts_with_regex", ["[a-z]+$|ab"], True),
        ("aaa", "ends_with_regex", ["aa"], False),
        ("a1b22c333", "match_regex", [r"\d+"], ["1", "22", "333"]),
        ("abc", "match_regex", [r"\d"], None),
        ("ann bob", "replace_regex", [r"(\w+) (\w+)", "${2}_$1"], "bob_ann"),
        ('{"a": [1, 2.5, null, true, "x"]}', "from_json", [], {"a": [1, 2.5, None, True, "x"]}),
        ('{"a": 1, "a": 2}', "from_json", [], {"a": 2}),
        (" 42 ", "from_json", [], 42),
        ("-9223372036854775809", "from_json", [], -9223372036854775808.0),
    ],
)
def test_methods(this: str, name: str, args: list[Any], expected: Any) -> None:
    found = plain(call(STRING, name, this, *args))
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("this", "name", "args", "reason"),
    [
        ("a", "append", [4], APPEND),
        ("a", "append", [None], APPEND),
        ("a", "contains", [["a"]], MATCH),
        ("a", "match", [1], MATCH),
        ("a", "starts_with", [1], STARTS),
        ("a", "ends_with", [True], ENDS),
        ("a", "replace", ["a", 1], REPLACE),
        ("a", "replace_all", [1, "a"], REPLACE_ALL),
        ("a", "split", [1], SPLIT),
        ("a", "contains_regex", [66], CONTAINS_REGEX),
        ("a", "contains_regex", ["("], CONTAINS_REGEX),
        ("a", "starts_with_regex", [1], STARTS_REGEX),
        ("a", "starts_with_regex", ["["], BAD_REGEX),
        ("a", "ends_with_regex", [None], ENDS_REGEX),
        ("a", "ends_with_regex", [")"], ENDS_REGEX),
        ("a", "match_regex", [1], MATCH_REGEX),
        ("a", "match_regex", ["["], BAD_REGEX),
        ("a", "replace_regex", ["a", 1], REPLACE_REGEX),
        ("a", "replace_regex", ["[", "a"], REPLACE_REGEX),
        ("hello", "slice", [5], RANGE),
        ("", "slice", [0, 0], RANGE),
        ("hello", "slice", [-9, -7], RANGE),
        *(
            (text, "from_json", [], BAD_JSON)
            for text in ("", "a", "{", "['a']", "[1,]", "01", "NaN", '"\t"', '"\\ud83d"', "1e400")
        ),
        ("[" * 100_000, "from_json", [], DEEP_JSON),
        ("[" * 500 + "]" * 500, "from_json", [], DEEP_JSON),
        ("9223372036854775808", "from_json", [], "Number is larger than a 64-bit integer"),
    ],
)
def test_errors(this: str, name: str, args: list[Any], reason: str) -> None:
    with pytest.raises(SoftError) as caught:
        call(STRING, name, this, *args)
    assert caught.value.text == reason


def test_a_slice_bound_of_another_type_is_reported_where_it_stands() -> None:
    with pytest.raises(SoftError) as caught:
        call(STRING, "slice", "hello", 0, Value("2", Position(3, 14)))
    assert caught.value.at == Position(3, 14)


@pytest.mark.parametrize(
    ("name", "counts", "usage"),
    [
        ("append", {1}, "append(value: string) => string"),
        ("contains", {1}, "contains(value: string) => boolean"),
        ("contains_regex", {1}, "contains_regex(value: string) => boolean"),
        ("starts_with", {1}, "starts_with(value: string) => boolean"),
        ("starts_with_regex", {1}, "starts_with_regex(value: string) => boolean"),
        ("ends_with", {1}, "ends_with(value: string) => boolean"),
        ("ends_with_regex", {1}, "ends_with_regex(value: string) => boolean"),
        ("match", {1}, "match(value: string>) => array"),
        ("match_regex", {1}, "match_regex(value: string>) => array"),
        ("replace", {2}, "replace(value_to_replace: string, replace_by: string) => string"),
        ("replace_all", {2}, "replace_all(value_to_replace: string, replace_by: string) => string"),
        ("replace_regex", {2}, "replace_regex(regex: string, replace_by: string) => string"),
        ("to_lowercase", {0}, "to_lowercase() => string"),
        ("to_uppercase", {0}, "to_uppercase() => string"),
        ("capitalize", {0}, "capitalize() => string"),
        ("trim", {0}, "trim() => string"),
        ("trim_left", {0}, "trim_left() => string"),
        ("trim_right", {0}, "trim_right() => string"),
        ("length", {0}, "length() => int"),
        ("is_empty", {0, 1}, "is_empty() => boolean"),
        ("slice", {1, 2}, "slice(start: Integer, end: Optional<Integer>) => string"),
        ("split", {1}, "string(separator: string) => array"),
        ("is_email", {0}, "is_email() => boolean"),
        ("from_json", {0}, "from_json() => object"),
    ],
)
def test_usage_texts(name: str, counts: set[int], usage: str) -> None:
    assert STRING[name].usage == usage
    assert {count for count in range(4) if accepts_count(STRING, name, count)} == counts


@pytest.mark.parametrize(
    ("this", "name", "args"),
    [
        ("a" * 600, "append", ["b" * 600]),
        ("a" * 600, "replace", ["a", "b" * 600]),
        ("a" * 600, "replace_all", ["", "b"]),
        ("a" * 600, "replace_regex", ["a", "bb"]),
        ("ŉ" * 600, "to_uppercase", []),
        ("a" * 600, "split", [""]),
        ("a" * 600, "match", [""]),
    ],
)
def test_results_are_bounded(this: str, name: str, args: list[Any]) -> None:
    with pytest.raises(BudgetExceeded) as caught:
        call(STRING, name, this, *args, run=FakeRun(limits=Limits(value_bytes=1_000)))
    assert caught.value.limit == "max_value_bytes"


@pytest.mark.parametrize(("name", "args"), [("split", ["a"]), ("match", ["a"])])
def test_work_is_paid_for(name: str, args: list[Any]) -> None:
    run = FakeRun(limits=Limits(instructions=1_000))
    with pytest.raises(BudgetExceeded):
        call(STRING, name, "a" * 10_000, *args, run=run)


def test_what_a_json_text_holds_is_paid_for() -> None:
    run = FakeRun(limits=Limits(instructions=1_000))
    with pytest.raises(BudgetExceeded):
        call(STRING, "from_json", f"[{'1,' * 2_000}1]", run=run)


def test_new_pieces_are_created_at_the_method() -> None:
    pieces = call(STRING, "split", Value("a,b", Position(1, 1)), ",")
    assert {piece.position for piece in pieces} == {Position(7, 7)}


@given(text=st.text(alphabet="@.ab\n é", max_size=12))
def test_is_email_is_what_the_expression_says(text: str) -> None:
    assert is_email(text) is bool(re.fullmatch(r"[^@]+@[^@]+\.[^@]+", text))


@given(text=st.text(), separator=st.text(max_size=3))
def test_split_pieces_joined_are_the_text(text: str, separator: str) -> None:
    pieces = [piece.data for piece in call(STRING, "split", text, separator)]
    assert separator.join(pieces) == text

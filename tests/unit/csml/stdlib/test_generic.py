"""The methods every value has. Spec: csml-language §10.2."""

from __future__ import annotations

from typing import Any

import pytest

from palaver.csml.failures import BudgetExceeded, SoftError
from palaver.csml.limits import Limits
from palaver.csml.stdlib.generic import BOOLEAN, CLOSURE, GENERIC, NULL
from palaver.csml.stdlib.numbers import FLOAT, INT
from palaver.csml.stdlib.strings import STRING
from palaver.csml.values import Items, Members, Meta, Value, null_because
from tests.unit.csml.fakes import HERE, FakeRun, accepts_count, call, closure, plain

CLOSURE_VALUE = closure(lambda scope: Value(None))


@pytest.mark.parametrize(
    ("this", "name", "expected"),
    [
        ("", "type_of", "string"),
        (1, "type_of", "int"),
        (1.0, "type_of", "float"),
        (True, "type_of", "boolean"),
        (None, "type_of", "Null"),
        ([], "type_of", "array"),
        ({}, "type_of", "object"),
        (CLOSURE_VALUE, "type_of", "closure"),
        ("é", "to_string", "é"),
        (4.0, "to_string", "4"),
        (10.0**21, "to_string", "1000000000000000000000"),
        (True, "to_string", "true"),
        (None, "to_string", "Null"),
        (CLOSURE_VALUE, "to_string", "Null"),
        ([4.0, None, {"b": 1, "a": "x"}], "to_string", '[4.0,null,{"a":"x","b":1}]'),
        (5, "is_number", True),
        (5, "is_int", True),
        (5, "is_float", False),
        (5.0, "is_number", True),
        (5.0, "is_int", False),
        (5.0, "is_float", True),
        (True, "is_number", False),
        (True, "is_int", False),
        (None, "is_number", False),
        (None, "is_float", False),
        ([1], "is_number", False),
        (CLOSURE_VALUE, "is_int", False),
        (5, "is_error", False),
        (5, "get_info", "Null"),
    ],
)
def test_every_value_answers(this: Any, name: str, expected: Any) -> None:
    assert call(GENERIC, name, this) == expected


@pytest.mark.parametrize(
    ("text", "is_number", "is_int", "is_float"),
    [
        ("42", True, True, False),
        ("+42", True, True, False),
        ("4.2", True, False, True),
        ("4.", True, False, True),
        (".5", True, False, True),
        (".", False, False, False),
        ("1e3", True, False, False),
        ("1.0e3", True, False, True),
        ("1e", False, False, False),
        ("inf", True, False, False),
        ("-Infinity", True, False, False),
        ("NaN", True, False, False),
        ("nan.", False, False, False),
        ("", False, False, False),
        (" 4", False, False, False),
        ("1_000", False, False, False),
        ("٤", False, False, False),
        ("9223372036854775807", True, True, False),
        ("9223372036854775808", True, False, False),
        ("1e400", True, False, False),
        ("+-1", False, False, False),
    ],
)
def test_numeric_strings_are_numbers(
    text: str, is_number: bool, is_int: bool, is_float: bool
) -> None:
    assert call(STRING, "is_number", text) is is_number
    assert call(STRING, "is_int", text) is is_int
    assert call(STRING, "is_float", text) is is_float


FAILED = null_because("it failed", HERE)


def test_a_failed_value_is_an_error_whatever_the_arguments() -> None:
    assert call(GENERIC, "is_error", FAILED, 1, 2) is True
    assert accepts_count(GENERIC, "is_error", 9)


def test_info_without_error_is_no_error() -> None:
    answered = Value("x", HERE, Meta(info=Members({"status": Value(200)})))
    assert call(GENERIC, "is_error", answered) is False
    assert call(GENERIC, "get_info", answered, "status").data == 200


@pytest.mark.parametrize("args", [[], ["status"]])
def test_get_info_gives_the_whole_info(args: list[str]) -> None:
    assert plain(call(GENERIC, "get_info", FAILED, *args)) == {"error": "it failed"}


def test_a_missing_entry_of_the_info_marks_the_answer_as_an_error() -> None:
    assert call(GENERIC, "get_info", FAILED).info is None
    assert "error" in call(GENERIC, "get_info", FAILED, "status").info


def test_get_info_gives_an_entry_and_ignores_more_arguments() -> None:
    found = call(GENERIC, "get_info", FAILED, "error", "status")
    assert (found.data, found.position, found.info) == ("it failed", HERE, None)


@pytest.mark.parametrize("args", [[], ["error"], [5], [None]])
def test_get_info_without_info_is_a_string(args: list[Any]) -> None:
    assert call(GENERIC, "get_info", "a", *args) == "Null"


def test_get_info_wants_a_string_as_key() -> None:
    with pytest.raises(SoftError) as caught:
        call(GENERIC, "get_info", FAILED, 1)
    assert caught.value.text == "get_info(Optional<String: search_key>) => Literal"


def test_info_cannot_be_changed_through_what_get_info_gives() -> None:
    assert call(GENERIC, "get_info", FAILED).data.shared


@pytest.mark.parametrize(
    ("name", "usage"),
    [
        ("type_of", "type_of() => string"),
        ("to_string", "to_string() => string"),
        ("is_number", "is_number() => boolean"),
        ("is_int", "is_int() => boolean"),
        ("is_float", "is_float() => boolean"),
    ],
)
def test_usage_texts(name: str, usage: str) -> None:
    for table in (GENERIC, STRING, INT, FLOAT, BOOLEAN, NULL, CLOSURE):
        assert table[name].usage == usage
        assert not accepts_count(table, name, 1)


def test_texts_of_shared_containers_are_bounded() -> None:
    nested = Value("x" * 100)
    for _ in range(30):
        nested = Value(Items([nested, nested]))
    with pytest.raises(BudgetExceeded) as caught:
        call(GENERIC, "to_string", nested, run=FakeRun(limits=Limits(value_bytes=100_000)))
    assert caught.value.limit == "max_value_bytes"

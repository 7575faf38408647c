"""The methods of objects, called directly. Spec: csml-language §10.6."""

from __future__ import annotations

from typing import Any

import pytest

from palaver.csml.failures import SoftError
from palaver.csml.stdlib.objects import OBJECT
from palaver.csml.values import Members
from tests.unit.csml.fakes import FakeRun, accepts_count, call, plain, value

CONTAINS = '[contains] takes one argument of type String. Usage: object.contains("key")'
GET = '[get_generics] takes one argument of type String. Usage: object.get_generics("key")'
INSERT = "[insert] take tow arguments. Usage: object.insert(string, any_type)"
ASSIGN = '[assign] take one argument. Usage: object.assign({"key": "value"})'
REMOVE = '[remove] takes one argument of type String. Usage: object.remove("key")'

SOME = {"b": 1, "a": {"c": None}, "é x": [1]}


@pytest.mark.parametrize(
    ("this", "name", "args", "expected"),
    [
        (SOME, "keys", [], ["b", "a", "é x"]),
        (SOME, "values", [], [1, {"c": None}, [1]]),
        ({}, "keys", [], []),
        ({}, "values", [], []),
        (SOME, "length", [], 3),
        ({}, "is_empty", [], True),
        (SOME, "is_empty", [], False),
        (SOME, "contains", ["a"], True),
        (SOME, "contains", ["A"], False),
        (SOME, "contains", ["c"], False),
        (SOME, "contains", ["é x"], True),
        (SOME, "contains", [""], False),
        (SOME, "get", ["b"], 1),
        (SOME, "get", ["a"], {"c": None}),
        (SOME, "get", ["zzz"], None),
    ],
)
def test_reading(this: Any, name: str, args: list[Any], expected: Any) -> None:
    assert plain(call(OBJECT, name, this, *args)) == expected


@pytest.mark.parametrize(
    ("name", "args", "result", "after"),
    [
        ("insert", ["b", [2]], None, {"a": 1, "b": [2]}),
        ("insert", ["a", 2], None, {"a": 2}),
        ("insert", ["", 2], None, {"a": 1, "": 2}),
        ("assign", [{"a": None, "d": 1}], None, {"a": None, "d": 1}),
        ("assign", [{}], None, {"a": 1}),
        ("remove", ["a"], 1, {}),
        ("remove", ["zzz"], None, {"a": 1}),
        ("clear_values", [], None, {"a": None}),
    ],
)
def test_changing_in_place(name: str, args: list[Any], result: Any, after: Any) -> None:
    this = value({"a": 1})
    assert plain(call(OBJECT, name, this, *args)) == result
    assert plain(this) == after
    assert OBJECT[name].mutates


@pytest.mark.parametrize(
    ("name", "args", "text"),
    [
        ("contains", [1], CONTAINS),
        ("get", [1], GET),
        ("insert", [1, "a"], INSERT),
        ("assign", [1], ASSIGN),
        ("assign", [[1]], ASSIGN),
        ("assign", [None], ASSIGN),
        ("remove", [1], REMOVE),
    ],
)
def test_errors(name: str, args: list[Any], text: str) -> None:
    this = value({"a": 1})
    with pytest.raises(SoftError) as caught:
        call(OBJECT, name, this, *args)
    assert (caught.value.text, caught.value.at) == (text, None)
    assert plain(this) == {"a": 1}


@pytest.mark.parametrize(
    ("name", "count", "usage"),
    [
        ("keys", 0, "keys() => array"),
        ("values", 0, "values() => array"),
        ("length", 0, "length() => int"),
        ("is_empty", 0, "is_empty() => boolean"),
        ("contains", 1, "contains(key: string) => boolean"),
        ("get", 1, "get(key: string) => primitive"),
        ("insert", 2, "insert(key: string, value: primitive) => null"),
        ("assign", 1, "assign(obj: Object) => null"),
        ("remove", 1, "remove(key: string) => primitive"),
        ("clear_values", 0, "clear_values() => null"),
    ],
)
def test_argument_counts_and_usage(name: str, count: int, usage: str) -> None:
    assert OBJECT[name].usage == usage
    assert accepts_count(OBJECT, name, count)
    assert not accepts_count(OBJECT, name, count + 1)
    assert count == 0 or not accepts_count(OBJECT, name, count - 1)


def test_a_missing_member_is_no_error() -> None:
    assert call(OBJECT, "get", {}, "zzz") is None
    assert call(OBJECT, "remove", {}, "zzz") is None


def test_an_object_can_be_assigned_to_itself() -> None:
    this = value({"a": 1})
    assert call(OBJECT, "assign", this, this) is None
    assert plain(this) == {"a": 1}


def test_members_are_shared_not_copied() -> None:
    given, taken = value([1]), value({"inner": {"x": 1}})
    this = value({})
    call(OBJECT, "insert", this, "a", given)
    call(OBJECT, "assign", this, taken)
    members = this.data
    assert isinstance(members, Members)
    assert members["a"] is given
    assert members["inner"] is taken.data["inner"]  # type: ignore[index]
    assert all(member.data.shared for member in members.values())  # type: ignore[union-attr]


@pytest.mark.parametrize(("name", "args"), [("get", ["a"]), ("values", [])])
def test_members_handed_out_are_shared(name: str, args: list[Any]) -> None:
    this = value({"a": [1]})
    call(OBJECT, name, this, *args)
    assert this.data["a"].data.shared  # type: ignore[index]


def test_every_object_has_the_generic_methods() -> None:
    assert {"type_of", "to_string", "is_number", "is_error", "get_info"} <= set(OBJECT)


@pytest.mark.parametrize("name", ["keys", "values", "clear_values"])
def test_work_that_grows_with_the_object_is_paid_for(name: str) -> None:
    run = FakeRun()
    call(OBJECT, name, {str(number): number for number in range(500)}, run=run)
    assert run.spent >= 500

"""The plain built-in functions. Spec: csml-language §9."""

from __future__ import annotations

import math
from typing import Any

import pytest

from palaver.csml.failures import BudgetExceeded, SoftError
from palaver.csml.limits import Limits
from palaver.csml.source import Position
from palaver.csml.stdlib.builtins import PLAIN_BUILTINS
from palaver.csml.stdlib.table import Arguments
from palaver.csml.values import SECURE, Value, content_type_of, null_because
from tests.unit.csml.fakes import HERE, FakeHost, FakeRun, call_builtin, closure, plain, value

ONE_OF = "OneOf builtin expects one value of type Array. Example: OneOf( [1, 2, 3] )"
SHUFFLE = "Shuffle builtin expects one value of type Array. Example: Shuffle( [1, 2, 3] )"
LENGTH = "Length builtin expects one value of type Array or String. Example: Length( value )"
FIND = (
    "Find builtin expects 'in' param to be of type String. "
    'Example: Find(value, in = "hola", case_sensitive = true)'
)
FLOOR = "Floor builtin expects one argument of type float. Example: Floor(4.2)"
EXISTS = 'Exists builtin expects one value of type String. Example: Exists( "var_name" )'

FAILED = null_because("[b] key does not exist", HERE)


def run_builtin(name: str, args: list[Any], named: dict[str, Any], run: Any = None) -> Any:
    return call_builtin(PLAIN_BUILTINS, name, *args, run=run, **named)


@pytest.mark.parametrize(
    ("name", "args", "named", "expected"),
    [
        ("OneOf", [[7]], {}, 7),
        ("OneOf", [], {"array": ["x"]}, "x"),
        ("OneOf", [[None]], {}, None),
        ("OneOf", [[5], [6]], {}, 5),
        ("Shuffle", [[]], {}, []),
        ("Shuffle", [], {"array": [3, 3]}, [3, 3]),
        ("Or", [1, "d"], {}, 1),
        ("Or", [FAILED, "d"], {}, "d"),
        ("Or", [None, "d"], {}, None),
        ("Or", [False, "d"], {}, False),
        ("Or", [1, 2, 3], {}, 1),
        ("Length", [[1, 2, 3]], {}, 3),
        ("Length", [[]], {}, 0),
        ("Length", ["é"], {}, 2),
        ("Length", ["😀"], {}, 4),
        ("Length", [], {"length": "named"}, 5),
        ("Length", ["a", "bcd"], {}, 1),
        ("Find", ["B"], {"in": "abc"}, True),
        ("Find", ["b"], {"in": "ABC", "case_sensitive": True}, True),
        ("Find", ["x"], {"in": "abc"}, False),
        ("Find", ["b", "abc"], {}, True),
        ("Find", ["b", "abc", "more"], {}, True),
        ("Find", ["b", "abc"], {"case": True}, True),
        ("Find", ["É"], {"in": "été"}, True),
        ("Find", [""], {"in": "abc"}, True),
        ("Find", ["ß"], {"in": "STRASSE"}, False),
        ("Find", [], {"value": "c", "in": "abc"}, True),
        ("Floor", [4.7], {}, 4.0),
        ("Floor", [-4.2], {}, -5.0),
        ("Floor", [], {"float": 0.5}, 0.0),
        ("Floor", [1e300], {}, 1e300),
        ("Floor", [float("-inf")], {}, None),
        ("Object", [], {}, {}),
        ("Object", [], {"a": 1, "b": [2]}, {"a": 1, "b": [2]}),
        ("Object", ["a"], {"b": 1}, {"b": 1}),
    ],
)
def test_results(name: str, args: Any, named: Any, expected: Any) -> None:
    result = plain(run_builtin(name, args, named))
    assert result == expected
    assert result.__class__ is expected.__class__


@pytest.mark.parametrize(
    ("name", "args", "named", "text"),
    [
        ("OneOf", [], {}, ONE_OF),
        ("OneOf", [], {"list": [5]}, ONE_OF),
        ("Shuffle", ["abc"], {}, SHUFFLE),
        ("Shuffle", [], {}, SHUFFLE),
        ("Shuffle", [{"a": 1}], {}, SHUFFLE),
        ("Or", [1], {}, "ERROR_SHUFFLE"),
        ("Or", [], {}, "ERROR_SHUFFLE"),
        ("Or", [], {"a": 1, "b": 2}, "ERROR_SHUFFLE"),
        ("Or", [1], {"b": 2}, "ERROR_SHUFFLE"),
        ("Length", [12], {}, LENGTH),
        ("Length", [{"a": 1}], {}, LENGTH),
        ("Length", [None], {}, LENGTH),
        ("Length", [], {}, LENGTH),
        ("Find", ["b"], {}, FIND),
        ("Find", [], {}, FIND),
        ("Find", [1], {"in": "123"}, FIND),
        ("Find", ["1"], {"in": 123}, FIND),
        ("Find", ["a"], {"in": ["a"]}, FIND),
        ("Find", [], {"in": "abc"}, FIND),
        ("Find", ["a"], {"haystack": "abc"}, FIND),
        ("Floor", [4], {}, FLOOR),
        ("Floor", ["4.5"], {}, FLOOR),
        ("Floor", [True], {}, FLOOR),
        ("Floor", [], {}, FLOOR),
        ("Floor", [], {"value": 1.5}, FLOOR),
        ("Exists", [1], {}, EXISTS),
        ("Exists", [], {}, EXISTS),
        ("Exists", [], {"name": "a"}, EXISTS),
        ("Object", [1], {}, "to many arguments"),
    ],
)
def test_errors(name: str, args: Any, named: Any, text: str) -> None:
    with pytest.raises(SoftError) as caught:
        run_builtin(name, args, named)
    assert (caught.value.text, caught.value.at) == (text, None)


@pytest.mark.parametrize("given", ["abc", 1, {"a": 1}, []])
def test_one_of_reports_what_is_no_array_at_its_own_place(given: Any) -> None:
    there = Position(1, 2)
    with pytest.raises(SoftError) as caught:
        run_builtin("OneOf", [value(given).at(there)], {})
    assert (caught.value.text, caught.value.at) == (ONE_OF, there)


def test_chance_comes_from_the_host() -> None:
    assert plain(run_builtin("OneOf", [["a", "b"]], {}, FakeRun(FakeHost([1])))) == "b"
    this = value(["a", "b", "c"])
    assert plain(run_builtin("Shuffle", [this], {}, FakeRun(FakeHost([0, 1])))) == ["c", "b", "a"]
    assert plain(this) == ["a", "b", "c"]


def test_or_keeps_the_value_itself() -> None:
    kept = value([1])
    assert run_builtin("Or", [kept, 2], {}) is kept
    assert kept.data.shared  # type: ignore[union-attr]


def test_exists_asks_the_scope() -> None:
    run = FakeRun()
    run.names = {"a"}
    assert run_builtin("Exists", ["a"], {}, run) is True
    assert run_builtin("Exists", ["A", "a"], {}, run) is False
    assert run_builtin("Exists", [], {"string": "a"}, run) is True


def test_floor_keeps_negative_zero_and_what_is_not_finite() -> None:
    assert math.copysign(1, run_builtin("Floor", [-0.0], {})) == -1
    assert run_builtin("Floor", [float("inf")], {}) == math.inf


@pytest.mark.parametrize(
    ("args", "named", "expected"),
    [
        ([], {}, []),
        ([1], {}, ["1"]),
        (
            ["a", 2.5, True, None, [1, "x"], {"k": [1.0]}],
            {},
            ["a", "2.5", "true", "Null", '[1,"x"]', '{"k":[1.0]}'],
        ),
        ([closure(lambda scope: value(1))], {}, ["Null"]),
        ([4.0], {"a": 1}, ["4", "1"]),
    ],
)
def test_debug_shows_the_text_forms(args: Any, named: Any, expected: Any) -> None:
    result = run_builtin("Debug", args, named)
    assert plain(result) == {"args": expected}
    assert content_type_of(result) == "debug"
    assert not result.is_secure


def test_debug_of_a_secret_is_secure() -> None:
    result = run_builtin("Debug", ["a", Value("1234", HERE, SECURE)], {})
    assert result.is_secure
    assert content_type_of(result) == "debug"
    assert result.data["args"].is_secure
    assert result.data["args"].data[1].is_secure


def test_debug_of_something_too_large_is_refused() -> None:
    run = FakeRun(limits=Limits(value_bytes=100))
    with pytest.raises(BudgetExceeded):
        run_builtin("Debug", [["x" * 200]], {}, run)


def test_object_drops_only_the_first_positional_argument() -> None:
    by_name = {"arg0": value(1), "arg1": value(2), "c": value([3])}
    function = PLAIN_BUILTINS["Object"].function
    result: Any = function(FakeRun(), Arguments(by_name, is_named=True), HERE)  # type: ignore[arg-type]
    assert plain(result) == {"arg1": 2, "c": [3]}
    assert result["c"].data.shared


def test_only_object_is_deprecated() -> None:
    assert [name for name, builtin in PLAIN_BUILTINS.items() if builtin.deprecated] == ["Object"]
    assert PLAIN_BUILTINS["Object"].deprecated.startswith("'Object(key = value)' will be soon")

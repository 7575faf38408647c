"""The methods of arrays, called directly. Spec: csml-language §10.5, appendix A."""

from __future__ import annotations

from typing import Any

import pytest

from palaver.csml.failures import BudgetExceeded, RunError, SoftError
from palaver.csml.limits import Limits
from palaver.csml.source import Position
from palaver.csml.stdlib.arrays import ARRAY
from palaver.csml.values import Items, Members, Meta, Value, with_content_type
from tests.unit.csml.fakes import (
    HERE,
    FakeHost,
    FakeRun,
    accepts_count,
    call,
    closure,
    plain,
    value,
)

INSERT_AT = "[insert_at] takes two arguments. Usage: array.insert_at(1, elem)"
REMOVE_AT = "[remove_at] takes one parameter of type Int. Usage: array.remove_at(1) "
JOIN = '[join] takes one parameter of type String. Usage: array.join("elem") '
BELOW = "index must be positive. Udage: array[1]"
BEYOND = "index must be lower than or equal to array.length()"
RANGE = ".slice(start, optional<end>) args need to be inferior to the string length"
BACKWARDS = (
    ".slice(start, optional<end>) end need to be superior to start in value ex: .slice(2, 5)"
)
NO_INT = ".slice(start, optional<end>) args need to be of type Integer"
MAP = "usage: map(fn) expect one argument of type [Closure]"
FILTER = "usage: filter(fn) expect one argument of type [Closure]"
REDUCE = (
    "usage: reduce(acc, fn) expect tow arguments an initial value and 'Closure' "
    "with two arguments: an 'accumulator', and an element"
)

MIXED = [1, 1.0, "1", "1.0", True, None, [1], {"a": 1}, "A"]


@pytest.mark.parametrize(
    ("this", "name", "args", "expected"),
    [
        ([1, 2], "length", [], 2),
        ([], "is_empty", [], True),
        ([0], "is_empty", [], False),
        (MIXED, "find", [1], [1]),
        (MIXED, "find", [1.0], [1.0]),
        (MIXED, "find", ["1"], ["1", "1.0"]),
        (MIXED, "find", [None], [None]),
        (MIXED, "find", [[1]], [[1]]),
        (MIXED, "find", [{"a": 1}], [{"a": 1}]),
        (MIXED, "find", ["a"], []),
        (MIXED, "find", [True, 5], [True]),
        (MIXED, "index_of", [1.0], 1),
        (MIXED, "index_of", ["1.0"], 2),
        (MIXED, "index_of", [None], 5),
        (MIXED, "index_of", [[1.0]], -1),
        (MIXED, "index_of", [{"a": 1}], 7),
        (MIXED, "index_of", [{"a": 2}], -1),
        (MIXED, "index_of", [False], -1),
        (MIXED, "index_of", [MIXED], -1),
        (["a", "b", "c"], "join", [", "], "a, b, c"),
        ([1, 2.0, 2.5, True, None], "join", ["-"], "1-2-2.5-true-Null"),
        ([[1, 2], {"a": "b"}], "join", [";"], '[1,2];{"a":"b"}'),
        ([], "join", [","], ""),
        (["a", "", "b"], "join", [""], "ab"),
        ([1, 2, 3, 4], "slice", [1], [2, 3, 4]),
        ([1, 2, 3, 4], "slice", [1, 3], [2, 3]),
        ([1, 2, 3, 4], "slice", [-2], [3, 4]),
        ([1, 2, 3, 4], "slice", [-3, -1], [2, 3]),
        ([1, 2, 3, 4], "slice", [2, 2], []),
        ([1, 2, 3, 4], "slice", [0, 4], [1, 2, 3, 4]),
        ([1, [2, [3]], "x"], "reverse", [], ["x", [2, [3]], 1]),
        ([1, "x"], "append", [[4, [5]]], [1, "x", 4, [5]]),
        ([1, [2, [3]], "x"], "flatten", [], [1, 2, [3], "x"]),
        ([{"a": [1]}, []], "flatten", [], [{"a": [1]}]),
        ([1], "init", [2], [None, None]),
        ([1], "init", [0], []),
        ([], "one_of", [], None),
        ([], "shuffle", [], []),
    ],
)
def test_results(this: Any, name: str, args: list[Any], expected: Any) -> None:
    assert plain(call(ARRAY, name, this, *args)) == expected


@pytest.mark.parametrize(
    ("this", "name", "args", "text"),
    [
        ([], "pop", [], "[pop] Cannot pop if array is empty"),
        (["a"], "insert_at", [2, "x"], BEYOND),
        (["a"], "insert_at", [-1, "x"], BELOW),
        (["a"], "insert_at", ["0", "x"], INSERT_AT),
        (["a"], "insert_at", [0.0, "x"], INSERT_AT),
        (["a"], "insert_at", [True, "x"], INSERT_AT),
        (["a"], "remove_at", [1], BEYOND),
        (["a"], "remove_at", [2], BEYOND),
        ([], "remove_at", [0], BEYOND),
        (["a"], "remove_at", [-1], BELOW),
        (["a"], "remove_at", ["0"], REMOVE_AT),
        (["a"], "remove_at", [None], REMOVE_AT),
        (["a"], "join", [1], JOIN),
        (["a"], "join", [None], JOIN),
        ([1, 2], "append", [1], INSERT_AT),
        ([1, 2], "append", [{"a": 1}], INSERT_AT),
        ([], "init", ["2"], INSERT_AT),
        ([], "init", [1.5], INSERT_AT),
        ([], "init", [-1], "usage: init(capacity: Int) => [Literal]"),
        ([1, 2], "slice", [2], RANGE),
        ([1, 2], "slice", [2, 2], RANGE),
        ([1, 2], "slice", [0, 3], RANGE),
        ([1, 2], "slice", [-3], RANGE),
        ([1, 2], "slice", [0, -3], RANGE),
        ([1, 2], "slice", [1, 0], BACKWARDS),
        ([], "slice", [0], RANGE),
        ([1, 2], "map", [1], MAP),
        ([1, 2], "filter", [None], FILTER),
        ([1, 2], "reduce", [0, 1], REDUCE),
    ],
)
def test_errors(this: Any, name: str, args: list[Any], text: str) -> None:
    with pytest.raises(SoftError) as caught:
        call(ARRAY, name, this, *args)
    assert caught.value.text == text
    assert caught.value.at is None


@pytest.mark.parametrize("args", [["1"], [0, 1.0], [None, 2], [True]])
def test_a_slice_bound_that_is_no_int_is_reported_at_its_own_place(args: list[Any]) -> None:
    there = Position(1, 2)
    wrong = [Value(arg, there) if arg.__class__ is not int else Value(arg, HERE) for arg in args]
    with pytest.raises(SoftError) as caught:
        call(ARRAY, "slice", [1, 2], *wrong)
    assert (caught.value.text, caught.value.at) == (NO_INT, there)


@pytest.mark.parametrize(
    ("name", "good", "bad", "usage"),
    [
        ("length", [0], [1], "length() => int"),
        ("is_empty", [0], [1], "is_empty() => boolean"),
        ("push", [1], [0, 2], "push(value: primitive) => null"),
        ("pop", [0], [1], "pop() => primitive"),
        ("insert_at", [2], [1, 3], "insert_at(index: int, value: primitive) => null"),
        ("remove_at", [1], [0, 2], "remove_at(index: int) => primitive"),
        ("find", [1, 2], [0], "find(value: primitive) => array"),
        ("index_of", [1], [0, 2], "index_of(value: primitive) => int"),
        ("join", [1], [0, 2], "join(separator: string) => string"),
        ("one_of", [0], [1], "one_of() => primitive"),
        ("shuffle", [0], [1], "shuffle() => array"),
        ("slice", [1, 2], [0, 3], "slice(start: Integer, end: Optional<Integer>) => [Literal]"),
        ("reverse", [0], [1], "reverse() => [Literal]"),
        ("append", [1], [0, 2], "append(other_array: [Literal]) => [Literal]"),
        ("flatten", [0], [1], "flatten() => [Literal]"),
        ("init", [1], [0, 2], "init(capacity: Int) => [Literal]"),
        ("map", [1, 2], [0], MAP.removeprefix("usage: ")),
        ("filter", [1, 2], [0], FILTER.removeprefix("usage: ")),
        ("reduce", [2], [0, 1], REDUCE.removeprefix("usage: ")),
    ],
)
def test_argument_counts_and_usage(name: str, good: list[int], bad: list[int], usage: str) -> None:
    assert ARRAY[name].usage == usage
    assert all(accepts_count(ARRAY, name, count) for count in good)
    assert not any(accepts_count(ARRAY, name, count) for count in bad)


def test_which_methods_count_as_mutating() -> None:
    mutating = {name for name, method in ARRAY.items() if method.mutates}
    assert mutating == {"push", "pop", "insert_at", "remove_at", "shuffle"}


def test_every_array_has_the_generic_methods() -> None:
    assert {"type_of", "to_string", "is_number", "is_error", "get_info"} <= set(ARRAY)


def test_changing_in_place() -> None:
    this = value(["b"])
    assert call(ARRAY, "push", this, "d") is None
    assert call(ARRAY, "insert_at", this, 0, "a") is None
    assert call(ARRAY, "insert_at", this, 2, ["c"]) is None
    assert plain(this) == ["a", "b", ["c"], "d"]
    assert plain(call(ARRAY, "insert_at", this, 4, "e")) is None
    assert plain(call(ARRAY, "pop", this)) == "e"
    assert plain(call(ARRAY, "remove_at", this, 2)) == ["c"]
    assert plain(call(ARRAY, "remove_at", this, 0)) == "a"
    assert plain(this) == ["b", "d"]


def test_append_takes_only_values_of_content_type_array() -> None:
    with pytest.raises(SoftError, match=r"\[insert_at\]"):
        call(ARRAY, "append", [1], with_content_type(Items(), "text", HERE))


def test_chance_comes_from_the_host() -> None:
    run = FakeRun(FakeHost([2]))
    assert plain(call(ARRAY, "one_of", ["a", "b", "c"], run=run)) == "c"
    run = FakeRun(FakeHost([0, 1]))
    this = value(["a", "b", "c"])
    assert plain(call(ARRAY, "shuffle", this, run=run)) == ["c", "b", "a"]
    assert plain(this) == ["a", "b", "c"]


# --- sharing -----------------------------------------------------------------------------------


def test_pushing_copies_nothing() -> None:
    this = value([])
    container = this.data
    pushed = [value([number]) for number in range(1000)]
    run = FakeRun()
    for item in pushed:
        call(ARRAY, "push", this, item, run=run)
    assert isinstance(container, Items)
    assert this.data is container
    assert all(mine is theirs for mine, theirs in zip(container, pushed, strict=True))
    assert all(item.data.shared for item in pushed)  # type: ignore[union-attr]
    assert run.spent == 0


@pytest.mark.parametrize(
    ("name", "args"),
    [("slice", [0]), ("reverse", []), ("append", [[]]), ("shuffle", []), ("flatten", [])],
)
def test_new_arrays_share_their_elements(name: str, args: list[Any]) -> None:
    this = value([{"a": 1}])
    result = call(ARRAY, name, this, *args)
    (element,) = this.data  # type: ignore[misc]
    assert result is not this.data
    assert result[0] is element
    assert element.data.shared


@pytest.mark.parametrize(("name", "args"), [("find", [{"a": 1}]), ("one_of", [])])
def test_elements_handed_out_are_shared(name: str, args: list[Any]) -> None:
    this = value([{"a": 1}])
    call(ARRAY, name, this, *args)
    assert this.data[0].data.shared  # type: ignore[index]


# --- closures ----------------------------------------------------------------------------------


def doubled(scope: Any, element: Value, *_: Value) -> Value:
    return value(plain(element) * 2)


def seen(scope: Any, *values: Value) -> Value:
    return value([plain(item) for item in values])


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [((), [["a"], ["b"]]), (("x",), [["a"], ["b"]]), (("x", "i"), [["a", 0], ["b", 1]])],
)
def test_map_passes_the_index_to_two_parameters(parameters: tuple[str, ...], expected: Any) -> None:
    assert plain(call(ARRAY, "map", ["a", "b"], closure(seen, *parameters))) == expected


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ((), [[0, "a"], "b"]),
        (("acc",), [[0, "a"], "b"]),
        (("acc", "x"), [[0, "a"], "b"]),
        (("acc", "x", "i"), [[0, "a", 0], "b", 1]),
    ],
)
def test_reduce_passes_the_index_to_three_parameters(
    parameters: tuple[str, ...], expected: Any
) -> None:
    assert plain(call(ARRAY, "reduce", ["a", "b"], 0, closure(seen, *parameters))) == expected


def test_map_filter_and_reduce() -> None:
    assert plain(call(ARRAY, "map", [1, 2], closure(doubled, "x"))) == [2, 4]
    keep = closure(lambda scope, element: element, "x")
    kinds = [1, 0, -1, 0.5, "", "x", None, [], {}]
    assert plain(call(ARRAY, "filter", kinds, keep)) == [1, 0.5, "", "x", [], {}]
    add = closure(lambda scope, acc, x: value(plain(acc) + plain(x)), "acc", "x")
    assert plain(call(ARRAY, "reduce", [1, 2, 3], 0, add)) == 6
    assert plain(call(ARRAY, "reduce", [], "init", add)) == "init"


@pytest.mark.parametrize("name", ["map", "filter"])
def test_all_calls_of_one_method_share_a_scope_with_the_captured_variables(name: str) -> None:
    def counting(scope: Any, element: Value) -> Value:
        scope.variables[f"seen {len(scope.variables)}"] = element
        return value(len(scope.variables))

    run = FakeRun()
    function = closure(counting, "x")
    call(ARRAY, name, ["a", "b"], function, run=run)
    (scope,) = run.scopes
    assert scope.closure is function.data
    assert len(scope.variables) == 2


def test_reduce_sees_no_captured_variable() -> None:
    run = FakeRun()
    call(ARRAY, "reduce", ["a", "b"], 0, closure(seen), run=run)
    (scope,) = run.scopes
    assert scope.closure is None


def test_reducing_into_a_new_array_copies_nothing() -> None:
    start = value([])

    def collect(scope: Any, acc: Value, element: Value) -> Value:
        call(ARRAY, "push", acc, element)
        return acc

    result = call(ARRAY, "reduce", [1, 2, 3], start, closure(collect, "acc", "x"))
    assert result.data is start.data
    assert plain(result) == [1, 2, 3]
    assert not result.data.shared


def test_an_accumulator_from_elsewhere_is_shared() -> None:
    elsewhere = value([])
    function = closure(lambda scope, *_: elsewhere, "acc", "x")
    assert call(ARRAY, "reduce", [1], 0, function).data.shared


def test_what_a_closure_gets_is_shared() -> None:
    this = value([[1]])
    call(ARRAY, "map", this, closure(lambda scope, x: x, "x"))
    assert this.data[0].data.shared  # type: ignore[index]


@pytest.mark.parametrize(
    ("name", "args", "parameters"),
    [("map", [], "abc"), ("filter", [], "abc"), ("reduce", [0], "abcd")],
)
def test_a_closure_with_too_many_parameters_is_a_soft_error(
    name: str, args: list[Any], parameters: str
) -> None:
    with pytest.raises(SoftError) as caught:
        call(ARRAY, name, [1], *args, closure(seen, *parameters))
    assert (caught.value.text, caught.value.at) == ("function arguments are not valid", None)


@pytest.mark.parametrize(("name", "args"), [("map", []), ("filter", []), ("reduce", [0])])
def test_a_fatal_error_in_a_closure_is_soft(name: str, args: list[Any]) -> None:
    there = Position(3, 4)

    def failing(scope: Any, *values: Value) -> Value:
        raise RunError("[!] Int: Division by zero", there)

    with pytest.raises(SoftError) as caught:
        call(ARRAY, name, [1], *args, closure(failing))
    assert (caught.value.text, caught.value.at) == ("[!] Int: Division by zero", there)


@pytest.mark.parametrize(("name", "args"), [("map", []), ("filter", []), ("reduce", [0])])
def test_a_limit_reached_in_a_closure_stays_a_limit(name: str, args: list[Any]) -> None:
    def endless(scope: Any, *values: Value) -> Value:
        raise BudgetExceeded("too deep", "max_depth")

    with pytest.raises(BudgetExceeded, match="too deep"):
        call(ARRAY, name, [1], *args, closure(endless))


# --- limits ------------------------------------------------------------------------------------

SMALL = Limits(value_bytes=100)


@pytest.mark.parametrize(
    ("this", "name", "args"),
    [
        ([], "init", [51]),
        ([], "init", [2**62]),
        ([0] * 30, "append", [[0] * 30]),
        ([[0] * 30, [0] * 30], "flatten", []),
        (["x" * 60, "y" * 60], "join", [""]),
        (["x"] * 3, "join", ["-" * 60]),
        ([["x" * 200]], "join", [""]),
    ],
)
def test_results_too_large_to_keep_are_refused(this: Any, name: str, args: list[Any]) -> None:
    with pytest.raises(BudgetExceeded) as caught:
        call(ARRAY, name, this, *args, run=FakeRun(limits=SMALL))
    assert caught.value.limit == "max_value_bytes"


@pytest.mark.parametrize(
    ("name", "args"),
    [("find", [1]), ("index_of", [5]), ("reverse", []), ("shuffle", []), ("join", [","])],
)
def test_work_that_grows_with_the_array_is_paid_for(name: str, args: list[Any]) -> None:
    run = FakeRun()
    call(ARRAY, name, [1] * 500, *args, run=run)
    assert run.spent >= 500


def test_searching_shared_containers_is_bounded() -> None:
    nested: Any = [1]
    other: Any = [1]
    for _ in range(40):
        inner, same = value(nested), value(other)
        nested, other = [inner, inner], [same, same]
    with pytest.raises(BudgetExceeded):
        call(ARRAY, "find", [nested, nested], other)


def test_elements_keep_their_meta() -> None:
    button = Value(Members({"title": value("a")}), HERE, Meta("button"))
    assert call(ARRAY, "reverse", [button, 1])[1] is button
